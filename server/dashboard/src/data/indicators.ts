/**
 * Moving averages over the closes of a series. An average keeps one value for each candle, and
 * computes only the values from the first changed candle on: while the open candle moves that is
 * one value.
 */

import type { Candle } from "./candle";

const DAY = 24 * 60 * 60;

export interface Indicator {
  /** One value for each candle; `undefined` if there are too few candles before it. */
  readonly values: readonly (number | undefined)[];
  /** Computes the values from this index on; `isComplete` if no older candles exist. */
  update(candles: readonly Candle[], from: number, isComplete: boolean): void;
}

/** The mean of the last `period` closes. */
export class SimpleAverage implements Indicator {
  readonly values: (number | undefined)[] = [];

  constructor(readonly period: number) {}

  update(candles: readonly Candle[], from: number): void {
    this.values.length = candles.length;
    const start = Math.max(from, 0);
    // Each call sums up afresh, so that rounding errors do not grow with the hours.
    let sum = 0;
    for (let index = Math.max(0, start - this.period); index < start; index += 1) sum += candles[index]?.close ?? 0;
    for (let index = start; index < candles.length; index += 1) {
      sum += candles[index]?.close ?? 0;
      if (index >= this.period) sum -= candles[index - this.period]?.close ?? 0;
      this.values[index] = index >= this.period - 1 ? sum / this.period : undefined;
    }
  }
}

/**
 * The exponential average with weight `2 / (period + 1)`, which starts as the mean of the first
 * `period` closes.
 */
export class ExponentialAverage implements Indicator {
  readonly values: (number | undefined)[] = [];

  constructor(readonly period: number) {}

  update(candles: readonly Candle[], from: number): void {
    this.values.length = candles.length;
    const weight = 2 / (this.period + 1);
    let seed = 0;
    for (let index = 0; index < Math.min(this.period, candles.length); index += 1) seed += candles[index]?.close ?? 0;
    for (let index = Math.max(from, 0); index < candles.length; index += 1) {
      const close = candles[index]?.close ?? 0;
      const before = this.values[index - 1];
      if (index < this.period - 1) this.values[index] = undefined;
      else if (before === undefined) this.values[index] = seed / this.period;
      else this.values[index] = before + weight * (close - before);
    }
  }
}

/**
 * The average price since midnight UTC, weighted by volume. The price of a candle is the mean of
 * its high, low and close. There is no value before the first volume of a day, and none on a day
 * that began before the candles. A rolling volume has no weight.
 */
export class VolumeWeightedAverage implements Indicator {
  readonly values: (number | undefined)[] = [];
  private readonly notional: number[] = [];
  private readonly volume: number[] = [];

  update(candles: readonly Candle[], from: number, isComplete: boolean): void {
    const start = Math.max(from, 0);
    const first = candles[0]?.time ?? 0;
    const incompleteDay = isComplete || first % DAY === 0 ? undefined : Math.floor(first / DAY);
    for (const list of [this.values, this.notional, this.volume]) list.length = Math.min(list.length, start);
    for (let index = start; index < candles.length; index += 1) {
      const candle = candles[index];
      if (candle === undefined) break;
      const before = candles[index - 1];
      const isSameDay = before !== undefined && Math.floor(before.time / DAY) === Math.floor(candle.time / DAY);
      const price = (candle.high + candle.low + candle.close) / 3;
      const weight = candle.isTraded ? candle.volume : 0;
      const notional = (isSameDay ? (this.notional[index - 1] ?? 0) : 0) + price * weight;
      const volume = (isSameDay ? (this.volume[index - 1] ?? 0) : 0) + weight;
      this.notional[index] = notional;
      this.volume[index] = volume;
      const isIncomplete = Math.floor(candle.time / DAY) === incompleteDay;
      this.values[index] = volume > 0 && !isIncomplete ? notional / volume : undefined;
    }
  }
}
