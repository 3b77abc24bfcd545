import { afterEach, describe, expect, it, vi } from "vitest";
import type { Alert, RawAlert } from "../src/data/alert";
import { type Api, ApiError, type Latest, MOST_ALERTS, PAGE } from "../src/data/api";
import type { Candle, Interval } from "../src/data/candle";
import { Live, type Socket } from "../src/data/live";
import { Market, MAX_CANDLES, MAX_OPENED } from "../src/data/market";

const START = 1_763_271_000;

function candle(minute: number, close = 100, more: Partial<Candle> = {}): Candle {
  const price = { open: close, high: close, low: close, close };
  return { time: START + minute * 60, ...price, volume: 1, isTraded: true, count: 1, isClosed: true, revision: 0, ...more };
}

/** An API over lists of candles, which a test changes. */
class Store implements Api {
  readonly settled = new Map<string, Candle[]>();
  known: Alert[] = [];
  prices: Record<string, Latest> = {};
  isDown = false;
  asked = 0;
  /** What is asked of these series is answered with these errors. */
  readonly failing = new Map<string, ApiError>();

  put(interval: Interval, ...candles: Candle[]): void {
    this.putOf("BTC", interval, ...candles);
  }

  putOf(symbol: string, interval: Interval, ...candles: Candle[]): void {
    const key = `${symbol} ${interval}`;
    this.settled.set(key, [...(this.settled.get(key) ?? []), ...candles]);
  }

  private reply<T>(value: T): Promise<T> {
    this.asked += 1;
    return this.isDown ? Promise.reject(new ApiError(503, "down")) : Promise.resolve(value);
  }

  listed = ["BTC"];
  symbols = () => this.reply(this.listed.map((symbol) => ({ symbol, name: symbol })));
  latest = () => this.reply({ timestamp: "2025-11-16T05:30:00Z", prices: this.prices, source: "simulated" });
  alerts: Api["alerts"] = (symbol, severity) => {
    const wanted = this.known.filter((alert) => [alert.symbol, undefined].includes(symbol) && [alert.severity, undefined].includes(severity));
    return this.reply(wanted.slice(0, MOST_ALERTS));
  };
  pipeline = () => Promise.reject(new Error("not asked for"));

  candles: Api["candles"] = (symbol, interval, { from = -Infinity, to = Infinity }, which, limit = PAGE) => {
    const all = (this.settled.get(`${symbol} ${interval}`) ?? []).filter(({ time }) => time >= from && time <= to);
    const candles = which === "newest" ? all.slice(-limit) : all.slice(0, limit);
    const failure = this.failing.get(`${symbol} ${interval}`);
    if (failure !== undefined) return Promise.reject(failure);
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
    const { time, volume, isTraded, count, ...rest } = made;
    const traded = isTraded ? { quoteVolume: volume * made.close } : {};
    const data = { symbol: "BTC", interval, windowStart: time, volumeSum: volume, eventCount: count, eventTime: time * 1000, ...rest, ...traded };
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

  it("opens a series with the page that was asked for early, and reads what came after it", async () => {
    const { store, market, wire, times } = setUp();
    store.put("1m", candle(0));
    market.expect("BTC", "1m");
    store.put("1m", candle(1), candle(2));
    const asked = store.asked;
    await market.open("BTC", "1m");
    expect(store.asked).toBe(asked);
    expect(times("1m")).toEqual([0]);
    wire().sendCandle(candle(30));
    await market.refresh();
    expect(times("1m")).toEqual([0, 1, 2, 30]);
  });

  it("asks again for a series whose page was refused early", async () => {
    const { store, market, times } = setUp();
    store.failing.set("BTC 1m", new ApiError(404, "none yet", "unknown_symbol"));
    market.expect("BTC", "1m");
    store.failing.clear();
    store.put("1m", candle(0));
    await market.open("BTC", "1m");
    expect(times("1m")).toEqual([0]);
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

  it("goes on with a series that could not be opened", async () => {
    const { store, market, times } = setUp();
    vi.useFakeTimers();
    store.isDown = true;
    store.put("1m", candle(0), candle(1));
    const problems: (string | undefined)[] = [];
    market.onProblem.on((problem) => problems.push(problem?.message));
    await expect(market.open("BTC", "1m")).rejects.toThrow("down");
    expect(market.problem?.status).toBe(503);
    store.isDown = false;
    await vi.advanceTimersByTimeAsync(1000);
    vi.useRealTimers();
    expect(times("1m")).toEqual([0, 1]);
    expect(problems.at(-1)).toBeUndefined();
  });

  it("tries again ever more seldom, and not before the server wants to be asked", async () => {
    const { store, market } = setUp();
    vi.useFakeTimers();
    store.isDown = true;
    await market.refresh();
    const before = store.asked;
    await vi.advanceTimersByTimeAsync(120_000);
    // Waits of 1, 2, 4, 8, 16, 30, 30 … s, or half of that.
    expect(store.asked - before).toBeGreaterThan(5);
    expect(store.asked - before).toBeLessThan(14);
    store.isDown = false;
    await market.refresh();
    expect(market.problem).toBeUndefined();
    await market.open("BTC", "1m");
    await vi.advanceTimersByTimeAsync(61_000);
    store.failing.set("BTC 1m", new ApiError(429, "too many", "rate_limited", 20));
    await market.refresh();
    store.failing.clear();
    await vi.advanceTimersByTimeAsync(19_000);
    expect(market.problem?.status).toBe(429);
    await vi.advanceTimersByTimeAsync(2000);
    expect(market.problem).toBeUndefined();
    vi.useRealTimers();
  });

  it("reads all other series where one can't be read", async () => {
    const { store, market } = setUp();
    vi.useFakeTimers();
    store.listed = ["BTC", "ETH", "SOL"];
    for (const symbol of store.listed) store.putOf(symbol, "15m", candle(0));
    store.failing.set("BTC 15m", new ApiError(500, "broken"));
    await market.refresh();
    const counts = () => store.listed.map((symbol) => market.seriesOf(symbol, "15m")?.candles.length);
    expect(counts()).toEqual([0, 1, 1]);
    expect(market.problem?.message).toBe("broken");
    store.failing.clear();
    await vi.advanceTimersByTimeAsync(1000);
    expect(counts()).toEqual([1, 1, 1]);
    vi.useRealTimers();
  });

  it("is not troubled by a symbol that nobody knows, and has it once it is there", async () => {
    const { store, market } = setUp();
    store.failing.set("NOPE 1m", new ApiError(404, "no candle of NOPE has been seen", "unknown_symbol"));
    await expect(market.open("NOPE", "1m")).rejects.toMatchObject({ code: "unknown_symbol" });
    await market.refresh();
    expect(market.problem).toBeUndefined();
    store.failing.clear();
    store.putOf("NOPE", "1m", candle(0));
    await market.refresh();
    expect(market.seriesOf("NOPE", "1m")?.candles).toHaveLength(1);
  });

  it("keeps the series that is looked at while all are read", async () => {
    const { store, market } = setUp();
    store.put("15m", candle(0), candle(15));
    const refreshing = market.refresh();
    const series = market.attach("BTC", "15m");
    await Promise.all([refreshing, market.open("BTC", "15m")]);
    expect(market.seriesOf("BTC", "15m")).toBe(series);
    expect(series.candles).toHaveLength(2);
  });

  it("takes the volume of a feed without sizes for what it is", async () => {
    const { store, market, wire } = setUp();
    store.put("15m", candle(30, 10, { volume: 5000, isTraded: false }));
    await market.refresh();
    const series = await market.open("BTC", "1h");
    wire().sendCandle(candle(45, 10, { volume: 5100, isTraded: false, isClosed: false }), "15m");
    expect(series.last).toMatchObject({ volume: 5100, isTraded: false });
  });

  it("calls a price old where the server does, until something is heard", async () => {
    const { store, market, wire } = setUp();
    const event_time = "2025-11-16T05:27:00Z";
    store.prices = { BTC: { symbol: "BTC", close: 99, event_time, stale: true } };
    await market.refresh();
    expect(market.tickers.get("BTC")).toMatchObject({ price: 99, isStale: true, heardAt: Date.parse(event_time) });
    wire().sendCandle(candle(0, 100, { isClosed: false }));
    expect(market.tickers.get("BTC")).toMatchObject({ price: 100, isStale: false });
  });

  it("reads a stretch of history by itself, and on from it in both directions", async () => {
    const { store, market } = setUp();
    const many = 10 * PAGE;
    store.put("1m", ...Array.from({ length: many }, (_, minute) => candle(minute)));
    const past = market.past("BTC", "1m");
    const place = () => past.series.candles.map(({ time }) => (time - START) / 60);
    await past.load({ from: START + 3000 * 60, to: START + 3100 * 60 });
    expect(place()).toEqual(Array.from({ length: 701 }, (_, index) => 2700 + index));
    expect(store.asked).toBe(1);
    expect([await past.older(), await past.newer(), past.reachesPresent]).toEqual([true, true, false]);
    expect([place()[0], place().at(-1)]).toEqual([1700, 4400]);
    while (await past.newer());
    expect([place().at(-1), past.reachesPresent]).toEqual([many - 1, true]);
    expect(place()).toEqual(Array.from({ length: many - 1700 }, (_, index) => 1700 + index));
  });

  it("asks for alerts of a severity by themselves, and knows where there are more", async () => {
    const { store, market } = setUp();
    const alert = (place: number, severity: Alert["severity"]): Alert => ({
      id: String(place), symbol: "BTC", isRise: true, severity, change: 1, close: 1, z: 5, mean: 0, deviation: 1, samples: 60,
      threshold: 4, time: START - place * 60, revision: 0, isRetracted: false,
    });
    store.known = [...Array.from({ length: MOST_ALERTS + 1 }, (_, place) => alert(place, "LOW")), alert(500, "HIGH"), alert(501, "MEDIUM")];
    await market.alerts.read();
    expect([market.alerts.size, market.alerts.isCut(undefined, "LOW")]).toEqual([MOST_ALERTS, true]);
    await market.alerts.read("BTC", "MEDIUM");
    expect([market.alerts.size, market.alerts.isCut("BTC", "MEDIUM")]).toEqual([MOST_ALERTS + 2, false]);
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
    expect(market.alerts.of("BTC")).toMatchObject([{ isRetracted: true, isRise: false, time: START }]);
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

  it("that a server takes and drops at once is not asked for again at once", () => {
    const { live, wires } = connect(() => 1);
    const waits: number[] = [];
    live.changes.on((change) => {
      if (change.state === "waiting") waits.push(change.until - Date.now());
    });
    live.start();
    const serve = (seconds: number): void => {
      wires.at(-1)?.onopen?.({} as Event);
      vi.advanceTimersByTime(seconds * 1000);
      wires.at(-1)?.send({ type: "keepalive" });
      wires.at(-1)?.close();
      vi.advanceTimersByTime(15_001);
    };
    for (const seconds of [1, 1, 1, 20, 1]) serve(seconds);
    expect(waits).toEqual([500, 1000, 2000, 500, 1000]);
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
