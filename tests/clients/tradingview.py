"""What TradingView's charts ask of a data feed (UDF), request by request: the configuration, the symbols, and the history
page by page back to its left edge."""

import sys

from native import Native, compare, millis

# The resolutions that have an interval of /api/v1, and their seconds.
INTERVALS = {"1": ("1m", 60), "5": ("5m", 300), "15": ("15m", 900), "60": ("1h", 3600), "240": ("4h", 14_400)}


def main(address):
    native = Native(address)
    config = native.get("/udf/config").json()
    assert config["supports_search"] and not config["supports_group_request"], config
    assert config["supports_marks"] and config["supports_time"], config
    assert set(INTERVALS) <= set(config["supported_resolutions"]), config
    now = int(native.get("/udf/time").text)

    for symbol in native.symbols():
        listed = search(native, symbol)
        info = native.get("/udf/symbols", symbol=listed["full_name"]).json()
        assert info["ticker"] == symbol and info["session"] == "24x7" and info["timezone"] == "Etc/UTC", info
        assert set(info["supported_resolutions"]) <= set(config["supported_resolutions"]), info
        for resolution, (interval, seconds) in INTERVALS.items():
            before = native.closed(symbol, interval) if has(native, symbol, interval) else {}
            if len(before) < 3:
                continue
            for walk in (by_range, by_count):
                shown = walk(native, info["ticker"], resolution, now + 2 * seconds, seconds)
                after = native.closed(symbol, interval)
                compare(f"{walk.__name__} {symbol} {resolution}", shown, before, after, 1000 * seconds)
        marks(native, symbol, now)
    refusals(native)
    print("TradingView's UDF: symbols, bars page by page to the left edge and marks are those of /api/v1")


def has(native, symbol, interval):
    """Whether there is a closed candle; where there is none /api/v1 says 404."""
    response = native.session.get(
        f"{native.address}/api/v1/historical/{symbol}", params={"interval": interval}, timeout=20
    )
    assert response.status_code in (200, 404), response.text
    return response.status_code == 200


def search(native, symbol):
    found = native.get("/udf/search", query=symbol.lower(), type="", exchange="", limit=30).json()
    [listed] = [entry for entry in found if entry["symbol"] == symbol]
    return listed


def bars(answer):
    columns = [answer[column] for column in "tohlcv"]
    assert len({len(column) for column in columns}) == 1, "columns of different lengths"
    return [[1000 * start, *values] for start, *values in zip(*columns, strict=True)]


def by_range(native, ticker, resolution, to, seconds):
    """Pages of 37 windows, leaping over empty ones to where the server says that there is more."""
    shown = []
    while True:
        asked = {"symbol": ticker, "resolution": resolution, "from": to - 37 * seconds, "to": to}
        answer = native.get("/udf/history", **asked).json()
        if answer["s"] == "no_data":
            if "nextTime" not in answer:
                return shown
            assert answer["nextTime"] < asked["from"], answer
            to = answer["nextTime"] + 1
            continue
        assert answer["s"] == "ok", answer
        page = bars(answer)
        assert all(1000 * asked["from"] <= bar[0] < 1000 * to for bar in page), (asked, page)
        shown = page + shown
        to = asked["from"]


def by_count(native, ticker, resolution, to, seconds):
    """Pages of 41 bars, as the charts ask for them now: however far back they lie."""
    shown = []
    while True:
        asked = {"symbol": ticker, "resolution": resolution, "from": to - 41 * seconds, "to": to, "countback": 41}
        answer = native.get("/udf/history", **asked).json()
        if answer["s"] == "no_data":
            assert "nextTime" not in answer, "the left edge is the end"
            return shown
        page = bars(answer)
        assert 0 < len(page) <= 41 and all(bar[0] < 1000 * to for bar in page), (asked, page)
        shown = page + shown
        to = page[0][0] // 1000


def marks(native, symbol, now):
    """The alerts on the bars of their minutes."""
    asked = {"symbol": symbol, "resolution": "1", "from": now - 86_400, "to": now + 60}
    alerts = native.get(f"/api/v1/alerts/{symbol}", hours=24, limit=100).json()["alerts"]
    shown = native.get("/udf/marks", **asked).json()
    assert 0 < len(alerts) < 100, f"{len(alerts)} alerts of {symbol} tell nothing"
    expected = sorted((millis(alert["window_start"]) // 1000, alert["alert_id"]) for alert in alerts)
    assert expected == sorted((mark["time"], mark["id"]) for mark in shown)[: len(expected)], (expected, shown)


def refusals(native):
    """Mistakes are told as the charts read them."""
    for path, asked in (
        ("/udf/symbols", {"symbol": "NOPE"}),
        ("/udf/history", {"symbol": "BTC", "resolution": "7", "from": 0, "to": 60}),
    ):
        response = native.session.get(native.address + path, params=asked, timeout=20)
        assert response.status_code >= 400 and response.json()["s"] == "error", response.text


if __name__ == "__main__":
    main(sys.argv[1])
