/** An API and a WebSocket in memory, and a market that uses them. */

import type { Alert } from "../src/data/alert";
import { type Api, ApiError, type LatestPrices, MAX_ALERTS_READ, PAGE, type ServerSettings } from "../src/data/api";
import type { Candle, Interval } from "../src/data/candle";
import { Live, type Socket } from "../src/data/live";
import { Market } from "../src/data/market";

/** 2025-11-16T05:30:00Z, in seconds. */
export const START = 1_763_271_000;

/** A candle of the minute this many minutes after the start. */
export function candle(minute: number, close = 100, more: Partial<Candle> = {}): Candle {
  const price = { open: close, high: close, low: close, close };
  return { time: START + minute * 60, ...price, volume: 1, isTraded: true, count: 1, isClosed: true, revision: 0, ...more };
}

/** Figures of a pipeline that has done nothing. */
const STATS = {
  source: "simulated",
  ready: true,
  uptime_seconds: 1,
  records_in: 0,
  records: {},
  symbols: 1,
  watermark: null,
  max_event_time: null,
  lag_seconds: null,
  candles_settled: {},
  corrections: {},
  alerts: { raised: 0, by_severity: {}, retracted: 0 },
  partitions: [],
  sinks: [],
  checkpoint: null,
  failure: null,
};

/** An API over lists of candles, which a test changes. */
export class FakeApi implements Api {
  readonly stored = new Map<string, Candle[]>();
  knownSymbols = ["BTC"];
  knownAlerts: Alert[] = [];
  prices: LatestPrices["prices"] = {};
  settings: ServerSettings = { keepalive_ms: 30_000, stale_after_ms: 120_000, allowed_lateness_ms: 900_000 };
  isDown = false;
  /** The number of requests for candles, alerts and prices so far. */
  requests = 0;
  /** The starts of the ranges that were requested of each series, oldest first. */
  readonly starts = new Map<string, (number | undefined)[]>();
  /** The errors with which requests for these series fail. */
  readonly failing = new Map<string, ApiError>();

  /** Stores candles of BTC. */
  put(interval: Interval, ...candles: Candle[]): void {
    this.putOf("BTC", interval, ...candles);
  }

  putOf(symbol: string, interval: Interval, ...candles: Candle[]): void {
    const key = `${symbol} ${interval}`;
    this.stored.set(key, [...(this.stored.get(key) ?? []), ...candles]);
  }

  symbols = () => this.respond(this.knownSymbols.map((symbol) => ({ symbol, name: symbol })));
  stats = () => Promise.resolve({ ...STATS, settings: this.settings });
  latest = () => this.respond({ timestamp: "2025-11-16T05:30:00Z", prices: this.prices, source: "simulated" });

  alerts: Api["alerts"] = (symbol, severity) => {
    const found = this.knownAlerts
      .filter((alert) => symbol === undefined || alert.symbol === symbol)
      .filter((alert) => severity === undefined || alert.severity === severity);
    return this.respond(found.slice(0, MAX_ALERTS_READ));
  };

  candles: Api["candles"] = (symbol, interval, { from, to = Infinity }, which, limit = PAGE) => {
    const key = `${symbol} ${interval}`;
    this.starts.set(key, [...(this.starts.get(key) ?? []), from]);
    const all = (this.stored.get(key) ?? []).filter(({ time }) => time >= (from ?? -Infinity) && time <= to);
    const candles = which === "newest" ? all.slice(-limit) : all.slice(0, limit);
    const failure = this.failing.get(key);
    if (failure !== undefined) return Promise.reject(failure);
    return this.respond({ candles, hasMore: candles.length < all.length });
  };

  private respond<T>(value: T): Promise<T> {
    this.requests += 1;
    return this.isDown ? Promise.reject(new ApiError(503, "down")) : Promise.resolve(value);
  }
}

/** A WebSocket whose frames a test sends. */
export class FakeSocket implements Socket {
  onopen: Socket["onopen"] = null;
  onmessage: Socket["onmessage"] = null;
  onclose: Socket["onclose"] = null;

  open(): void {
    this.onopen?.(new Event("open"));
  }

  close(): void {
    this.onclose?.({} as CloseEvent);
  }

  send(frame: unknown): void {
    this.onmessage?.({ data: JSON.stringify(frame) } as MessageEvent);
  }

  /** Sends a candle of BTC. */
  sendCandle(sent: Candle, interval: Interval = "1m"): void {
    const { time, volume, isTraded, count, ...rest } = sent;
    const traded = isTraded ? { quoteVolume: volume * sent.close } : {};
    const times = { windowStart: time, eventTime: time * 1000 };
    const data = { symbol: "BTC", interval, ...times, volumeSum: volume, eventCount: count, ...rest, ...traded };
    this.send({ type: "price_update", symbol: "BTC", data });
  }
}

/** A connection, and the sockets that it has opened so far. */
export function connect(random?: () => number) {
  const sockets: FakeSocket[] = [];
  const live = new Live(() => {
    const socket = new FakeSocket();
    sockets.push(socket);
    return socket;
  }, random);
  const socket = () => {
    const newest = sockets.at(-1);
    if (newest === undefined) throw new Error("not connected");
    return newest;
  };
  return { live, sockets, socket };
}

/** A market over a fake API, whose clock stands at the start. */
export function setUp() {
  const api = new FakeApi();
  const { live, sockets, socket } = connect();
  const market = new Market(api, live, () => START * 1000);
  live.start();
  /** The minutes of the candles of BTC that the market has. */
  const minutes = (interval: Interval) =>
    market.candles.get("BTC", interval)?.candles.map(({ time }) => (time - START) / 60);
  return { api, live, market, socket, sockets, minutes };
}
