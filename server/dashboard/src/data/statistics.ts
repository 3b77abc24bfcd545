/** Statistics of a range of candles, and correlations of the returns of symbols. */

import type { Candle } from "./candle";

export interface Summary {
  readonly high: number;
  readonly low: number;
  /** Mean of the closes. */
  readonly average: number;
  /** The total traded volume; the newest rolling figure if the feed has no sizes. */
  readonly volume: number;
  readonly isTraded: boolean;
  /** Change from the first open to the last close, in percent. */
  readonly change: number;
  /** Sample standard deviation of the returns, in percent; `undefined` for fewer than two. */
  readonly volatility: number | undefined;
  /**
   * Correlation of the volume with the size of the return, from −1 to 1: whether large moves come
   * with large volume.
   */
  readonly volumeCorrelation: number | undefined;
}

/** Summarises candles, oldest first; `undefined` without candles. */
export function summarise(candles: readonly Candle[]): Summary | undefined {
  const [first] = candles;
  const last = candles.at(-1);
  if (first === undefined || last === undefined) return undefined;
  let high = -Infinity;
  let low = Infinity;
  let volume = 0;
  const isTraded = candles.some((candle) => candle.isTraded);
  let closes = 0;
  const returns: number[] = [];
  const sizes: number[] = [];
  const volumes: number[] = [];
  candles.forEach((candle, index) => {
    high = Math.max(high, candle.high);
    low = Math.min(low, candle.low);
    if (candle.isTraded) volume += candle.volume;
    closes += candle.close;
    const before = candles[index - 1];
    if (before === undefined) return;
    const change = candle.close / before.close - 1;
    returns.push(change);
    if (!candle.isTraded) return;
    sizes.push(Math.abs(change));
    volumes.push(candle.volume);
  });
  const deviation = standardDeviation(returns);
  return {
    high,
    low,
    average: closes / candles.length,
    volume: isTraded ? volume : last.volume,
    isTraded,
    change: (last.close / first.open - 1) * 100,
    volatility: deviation === undefined ? undefined : deviation * 100,
    volumeCorrelation: correlation(volumes, sizes),
  };
}

/** Sample standard deviation (n − 1); `undefined` for fewer than two values. */
export function standardDeviation(values: readonly number[]): number | undefined {
  if (values.length < 2) return undefined;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1));
}

/** Pearson's correlation; `undefined` for fewer than three pairs, or if one side does not vary. */
export function correlation(xs: readonly number[], ys: readonly number[]): number | undefined {
  const count = Math.min(xs.length, ys.length);
  if (count < 3) return undefined;
  let meanX = 0;
  let meanY = 0;
  let xx = 0;
  let yy = 0;
  let xy = 0;
  for (let index = 0; index < count; index += 1) {
    const x = xs[index] ?? 0;
    const y = ys[index] ?? 0;
    const dx = x - meanX;
    const dy = y - meanY;
    meanX += dx / (index + 1);
    meanY += dy / (index + 1);
    xx += dx * (x - meanX);
    yy += dy * (y - meanY);
    xy += dx * (y - meanY);
  }
  const scale = Math.sqrt(xx) * Math.sqrt(yy);
  return scale > 0 ? Math.max(-1, Math.min(1, xy / scale)) : undefined;
}

/**
 * The logarithmic return of each closed candle that follows the previous window directly, by its
 * start.
 */
export function returns(candles: readonly Candle[], seconds: number): Map<number, number> {
  const found = new Map<number, number>();
  candles.forEach((candle, index) => {
    const before = candles[index - 1];
    if (before === undefined || !candle.isClosed || candle.time - before.time !== seconds) return;
    found.set(candle.time, Math.log(candle.close / before.close));
  });
  return found;
}

/** The correlation of the returns of two symbols over the windows that both have. */
export function jointCorrelation(one: ReadonlyMap<number, number>, other: ReadonlyMap<number, number>): number | undefined {
  const xs: number[] = [];
  const ys: number[] = [];
  for (const [time, x] of one) {
    const y = other.get(time);
    if (y === undefined) continue;
    xs.push(x);
    ys.push(y);
  }
  return correlation(xs, ys);
}
