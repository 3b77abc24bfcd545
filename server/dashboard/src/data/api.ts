/** The REST API: what has settled. */

import type { Candle, Interval } from "./candle";
import { type Alert, type RawAlert, readAlert } from "./alert";

/** The most candles that the server gives at once. */
export const PAGE = 1000;

const KEY = "tallow.api-key";

/** A row of `/api/v1/historical`. */
interface Row {
  window_start: string;
  open_price: number;
  high_price: number;
  low_price: number;
  close_price: number;
  volume_sum: number;
  trade_count: number;
  revision: number;
}

/** A price of `/api/v1/latest/all`. */
export interface Latest {
  symbol: string;
  close: number;
  event_time: string;
}

/** The figures of `/api/v1/stats` that are shown. */
export interface PipelineFigures {
  source: string;
  ready: boolean;
  uptime_seconds: number;
  records_in: number;
  records: Record<string, number>;
  watermark: string | null;
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
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** What the market is read from; tests have one of their own. */
export interface Api {
  symbols(): Promise<{ symbol: string; name: string }[]>;
  latest(): Promise<{ prices: Record<string, Latest>; source?: string }>;
  /** Closed candles of a range: the newest in it, or the oldest. */
  candles(symbol: string, interval: Interval, range: Range, which: "newest" | "oldest", limit?: number): Promise<Page>;
  alerts(symbol?: string): Promise<Alert[]>;
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
    throw new ApiError(0, "the server does not answer");
  }
  if (answer.ok) return answer;
  const problem = (await answer.json().catch(() => ({}))) as { detail?: string };
  throw new ApiError(answer.status, problem.detail ?? `the server answered ${String(answer.status)}`);
}

async function json<T>(path: string): Promise<T> {
  return (await (await request(path)).json()) as T;
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
      const answer = await request(historical(symbol, query));
      const candles = ((await answer.json()) as Row[]).map(readRow);
      if (which === "newest") candles.reverse();
      return { candles, hasMore: answer.headers.get("X-Has-More") === "true" };
    } catch (error) {
      // No candles in the range, or none yet.
      if (error instanceof ApiError && error.status === 404) return { candles: [], hasMore: false };
      throw error;
    }
  },

  async alerts(symbol) {
    const path = symbol === undefined ? "/api/v1/alerts" : `/api/v1/alerts/${encodeURIComponent(symbol)}`;
    const answer = await json<{ alerts: RawAlert[] }>(`${path}?limit=100&hours=168&include_retracted=true`);
    return answer.alerts.map(readAlert);
  },

  pipeline: () => json("/api/v1/stats"),
};
