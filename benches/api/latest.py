"""`/api/v1/latest/{symbol}` out of Redis with FastAPI, as one writes it: what Tallow's answer is compared with."""

import json
import os

import redis.asyncio as redis
from fastapi import FastAPI, HTTPException

app = FastAPI()
cache = redis.from_url(os.environ["TALLOW__REDIS__URL"])
prefix = os.environ.get("TALLOW__REDIS__PREFIX", "crypto")


@app.get("/api/v1/latest/{symbol}")
async def latest(symbol: str) -> dict:
    text = await cache.get(f"{prefix}:{symbol.upper()}:latest")
    if text is None:
        raise HTTPException(404, f"{symbol} is unknown")
    candle = json.loads(text)
    return {
        "symbol": candle["symbol"],
        "window_start": candle["windowStart"],
        "window_end": candle["windowEnd"],
        "open": candle["open"],
        "high": candle["high"],
        "low": candle["low"],
        "close": candle["close"],
        "volume_sum": candle["volumeSum"],
        "event_count": candle["eventCount"],
        "is_closed": candle["isClosed"],
        "revision": candle["revision"],
        "event_time": candle["eventTime"],
    }
