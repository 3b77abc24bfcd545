/** Candles, their intervals, and the order of the versions of a candle. */

/** A candle; `time` is the start of its window, in seconds since 1970, UTC. */
export interface Candle {
  readonly time: number;
  readonly open: number;
  readonly high: number;
  readonly low: number;
  readonly close: number;
  /** The traded volume; the newest rolling 24-hour figure if the feed has no sizes. */
  readonly volume: number;
  /** Whether `volume` is the traded one. A rolling figure is shown, and never added up. */
  readonly isTraded: boolean;
  /** The number of ticks. A correction only ever adds ticks. */
  readonly count: number;
  readonly isClosed: boolean;
  readonly revision: number;
}

/** The intervals, in the order of their keys. */
export const INTERVALS = ["1m", "5m", "15m", "1h"] as const;
export type Interval = (typeof INTERVALS)[number];

/** The intervals that the server settles and sends; an hour is computed from 15-minute candles. */
export const LIVE_INTERVALS = ["1m", "5m", "15m"] as const;

export const SECONDS: Readonly<Record<Interval, number>> = { "1m": 60, "5m": 300, "15m": 900, "1h": 3600 };

export function isInterval(text: string | null): text is Interval {
  return INTERVALS.some((interval) => interval === text);
}

/**
 * Whether `next` replaces `known`, a version of the same candle, in whatever order they arrived: a
 * closed candle replaces an open one; of two alike the one with more ticks is newer, then the one
 * with the higher revision.
 */
export function replaces(next: Candle, known: Candle): boolean {
  if (next.isClosed !== known.isClosed) return next.isClosed;
  if (next.count !== known.count) return next.count > known.count;
  return next.revision > known.revision;
}

/**
 * Computes the candle of a longer window from its parts, oldest first; `undefined` without parts.
 */
export function rollUp(time: number, parts: readonly Candle[], isClosed: boolean): Candle | undefined {
  const [first] = parts;
  const last = parts.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const traded = parts.filter((part) => part.isTraded);
  return {
    time,
    open: first.open,
    high: Math.max(...parts.map((part) => part.high)),
    low: Math.min(...parts.map((part) => part.low)),
    close: last.close,
    volume: traded.length > 0 ? traded.reduce((sum, part) => sum + part.volume, 0) : last.volume,
    isTraded: traded.length > 0,
    count: parts.reduce((sum, part) => sum + part.count, 0),
    isClosed,
    revision: parts.reduce((sum, part) => sum + part.revision, 0),
  };
}
