/**
 * Everything that the page knows of the market: prices, candles and alerts, from the API and the WebSocket alike.
 *
 * What has been missed is put in by the API at each new connection: the WebSocket is opened first and the API asked then,
 * so whatever is not sent has been stored. The two may overlap in any order, as a version of a candle says itself whether
 * it is newer.
 *
 * Memory is bounded, however long the page is open and whatever is looked at: of the series that were opened those of the
 * last `MAX_OPENED` are kept, with `MAX_CANDLES` candles each; besides there is a day of quarters of each symbol.
 *
 * What can't be read is tried again by one timer, whoever wanted it, with a back-off; then all is read again that may have
 * been missed.
 */

import { type RawAlert, readAlert } from "./alert";
import { AlertBook } from "./alertbook";
import { type Api, ApiError, PAGE, type Page } from "./api";
import { Backoff } from "./backoff";
import { type Candle, type Interval, rollUp, SECONDS } from "./candle";
import type { Frame, Live, RawCandle } from "./live";
import { Past, type Read } from "./past";
import { type Change, Series } from "./series";
import { Signal } from "./signal";

/** The quarters of a day, and the one in which it began: what cards and the matrix are made of. */
const DAY_QUARTERS = 97;
/** For so long after its end a candle may be corrected, in seconds. */
const LATENESS = 15 * 60;
/** How many requests are under way at a time; browsers have no more connections to a host. */
const PARALLEL = 6;
/** How many candles are read at first: more than a window has, and few enough to be there at once. */
const FIRST_PAGE = 300;
/** How many of the series that were opened are kept. The one that has not been opened for the longest time goes. */
export const MAX_OPENED = 16;
/** How many candles a series has that was opened: two weeks of minutes. */
export const MAX_CANDLES = 20_000;
/** How many more it may have for a while, as all that is drawn moves when the oldest go. */
const SLACK = 100;
const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 30_000;
/** After so long without a failure the next one is tried again soon. That most can be read says nothing of the rest. */
const CALM_MS = 60_000;

/** A symbol and its newest price. */
export interface Ticker {
  readonly symbol: string;
  name: string;
  price: number | undefined;
  /** Of the newest tick, in milliseconds. */
  eventTime: number;
  /** When something was last heard of it, in milliseconds; its event time where that is known alone. */
  heardAt: number;
  /** Whether the server called it old when it was asked; nothing has been heard since. */
  isStale: boolean;
}

export interface SeriesChange extends Change {
  readonly symbol: string;
  readonly interval: Interval;
}

export class Market {
  readonly tickers = new Map<string, Ticker>();
  readonly alerts: AlertBook;
  /** Where the ticks come from; `simulated` for no real market. */
  source: string | undefined;

  readonly onTicker = new Signal<Ticker>();
  readonly onSymbols = new Signal<undefined>();
  readonly onSeries = new Signal<SeriesChange>();
  readonly onSource = new Signal<string>();
  /** Why nothing could be read; none once it could be. */
  readonly onProblem = new Signal<ApiError | undefined>();
  /** What could not be read, until all could be. */
  problem: ApiError | undefined;

  private readonly series = new Map<string, Series>();
  /** The keys of the series that were opened, the last one last. */
  private readonly opened = new Set<string>();
  private readonly loading = new Map<string, Promise<boolean>>();
  /** A first page that was asked for before its series was opened. */
  private expected: { readonly key: string; readonly page: Promise<Page> } | undefined;
  private refreshing: Promise<void> | undefined;
  private isStale = false;
  private readonly backoff = new Backoff(FIRST_RETRY_MS, MAX_RETRY_MS);
  private retry: ReturnType<typeof setTimeout> | undefined;
  private stumbledAt = 0;

  constructor(
    private readonly api: Api,
    live: Live,
    private readonly now: () => number = Date.now,
  ) {
    this.alerts = new AlertBook({ alerts: (...wanted) => this.watch(api.alerts(...wanted)) });
    live.frames.on((frame) => {
      this.take(frame);
    });
    live.changes.on(({ state }) => {
      if (state === "live") void this.refresh();
      else this.noteMissing();
    });
  }

  /** The series if it has been asked for. */
  seriesOf(symbol: string, interval: Interval): Series | undefined {
    return this.series.get(`${symbol} ${interval}`);
  }

  /** The series that is to be looked at; `open` reads it. */
  attach(symbol: string, interval: Interval): Series {
    const series = this.seriesOf(symbol, interval) ?? new Series(SECONDS[interval]);
    this.series.set(`${symbol} ${interval}`, series);
    this.noteOpened(symbol, interval);
    return series;
  }

  /** Asks for the newest page of a series that will probably be opened, before it is known whether there is one. */
  expect(symbol: string, interval: Interval): void {
    const page = this.api.candles(symbol, interval, {}, "newest", FIRST_PAGE);
    // Whoever opens the series asks again, and hears of it.
    page.catch(() => undefined);
    this.expected = { key: `${symbol} ${interval}`, page };
  }

  /** Reads the newest page of a series, unless it has been. */
  async open(symbol: string, interval: Interval): Promise<Series> {
    const series = this.attach(symbol, interval);
    if (!series.hasHistory) await this.older(symbol, interval, FIRST_PAGE);
    if (interval === "1h") this.rollUpHours(symbol, series.lastClosed ?? 0);
    return series;
  }

  /** A stretch of history that the series, which ends at present, does not reach. */
  past(symbol: string, interval: Interval): Past {
    const read: Read = (range, which) => this.watch(this.api.candles(symbol, interval, range, which));
    return new Past(read, SECONDS[interval], MAX_CANDLES);
  }

  private noteOpened(symbol: string, interval: Interval): void {
    const key = `${symbol} ${interval}`;
    this.opened.delete(key);
    this.opened.add(key);
    const [oldest] = this.opened;
    if (this.opened.size <= MAX_OPENED || oldest === undefined) return;
    this.opened.delete(oldest);
    // Cards and matrix go on with their day of quarters.
    if (oldest.endsWith(" 15m")) this.series.get(oldest)?.keepNewest(DAY_QUARTERS);
    else this.series.delete(oldest);
  }

  /** Reads the page before the oldest candle, unless there are as many as may be. Whether there was one. */
  older(symbol: string, interval: Interval, limit = PAGE): Promise<boolean> {
    const key = `${symbol} ${interval}`;
    const under = this.loading.get(key);
    if (under !== undefined) return under;
    const work = this.watch(this.readOlder(symbol, interval, limit)).finally(() => this.loading.delete(key));
    this.loading.set(key, work);
    return work;
  }

  private async readOlder(symbol: string, interval: Interval, limit: number): Promise<boolean> {
    const series = this.seriesOf(symbol, interval);
    if (series === undefined || series.isComplete || series.candles.length + limit > MAX_CANDLES) return false;
    const first = series.candles.find((candle) => candle.isClosed);
    const range = first === undefined ? {} : { to: first.time - series.seconds };
    const expected = first === undefined ? await this.takeExpected(`${symbol} ${interval}`) : undefined;
    const page = expected ?? (await this.api.candles(symbol, interval, range, "newest", limit));
    series.isComplete = !page.hasMore;
    series.hasHistory = true;
    this.merge(symbol, interval, page.candles);
    // Nobody has listened since that page was read.
    if (expected !== undefined) series.missedFrom ??= expected.candles.at(-1)?.time;
    // Some figures are shown only where nothing is missing before them.
    if (page.candles.length === 0) this.onSeries.emit({ symbol, interval, from: 0, moved: true });
    return page.candles.length > 0;
  }

  /** The page that was asked for early, if it is of this series and can be read. */
  private async takeExpected(key: string): Promise<Page | undefined> {
    const { expected } = this;
    if (expected?.key !== key) return undefined;
    this.expected = undefined;
    return expected.page.catch(() => undefined);
  }

  /** From here on something may be missing; what comes after it does not say so. */
  private noteMissing(): void {
    for (const series of this.series.values()) series.missedFrom ??= series.lastClosed;
  }

  /** Reads again whatever may have been missed. One at a time; asked for meanwhile it is done once more. */
  refresh(): Promise<void> {
    this.isStale = true;
    clearTimeout(this.retry);
    this.retry = undefined;
    this.refreshing ??= this.refreshWhileStale().finally(() => {
      this.refreshing = undefined;
    });
    return this.refreshing;
  }

  private async refreshWhileStale(): Promise<void> {
    while (this.isStale) {
      this.isStale = false;
      try {
        await this.readAll();
        if (this.problem === undefined) continue;
        this.problem = undefined;
        this.onProblem.emit(undefined);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        this.stumble(error);
        return;
      }
    }
  }

  /** Hands on what is read. What can't be, and may be later, is tried again with all else. */
  private async watch<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (error instanceof ApiError && error.isPassing) this.stumble(error);
      throw error;
    }
  }

  private stumble(error: ApiError): void {
    this.problem = error;
    this.onProblem.emit(error);
    if (Date.now() - this.stumbledAt > CALM_MS) this.backoff.reset();
    this.stumbledAt = Date.now();
    // Nothing comes of asking again without a key.
    if (this.retry !== undefined || error.status === 401) return;
    this.retry = setTimeout(() => void this.refresh(), this.backoff.next(error.retryAfter * 1000));
  }

  private async readAll(): Promise<void> {
    for (const { symbol, name } of await this.api.symbols()) this.ticker(symbol).name = name;
    this.onSymbols.emit(undefined);
    // What is looked at comes first; whoever has asked for it hears of it if it fails.
    await Promise.allSettled(this.loading.values());
    const [latest] = await Promise.all([this.api.latest(), this.alerts.read()]);
    if (latest.source !== undefined) this.setSource(latest.source);
    for (const { symbol, close, event_time, stale } of Object.values(latest.prices)) {
      const eventTime = Date.parse(event_time);
      this.setPrice(symbol, close, eventTime, this.now() - ageAt(latest.timestamp, eventTime), stale);
    }
    for (const symbol of this.tickers.keys()) {
      if (this.seriesOf(symbol, "15m") === undefined) this.series.set(`${symbol} 15m`, new Series(SECONDS["15m"]));
    }
    const known = [...this.series.keys()].map((key) => key.split(" ") as [string, Interval]);
    const failure = await this.catchUpEach(known);
    for (const [symbol, interval] of known) {
      if (interval === "1h") this.rollUpHours(symbol, (this.seriesOf(symbol, "1h")?.lastClosed ?? 0) - LATENESS - 3600);
    }
    if (failure !== undefined) throw failure;
  }

  /** Reads each by itself, and gives what is to be tried again. What the server will never answer of one is not. */
  private async catchUpEach(series: readonly (readonly [string, Interval])[]): Promise<ApiError | undefined> {
    let failure: ApiError | undefined;
    const work = series.map(([symbol, interval]) => async (): Promise<void> => {
      // These are no failures of one series.
      if (failure?.status === 0 || failure?.status === 429) return;
      try {
        await this.catchUp(symbol, interval);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (error.isPassing || error.status === 401) failure = error;
      }
    });
    await inParallel(work, PARALLEL);
    return failure;
  }

  /** What has settled since the newest closed candle, and what may have been corrected before it. */
  private async catchUp(symbol: string, interval: Interval): Promise<void> {
    const series = this.seriesOf(symbol, interval);
    if (series === undefined) return;
    if (!series.hasHistory) {
      await this.older(symbol, interval, this.opened.has(`${symbol} ${interval}`) ? FIRST_PAGE : DAY_QUARTERS);
      if (series.missedFrom === undefined) return;
    }
    const newest = series.missedFrom ?? series.lastClosed;
    // Where there was none yet, all there is has been missed.
    let from = newest === undefined ? undefined : newest - LATENESS - series.seconds;
    for (;;) {
      const page = await this.api.candles(symbol, interval, { from }, "oldest");
      this.merge(symbol, interval, page.candles);
      const last = page.candles.at(-1);
      if (last === undefined || !page.hasMore) break;
      from = last.time + series.seconds;
    }
    series.missedFrom = undefined;
  }

  private merge(symbol: string, interval: Interval, candles: readonly Candle[]): void {
    const series = this.seriesOf(symbol, interval);
    const change = series?.take(candles);
    if (series === undefined || change === undefined) return;
    const most = this.opened.has(`${symbol} ${interval}`) ? MAX_CANDLES : DAY_QUARTERS;
    const isCut = series.candles.length > most + SLACK && series.keepNewest(most);
    this.onSeries.emit({ symbol, interval, ...(isCut ? { from: 0, moved: true } : change) });
  }

  /** The hours from this one on, out of their quarters. */
  private rollUpHours(symbol: string, from: number): void {
    const quarters = this.seriesOf(symbol, "15m");
    const first = quarters?.first;
    if (quarters === undefined || first === undefined || this.seriesOf(symbol, "1h") === undefined) return;
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

  private take(frame: Frame): void {
    if (frame.source !== undefined) this.setSource(frame.source);
    switch (frame.type) {
      case "initial_data":
      case "price_update":
        this.takeCandle(frame.data as RawCandle, frame.type === "price_update", frame.timestamp);
        break;
      case "alert":
        this.alerts.take(readAlert(frame.data as RawAlert), true);
        break;
      case "resync_required":
        this.noteMissing();
        void this.refresh();
        break;
    }
  }

  private takeCandle(raw: RawCandle, isNews: boolean, timestamp: string | undefined): void {
    const interval = raw.interval as Interval;
    // It is shown with what the API has of it.
    if (!this.tickers.has(raw.symbol) && this.retry === undefined) void this.refresh();
    if (interval === "1m") {
      const age = isNews ? 0 : ageAt(timestamp, raw.eventTime);
      const isStale = !isNews && this.tickers.get(raw.symbol)?.isStale === true;
      this.setPrice(raw.symbol, raw.close, raw.eventTime, this.now() - age, isStale);
    }
    this.merge(raw.symbol, interval, [
      {
        time: raw.windowStart,
        open: raw.open,
        high: raw.high,
        low: raw.low,
        close: raw.close,
        volume: raw.volumeSum,
        isTraded: raw.quoteVolume !== undefined,
        count: raw.eventCount,
        isClosed: raw.isClosed,
        revision: raw.revision,
      },
    ]);
    if (interval === "15m") this.rollUpHours(raw.symbol, raw.windowStart - 3600);
  }

  private ticker(symbol: string): Ticker {
    const known = this.tickers.get(symbol);
    if (known !== undefined) return known;
    const ticker = { symbol, name: symbol, price: undefined, eventTime: 0, heardAt: 0, isStale: false };
    this.tickers.set(symbol, ticker);
    return ticker;
  }

  /** A correction of an older candle says nothing of the price now. */
  private setPrice(symbol: string, price: number, eventTime: number, heardAt: number, isStale: boolean): void {
    const ticker = this.ticker(symbol);
    ticker.heardAt = Math.max(ticker.heardAt, heardAt);
    if (eventTime < ticker.eventTime) return;
    ticker.isStale = isStale;
    ticker.price = price;
    ticker.eventTime = eventTime;
    this.onTicker.emit(ticker);
  }

  private setSource(source: string): void {
    if (source === this.source) return;
    this.source = source;
    this.onSource.emit(source);
  }
}

/** How old an event was by the server's clock, in milliseconds: the one of this machine may be wrong. */
function ageAt(timestamp: string | undefined, eventTime: number): number {
  const now = Date.parse(timestamp ?? "");
  return Number.isNaN(now) ? 0 : Math.max(0, now - eventTime);
}

/** Does the work, so many pieces at a time. */
async function inParallel(work: readonly (() => Promise<unknown>)[], width: number): Promise<void> {
  const rest = [...work];
  const worker = async (): Promise<void> => {
    for (let piece = rest.shift(); piece !== undefined; piece = rest.shift()) await piece();
  };
  await Promise.all(Array.from({ length: width }, worker));
}
