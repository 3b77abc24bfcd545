"""ccxt's Binance class, with nothing changed but the address."""

import sys

import ccxt

from native import Native, compare

MINUTE_MS = 60_000
WINDOWS = {"1m": MINUTE_MS, "5m": 5 * MINUTE_MS, "15m": 15 * MINUTE_MS, "1h": 60 * MINUTE_MS}


def main(address):
    native = Native(address)
    exchange = ccxt.binance({"options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False}})
    exchange.urls["api"]["public"] = address + "/api/v3"

    markets = exchange.load_markets()
    assert sorted(markets) == sorted(f"{symbol}/USD" for symbol in native.symbols()), sorted(markets)
    assert all(market["spot"] and market["active"] for market in markets.values())

    for symbol in native.symbols():
        for timeframe, window_ms in WINDOWS.items():
            before = native.closed(symbol, timeframe)
            shown = pages(exchange, f"{symbol}/USD", timeframe, min(before) - window_ms, window_ms)
            after = native.closed(symbol, timeframe)
            compare(f"ccxt {symbol} {timeframe}", shown, before, after, window_ms)
        ticker(native, exchange, symbol)
    newest(native, exchange)
    refusals(exchange)
    print(f"ccxt {ccxt.__version__}: markets, candles by pages and tickers are those of /api/v1")


def pages(exchange, market, timeframe, since, window_ms):
    """Everything from a time on, as ccxt's manual pages: from the last bar on, 50 at a time."""
    bars = []
    while True:
        page = exchange.fetch_ohlcv(market, timeframe, since=since, limit=50)
        assert len(page) <= 50 and all(bar[0] >= since for bar in page), page
        bars += page
        if len(page) < 50:
            return bars
        since = page[-1][0] + window_ms


def newest(native, exchange):
    """Without a time the newest come."""
    bars, closed, _ = native.while_still("BTC", lambda: exchange.fetch_ohlcv("BTC/USD", "1m", limit=7))
    assert len(bars) == 7
    assert max(closed) in [bar[0] for bar in bars[-2:]], "the newest closed candle is the last bar or the one before"


def ticker(native, exchange, symbol):
    """The last 24 hours, which the history does not fill."""
    shown, closed, latest = native.while_still(symbol, lambda: exchange.fetch_ticker(f"{symbol}/USD"))
    minutes = list(closed.values())
    assert shown["last"] == latest["close"], (shown, latest)
    assert shown["open"] == minutes[0]["open_price"], (shown, minutes[0])
    assert shown["high"] == max(latest["high"], *(minute["high_price"] for minute in minutes))
    assert shown["low"] == min(latest["low"], *(minute["low_price"] for minute in minutes))
    volume = sum(minute["volume_sum"] for minute in minutes)
    assert abs(shown["baseVolume"] - volume) < 1e-6, (shown["baseVolume"], volume)
    change = (latest["close"] / minutes[0]["open_price"] - 1) * 100
    assert abs(shown["percentage"] - change) < 1e-3, (shown["percentage"], change)


def refusals(exchange):
    """Mistakes are the exceptions that ccxt has for them."""
    try:
        exchange.public_get_klines({"symbol": "NOPEUSD", "interval": "1m"})
    except ccxt.BadSymbol:
        pass
    else:
        raise AssertionError("an unknown symbol was answered")
    try:
        exchange.fetch_ohlcv("BTC/USD", "1M")
    except ccxt.BadRequest:
        pass
    else:
        raise AssertionError("months were answered")


if __name__ == "__main__":
    main(sys.argv[1])
