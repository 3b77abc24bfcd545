"""python-binance's client, with nothing changed but the address."""

import sys
from importlib.metadata import version

from binance.client import Client
from binance.exceptions import BinanceAPIException

from native import Native, compare, compare_kline, klines

MINUTE_MS = 60_000


def main(address):
    native = Native(address)
    Client.API_URL = address + "/api"
    client = Client()

    names = [f"{symbol}USD" for symbol in native.symbols()]
    assert [entry["symbol"] for entry in client.get_exchange_info()["symbols"]] == names
    assert sorted(entry["symbol"] for entry in client.get_all_tickers()) == sorted(names)

    for symbol, name in zip(native.symbols(), names, strict=True):
        for interval, minutes in (("1m", 1), ("5m", 5), ("15m", 15)):
            window_ms = minutes * MINUTE_MS
            before = native.closed(symbol, interval)
            first = str(min(before))
            generated = list(client.get_historical_klines_generator(name, interval, first, limit=40))
            listed = client.get_historical_klines(name, interval, int(first))
            after = native.closed(symbol, interval)
            for shown in (generated, listed):
                compare(f"python-binance {name} {interval}", klines(shown), before, after, window_ms)
            for row in generated:
                if row[0] in before:
                    compare_kline(row, before[row[0]], window_ms)
            span(native, client, symbol, name, interval, window_ms)
        price(native, client, symbol, name)
    refusal(client)
    print(f"python-binance {version('python-binance')}: klines and prices are those of /api/v1")


def span(native, client, symbol, name, interval, window_ms):
    """Both bounds are included."""
    candles = list(native.closed(symbol, interval).items())
    (start, _), (end, _) = candles[1], candles[-2]
    rows = client.get_klines(symbol=name, interval=interval, startTime=start, endTime=end, limit=1000)
    assert [row[0] for row in rows] == [start for start, _ in candles[1:-1]]
    for row, (_, candle) in zip(rows, candles[1:-1], strict=True):
        compare_kline(row, candle, window_ms)


def price(native, client, symbol, name):
    shown, _, latest = native.while_still(symbol, lambda: client.get_symbol_ticker(symbol=name))
    assert shown["symbol"] == name and float(shown["price"]) == latest["close"], (shown, latest)


def refusal(client):
    """A mistake has the code and the words of Binance."""
    try:
        client.get_klines(symbol="BTCUSD", interval="7m")
    except BinanceAPIException as refused:
        assert (refused.code, refused.message) == (-1120, "Invalid interval."), refused
    else:
        raise AssertionError("an unknown interval was answered")


if __name__ == "__main__":
    main(sys.argv[1])
