/**
 * An excerpt of history far from the present, as a shared address or an old alert asks for: the
 * candles around it, and more in both directions. An excerpt is not part of the live series,
 * because reading everything in between would take too much time and memory.
 */

import { type Page, PAGE, type Range } from "./api";
import { Series } from "./series";

/** The number of candles that are read before and after the requested range. */
const MARGIN = 300;
/** The largest number of pages of the first read: more than a window can show. */
const MAX_FIRST_PAGES = 4;

/** Reads a page of candles of the symbol and interval of the excerpt. */
export type ReadPage = (range: Range, which: "newest" | "oldest") => Promise<Page>;

export class Excerpt {
  readonly series: Series;
  /** Whether the last read found no newer candle. */
  reachesPresent = false;

  constructor(
    private readonly readPage: ReadPage,
    seconds: number,
    private readonly maxCandles: number,
  ) {
    this.series = new Series(seconds);
  }

  /** Reads the windows that start within these times, in seconds, with a margin around them. */
  async load({ from, to }: { readonly from: number; readonly to: number }): Promise<void> {
    const { series, readPage } = this;
    const margin = MARGIN * series.seconds;
    let start = from - margin;
    for (let page = 0; page < MAX_FIRST_PAGES; page += 1) {
      const { candles, hasMore } = await readPage({ from: start, to: to + margin }, "oldest");
      series.merge(candles);
      start = (candles.at(-1)?.time ?? start) + series.seconds;
      if (!hasMore) break;
    }
    series.hasHistory = true;
  }

  /** Reads the page before the oldest candle; `false` if there is none, or no room for it. */
  async older(): Promise<boolean> {
    const { series } = this;
    const { first } = series;
    if (first === undefined || series.isComplete || series.candles.length + PAGE > this.maxCandles) return false;
    const page = await this.readPage({ to: first.time - series.seconds }, "newest");
    series.isComplete = !page.hasMore;
    series.merge(page.candles);
    return page.candles.length > 0;
  }

  /**
   * Reads the page after the newest candle, and drops the oldest candles above the limit; `false`
   * if there is none.
   */
  async newer(): Promise<boolean> {
    const { series } = this;
    const { last } = series;
    if (last === undefined || this.reachesPresent) return false;
    const page = await this.readPage({ from: last.time + series.seconds }, "oldest");
    this.reachesPresent = !page.hasMore;
    series.merge(page.candles);
    series.keepNewest(this.maxCandles);
    return page.candles.length > 0;
  }
}
