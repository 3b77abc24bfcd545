/** The candles of one symbol and interval, oldest first, in whatever order they arrive. */

import { type Candle, replaces } from "./candle";

/**
 * A change of a series: the index of the first changed candle, and whether candles after it have
 * moved.
 */
export interface Change {
  readonly from: number;
  readonly moved: boolean;
}

export class Series {
  private readonly all: Candle[] = [];
  /** Whether the newest page has been read. Candles of the WebSocket alone are no history. */
  hasHistory = false;
  /** Whether the server has no older candles. */
  isComplete = false;
  /**
   * The newest closed window before candles were missed, in seconds; `undefined` once they have
   * been read.
   */
  missedFrom: number | undefined;

  constructor(readonly seconds: number) {}

  get candles(): readonly Candle[] {
    return this.all;
  }

  get first(): Candle | undefined {
    return this.all[0];
  }

  get last(): Candle | undefined {
    return this.all.at(-1);
  }

  /** The start of the newest closed window, in seconds. */
  get lastClosed(): number | undefined {
    return this.all.findLast((candle) => candle.isClosed)?.time;
  }

  at(time: number): Candle | undefined {
    const index = this.indexOf(time);
    const found = this.all[index];
    return found?.time === time ? found : undefined;
  }

  /** The candles that start in `[from, to)`, in seconds. */
  between(from: number, to: number): readonly Candle[] {
    return this.all.slice(this.indexOf(from), this.indexOf(to));
  }

  /** Merges versions of candles; `undefined` if none of them is newer than the known ones. */
  merge(candles: readonly Candle[]): Change | undefined {
    let from = Infinity;
    let moved = false;
    for (const candle of candles) {
      const index = this.indexOf(candle.time);
      const known = this.all[index];
      if (known?.time === candle.time) {
        if (!replaces(candle, known)) continue;
        this.all[index] = candle;
      } else {
        moved ||= index < this.all.length;
        this.all.splice(index, 0, candle);
      }
      from = Math.min(from, index);
    }
    return from === Infinity ? undefined : { from, moved };
  }

  /**
   * Drops the oldest candles above this number, and returns whether there were any. They can be
   * read again.
   */
  keepNewest(count: number): boolean {
    const excess = this.all.length - count;
    if (excess <= 0) return false;
    this.all.splice(0, excess);
    this.isComplete = false;
    return true;
  }

  /**
   * The index of the first candle that starts at this time or later. Most candles arrive at the
   * end.
   */
  private indexOf(time: number): number {
    const last = this.all.at(-1);
    if (last === undefined || last.time < time) return this.all.length;
    let low = 0;
    let high = this.all.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const candle = this.all[middle];
      if (candle !== undefined && candle.time < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * The largest number of windows of a gap: a longer gap, such as a week of standstill, is drawn
 * shorter.
 */
export const MAX_GAP = 500;

/** The starts of the windows without a tick between two neighbouring candles, in seconds. */
export function gap(before: number, after: number, seconds: number): number[] {
  const missing = Math.min(MAX_GAP, Math.round((after - before) / seconds) - 1);
  return Array.from({ length: Math.max(0, missing) }, (_, index) => before + (index + 1) * seconds);
}
