/** The REST API: settled data, with the types of the server's OpenAPI document. */

import { type Alert, readAlert, type Severity } from "./alert";
import type { Candle, Interval } from "./candle";
import type { components, paths } from "./openapi";

/** The largest number of candles in a response. */
export const PAGE = 1000;
/** The largest number of alerts in a response. */
export const MAX_ALERTS_READ = 100;
/** The hours of alerts that are requested: a week. */
const ALERT_HOURS = 168;
/** The time after which a request is given up. A hanging request would delay those after it. */
const REQUEST_TIMEOUT_MS = 10_000;

const KEY_NAME = "tallow.api-key";

type Schemas = components["schemas"];
/** The body of a successful response. */
type Body<P extends keyof paths> = paths[P]["get"]["responses"][200]["content"] extends { "application/json": infer T }
  ? T
  : never;

/** The figures of `/api/v1/stats`. */
export type PipelineStats = Schemas["Stats"];
/** The server's settings that the page depends on. */
export type ServerSettings = PipelineStats["settings"];

/**
 * A range of windows; the times are starts of windows, in seconds, and both ends are part of it.
 */
export interface Range {
  readonly from?: number | undefined;
  readonly to?: number | undefined;
}

/** Some of the candles of a range. */
export interface Page {
  /** Oldest first. */
  readonly candles: readonly Candle[];
  /** Whether the range has more: older ones before the newest, or newer ones after the oldest. */
  readonly hasMore: boolean;
}

/** A response without data; `status` 0 stands for no response at all. */
export class ApiError extends Error {
  /**
   * `code` is the server's name of the problem, `retryAfter` the seconds to wait before the next
   * request.
   */
  constructor(
    readonly status: number,
    message: string,
    readonly code?: string,
    readonly retryAfter = 0,
  ) {
    super(message);
  }

  /** Whether the same request may succeed later. */
  get isTransient(): boolean {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

/** The requests that the market is made of; tests have their own implementation. */
export interface Api {
  symbols(): Promise<readonly Pick<Body<"/api/v1/symbols">["symbols"][number], "symbol" | "name">[]>;
  latest(): Promise<LatestPrices>;
  /** Closed candles of a range: the newest in it, or the oldest. */
  candles(symbol: string, interval: Interval, range: Range, which: "newest" | "oldest", limit?: number): Promise<Page>;
  /** The newest alerts of a week, at most `MAX_ALERTS_READ`; of one symbol, of one severity. */
  alerts(symbol?: string, severity?: Severity): Promise<Alert[]>;
  stats(): Promise<PipelineStats>;
}

/** The part of `/api/v1/latest/all` that is used. */
export interface LatestPrices extends Pick<Body<"/api/v1/latest/all">, "timestamp" | "source"> {
  readonly prices: Readonly<Record<string, Pick<Schemas["Latest"], "symbol" | "close" | "event_time" | "stale">>>;
}

/** The API key, kept as long as the tab. */
export const apiKey = {
  get: (): string | null => sessionStorage.getItem(KEY_NAME),
  set: (key: string): void => {
    sessionStorage.setItem(KEY_NAME, key);
  },
};

function rangeQuery({ from, to }: Range): string {
  // The end is exclusive in the API; a window starts on a whole second.
  const start = from === undefined ? "" : `&start_time=${String(from * 1000)}`;
  return to === undefined ? start : `${start}&end_time=${String(to * 1000 + 1)}`;
}

function readCandle(row: Schemas["Candle"]): Candle {
  return {
    time: Date.parse(row.window_start) / 1000,
    open: row.open_price,
    high: row.high_price,
    low: row.low_price,
    close: row.close_price,
    volume: row.volume_sum,
    // Nothing was traded in a candle without a VWAP: its volume is a rolling figure, or zero.
    isTraded: row.vwap !== null,
    count: row.trade_count,
    isClosed: true,
    revision: row.revision,
  };
}

/**
 * Sends a request, with the key if there is one; throws an `ApiError` for everything but success.
 */
export async function request(path: string, options: RequestInit = {}): Promise<Response> {
  const key = apiKey.get();
  let response: Response;
  try {
    const headers = key === null ? {} : { headers: { Authorization: `Bearer ${key}` } };
    response = await fetch(path, { ...options, ...headers });
  } catch {
    const isTimeout = options.signal?.aborted === true;
    throw new ApiError(0, isTimeout ? "the server takes too long" : "the server does not respond");
  }
  if (response.ok) return response;
  const problem = (await response.json().catch(() => ({}))) as Partial<Schemas["Problem"]>;
  const detail = problem.detail ?? `the server responded with status ${String(response.status)}`;
  throw new ApiError(response.status, detail, problem.code, Number(response.headers.get("Retry-After")) || 0);
}

/**
 * Reads a response; `path` is an address of the documented path `P`, whose type the server's tests
 * hold it to.
 */
async function read<P extends keyof paths>(path: string): Promise<{ body: Body<P>; headers: Headers }> {
  const response = await request(path, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
  try {
    return { body: (await response.json()) as Body<P>, headers: response.headers };
  } catch {
    throw new ApiError(0, "the response of the server was cut off");
  }
}

/** The server that this page came from. */
export const server: Api = {
  symbols: async () => (await read<"/api/v1/symbols">("/api/v1/symbols")).body.symbols,

  latest: async () => (await read<"/api/v1/latest/all">("/api/v1/latest/all")).body,

  async candles(symbol, interval, range, which, limit = PAGE) {
    const order = which === "newest" ? "desc" : "asc";
    const query = `interval=${interval}&limit=${String(limit)}&order_by=${order}${rangeQuery(range)}`;
    try {
      const path = `/api/v1/historical/${encodeURIComponent(symbol)}?${query}`;
      const { body, headers } = await read<"/api/v1/historical/{symbol}">(path);
      const candles = body.map(readCandle);
      if (which === "newest") candles.reverse();
      return { candles, hasMore: headers.get("X-Has-More") === "true" };
    } catch (error) {
      // A known symbol without candles in the range is no failure; an unknown symbol is one.
      if (error instanceof ApiError && error.code === "no_data") return { candles: [], hasMore: false };
      throw error;
    }
  },

  async alerts(symbol, severity) {
    const path = symbol === undefined ? "/api/v1/alerts" : `/api/v1/alerts/${encodeURIComponent(symbol)}`;
    const limits = `limit=${String(MAX_ALERTS_READ)}&hours=${String(ALERT_HOURS)}&include_retracted=true`;
    const filter = severity === undefined ? "" : `&severity=${severity}`;
    return (await read<"/api/v1/alerts">(`${path}?${limits}${filter}`)).body.alerts.map(readAlert);
  },

  stats: async () => (await read<"/api/v1/stats">("/api/v1/stats")).body,
};
