/**
 * A stretch of history far from the present, as a shared address or an old alert asks for: the candles around it, and on
 * from there in both directions. It is no part of the live series, as to read all that lies between would take too long
 * and too much room.
 */

import { type Page, PAGE, type Range } from "./api";
import { Series } from "./series";

/** How many candles are read before and after what is asked for. */
const MARGIN = 300;
/** How many pages are read at first at most: more than a window can show. */
const FIRST_PAGES = 4;

/** Reads a page of the candles that it is about. */
export type Read = (range: Range, which: "newest" | "oldest") => Promise<Page>;

export class Past {
  readonly series: Series;
  /** Whether there was nothing newer when it was last asked for. */
  reachesPresent = false;

  constructor(
    private readonly read: Read,
    seconds: number,
    private readonly most: number,
  ) {
    this.series = new Series(seconds);
  }

  /** Reads what starts within these times, in seconds, and some around it. */
  async load({ from, to }: { readonly from: number; readonly to: number }): Promise<void> {
    const { series, read } = this;
    const margin = MARGIN * series.seconds;
    let start = from - margin;
    for (let page = 0; page < FIRST_PAGES; page += 1) {
      const { candles, hasMore } = await read({ from: start, to: to + margin }, "oldest");
      series.take(candles);
      start = (candles.at(-1)?.time ?? start) + series.seconds;
      if (!hasMore) break;
    }
    series.hasHistory = true;
  }

  /** Reads the page before the oldest candle, unless there are as many as may be. Whether there was one. */
  async older(): Promise<boolean> {
    const { series } = this;
    const { first } = series;
    if (first === undefined || series.isComplete || series.candles.length + PAGE > this.most) return false;
    const page = await this.read({ to: first.time - series.seconds }, "newest");
    series.isComplete = !page.hasMore;
    series.take(page.candles);
    return page.candles.length > 0;
  }

  /** Reads the page after the newest candle; the oldest go where there are too many. Whether there was one. */
  async newer(): Promise<boolean> {
    const { series } = this;
    const { last } = series;
    if (last === undefined || this.reachesPresent) return false;
    const page = await this.read({ from: last.time + series.seconds }, "oldest");
    this.reachesPresent = !page.hasMore;
    series.take(page.candles);
    series.keepNewest(this.most);
    return page.candles.length > 0;
  }
}
