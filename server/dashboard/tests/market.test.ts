import { afterEach, describe, expect, it, vi } from "vitest";
import type { Alert, RawAlert } from "../src/data/alert";
import { type Api, ApiError, PAGE } from "../src/data/api";
import type { Candle, Interval } from "../src/data/candle";
import { Live, type Socket } from "../src/data/live";
import { Market, MAX_CANDLES, MAX_OPENED } from "../src/data/market";

const START = 1_763_271_000;

function candle(minute: number, close = 100, more: Partial<Candle> = {}): Candle {
  const price = { open: close, high: close, low: close, close };
  return { time: START + minute * 60, ...price, volume: 1, count: 1, isClosed: true, revision: 0, ...more };
}

/** An API over lists of candles, which a test changes. */
class Store implements Api {
  readonly settled = new Map<string, Candle[]>();
  known: Alert[] = [];
  isDown = false;
  asked = 0;

  put(interval: Interval, ...candles: Candle[]): void {
    const key = `BTC ${interval}`;
    this.settled.set(key, [...(this.settled.get(key) ?? []), ...candles]);
  }

  private reply<T>(value: T): Promise<T> {
    this.asked += 1;
    return this.isDown ? Promise.reject(new ApiError(503, "down")) : Promise.resolve(value);
  }

  symbols = () => this.reply([{ symbol: "BTC", name: "Bitcoin" }]);
  latest = () => this.reply({ prices: {}, source: "simulated" });
  alerts = () => this.reply(this.known);
  pipeline = () => Promise.reject(new Error("not asked for"));

  candles: Api["candles"] = (symbol, interval, { from = -Infinity, to = Infinity }, which, limit = PAGE) => {
    const all = (this.settled.get(`${symbol} ${interval}`) ?? []).filter(({ time }) => time >= from && time <= to);
    const candles = which === "newest" ? all.slice(-limit) : all.slice(0, limit);
    return this.reply({ candles, hasMore: candles.length < all.length });
  };
}

class Wire implements Socket {
  onopen: Socket["onopen"] = null;
  onmessage: Socket["onmessage"] = null;
  onclose: Socket["onclose"] = null;
  close(): void {
    this.onclose?.({} as CloseEvent);
  }
  send(frame: unknown): void {
    this.onmessage?.({ data: JSON.stringify(frame) } as MessageEvent);
  }
  sendCandle(made: Candle, interval: Interval = "1m"): void {
    const { time, volume, count, ...rest } = made;
    const data = { symbol: "BTC", interval, windowStart: time, volumeSum: volume, eventCount: count, eventTime: time * 1000, ...rest };
    this.send({ type: "price_update", symbol: "BTC", data });
  }
}

function setUp() {
  const store = new Store();
  const wires: Wire[] = [];
  const live = new Live(() => {
    const wire = new Wire();
    wires.push(wire);
    return wire;
  });
  const market = new Market(store, live, () => START * 1000);
  live.start();
  const wire = () => {
    const newest = wires.at(-1);
    if (newest === undefined) throw new Error("not connected");
    return newest;
  };
  const times = (interval: Interval) => market.seriesOf("BTC", interval)?.candles.map(({ time }) => (time - START) / 60);
  return { store, live, market, wire, wires, times };
}

describe("a market", () => {
  it("moves the open candle and closes it", async () => {
    const { store, market, wire } = setUp();
    store.put("1m", candle(0));
    await market.open("BTC", "1m");
    wire().sendCandle(candle(1, 101, { isClosed: false }));
    wire().sendCandle(candle(1, 102, { isClosed: false, count: 2 }));
    expect(market.seriesOf("BTC", "1m")?.last).toMatchObject({ close: 102, isClosed: false });
    wire().sendCandle(candle(1, 103, { count: 2 }));
    wire().sendCandle(candle(1, 102, { isClosed: false, count: 2 }));
    expect(market.seriesOf("BTC", "1m")?.last).toMatchObject({ close: 103, isClosed: true });
  });

  it("puts in what was missed while it was disconnected", async () => {
    const { store, market, wire, times } = setUp();
    store.put("1m", candle(0), candle(1));
    await market.open("BTC", "1m");
    wire().onopen?.({} as Event);
    await market.refresh();
    vi.useFakeTimers();
    wire().close();
    store.put("1m", candle(2), candle(3), candle(4));
    vi.advanceTimersByTime(20_000);
    vi.useRealTimers();
    wire().onopen?.({} as Event);
    wire().sendCandle(candle(6, 100, { isClosed: false }));
    wire().sendCandle(candle(5));
    await market.refresh();
    expect(times("1m")).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it("has no hole where the first attempts to read what was missed fail", async () => {
    const { store, market, wire, times } = setUp();
    store.put("1m", candle(0), candle(1));
    await market.open("BTC", "1m");
    await market.refresh();
    vi.useFakeTimers();
    wire().close();
    store.put("1m", ...Array.from({ length: 100 }, (_, minute) => candle(minute + 2)));
    store.isDown = true;
    vi.advanceTimersByTime(20_000);
    wire().onopen?.({} as Event);
    wire().sendCandle(candle(102));
    await vi.advanceTimersByTimeAsync(3000);
    store.isDown = false;
    vi.useRealTimers();
    await market.refresh();
    expect(times("1m")).toEqual(Array.from({ length: 103 }, (_, minute) => minute));
  });

  it("reads again when it is told that updates are missing", async () => {
    const { store, market, wire, times } = setUp();
    store.put("1m", candle(0));
    await market.open("BTC", "1m");
    await market.refresh();
    store.put("1m", candle(1));
    wire().send({ type: "resync_required", symbol: "BTC", from_seq: 7 });
    wire().sendCandle(candle(2));
    await market.refresh();
    expect(times("1m")).toEqual([0, 1, 2]);
  });

  it("reads history a page at a time until there is none", async () => {
    const { store, market } = setUp();
    store.put("1m", ...Array.from({ length: PAGE + 300 }, (_, minute) => candle(minute)));
    const series = await market.open("BTC", "1m");
    expect(series.isComplete).toBe(false);
    expect(await market.older("BTC", "1m")).toBe(true);
    expect(await market.older("BTC", "1m")).toBe(false);
    expect([series.candles.length, series.isComplete, series.first?.time]).toEqual([PAGE + 300, true, START]);
    const { asked } = store;
    expect(await market.older("BTC", "1m")).toBe(false);
    expect(store.asked).toBe(asked);
  });

  it("keeps the series that were opened last, and a day of quarters of the others", async () => {
    const { store, market } = setUp();
    store.put("15m", ...Array.from({ length: 300 }, (_, quarter) => candle(quarter * 15)));
    await market.open("BTC", "15m");
    await market.open("BTC", "1m");
    for (let other = 0; other < MAX_OPENED - 1; other += 1) await market.open(`S${String(other)}`, "1m");
    expect(market.seriesOf("BTC", "15m")?.candles).toHaveLength(97);
    expect(market.seriesOf("BTC", "1m")).toBeDefined();
    await market.open("S0", "1m");
    await market.open("ANOTHER", "1m");
    expect(market.seriesOf("BTC", "1m")).toBeUndefined();
    expect(market.seriesOf("S0", "1m")).toBeDefined();
    expect((await market.open("BTC", "15m")).candles).toHaveLength(97);
    expect(await market.older("BTC", "15m")).toBe(true);
    expect(market.seriesOf("BTC", "15m")?.candles).toHaveLength(300);
  });

  it("keeps so many candles of a series, the newest ones", async () => {
    const { store, market, wire, times } = setUp();
    const many = MAX_CANDLES + 2 * PAGE;
    store.put("1m", ...Array.from({ length: many }, (_, minute) => candle(minute)));
    const series = await market.open("BTC", "1m");
    while (await market.older("BTC", "1m"));
    expect(series.candles.length).toBeLessThanOrEqual(MAX_CANDLES);
    expect(series.candles.length).toBeGreaterThan(MAX_CANDLES - PAGE);
    for (let minute = many; minute < many + 2 * PAGE; minute += 1) {
      wire().sendCandle(candle(minute));
      expect(series.candles.length).toBeLessThanOrEqual(MAX_CANDLES + 100);
    }
    expect(times("1m")?.at(-1)).toBe(many + 2 * PAGE - 1);
    expect(series.isComplete).toBe(false);
  });

  it("makes the open hour out of its quarters", async () => {
    const { store, market, wire } = setUp();
    const hour = 30; // 06:00, half an hour after the start
    store.put("15m", candle(hour, 10), candle(hour + 15, 14, { count: 3 }));
    await market.refresh();
    const series = await market.open("BTC", "1h");
    wire().sendCandle(candle(hour + 30, 12, { isClosed: false }), "15m");
    expect(series.candles).toHaveLength(1);
    expect(series.last).toMatchObject({ open: 10, high: 14, low: 10, close: 12, volume: 3, count: 5, isClosed: false });
    wire().sendCandle(candle(hour + 30, 12), "15m");
    wire().sendCandle(candle(hour + 45, 9), "15m");
    expect(series.last).toMatchObject({ low: 9, close: 9, isClosed: true });
  });

  it("keeps the newest version of an alert, however it came", async () => {
    const { market, wire } = setUp();
    await market.refresh();
    const raised: RawAlert = {
      alert_id: "BTC:1m:0:zscore", symbol: "BTC", alert_type: "PRICE_DROP", severity: "HIGH", price_change_percent: -1,
      close_price: 99, z_score: -9, mean: 0, stddev: 0.001, samples: 60, threshold: 4, window_start: "2025-11-16T05:30:00Z",
      revision: 0, status: "raised",
    };
    wire().send({ type: "alert", symbol: "BTC", data: raised });
    wire().send({ type: "alert", symbol: "BTC", data: { ...raised, revision: 1, status: "retracted" } });
    wire().send({ type: "alert", symbol: "BTC", data: raised });
    expect(market.alertsOf("BTC")).toMatchObject([{ isRetracted: true, isRise: false, time: START }]);
  });
});

/** A connection by a clock that stands, and the sockets that it has made. */
function connect(random?: () => number) {
  vi.useFakeTimers();
  const wires: Wire[] = [];
  const live = new Live(() => {
    const wire = new Wire();
    wires.push(wire);
    return wire;
  }, random);
  return { live, wires };
}

describe("a connection", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it("waits longer after each failure, and never longer than a quarter of a minute", () => {
    const { live, wires } = connect(() => 1);
    const waits: number[] = [];
    live.changes.on((change) => {
      if (change.state === "waiting") waits.push(change.until - Date.now());
    });
    live.start();
    for (let attempt = 0; attempt < 8; attempt += 1) {
      wires.at(-1)?.close();
      vi.advanceTimersByTime(15_001);
    }
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
  });

  it("is given up when nothing comes, and tried again at once", () => {
    const { live, wires } = connect();
    live.start();
    wires[0]?.onopen?.({} as Event);
    vi.advanceTimersByTime(40_000);
    wires[0]?.send({ type: "keepalive" });
    vi.advanceTimersByTime(40_000);
    expect([wires.length, live.connection.state]).toEqual([1, "live"]);
    vi.advanceTimersByTime(6000);
    expect(wires.length).toBe(2);
  });

  it("is looked at after a sleep in which no timer ran", () => {
    const { live, wires } = connect();
    live.start();
    wires[0]?.onopen?.({} as Event);
    live.check();
    expect(wires.length).toBe(1);
    vi.setSystemTime(Date.now() + 3_600_000);
    live.check();
    vi.advanceTimersByTime(1000);
    expect(wires.length).toBe(2);
  });
});
