/**
 * The reading of history: the newest page of a series, the pages before it, and the candles that
 * were missed while the WebSocket was disconnected.
 */

import { type Api, ApiError, PAGE, type Page } from "./api";
import { type Interval, SECONDS } from "./candle";
import { type CandleStore, DAY_QUARTERS, MAX_CANDLES } from "./candlestore";
import { Excerpt, type ReadPage } from "./excerpt";
import type { Series } from "./series";

/** The number of requests at a time: browsers have no more connections to a host. */
const MAX_PARALLEL = 6;
/**
 * The number of candles of the first page: more than a window shows, and few enough to be there at
 * once.
 */
const FIRST_PAGE = 300;

/** Hands a request on, and has a failure that may pass tried again. */
type Watch = <T>(request: Promise<T>) => Promise<T>;

export class History {
  private readonly loading = new Map<string, Promise<boolean>>();
  /** A first page that was requested before its series was opened. */
  private prefetched: { readonly key: string; readonly page: Promise<Page> } | undefined;

  constructor(
    private readonly api: Pick<Api, "candles">,
    private readonly store: CandleStore,
    private readonly watch: Watch,
  ) {}

  /**
   * Requests the newest page of a series that will probably be opened, before the market is known.
   */
  prefetch(symbol: string, interval: Interval): void {
    const page = this.api.candles(symbol, interval, {}, "newest", FIRST_PAGE);
    // `open` repeats a failed request, and reports its failure.
    page.catch(() => undefined);
    this.prefetched = { key: `${symbol} ${interval}`, page };
  }

  /** Opens a series, and reads its newest page if it has none. */
  async open(symbol: string, interval: Interval): Promise<Series> {
    const series = this.store.open(symbol, interval);
    if (!series.hasHistory) await this.older(symbol, interval, FIRST_PAGE);
    if (interval === "1h") this.store.rollUpHours(symbol, series.lastClosed ?? 0);
    return series;
  }

  /** An excerpt of the history before the series that ends at present. */
  excerpt(symbol: string, interval: Interval): Excerpt {
    const read: ReadPage = (range, which) => this.watch(this.api.candles(symbol, interval, range, which));
    return new Excerpt(read, SECONDS[interval], MAX_CANDLES);
  }

  /** Reads the page before the oldest candle; `false` if there is none, or no room for it. */
  older(symbol: string, interval: Interval, limit = PAGE): Promise<boolean> {
    const key = `${symbol} ${interval}`;
    const pending = this.loading.get(key);
    if (pending !== undefined) return pending;
    const work = this.watch(this.readOlder(symbol, interval, limit)).finally(() => this.loading.delete(key));
    this.loading.set(key, work);
    return work;
  }

  /** Resolves when no page is being read, whether the reads have failed or not. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.loading.values());
  }

  /**
   * Reads the missed candles of every series, and returns a failure after which all is to be read
   * again. A failure that the server will repeat for ever is not one. `lateness` is the time after
   * its end during which a candle may still be corrected, in seconds; every known candle is read
   * again if it is infinite.
   */
  async catchUp(lateness: number): Promise<ApiError | undefined> {
    let failure: ApiError | undefined;
    const { keys } = this.store;
    const work = keys.map(([symbol, interval]) => async (): Promise<void> => {
      // Without a server, or above its rate limit, the other series would fail too.
      if (failure?.status === 0 || failure?.status === 429) return;
      try {
        await this.catchUpSeries(symbol, interval, lateness);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (error.isTransient || error.status === 401) failure = error;
      }
    });
    await runInParallel(work, MAX_PARALLEL);
    for (const [symbol, interval] of keys) {
      if (interval !== "1h") continue;
      this.store.rollUpHours(symbol, (this.store.get(symbol, "1h")?.lastClosed ?? 0) - lateness - SECONDS["1h"]);
    }
    return failure;
  }

  private async readOlder(symbol: string, interval: Interval, limit: number): Promise<boolean> {
    const series = this.store.get(symbol, interval);
    if (series === undefined || series.isComplete || series.candles.length + limit > MAX_CANDLES) return false;
    const first = series.candles.find((candle) => candle.isClosed);
    const range = first === undefined ? {} : { to: first.time - series.seconds };
    const prefetched = first === undefined ? await this.takePrefetched(`${symbol} ${interval}`) : undefined;
    const page = prefetched ?? (await this.api.candles(symbol, interval, range, "newest", limit));
    series.isComplete = !page.hasMore;
    series.hasHistory = true;
    this.store.merge(symbol, interval, page.candles);
    // The WebSocket may have been opened after this page was read.
    if (prefetched !== undefined) series.missedFrom ??= prefetched.candles.at(-1)?.time;
    // Some figures are shown only if nothing is missing before them.
    if (page.candles.length === 0) this.store.onChange.emit({ symbol, interval, from: 0, moved: true });
    return page.candles.length > 0;
  }

  private async takePrefetched(key: string): Promise<Page | undefined> {
    const { prefetched } = this;
    if (prefetched?.key !== key) return undefined;
    this.prefetched = undefined;
    return prefetched.page.catch(() => undefined);
  }

  /**
   * Reads the candles after the newest closed one, and those before it that may have been
   * corrected.
   */
  private async catchUpSeries(symbol: string, interval: Interval, lateness: number): Promise<void> {
    const series = this.store.get(symbol, interval);
    if (series === undefined) return;
    if (!series.hasHistory) {
      await this.older(symbol, interval, this.store.isOpened(symbol, interval) ? FIRST_PAGE : DAY_QUARTERS);
      if (series.missedFrom === undefined) return;
    }
    const newest = series.missedFrom ?? series.lastClosed;
    // Without a closed candle everything has been missed.
    const oldest = series.first?.time ?? -Infinity;
    let from = newest === undefined ? undefined : Math.max(oldest, newest - lateness - series.seconds);
    for (;;) {
      const page = await this.api.candles(symbol, interval, { from }, "oldest");
      this.store.merge(symbol, interval, page.candles);
      const last = page.candles.at(-1);
      if (last === undefined || !page.hasMore) break;
      from = last.time + series.seconds;
    }
    series.missedFrom = undefined;
  }
}

/** Runs tasks, at most `width` at a time. */
async function runInParallel(tasks: readonly (() => Promise<unknown>)[], width: number): Promise<void> {
  const rest = [...tasks];
  const worker = async (): Promise<void> => {
    for (let task = rest.shift(); task !== undefined; task = rest.shift()) await task();
  };
  await Promise.all(Array.from({ length: width }, worker));
}
