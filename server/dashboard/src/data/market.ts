/**
 * Everything that the page knows of the market: prices, candles and alerts, from the API and the WebSocket alike.
 *
 * What has been missed is put in by the API at each new connection: the WebSocket is opened first and the API asked then,
 * so whatever is not sent has been stored. The two may overlap in any order, as a version of a candle says itself whether
 * it is newer.
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
    if (known === undefined || known.candles.length === 0) await this.older(symbol, interval, FIRST_PAGE);
    if (interval === "1h") this.rollUpHours(symbol, series.lastClosed ?? 0);
    return series;
  }

  /** Reads the page before the oldest candle. Whether there was one. */
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
    if (series === undefined || series.isComplete) return false;
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
    const others = Promise.all([this.api.latest(), this.api.alerts()]);
    // Told first, as the chart waits for it.
    const readNames = this.api.symbols().then((names) => {
      for (const { symbol, name } of names) this.ticker(symbol).name = name;
      this.onSymbols.emit(undefined);
    });
    const [[latest, alerts]] = await Promise.all([others, readNames]);
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
    const change = this.seriesOf(symbol, interval)?.take(candles);
    if (change !== undefined) this.onSeries.emit({ symbol, interval, ...change });
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
