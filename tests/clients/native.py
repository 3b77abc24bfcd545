"""What the server itself says of its candles, in its own words: what every client's view is compared with."""

import time

import requests

LIMIT_SECONDS = 20


class Native:
    """`/api/v1` of a server."""

    def __init__(self, address):
        self.address = address
        self.session = requests.Session()

    def get(self, path, **parameters):
        """The answer to a request, which must succeed."""
        response = self.session.get(self.address + path, params=parameters, timeout=LIMIT_SECONDS)
        assert response.status_code == 200, f"{response.url}: {response.status_code} {response.text}"
        return response

    def symbols(self):
        return [entry["symbol"] for entry in self.get("/api/v1/symbols").json()["symbols"]]

    def closed(self, symbol, interval):
        """Every closed candle, oldest first, by the start of its window in milliseconds."""
        candles = {}
        response = self.get(f"/api/v1/historical/{symbol}", interval=interval, order_by="asc", limit=1000)
        while True:
            for candle in response.json():
                candles[millis(candle["window_start"])] = candle
            if "next" not in response.links:
                assert response.headers["X-Has-More"] == "false"
                return candles
            response = self.get(response.links["next"]["url"])

    def while_still(self, symbol, ask):
        """What `ask` gives while no tick comes, and the closed minutes and the newest candle of that moment."""

        def stand():
            return self.closed(symbol, "1m"), self.get(f"/api/v1/latest/{symbol}").json()

        def attempt():
            before, answer = stand(), ask()
            return (answer, *before) if stand() == before else None

        return until("a moment without ticks", attempt)


def millis(text):
    """The milliseconds of a time in RFC 3339 at a whole second, in UTC."""
    import calendar

    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")) * 1000


def until(what, ask, seconds=LIMIT_SECONDS):
    """Asks again and again until there is an answer."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer is not None:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def ohlcv(candle):
    """A native candle as clients show it; the simulated market tells sizes, so that its volume is the traded one."""
    names = ("open_price", "high_price", "low_price", "close_price", "volume_sum")
    return [candle[name] for name in names]


def compare(name, shown, before, after, window_ms):
    """Compares bars, lists of start in milliseconds, open, high, low, close and volume, with the closed candles before
    and after they were read: every one of those before, in order, with its values; then at most what came meanwhile and
    the one that is open."""
    starts = [bar[0] for bar in shown]
    assert starts == sorted(set(starts)), f"{name}: bars are repeated or out of order"
    assert starts[: len(before)] == list(before), f"{name}: {len(before)} candles, but bars at {starts}"
    for start, *values in shown[: len(before)]:
        assert values == ohlcv(before[start]), f"{name}: {values} instead of {before[start]}"
    newer = starts[len(before) :]
    assert len(newer) <= 2, f"{name}: bars that are no candles: {newer}"
    for start in newer:
        assert start in after or start >= max(after) + window_ms, f"{name}: no candle at {start}"
    assert len(before) >= 3, f"{name}: nothing to compare"


def klines(rows):
    """Klines of Binance as bars."""
    return [[row[0], *map(float, row[1:6])] for row in rows]


def compare_kline(row, candle, window_ms):
    """Compares a kline of twelve with its closed candle, to the last field."""
    expected = [
        millis(candle["window_start"]),
        *ohlcv(candle),
        millis(candle["window_start"]) + window_ms - 1,
        candle["quote_volume"],
        candle["trade_count"],
        0.0,
        0.0,
        0.0,
    ]
    shown = [row[0], *map(float, row[1:6]), row[6], float(row[7]), row[8], *map(float, row[9:])]
    assert shown == expected, f"kline {row} of {candle}"
    texts = [row[index] for index in (1, 2, 3, 4, 5, 7, 9, 10, 11)]
    assert all(isinstance(text, str) for text in texts), f"numbers that are no strings in {row}"
