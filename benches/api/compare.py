"""Loads each server in turn with wrk and prints requests a second and latencies, and the ratios of one turn.

Arguments: TALLOW HELLO SECONDS TURNS. Environment: the settings of Tallow for a database filled by fill.sql and for a Redis,
in which the newest candles are kept moving. Each server has its own process; one is loaded at a time.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import redis

FOLDER = os.path.dirname(os.path.abspath(__file__))
CONNECTIONS = 32
# Asks for another symbol each time; else all ask for the same.
MIXED = "latest, 8 symbols"
PATHS = {
    "latest": "/api/v1/latest/BTC",
    MIXED: "/api/v1/latest/BTC",
    "historical?limit=100": "/api/v1/historical/BTC?limit=100",
    "historical?limit=1000": "/api/v1/historical/BTC?limit=1000",
}
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
PATIENCE_S = 60
SYMBOLS = ["ADA", "AVAX", "BTC", "DOGE", "ETH", "POL", "SOL", "XRP"]
# How often an open candle moves, unless the settings say otherwise.
LIVE_INTERVAL_S = 0.25


def move(stop):
    """Moves the newest candles until told to stop."""
    cache = redis.from_url(os.environ["TALLOW__REDIS__URL"])
    prefix = os.environ["TALLOW__REDIS__PREFIX"]
    count = 0
    while True:
        count += 1
        now_ms = int(time.time() * 1000)
        start = now_ms // 60_000 * 60
        pipeline = cache.pipeline(transaction=False)
        for symbol in SYMBOLS:
            candle = {
                "symbol": symbol,
                "interval": "1m",
                "windowStart": start,
                "windowEnd": start + 60,
                "open": 95750.0,
                "high": 95800.0,
                "low": 95700.0,
                "close": 95780.0,
                "volumeSum": 12.5,
                "eventCount": count,
                "isClosed": False,
                "revision": 0,
                "seq": count,
                "eventTime": now_ms,
            }
            pipeline.set(f"{prefix}:{symbol}:latest", json.dumps(candle), ex=300)
        pipeline.execute()
        if stop.wait(LIVE_INTERVAL_S):
            return


def until(what, ask):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        answer = ask()
        if answer is not None:
            return answer
        time.sleep(0.05)
    sys.exit(f"not within {PATIENCE_S} s: {what}")


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.read()
    except OSError:
        return None


def said(process, log, pattern, what):
    """What a process has written to its log."""

    def look():
        if process.poll() is not None:
            log.seek(0)
            sys.exit(f"{what} has ended: {log.read()}")
        log.seek(0)
        found = re.search(pattern, log.read())
        return found and found[1]

    return until(what, look)


def start(command, pattern, what, **settings):
    log = tempfile.TemporaryFile("w+")
    environment = {**os.environ, "NO_COLOR": "1", **settings}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment)
    return process, said(process, log, pattern, what)


def load(name, url, seconds):
    """Requests a second, and milliseconds of the 50th and 99th hundredth."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    if name.endswith(MIXED):
        command += ["--script", os.path.join(FOLDER, "mixed.lua")]
    command.append(url)
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        sys.exit(f"{url} was not always answered: {text}")

    def latency(share):
        number, unit = re.search(rf"{share}%\s+([\d.]+)(us|ms|s|m)", text).groups()
        return float(number) * UNITS[unit]

    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    return rate, latency(50), latency(99)


def main():
    tallow, hello, seconds, turns = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    listen = r"listening url=\"?(http://[\d.:]+)"
    with tempfile.TemporaryDirectory() as data:
        running = []
        stop = threading.Event()
        mover = threading.Thread(target=move, args=(stop,))
        mover.start()
        try:
            bare, bare_url = start([hello], r"(http://\S+)", "the bare server")
            running.append(bare)
            serve, serve_url = start([tallow, "serve"], listen, "tallow serve", TALLOW__SERVER__LISTEN="127.0.0.1:0")
            running.append(serve)
            up, up_url = start(
                [tallow, "up"],
                listen,
                "tallow up",
                TALLOW__SERVER__LISTEN="127.0.0.1:0",
                TALLOW__UP__DATA=data,
                TALLOW__UP__BACKFILL_HOURS="24",
            )
            running.append(up)
            python, python_url = start(
                [sys.executable, "-m", "uvicorn", "latest:app", "--app-dir", FOLDER]
                + ["--port", "0", "--no-access-log"],
                r"running on (http://[\d.:]+)",
                "uvicorn",
            )
            running.append(python)
            targets = [("hyper alone", bare_url + "/"), ("FastAPI, latest", python_url + PATHS["latest"])]
            for name, path in PATHS.items():
                targets.append((f"serve, {name}", serve_url + path))
                targets.append((f"up, {name}", up_url + path))
            for name, url in targets:
                until(f"an answer of {name}", lambda url=url: answers(url))
            until("a long history of tallow up", lambda: answers(up_url + "/ready"))
            measured = {name: [] for name, _ in targets}
            for name, url in targets:
                load(name, url, 1)
            for _ in range(turns):
                for name, url in targets:
                    measured[name].append(load(name, url, seconds))
        finally:
            stop.set()
            mover.join()
            for process in running:
                process.terminate()
            for process in running:
                process.wait()

    print(f"{CONNECTIONS} connections, {seconds} s each, {turns} turns; medians of the turns")
    print(f"{'':32} {'requests/s':>12} {'p50 ms':>9} {'p99 ms':>9} {'/ hyper alone':>14} {'/ FastAPI':>10}")
    for name, runs in measured.items():
        rate, p50, p99 = (statistics.median(column) for column in zip(*runs))

        def ratio(other):
            return statistics.median(own[0] / its[0] for own, its in zip(runs, measured[other]))

        print(
            f"{name:32} {rate:12.0f} {p50:9.2f} {p99:9.2f} {ratio('hyper alone'):14.2f} {ratio('FastAPI, latest'):10.1f}"
        )


if __name__ == "__main__":
    main()
