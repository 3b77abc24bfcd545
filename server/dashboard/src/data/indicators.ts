/**
 * Moving averages over the closes of a series. Each keeps its values, one a candle, and computes anew only what lies
 * after the first candle that has changed: while the open candle moves that is one value.
 */

import type { Candle } from "./candle";

const DAY = 24 * 60 * 60;

export interface Indicator {
  /** A value a candle; none where there are too few candles before it. */
  readonly values: readonly (number | undefined)[];
  /** Computes the values from this place on; `isComplete` where there is nothing older than the candles. */
  update(candles: readonly Candle[], from: number, isComplete: boolean): void;
}

/** The mean of the last `period` closes. */
export class SimpleAverage implements Indicator {
  readonly values: (number | undefined)[] = [];

  constructor(readonly period: number) {}

  update(candles: readonly Candle[], from: number): void {
    this.values.length = candles.length;
    const start = Math.max(from, 0);
    // The sum is taken anew at each start, so that errors of rounding do not grow with the hours.
    let sum = 0;
    for (let index = Math.max(0, start - this.period); index < start; index += 1) sum += candles[index]?.close ?? 0;
    for (let index = start; index < candles.length; index += 1) {
      sum += candles[index]?.close ?? 0;
      if (index >= this.period) sum -= candles[index - this.period]?.close ?? 0;
      this.values[index] = index >= this.period - 1 ? sum / this.period : undefined;
    }
  }
}

/** The exponential average with the weight `2 / (period + 1)`, which starts as the mean of the first `period` closes. */
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
 * The average price weighted by volume since midnight UTC. A candle's price is the mean of its high, low and close. A
 * candle before which there was no volume on its day has none, and neither has one whose day began before the candles. A
 * rolling volume has no weight.
 */
export class VolumeWeightedAverage implements Indicator {
  readonly values: (number | undefined)[] = [];
  private readonly notional: number[] = [];
  private readonly volume: number[] = [];

  update(candles: readonly Candle[], from: number, isComplete: boolean): void {
    const start = Math.max(from, 0);
    const first = candles[0]?.time ?? 0;
    const cutDay = isComplete || first % DAY === 0 ? undefined : Math.floor(first / DAY);
    for (const list of [this.values, this.notional, this.volume]) list.length = Math.min(list.length, start);
    for (let index = start; index < candles.length; index += 1) {
      const candle = candles[index];
      if (candle === undefined) break;
      const before = candles[index - 1];
      const goesOn = before !== undefined && Math.floor(before.time / DAY) === Math.floor(candle.time / DAY);
      const price = (candle.high + candle.low + candle.close) / 3;
      const weight = candle.isTraded ? candle.volume : 0;
      const notional = (goesOn ? (this.notional[index - 1] ?? 0) : 0) + price * weight;
      const volume = (goesOn ? (this.volume[index - 1] ?? 0) : 0) + weight;
      this.notional[index] = notional;
      this.volume[index] = volume;
      const isCut = Math.floor(candle.time / DAY) === cutDay;
      this.values[index] = volume > 0 && !isCut ? notional / volume : undefined;
    }
  }
}
