/**
 * The candles that the page holds: one series for each symbol and interval.
 *
 * Memory is bounded, however long the page is open: the last `MAX_OPENED` series that were opened
 * are kept with `MAX_CANDLES` candles each, and besides them a day of 15-minute candles of each
 * symbol.
 */

import { type Candle, type Interval, rollUp, SECONDS } from "./candle";
import { type Change, Series } from "./series";
import { Signal } from "./signal";

/**
 * The 15-minute candles of a day, and the one in which the day began: the data of the cards and of
 * the matrix.
 */
export const DAY_QUARTERS = 97;
/**
 * The number of opened series that are kept. The series that was opened least recently is dropped.
 */
export const MAX_OPENED = 16;
/** The number of candles that an opened series keeps: two weeks of minutes. */
export const MAX_CANDLES = 20_000;
/**
 * The number of candles above the limit at which a series is cut, as a cut moves everything that is
 * drawn.
 */
const MAX_EXCESS = 100;

export interface SeriesChange extends Change {
  readonly symbol: string;
  readonly interval: Interval;
}

export class CandleStore {
  readonly onChange = new Signal<SeriesChange>();
  private readonly series = new Map<string, Series>();
  /** The keys of the opened series, the most recent one last. */
  private readonly opened = new Set<string>();

  get(symbol: string, interval: Interval): Series | undefined {
    return this.series.get(keyOf(symbol, interval));
  }

  /** Symbol and interval of every series. */
  get keys(): (readonly [symbol: string, interval: Interval])[] {
    return [...this.series.keys()].map((key) => key.split(" ") as [string, Interval]);
  }

  isOpened(symbol: string, interval: Interval): boolean {
    return this.opened.has(keyOf(symbol, interval));
  }

  /** Returns the series, which is empty if there was none. */
  keep(symbol: string, interval: Interval): Series {
    const series = this.get(symbol, interval) ?? new Series(SECONDS[interval]);
    this.series.set(keyOf(symbol, interval), series);
    return series;
  }

  /** Returns the series that is to be shown, which is kept longer than the others. */
  open(symbol: string, interval: Interval): Series {
    const series = this.keep(symbol, interval);
    const key = keyOf(symbol, interval);
    this.opened.delete(key);
    this.opened.add(key);
    const [oldest] = this.opened;
    if (this.opened.size <= MAX_OPENED || oldest === undefined) return series;
    this.opened.delete(oldest);
    // Cards and matrix still need their day of 15-minute candles.
    if (oldest.endsWith(" 15m")) this.series.get(oldest)?.keepNewest(DAY_QUARTERS);
    else this.series.delete(oldest);
    return series;
  }

  /** Merges versions of candles into a series that is kept. */
  merge(symbol: string, interval: Interval, candles: readonly Candle[]): void {
    const series = this.get(symbol, interval);
    const change = series?.merge(candles);
    if (series === undefined || change === undefined) return;
    const max = this.isOpened(symbol, interval) ? MAX_CANDLES : DAY_QUARTERS;
    const isCut = series.candles.length > max + MAX_EXCESS && series.keepNewest(max);
    this.onChange.emit({ symbol, interval, ...(isCut ? { from: 0, moved: true } : change) });
  }

  /** Notes in every series that candles after its newest closed one may be missing from now on. */
  markMissing(): void {
    for (const series of this.series.values()) series.missedFrom ??= series.lastClosed;
  }

  /** Computes the hours from this time on, in seconds, from their 15-minute candles. */
  rollUpHours(symbol: string, from: number): void {
    const quarters = this.get(symbol, "15m");
    const first = quarters?.first;
    if (quarters === undefined || first === undefined || this.get(symbol, "1h") === undefined) return;
    const hours: Candle[] = [];
    const last = quarters.last?.time ?? 0;
    const start = Math.max(Math.ceil(first.time / 3600) * 3600, Math.floor(from / 3600) * 3600);
    for (let hour = start; hour <= last; hour += 3600) {
      const parts = quarters.between(hour, hour + 3600);
      const isOver = parts.every((part) => part.isClosed) && (quarters.lastClosed ?? 0) >= hour + 2700;
      const candle = rollUp(hour, parts, isOver);
      if (candle !== undefined) hours.push(candle);
    }
    this.merge(symbol, "1h", hours);
  }
}

function keyOf(symbol: string, interval: Interval): string {
  return `${symbol} ${interval}`;
}
