/** The candles of one symbol and interval, oldest first, whatever order they come in. */

import { type Candle, replaces } from "./candle";

/** What a change did to a series: the first place that is different, and whether places after it have moved. */
export interface Change {
  readonly from: number;
  readonly moved: boolean;
}

export class Series {
  private readonly all: Candle[] = [];
  /** Whether its newest stretch has been read: what comes live makes no history. */
  hasHistory = false;
  /** Whether there is nothing older to be had. */
  isComplete = false;
  /** The newest closed window from before something was missed, until that has been read; none if nothing was. */
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

  /** The start of the newest window that is closed. */
  get lastClosed(): number | undefined {
    return this.all.findLast((candle) => candle.isClosed)?.time;
  }

  at(time: number): Candle | undefined {
    const place = this.placeOf(time);
    const found = this.all[place];
    return found?.time === time ? found : undefined;
  }

  /** The candles that start in `[from, to)`. */
  between(from: number, to: number): readonly Candle[] {
    return this.all.slice(this.placeOf(from), this.placeOf(to));
  }

  /** Takes versions of candles; none if all of them were known or older than what is. */
  take(candles: readonly Candle[]): Change | undefined {
    let from = Infinity;
    let moved = false;
    for (const candle of candles) {
      const place = this.placeOf(candle.time);
      const known = this.all[place];
      if (known?.time === candle.time) {
        if (!replaces(candle, known)) continue;
        this.all[place] = candle;
      } else {
        moved ||= place < this.all.length;
        this.all.splice(place, 0, candle);
      }
      from = Math.min(from, place);
    }
    return from === Infinity ? undefined : { from, moved };
  }

  /** Forgets the oldest candles beyond so many, and says whether there were any; they can be had again. */
  keepNewest(count: number): boolean {
    const many = this.all.length - count;
    if (many <= 0) return false;
    this.all.splice(0, many);
    this.isComplete = false;
    return true;
  }

  /** The first place whose candle starts at this time or later. Most candles come at the end. */
  private placeOf(time: number): number {
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

/** The most windows that a gap is drawn with: a longer one, such as a week of standstill, is drawn shorter. */
export const MAX_GAP = 500;

/** The starts of the windows between two neighbouring candles in which there was no tick. */
export function gap(before: number, after: number, seconds: number): number[] {
  const missing = Math.min(MAX_GAP, Math.round((after - before) / seconds) - 1);
  return Array.from({ length: Math.max(0, missing) }, (_, index) => before + (index + 1) * seconds);
}
