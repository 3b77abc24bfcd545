"""The live streams of python-binance and of ccxt, with nothing changed but the address: what comes until a kline closes,
and that one against every other answer about it."""

import asyncio
import sys
from importlib.metadata import version

import ccxt.pro
from binance import AsyncClient, BinanceSocketManager

from native import Native, compare_kline, until

MINUTE_MS = 60_000
# A minute closes two seconds after its end; the first may be over before everyone listens.
LIMIT_SECONDS = 300
FIELDS = ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q", "B")


async def main(address):
    native = Native(address)
    stream_address = address.replace("http", "ws", 1) + "/"
    AsyncClient.API_URL = address + "/api"
    BinanceSocketManager.STREAM_URL = stream_address
    client = await AsyncClient.create()
    # As many of the newest bars as have changed are shown otherwise, and a bar changes once more after the next has begun:
    # when it closes.
    settings = {"newUpdates": False, "options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False}}
    exchange = ccxt.pro.binance(settings)
    exchange.urls["api"]["public"] = address + "/api/v3"
    exchange.urls["api"]["ws"]["spot"] = stream_address + "ws"
    sockets = BinanceSocketManager(client)
    names = [f"{symbol.lower()}usd@kline_1m" for symbol in native.symbols()]
    # Of each listener the closed klines of BTC, and the bars that ccxt keeps, by start.
    raw, combined, bars, heard = {}, {}, {}, set()

    def closed():
        common = sorted(set(raw) & set(combined))
        return next((start for start in common if bars.get(start) == bar(raw[start])), None)

    try:
        async with asyncio.timeout(LIMIT_SECONDS), asyncio.TaskGroup() as listeners:
            tasks = [
                listeners.create_task(listen(sockets.kline_socket("BTCUSD", "1m"), raw)),
                listeners.create_task(listen_to_all(sockets.multiplex_socket(names), names, combined, heard)),
                listeners.create_task(watch(exchange, bars)),
            ]
            while (start := closed()) is None:
                await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
    except TimeoutError:
        raise AssertionError(f"no kline that all saw closing: {raw}, {combined}, {bars}") from None
    finally:
        await exchange.close()
        await client.close_connection()
    assert raw[start] == combined[start], (raw[start], combined[start])
    assert heard == set(names), f"only {heard} of {names} were heard"
    row = [raw[start][field] for field in FIELDS]
    answered = until("the kline", lambda: rest(native, start))
    assert row == answered, (row, answered)
    candle = native.closed("BTC", "1m")[start]
    compare_kline(row, candle, MINUTE_MS)
    print(
        f"python-binance {version('python-binance')}, ccxt {ccxt.__version__}: "
        f"the kline closed at {candle['window_end']} is that of /api/v3 and /api/v1"
    )


def bar(kline):
    """An event's kline as ccxt shows it."""
    return [kline["t"], *(float(kline[field]) for field in "ohlcv")]


def rest(native, start):
    """The kline of this open time once it is no longer the open one."""
    if start not in native.closed("BTC", "1m"):
        return None
    [row] = native.get("/api/v3/klines", symbol="BTCUSD", interval="1m", startTime=start, endTime=start).json()
    return row


async def listen(socket, closed):
    """Takes the klines of one stream, and checks that each only ever grows until it closes, and then closes once."""
    last = {}
    async with socket as stream:
        while True:
            event = await stream.recv()
            assert event.get("e") == "kline" and event["s"] == "BTCUSD", event
            kline = event["k"]
            assert (kline["s"], kline["i"]) == ("BTCUSD", "1m"), event
            if kline["t"] in last:
                grown(last[kline["t"]], kline)
            last[kline["t"]] = kline
            if kline["x"]:
                closed[kline["t"]] = kline


def grown(old, new):
    """A kline against an earlier event of it."""
    assert not old["x"], (old, new)
    assert new["o"] == old["o"] and new["T"] == old["T"], (old, new)
    for field in "hvnq":
        assert float(new[field]) >= float(old[field]), (field, old, new)
    assert float(new["l"]) <= float(old["l"]), (old, new)


async def listen_to_all(socket, names, closed, heard):
    """Takes the combined stream of all symbols, whose events say where they belong."""
    async with socket as stream:
        while True:
            message = await stream.recv()
            kline = message["data"]["k"]
            assert message["stream"] == f"{kline['s'].lower()}@kline_{kline['i']}", message
            assert message["stream"] in names, message
            heard.add(message["stream"])
            if kline["s"] == "BTCUSD" and kline["x"]:
                closed[kline["t"]] = kline


async def watch(exchange, bars):
    """Takes over the bars as ccxt shows them."""
    while True:
        for shown in await exchange.watch_ohlcv("BTC/USD", "1m"):
            bars[shown[0]] = list(shown)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
