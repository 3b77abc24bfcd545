import { afterEach, describe, expect, it, vi } from "vitest";
import type { Alert, SentAlert } from "../src/data/alert";
import { ApiError, MAX_ALERTS_READ, PAGE } from "../src/data/api";
import { MAX_CANDLES, MAX_OPENED } from "../src/data/candlestore";
import { candle, setUp, START } from "./fixtures";

describe("a market", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it("has a price stale after the silence that the server allows", async () => {
    const { api, market, socket } = setUp();
    socket().sendCandle(candle(0, 100, { isClosed: false }));
    const isStaleAfter = (seconds: number) => {
      const ticker = market.tickers.get("BTC");
      return ticker === undefined ? undefined : market.isStale(ticker, (START + seconds) * 1000);
    };
    // Until the setting is known only the server itself calls a price stale.
    expect(isStaleAfter(86_400)).toBe(false);
    api.settings = { ...api.settings, stale_after_ms: 5000 };
    await market.refresh();
    expect([isStaleAfter(5), isStaleAfter(6)]).toEqual([false, true]);
    api.settings = { ...api.settings, stale_after_ms: 3_600_000 };
    await market.refresh();
    expect([isStaleAfter(3600), isStaleAfter(3601)]).toEqual([false, true]);
  });

  it.each([0, 60, 7200])("reads missed candles from the lateness of %i s on", async (lateness) => {
    const { api, market } = setUp();
    api.settings = { ...api.settings, allowed_lateness_ms: lateness * 1000 };
    api.put("1m", candle(0), candle(500));
    await market.history.open("BTC", "1m");
    await market.refresh();
    expect(api.starts.get("BTC 1m")?.at(-1)).toBe(START + 499 * 60 - lateness);
  });

  it("reads every candle again if the lateness is unknown", async () => {
    const { api, market } = setUp();
    api.settings = { ...api.settings, allowed_lateness_ms: null };
    api.put("1m", candle(0), candle(500));
    await market.history.open("BTC", "1m");
    await market.refresh();
    expect(api.starts.get("BTC 1m")?.at(-1)).toBe(START);
  });

  it("keeps a quiet connection as long as the keepalive of the server allows", async () => {
    const { api, market, sockets, socket } = setUp();
    vi.useFakeTimers();
    api.settings = { ...api.settings, keepalive_ms: 60_000 };
    socket().open();
    await market.refresh();
    vi.advanceTimersByTime(61_000);
    socket().send({ type: "keepalive" });
    vi.advanceTimersByTime(61_000);
    expect(sockets.length).toBe(1);
  });

  it("moves the open candle and closes it", async () => {
    const { api, market, socket } = setUp();
    api.put("1m", candle(0));
    await market.history.open("BTC", "1m");
    socket().sendCandle(candle(1, 101, { isClosed: false }));
    socket().sendCandle(candle(1, 102, { isClosed: false, count: 2 }));
    expect(market.candles.get("BTC", "1m")?.last).toMatchObject({ close: 102, isClosed: false });
    socket().sendCandle(candle(1, 103, { count: 2 }));
    socket().sendCandle(candle(1, 102, { isClosed: false, count: 2 }));
    expect(market.candles.get("BTC", "1m")?.last).toMatchObject({ close: 103, isClosed: true });
  });

  it("opens a series with the prefetched page, and reads the candles after it", async () => {
    const { api, market, socket, minutes } = setUp();
    api.put("1m", candle(0));
    market.history.prefetch("BTC", "1m");
    api.put("1m", candle(1), candle(2));
    const requests = api.requests;
    await market.history.open("BTC", "1m");
    expect(api.requests).toBe(requests);
    expect(minutes("1m")).toEqual([0]);
    socket().sendCandle(candle(30));
    await market.refresh();
    expect(minutes("1m")).toEqual([0, 1, 2, 30]);
  });

  it("requests a series again whose prefetch has failed", async () => {
    const { api, market, minutes } = setUp();
    api.failing.set("BTC 1m", new ApiError(404, "none yet", "unknown_symbol"));
    market.history.prefetch("BTC", "1m");
    api.failing.clear();
    api.put("1m", candle(0));
    await market.history.open("BTC", "1m");
    expect(minutes("1m")).toEqual([0]);
  });

  it("reads the candles that it missed while it was disconnected", async () => {
    const { api, market, socket, minutes } = setUp();
    api.put("1m", candle(0), candle(1));
    await market.history.open("BTC", "1m");
    socket().open();
    await market.refresh();
    vi.useFakeTimers();
    socket().close();
    api.put("1m", candle(2), candle(3), candle(4));
    vi.advanceTimersByTime(20_000);
    vi.useRealTimers();
    socket().open();
    socket().sendCandle(candle(6, 100, { isClosed: false }));
    socket().sendCandle(candle(5));
    await market.refresh();
    expect(minutes("1m")).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it("has no hole after failed attempts to read the missed candles", async () => {
    const { api, market, socket, minutes } = setUp();
    api.put("1m", candle(0), candle(1));
    await market.history.open("BTC", "1m");
    await market.refresh();
    vi.useFakeTimers();
    socket().close();
    api.put("1m", ...Array.from({ length: 100 }, (_, minute) => candle(minute + 2)));
    api.isDown = true;
    vi.advanceTimersByTime(20_000);
    socket().open();
    socket().sendCandle(candle(102));
    await vi.advanceTimersByTimeAsync(3000);
    api.isDown = false;
    vi.useRealTimers();
    await market.refresh();
    expect(minutes("1m")).toEqual(Array.from({ length: 103 }, (_, minute) => minute));
  });

  it("opens a series whose first read has failed", async () => {
    const { api, market, minutes } = setUp();
    vi.useFakeTimers();
    api.isDown = true;
    api.put("1m", candle(0), candle(1));
    const problems: (string | undefined)[] = [];
    market.onProblem.on((problem) => problems.push(problem?.message));
    await expect(market.history.open("BTC", "1m")).rejects.toThrow("down");
    expect(market.problem?.status).toBe(503);
    api.isDown = false;
    await vi.advanceTimersByTimeAsync(1000);
    vi.useRealTimers();
    expect(minutes("1m")).toEqual([0, 1]);
    expect(problems.at(-1)).toBeUndefined();
  });

  it("retries with growing waits, and not before Retry-After", async () => {
    const { api, market } = setUp();
    vi.useFakeTimers();
    api.isDown = true;
    await market.refresh();
    const before = api.requests;
    await vi.advanceTimersByTimeAsync(120_000);
    // Waits of 1, 2, 4, 8, 16, 30, 30 … s, or half of that.
    expect(api.requests - before).toBeGreaterThan(5);
    expect(api.requests - before).toBeLessThan(14);
    api.isDown = false;
    await market.refresh();
    expect(market.problem).toBeUndefined();
    await market.history.open("BTC", "1m");
    await vi.advanceTimersByTimeAsync(61_000);
    api.failing.set("BTC 1m", new ApiError(429, "too many", "rate_limited", 20));
    await market.refresh();
    api.failing.clear();
    await vi.advanceTimersByTimeAsync(19_000);
    expect(market.problem?.status).toBe(429);
    await vi.advanceTimersByTimeAsync(2000);
    expect(market.problem).toBeUndefined();
    vi.useRealTimers();
  });

  it("reads all other series if one fails", async () => {
    const { api, market } = setUp();
    vi.useFakeTimers();
    api.knownSymbols = ["BTC", "ETH", "SOL"];
    for (const symbol of api.knownSymbols) api.putOf(symbol, "15m", candle(0));
    api.failing.set("BTC 15m", new ApiError(500, "broken"));
    await market.refresh();
    const counts = () => api.knownSymbols.map((symbol) => market.candles.get(symbol, "15m")?.candles.length);
    expect(counts()).toEqual([0, 1, 1]);
    expect(market.problem?.message).toBe("broken");
    api.failing.clear();
    await vi.advanceTimersByTimeAsync(1000);
    expect(counts()).toEqual([1, 1, 1]);
    vi.useRealTimers();
  });

  it("has no problem with an unknown symbol, and reads it once it exists", async () => {
    const { api, market } = setUp();
    api.failing.set("NOPE 1m", new ApiError(404, "no candle of NOPE has been seen", "unknown_symbol"));
    await expect(market.history.open("NOPE", "1m")).rejects.toMatchObject({ code: "unknown_symbol" });
    await market.refresh();
    expect(market.problem).toBeUndefined();
    api.failing.clear();
    api.putOf("NOPE", "1m", candle(0));
    await market.refresh();
    expect(market.candles.get("NOPE", "1m")?.candles).toHaveLength(1);
  });

  it("keeps an opened series during a refresh", async () => {
    const { api, market } = setUp();
    api.put("15m", candle(0), candle(15));
    const refreshing = market.refresh();
    const series = market.candles.open("BTC", "15m");
    await Promise.all([refreshing, market.history.open("BTC", "15m")]);
    expect(market.candles.get("BTC", "15m")).toBe(series);
    expect(series.candles).toHaveLength(2);
  });

  it("marks the volume of a feed without sizes as not traded", async () => {
    const { api, market, socket } = setUp();
    api.put("15m", candle(30, 10, { volume: 5000, isTraded: false }));
    await market.refresh();
    const series = await market.history.open("BTC", "1h");
    socket().sendCandle(candle(45, 10, { volume: 5100, isTraded: false, isClosed: false }), "15m");
    expect(series.last).toMatchObject({ volume: 5100, isTraded: false });
  });

  it("has a price stale as the server says, until an update arrives", async () => {
    const { api, market, socket } = setUp();
    const event_time = "2025-11-16T05:27:00Z";
    api.prices = { BTC: { symbol: "BTC", close: 99, event_time, stale: true } };
    await market.refresh();
    expect(market.tickers.get("BTC")).toMatchObject({ price: 99, isStale: true, heardAt: Date.parse(event_time) });
    socket().sendCandle(candle(0, 100, { isClosed: false }));
    expect(market.tickers.get("BTC")).toMatchObject({ price: 100, isStale: false });
  });

  it("reads an excerpt of history, and more in both directions", async () => {
    const { api, market } = setUp();
    const many = 10 * PAGE;
    api.put("1m", ...Array.from({ length: many }, (_, minute) => candle(minute)));
    const excerpt = market.history.excerpt("BTC", "1m");
    const minutes = () => excerpt.series.candles.map(({ time }) => (time - START) / 60);
    await excerpt.load({ from: START + 3000 * 60, to: START + 3100 * 60 });
    expect(minutes()).toEqual(Array.from({ length: 701 }, (_, index) => 2700 + index));
    expect(api.requests).toBe(1);
    expect([await excerpt.older(), await excerpt.newer(), excerpt.reachesPresent]).toEqual([true, true, false]);
    expect([minutes()[0], minutes().at(-1)]).toEqual([1700, 4400]);
    while (await excerpt.newer());
    expect([minutes().at(-1), excerpt.reachesPresent]).toEqual([many - 1, true]);
    expect(minutes()).toEqual(Array.from({ length: many - 1700 }, (_, index) => 1700 + index));
  });

  it("reads the alerts of a severity by themselves, and knows whether there are more", async () => {
    const { api, market } = setUp();
    const alert = (minute: number, severity: Alert["severity"]): Alert => ({
      id: String(minute), symbol: "BTC", isRise: true, severity, change: 1, close: 1, z: 5, mean: 0, deviation: 1, samples: 60,
      threshold: 4, time: START - minute * 60, revision: 0, isRetracted: false,
    });
    api.knownAlerts = [...Array.from({ length: MAX_ALERTS_READ + 1 }, (_, minute) => alert(minute, "LOW")), alert(500, "HIGH"), alert(501, "MEDIUM")];
    await market.alerts.read();
    expect([market.alerts.size, market.alerts.isTruncated(undefined, "LOW")]).toEqual([MAX_ALERTS_READ, true]);
    await market.alerts.read("BTC", "MEDIUM");
    expect([market.alerts.size, market.alerts.isTruncated("BTC", "MEDIUM")]).toEqual([MAX_ALERTS_READ + 2, false]);
  });

  it("reads again after a resync frame", async () => {
    const { api, market, socket, minutes } = setUp();
    api.put("1m", candle(0));
    await market.history.open("BTC", "1m");
    await market.refresh();
    api.put("1m", candle(1));
    socket().send({ type: "resync_required", symbol: "BTC", from_seq: 7 });
    socket().sendCandle(candle(2));
    await market.refresh();
    expect(minutes("1m")).toEqual([0, 1, 2]);
  });

  it("reads history page by page until there is none", async () => {
    const { api, market } = setUp();
    api.put("1m", ...Array.from({ length: PAGE + 300 }, (_, minute) => candle(minute)));
    const series = await market.history.open("BTC", "1m");
    expect(series.isComplete).toBe(false);
    expect(await market.history.older("BTC", "1m")).toBe(true);
    expect(await market.history.older("BTC", "1m")).toBe(false);
    expect([series.candles.length, series.isComplete, series.first?.time]).toEqual([PAGE + 300, true, START]);
    const { requests } = api;
    expect(await market.history.older("BTC", "1m")).toBe(false);
    expect(api.requests).toBe(requests);
  });

  it("keeps the last opened series, and a day of 15-minute candles of the others", async () => {
    const { api, market } = setUp();
    api.put("15m", ...Array.from({ length: 300 }, (_, quarter) => candle(quarter * 15)));
    await market.history.open("BTC", "15m");
    await market.history.open("BTC", "1m");
    for (let other = 0; other < MAX_OPENED - 1; other += 1) await market.history.open(`S${String(other)}`, "1m");
    expect(market.candles.get("BTC", "15m")?.candles).toHaveLength(97);
    expect(market.candles.get("BTC", "1m")).toBeDefined();
    await market.history.open("S0", "1m");
    await market.history.open("ANOTHER", "1m");
    expect(market.candles.get("BTC", "1m")).toBeUndefined();
    expect(market.candles.get("S0", "1m")).toBeDefined();
    expect((await market.history.open("BTC", "15m")).candles).toHaveLength(97);
    expect(await market.history.older("BTC", "15m")).toBe(true);
    expect(market.candles.get("BTC", "15m")?.candles).toHaveLength(300);
  });

  it("keeps the newest candles of a series", async () => {
    const { api, market, socket, minutes } = setUp();
    const many = MAX_CANDLES + 2 * PAGE;
    api.put("1m", ...Array.from({ length: many }, (_, minute) => candle(minute)));
    const series = await market.history.open("BTC", "1m");
    while (await market.history.older("BTC", "1m"));
    expect(series.candles.length).toBeLessThanOrEqual(MAX_CANDLES);
    expect(series.candles.length).toBeGreaterThan(MAX_CANDLES - PAGE);
    for (let minute = many; minute < many + 2 * PAGE; minute += 1) {
      socket().sendCandle(candle(minute));
      expect(series.candles.length).toBeLessThanOrEqual(MAX_CANDLES + 100);
    }
    expect(minutes("1m")?.at(-1)).toBe(many + 2 * PAGE - 1);
    expect(series.isComplete).toBe(false);
  });

  it("computes the open hour from its 15-minute candles", async () => {
    const { api, market, socket } = setUp();
    const hour = 30; // 06:00, half an hour after the start
    api.put("15m", candle(hour, 10), candle(hour + 15, 14, { count: 3 }));
    await market.refresh();
    const series = await market.history.open("BTC", "1h");
    socket().sendCandle(candle(hour + 30, 12, { isClosed: false }), "15m");
    expect(series.candles).toHaveLength(1);
    expect(series.last).toMatchObject({ open: 10, high: 14, low: 10, close: 12, volume: 3, count: 5, isClosed: false });
    socket().sendCandle(candle(hour + 30, 12), "15m");
    socket().sendCandle(candle(hour + 45, 9), "15m");
    expect(series.last).toMatchObject({ low: 9, close: 9, isClosed: true });
  });

  it("keeps the newest version of an alert, from API and WebSocket alike", async () => {
    const { market, socket } = setUp();
    await market.refresh();
    const raised: SentAlert = {
      alert_id: "BTC:1m:0:zscore", symbol: "BTC", alert_type: "PRICE_DROP", severity: "HIGH", price_change_percent: -1,
      close_price: 99, z_score: -9, mean: 0, stddev: 0.001, samples: 60, threshold: 4, window_start: "2025-11-16T05:30:00Z",
      revision: 0, status: "raised",
    };
    socket().send({ type: "alert", symbol: "BTC", data: raised });
    socket().send({ type: "alert", symbol: "BTC", data: { ...raised, revision: 1, status: "retracted" } });
    socket().send({ type: "alert", symbol: "BTC", data: raised });
    expect(market.alerts.of("BTC")).toMatchObject([{ isRetracted: true, isRise: false, time: START }]);
  });
});
