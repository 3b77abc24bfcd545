/**
 * Everything that the page knows of the market: prices, candles and alerts, from the API and the
 * WebSocket alike.
 *
 * The API fills in the candles that were missed, at each new connection. The WebSocket is opened
 * first and the API requested then, so every candle that is not sent has been stored. The two may
 * overlap in any order, because each version of a candle says whether it is newer.
 */

import { readAlert } from "./alert";
import { AlertStore } from "./alertstore";
import type { Api, ApiError, ServerSettings } from "./api";
import { isInterval } from "./candle";
import { CandleStore } from "./candlestore";
import { History } from "./history";
import type { Frame, Live, SentCandle } from "./live";
import { Refresher } from "./refresher";
import { Signal } from "./signal";

/** A symbol and its newest price. */
export interface Ticker {
  readonly symbol: string;
  name: string;
  price: number | undefined;
  /** The time of the newest tick, in milliseconds. */
  eventTime: number;
  /**
   * The time at which the last update arrived, in milliseconds; the event time if only that is
   * known.
   */
  heardAt: number;
  /** Whether the server called the price stale, and no update has arrived since. */
  isStale: boolean;
}

export class Market {
  readonly tickers = new Map<string, Ticker>();
  readonly candles = new CandleStore();
  readonly alerts: AlertStore;
  readonly history: History;
  /** The origin of the ticks; `simulated` for a simulated market. */
  source: string | undefined;
  /** The server's settings, once they have been read. */
  settings: ServerSettings | undefined;

  readonly onTicker = new Signal<Ticker>();
  readonly onSymbols = new Signal<undefined>();
  readonly onSource = new Signal<string>();
  /** The failure that is being repeated; `undefined` once everything has been read. */
  readonly onProblem: Signal<ApiError | undefined>;
  private readonly refresher: Refresher;

  constructor(
    private readonly api: Api,
    private readonly live: Live,
    private readonly now: () => number = Date.now,
  ) {
    const refresher = new Refresher(() => this.readAll());
    this.refresher = refresher;
    this.onProblem = refresher.onProblem;
    this.history = new History(api, this.candles, (request) => refresher.watch(request));
    this.alerts = new AlertStore({ alerts: (...filters) => refresher.watch(api.alerts(...filters)) });
    live.frames.on((frame) => {
      this.takeFrame(frame);
    });
    live.changes.on(({ state }) => {
      if (state === "live") void this.refresh();
      else this.candles.markMissing();
    });
  }

  get problem(): ApiError | undefined {
    return this.refresher.problem;
  }

  /**
   * Whether a price is stale at this time, in milliseconds, by the server's word or by its setting.
   */
  isStale(ticker: Ticker, now: number): boolean {
    const maxSilence = this.settings?.stale_after_ms ?? Infinity;
    return ticker.isStale || now - ticker.heardAt > maxSilence;
  }

  /** Reads everything that may have been missed. */
  refresh(): Promise<void> {
    return this.refresher.refresh();
  }

  private async readAll(): Promise<void> {
    const [symbols, stats] = await Promise.all([this.api.symbols(), this.api.stats()]);
    this.settings = stats.settings;
    this.live.setKeepalive(stats.settings.keepalive_ms);
    for (const { symbol, name } of symbols) this.ticker(symbol).name = name;
    this.onSymbols.emit(undefined);
    // The series on the chart comes first; the chart itself handles its failure.
    await this.history.settled();
    const [latest] = await Promise.all([this.api.latest(), this.alerts.read()]);
    this.setSource(latest.source);
    for (const { symbol, close, event_time, stale } of Object.values(latest.prices)) {
      const eventTime = Date.parse(event_time);
      this.setPrice(symbol, close, eventTime, this.now() - ageAt(latest.timestamp, eventTime), stale);
    }
    for (const symbol of this.tickers.keys()) this.candles.keep(symbol, "15m");
    // Without the setting any candle may have been corrected.
    const lateness = (stats.settings.allowed_lateness_ms ?? Infinity) / 1000;
    const failure = await this.history.catchUp(lateness);
    if (failure !== undefined) throw failure;
  }

  private takeFrame(frame: Frame): void {
    if (frame.source !== undefined) this.setSource(frame.source);
    switch (frame.type) {
      case "initial_data":
      case "price_update":
        this.takeCandle(frame.data, frame.type === "price_update", frame.timestamp);
        break;
      case "alert":
        this.alerts.take(readAlert(frame.data), true);
        break;
      case "resync_required":
        this.candles.markMissing();
        void this.refresh();
        break;
    }
  }

  private takeCandle(sent: SentCandle, isNews: boolean, timestamp: string | undefined): void {
    const { symbol, interval } = sent;
    if (!isInterval(interval)) return;
    // A new symbol is shown with the history that the API has of it.
    if (!this.tickers.has(symbol) && !this.refresher.isWaiting) void this.refresh();
    if (interval === "1m") {
      const age = isNews ? 0 : ageAt(timestamp, sent.eventTime);
      const isStale = !isNews && this.tickers.get(symbol)?.isStale === true;
      this.setPrice(symbol, sent.close, sent.eventTime, this.now() - age, isStale);
    }
    this.candles.merge(symbol, interval, [
      {
        time: sent.windowStart,
        open: sent.open,
        high: sent.high,
        low: sent.low,
        close: sent.close,
        volume: sent.volumeSum,
        isTraded: sent.quoteVolume !== undefined,
        count: sent.eventCount,
        isClosed: sent.isClosed,
        revision: sent.revision,
      },
    ]);
    if (interval === "15m") this.candles.rollUpHours(symbol, sent.windowStart - 3600);
  }

  private ticker(symbol: string): Ticker {
    const known = this.tickers.get(symbol);
    if (known !== undefined) return known;
    const ticker = { symbol, name: symbol, price: undefined, eventTime: 0, heardAt: 0, isStale: false };
    this.tickers.set(symbol, ticker);
    return ticker;
  }

  /**
   * Sets the price, unless the update is older than the newest one, as the correction of an older
   * candle is.
   */
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

/**
 * The age of an event by the server's clock, in milliseconds: the clock of this machine may be
 * wrong.
 */
function ageAt(timestamp: string | undefined, eventTime: number): number {
  const now = Date.parse(timestamp ?? "");
  return Number.isNaN(now) ? 0 : Math.max(0, now - eventTime);
}
