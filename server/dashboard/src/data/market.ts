/**
 * Everything that the page knows of the market: prices, candles and alerts, from the API and the WebSocket alike.
 *
 * What has been missed is put in by the API at each new connection: the WebSocket is opened first and the API asked then,
 * so whatever is not sent has been stored. The two may overlap in any order, as a version of a candle says itself whether
 * it is newer.
 *
 * Memory is bounded, however long the page is open and whatever is looked at: of the series that were opened those of the
 * last `MAX_OPENED` are kept, with `MAX_CANDLES` candles each; besides there is a day of quarters of each symbol.
 */

import { type Alert, type RawAlert, readAlert, supersedes } from "./alert";
import { type Api, ApiError, PAGE } from "./api";
import { type Candle, type Interval, rollUp, SECONDS } from "./candle";
import type { Frame, Live, RawCandle } from "./live";
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
const MAX_ALERTS = 1000;
/** How many of the series that were opened are kept. The one that has not been opened for the longest time goes. */
export const MAX_OPENED = 16;
/** How many candles a series has that was opened: two weeks of minutes. */
export const MAX_CANDLES = 20_000;
/** How many more it may have for a while, as all that is drawn moves when the oldest go. */
const SLACK = 100;
const RETRY_MS = 2000;

/** A symbol and its newest price. */
export interface Ticker {
  readonly symbol: string;
  name: string;
  price: number | undefined;
  /** Of the newest tick, in milliseconds. */
  eventTime: number;
  /** When something was last heard of it, in milliseconds; its event time where that is known alone. */
  heardAt: number;
}

export interface SeriesChange extends Change {
  readonly symbol: string;
  readonly interval: Interval;
}

export class Market {
  readonly tickers = new Map<string, Ticker>();
  readonly alerts = new Map<string, Alert>();
  /** Where the ticks come from; `simulated` for no real market. */
  source: string | undefined;

  readonly onTicker = new Signal<Ticker>();
  readonly onSymbols = new Signal<undefined>();
  readonly onSeries = new Signal<SeriesChange>();
  /** An alert, and whether it was raised or retracted just now. */
  readonly onAlert = new Signal<{ readonly alert: Alert; readonly isNews: boolean }>();
  readonly onSource = new Signal<string>();
  /** Why nothing could be read; none once it could be. */
  readonly onProblem = new Signal<ApiError | undefined>();

  private readonly series = new Map<string, Series>();
  /** The keys of the series that were opened, the last one last. */
  private readonly opened = new Set<string>();
  private readonly loading = new Map<string, Promise<boolean>>();
  private refreshing: Promise<void> | undefined;
  private isStale = false;

  constructor(
    private readonly api: Api,
    live: Live,
    private readonly now: () => number = Date.now,
  ) {
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

  alertsOf(symbol: string): Alert[] {
    return [...this.alerts.values()].filter((alert) => alert.symbol === symbol);
  }

  /** Reads the newest page of a series, unless it is there. */
  async open(symbol: string, interval: Interval): Promise<Series> {
    const known = this.seriesOf(symbol, interval);
    const series = known ?? new Series(SECONDS[interval]);
    this.series.set(`${symbol} ${interval}`, series);
    this.noteOpened(symbol, interval);
    // What has been sent meanwhile is not yet what is looked for.
    const isFirst = this.loading.has(`${symbol} ${interval}`) && series.candles.length < FIRST_PAGE;
    if (isFirst || series.candles.length === 0) await this.older(symbol, interval, FIRST_PAGE);
    if (interval === "1h") this.rollUpHours(symbol, series.lastClosed ?? 0);
    return series;
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
    const work = this.readOlder(symbol, interval, limit).finally(() => this.loading.delete(key));
    this.loading.set(key, work);
    return work;
  }

  private async readOlder(symbol: string, interval: Interval, limit: number): Promise<boolean> {
    const series = this.seriesOf(symbol, interval);
    if (series === undefined || series.isComplete || series.candles.length + limit > MAX_CANDLES) return false;
    const first = series.candles.find((candle) => candle.isClosed);
    const range = first === undefined ? {} : { to: first.time - series.seconds };
    const page = await this.api.candles(symbol, interval, range, "newest", limit);
    series.isComplete = !page.hasMore;
    this.merge(symbol, interval, page.candles);
    // Some figures are shown only where nothing is missing before them.
    if (page.candles.length === 0) this.onSeries.emit({ symbol, interval, from: 0, moved: true });
    return page.candles.length > 0;
  }

  /** From here on something may be missing; what comes after it does not say so. */
  private noteMissing(): void {
    for (const series of this.series.values()) series.missedFrom ??= series.lastClosed;
  }

  /** Reads again whatever may have been missed. One at a time; asked for meanwhile it is done once more. */
  refresh(): Promise<void> {
    this.isStale = true;
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
        this.onProblem.emit(undefined);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        this.onProblem.emit(error);
        // Nothing comes of asking again without a key.
        if (error.status !== 401) setTimeout(() => void this.refresh(), RETRY_MS);
        return;
      }
    }
  }

  private async readAll(): Promise<void> {
    for (const { symbol, name } of await this.api.symbols()) this.ticker(symbol).name = name;
    this.onSymbols.emit(undefined);
    // What is looked at comes first; whoever has asked for it hears of it if it fails.
    await Promise.allSettled(this.loading.values());
    const [latest, alerts] = await Promise.all([this.api.latest(), this.api.alerts()]);
    if (latest.source !== undefined) this.setSource(latest.source);
    for (const price of Object.values(latest.prices)) {
      this.setPrice(price.symbol, price.close, Date.parse(price.event_time), Date.parse(price.event_time));
    }
    for (const alert of alerts) this.takeAlert(alert, false);
    const known = [...this.series.keys()].map((key) => key.split(" ") as [string, Interval]);
    const isNew = (symbol: string): boolean => this.seriesOf(symbol, "15m") === undefined;
    const work = [
      ...known.map(([symbol, interval]) => () => this.catchUp(symbol, interval)),
      ...[...this.tickers.keys()].filter(isNew).map((symbol) => () => this.readDay(symbol)),
    ];
    await inParallel(work, PARALLEL);
    for (const [symbol, interval] of known) {
      if (interval === "1h") this.rollUpHours(symbol, (this.seriesOf(symbol, "1h")?.lastClosed ?? 0) - LATENESS - 3600);
    }
  }

  /** The quarters of the last day. */
  private async readDay(symbol: string): Promise<void> {
    const series = new Series(SECONDS["15m"]);
    this.series.set(`${symbol} 15m`, series);
    try {
      const page = await this.api.candles(symbol, "15m", {}, "newest", DAY_QUARTERS);
      series.isComplete = !page.hasMore;
      this.merge(symbol, "15m", page.candles);
    } catch (error) {
      // Read again with the next connection.
      this.series.delete(`${symbol} 15m`);
      throw error;
    }
  }

  /** What has settled since the newest closed candle, and what may have been corrected before it. */
  private async catchUp(symbol: string, interval: Interval): Promise<void> {
    const series = this.seriesOf(symbol, interval);
    if (series === undefined) return;
    const newest = series.missedFrom ?? series.lastClosed;
    if (newest === undefined) {
      await this.older(symbol, interval);
      return;
    }
    let from = newest - LATENESS - series.seconds;
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
        this.takeCandle(frame.data as RawCandle, frame.type === "price_update");
        break;
      case "alert":
        this.takeAlert(readAlert(frame.data as RawAlert), true);
        break;
      case "resync_required":
        this.noteMissing();
        void this.refresh();
        break;
    }
  }

  private takeCandle(raw: RawCandle, isNews: boolean): void {
    const interval = raw.interval as Interval;
    // It is shown with what the API has of it.
    if (!this.tickers.has(raw.symbol)) void this.refresh();
    if (interval === "1m") {
      this.setPrice(raw.symbol, raw.close, raw.eventTime, isNews ? this.now() : raw.eventTime);
    }
    this.merge(raw.symbol, interval, [
      {
        time: raw.windowStart,
        open: raw.open,
        high: raw.high,
        low: raw.low,
        close: raw.close,
        volume: raw.volumeSum,
        count: raw.eventCount,
        isClosed: raw.isClosed,
        revision: raw.revision,
      },
    ]);
    if (interval === "15m") this.rollUpHours(raw.symbol, raw.windowStart - 3600);
  }

  private takeAlert(alert: Alert, isNews: boolean): void {
    const known = this.alerts.get(alert.id);
    if (known !== undefined && !supersedes(alert, known)) return;
    this.alerts.set(alert.id, alert);
    if (this.alerts.size > MAX_ALERTS) {
      const oldest = [...this.alerts.values()].reduce((one, other) => (other.time < one.time ? other : one));
      this.alerts.delete(oldest.id);
    }
    this.onAlert.emit({ alert, isNews });
  }

  /** Reads the alerts of one symbol: those of all reach less far back. */
  async readAlerts(symbol: string): Promise<void> {
    for (const alert of await this.api.alerts(symbol)) this.takeAlert(alert, false);
  }

  private ticker(symbol: string): Ticker {
    const known = this.tickers.get(symbol);
    if (known !== undefined) return known;
    const ticker = { symbol, name: symbol, price: undefined, eventTime: 0, heardAt: 0 };
    this.tickers.set(symbol, ticker);
    return ticker;
  }

  /** A correction of an older candle says nothing of the price now. */
  private setPrice(symbol: string, price: number, eventTime: number, heardAt: number): void {
    const ticker = this.ticker(symbol);
    ticker.heardAt = Math.max(ticker.heardAt, heardAt);
    if (eventTime < ticker.eventTime) return;
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

/** Does the work, so many pieces at a time. */
async function inParallel(work: readonly (() => Promise<unknown>)[], width: number): Promise<void> {
  const rest = [...work];
  const worker = async (): Promise<void> => {
    for (let piece = rest.shift(); piece !== undefined; piece = rest.shift()) await piece();
  };
  await Promise.all(Array.from({ length: width }, worker));
}
