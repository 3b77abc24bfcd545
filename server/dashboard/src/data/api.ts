/** The REST API: what has settled. */

import type { Candle, Interval } from "./candle";
import { type Alert, type RawAlert, readAlert, type Severity } from "./alert";

/** The most candles that the server gives at once. */
export const PAGE = 1000;
/** The most alerts that the server gives at once. */
export const MOST_ALERTS = 100;
/** How long an answer may take. A request that hangs would hold up what is read after it. */
const TIMEOUT_MS = 10_000;

const KEY = "tallow.api-key";

/** A row of `/api/v1/historical`. */
interface Row {
  window_start: string;
  open_price: number;
  high_price: number;
  low_price: number;
  close_price: number;
  /** None where nothing was traded: the volume is a rolling figure then, or none. */
  vwap: number | null;
  volume_sum: number;
  trade_count: number;
  revision: number;
}

/** A price of `/api/v1/latest/all`. */
export interface Latest {
  symbol: string;
  close: number;
  event_time: string;
  /** Whether the server calls it old. */
  stale: boolean;
}

/** The figures of `/api/v1/stats` that are shown. */
export interface PipelineFigures {
  source: string;
  ready: boolean;
  uptime_seconds: number;
  records_in: number;
  records: Record<string, number>;
  watermark: string | null;
  max_event_time: string | null;
  /** How old the newest tick is, by the server's clock. */
  lag_seconds: number | null;
  candles_settled: Record<string, number>;
  corrections: Record<string, number>;
  alerts: { raised: number; retracted: number };
  sinks: { name: string; queue: number; retries: number; problem: string | null }[];
  checkpoint: { stored_at: string | null; bytes: number | null } | null;
  failure: string | null;
}

/** A stretch of a series; times in seconds. */
export interface Range {
  readonly from?: number | undefined;
  /** The last start of a window that is in it. */
  readonly to?: number | undefined;
}

/** Some of the candles of a range. */
export interface Page {
  /** Oldest first. */
  readonly candles: readonly Candle[];
  /** Whether there are more in the range: older ones before the newest, or newer ones after the oldest. */
  readonly hasMore: boolean;
}

/** An answer that is no data; `status` 0 for no answer at all. */
export class ApiError extends Error {
  /** `code` is the server's name of the problem; `retryAfter` the seconds that it asks to be left alone for. */
  constructor(
    readonly status: number,
    message: string,
    readonly code?: string,
    readonly retryAfter = 0,
  ) {
    super(message);
  }

  /** Whether the same request may be answered later. */
  get isPassing(): boolean {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

/** What the market is read from; tests have one of their own. */
export interface Api {
  symbols(): Promise<{ symbol: string; name: string }[]>;
  latest(): Promise<{ timestamp: string; prices: Record<string, Latest>; source?: string }>;
  /** Closed candles of a range: the newest in it, or the oldest. */
  candles(symbol: string, interval: Interval, range: Range, which: "newest" | "oldest", limit?: number): Promise<Page>;
  /** The newest alerts of a week, `MOST_ALERTS` at most; of one symbol, of one severity. */
  alerts(symbol?: string, severity?: Severity): Promise<Alert[]>;
  pipeline(): Promise<PipelineFigures>;
}

/** The key that the server asks for, kept as long as the tab. */
export const apiKey = {
  get: (): string | null => sessionStorage.getItem(KEY),
  set: (key: string): void => {
    sessionStorage.setItem(KEY, key);
  },
};

function rangeQuery({ from, to }: Range): string {
  // The end is exclusive in the API; a window starts on a whole second.
  const start = from === undefined ? "" : `&start_time=${String(from * 1000)}`;
  return to === undefined ? start : `${start}&end_time=${String(to * 1000 + 1)}`;
}

function historical(symbol: string, query: string): string {
  return `/api/v1/historical/${encodeURIComponent(symbol)}?${query}`;
}

function readRow(row: Row): Candle {
  return {
    time: Date.parse(row.window_start) / 1000,
    open: row.open_price,
    high: row.high_price,
    low: row.low_price,
    close: row.close_price,
    volume: row.volume_sum,
    isTraded: row.vwap !== null,
    count: row.trade_count,
    isClosed: true,
    revision: row.revision,
  };
}

/** Asks the server, with the key if there is one. */
export async function request(path: string, options: RequestInit = {}): Promise<Response> {
  const key = apiKey.get();
  let answer: Response;
  try {
    answer = await fetch(path, key === null ? options : { ...options, headers: { Authorization: `Bearer ${key}` } });
  } catch {
    throw new ApiError(0, options.signal?.aborted === true ? "the server takes too long" : "the server does not answer");
  }
  if (answer.ok) return answer;
  const problem = (await answer.json().catch(() => ({}))) as { detail?: string; code?: string };
  const detail = problem.detail ?? `the server answered ${String(answer.status)}`;
  throw new ApiError(answer.status, detail, problem.code, Number(answer.headers.get("Retry-After")) || 0);
}

async function read(path: string): Promise<{ body: unknown; headers: Headers }> {
  const answer = await request(path, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  try {
    return { body: await answer.json(), headers: answer.headers };
  } catch {
    throw new ApiError(0, "the answer of the server was cut off");
  }
}

async function json<T>(path: string): Promise<T> {
  return (await read(path)).body as T;
}

/** The server that this page came from. */
export const server: Api = {
  async symbols() {
    return (await json<{ symbols: { symbol: string; name: string }[] }>("/api/v1/symbols")).symbols;
  },

  latest: () => json("/api/v1/latest/all"),

  async candles(symbol, interval, range, which, limit = PAGE) {
    const order = which === "newest" ? "desc" : "asc";
    const query = `interval=${interval}&limit=${String(limit)}&order_by=${order}${rangeQuery(range)}`;
    try {
      const { body, headers } = await read(historical(symbol, query));
      const candles = (body as Row[]).map(readRow);
      if (which === "newest") candles.reverse();
      return { candles, hasMore: headers.get("X-Has-More") === "true" };
    } catch (error) {
      // No candles in the range, or none yet; of a symbol that nobody knows there is not even that to say.
      if (error instanceof ApiError && error.code === "no_data") return { candles: [], hasMore: false };
      throw error;
    }
  },

  async alerts(symbol, severity) {
    const path = symbol === undefined ? "/api/v1/alerts" : `/api/v1/alerts/${encodeURIComponent(symbol)}`;
    const query = `limit=${String(MOST_ALERTS)}&hours=168&include_retracted=true${severity === undefined ? "" : `&severity=${severity}`}`;
    const answer = await json<{ alerts: RawAlert[] }>(`${path}?${query}`);
    return answer.alerts.map(readAlert);
  },

  pipeline: () => json("/api/v1/stats"),
};
