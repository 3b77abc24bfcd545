/** Candles, their intervals, and which of two versions of a candle is the newer. */

/** A candle; times are the starts of windows in seconds since 1970, UTC. */
export interface Candle {
  readonly time: number;
  readonly open: number;
  readonly high: number;
  readonly low: number;
  readonly close: number;
  /** What was traded; the newest rolling 24-hour figure where the feed has no sizes. */
  readonly volume: number;
  /** Whether the volume is what was traded. A rolling figure is shown, and never added up. */
  readonly isTraded: boolean;
  /** How many ticks it is made of. A correction only ever adds some. */
  readonly count: number;
  readonly isClosed: boolean;
  readonly revision: number;
}

/** The intervals, in the order of their keys. */
export const INTERVALS = ["1m", "5m", "15m", "1h"] as const;
export type Interval = (typeof INTERVALS)[number];

/** The intervals that the server settles and sends; an hour is made of quarters. */
export const LIVE_INTERVALS = ["1m", "5m", "15m"] as const;

export const SECONDS: Readonly<Record<Interval, number>> = { "1m": 60, "5m": 300, "15m": 900, "1h": 3600 };

export function isInterval(text: string | null): text is Interval {
  return INTERVALS.some((interval) => interval === text);
}

/**
 * Whether `next` replaces `known`, a version of the same candle: a closed one replaces an open one, and of two alike the
 * one with more ticks counts, whatever order they came in.
 */
export function replaces(next: Candle, known: Candle): boolean {
  if (next.isClosed !== known.isClosed) return next.isClosed;
  if (next.count !== known.count) return next.count > known.count;
  return next.revision > known.revision;
}

/** The candle of a longer window out of those within it, oldest first; none of none. */
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
