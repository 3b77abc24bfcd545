/** The chart: which candles of which symbol it shows, how far its history has been read, and what is under the crosshair. */

import type { Alert } from "../data/alert";
import { ApiError, PAGE } from "../data/api";
import { type Candle, type Interval, SECONDS } from "../data/candle";
import type { Market, SeriesChange } from "../data/market";
import type { Past } from "../data/past";
import type { Series } from "../data/series";
import { Signal } from "../data/signal";
import type { Zone } from "../data/words";
import { inNextFrame } from "./frame";
import { type Average, Plot, stamp } from "./plot";
import { onThemeChange } from "./theme";

/** How many candles from either end of what is there the next page of history is asked for. */
const AHEAD = 80;
const DAY = 24 * 60 * 60;
/** How many candles a click on an alert shows. */
const AROUND = 100;
/** So many candles back from now are read on the way to a time that is asked for; beyond, the stretch around it alone. */
const REACH = 5 * PAGE;
/** How many pixels a candle has at first. */
const SPACING = 7;
/** How many candles of room there are right of the newest. */
const ROOM = 6;

/** A stretch of time in seconds. */
interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** What the legend says: of the candle under the crosshair, or of the newest. */
export interface Reading {
  readonly candle: Candle;
  readonly previous: Candle | undefined;
  readonly averages: readonly (number | undefined)[];
  readonly alerts: readonly Alert[];
}

export class PriceChart {
  /** Something that the legend and the figures are made of is another. */
  readonly onReading = new Signal<undefined>();
  /** The window has been moved, or the data under it. */
  readonly onWindow = new Signal<undefined>();
  /** `isLoading`, `failure` or `isEmpty` is another. */
  readonly onState = new Signal<undefined>();
  symbol: string | undefined;
  interval: Interval = "1m";
  isLoading = false;
  /** Why there are no candles. */
  failure: ApiError | undefined;

  /** Made when there is something to draw: an empty one takes as long to paint, and the first candles would wait for it. */
  private made: Plot | undefined;
  private series: Series | undefined;
  /** The stretch of history that is shown; none where it is the series that ends at present. */
  private past: Past | undefined;
  /** What was asked for, to be shown when it has been read; none for the newest candle. */
  private wanted: Stretch | undefined;
  /** Whether what was asked for has been read, and whether the window has been put there. */
  private isRead = false;
  private isPlaced = false;
  /** The first candle that is not drawn as it is; whether all has to be drawn again. */
  private dirtyFrom = Infinity;
  private isStale = false;
  private hovered: number | undefined;
  /** Whether that was set, and not pointed at. */
  private pinned = false;
  private turn = 0;
  /** Whether the first candles are being painted, and whether they are on the screen. */
  private isPainting = false;
  private isPainted = false;
  private isReadingAhead = false;

  constructor(
    private readonly container: HTMLElement,
    private readonly market: Market,
    readonly averages: readonly Average[],
  ) {
    onThemeChange(() => {
      this.made?.dress();
      this.redraw();
    });
    market.onSeries.on((change) => {
      this.hear(change);
    });
    market.onTicker.on(({ symbol }) => {
      if (symbol === this.symbol) inNextFrame(this.showPrice);
    });
    market.alerts.onAlert.on(({ alert }) => {
      if (alert.symbol === this.symbol) inNextFrame(this.mark);
    });
    market.onProblem.on((problem) => {
      if (problem === undefined) void this.resume();
    });
  }

  private get plot(): Plot {
    this.made ??= this.make();
    return this.made;
  }

  private make(): Plot {
    const plot = new Plot(this.container, this.averages);
    plot.chart.subscribeCrosshairMove(({ time, sourceEvent }) => {
      // What is not of the pointer has been set here, and stays until the pointer is moved.
      if (sourceEvent === undefined && this.pinned) return;
      this.pinned = false;
      this.hovered = typeof time === "number" ? time : undefined;
      this.tellReading();
    });
    plot.chart.timeScale().subscribeVisibleLogicalRangeChange(() => {
      if (!this.isPainted) return;
      this.readAheadSoon();
      inNextFrame(this.tellWindow);
    });
    return plot;
  }

  /** Shows a series, at this stretch of time or at its newest candle. What can't be read is said by `failure`. */
  async show(symbol: string, interval: Interval, range?: Stretch): Promise<void> {
    this.turn += 1;
    this.symbol = symbol;
    this.interval = interval;
    this.wanted = range;
    this.past = range !== undefined && this.isFar(range.from) ? this.market.past(symbol, interval) : undefined;
    this.series = this.past?.series ?? this.market.attach(symbol, interval);
    this.isRead = false;
    this.isPlaced = false;
    this.hovered = undefined;
    this.pinned = false;
    // Nothing of the series before may be taken for one of this.
    this.made?.clear();
    this.container.dataset["markers"] = "0";
    this.tellReading();
    await this.load();
  }

  /** Centres a time, with the crosshair on its candle. */
  async reveal(time: number): Promise<void> {
    const { symbol, interval } = this;
    if (symbol === undefined) return;
    const seconds = SECONDS[interval];
    const start = Math.floor(time / seconds) * seconds;
    const around = { from: start - (AROUND / 2) * seconds, to: start + (AROUND / 2) * seconds };
    if (!this.covers(around)) await this.show(symbol, interval, around);
    const { series, turn } = this;
    if (series === undefined) return;
    if (this.past === undefined) await this.quietly(this.readBackTo(start - seconds * AROUND));
    if (turn !== this.turn) return;
    this.draw();
    const place = this.plot.times.findIndex((each) => each >= start);
    if (place < 0) return;
    this.plot.chart.timeScale().setVisibleLogicalRange({ from: place - AROUND / 2, to: place + AROUND / 2 });
    const candle = series.at(start);
    if (candle === undefined) return;
    // The window moves in the next frame; until then the place of the candle is the old one.
    requestAnimationFrame(() => {
      if (this.pinned) this.plot.chart.setCrosshairPosition(candle.close, stamp(start), this.plot.candles);
    });
    // The library tells only of what the pointer does.
    this.pinned = true;
    this.hovered = start;
    this.tellReading();
  }

  async goToNewest(): Promise<void> {
    const { symbol, interval } = this;
    if (symbol !== undefined && this.past !== undefined) await this.show(symbol, interval);
    else this.moveToNewest();
  }

  /** Whether the newest candle is in the window. */
  get isAtNewest(): boolean {
    return this.past === undefined && (this.made?.isAtEnd ?? true);
  }

  /** Whether a stretch of time was asked for, and not the newest candle. */
  get isOfRange(): boolean {
    return this.wanted !== undefined;
  }

  get isEmpty(): boolean {
    return this.made === undefined || this.made.times.length === 0;
  }

  /** The candles in the window, oldest first. */
  get shown(): readonly Candle[] {
    if (this.made === undefined) return [];
    const { window, times } = this.made;
    if (window === null || this.series === undefined) return [];
    const from = times[Math.max(0, Math.ceil(window.from))];
    const to = times[Math.min(times.length - 1, Math.floor(window.to))];
    return from === undefined || to === undefined ? [] : this.series.between(from, to + 1);
  }

  /** What has been drawn, for whoever looks from outside: the candles with their gaps, the volumes, an average. */
  get points(): Plot["points"] {
    return this.plot.points;
  }

  get volumes(): Plot["volumes"] {
    return this.plot.volumes;
  }

  line(place: number): ReturnType<Plot["line"]> {
    return this.plot.line(place);
  }

  get reading(): Reading | undefined {
    const { series } = this;
    if (series === undefined || this.isEmpty) return undefined;
    const all = series.candles;
    const found = this.hovered === undefined ? -1 : all.findLastIndex((candle) => candle.time === this.hovered);
    const place = this.hovered === undefined ? all.length - 1 : found;
    const candle = all[place];
    if (candle === undefined) return undefined;
    const alerts = this.market.alerts
      .of(this.symbol ?? "")
      .filter(({ time }) => time >= candle.time && time < candle.time + series.seconds);
    const averages = this.plot.averagesAt(place);
    return { candle, previous: all[place - 1], averages, alerts: this.hovered === undefined ? [] : alerts };
  }

  /** Draws an average after its `period` or `isShown` has been changed. */
  changeAverage(place: number): void {
    this.plot.changeAverage(place);
    this.redraw();
    void this.quietly(this.complete());
  }

  get isLogarithmic(): boolean {
    return this.plot.isLogarithmic;
  }

  setLogarithmic(isLogarithmic: boolean): void {
    this.plot.isLogarithmic = isLogarithmic;
  }

  setZone(zone: Zone): void {
    const { window } = this.plot;
    this.plot.setZone(zone);
    this.draw();
    if (window !== null) this.plot.chart.timeScale().setVisibleLogicalRange(window);
  }

  /** The chart as a picture, with a line above it that says what it is. */
  snapshot(title: string): Promise<Blob | null> {
    return this.plot.picture(title);
  }

  /** Reads what was asked for and draws it; then what it is to be complete. */
  private async load(): Promise<void> {
    const { turn, symbol, interval, past, wanted } = this;
    if (symbol === undefined) return;
    this.isLoading = true;
    this.failure = undefined;
    this.onState.emit(undefined);
    let failure: ApiError | undefined;
    try {
      if (past !== undefined && wanted !== undefined) await past.load(wanted);
      else await this.market.open(symbol, interval);
      if (past === undefined && wanted !== undefined) await this.readBackTo(wanted.from);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      failure = error;
    }
    // Another one was chosen meanwhile.
    if (turn !== this.turn) return;
    this.isLoading = false;
    this.failure = failure;
    this.isRead = failure === undefined;
    this.isStale = true;
    this.draw();
    this.onState.emit(undefined);
    // The rest comes after the first candles.
    if (this.isRead && (this.isPainted || this.isEmpty)) await this.goOn();
  }

  /** Reads what there is more to show than what was asked for. */
  private async goOn(): Promise<void> {
    this.readAheadSoon();
    await this.quietly(this.complete());
  }

  /** Goes on where something could not be read, once it can be again. */
  private async resume(): Promise<void> {
    if (this.isLoading || this.symbol === undefined) return;
    if (!this.isRead) {
      await this.load();
      return;
    }
    await this.goOn();
  }

  /** Reads what averages and markers need of what is not in the window. */
  private async complete(): Promise<void> {
    const { series, symbol } = this;
    if (series === undefined || symbol === undefined || !this.isRead) return;
    await Promise.all([this.completeAverages(series), this.market.alerts.read(symbol)]);
  }

  private async completeAverages(series: Series): Promise<void> {
    if (this.past !== undefined) return;
    // The average of the day needs the whole day, the others as many candles as they are taken over.
    const midnight = Math.floor((series.last?.time ?? 0) / DAY) * DAY;
    await this.readBackTo(midnight);
    const longest = Math.max(...this.averages.map(({ period, isShown }) => (isShown ? (period ?? 0) : 0)));
    const wanted = longest + Math.ceil(this.container.clientWidth / SPACING);
    const { turn } = this;
    while (turn === this.turn && series.candles.length < wanted) if (!(await this.older())) return;
  }

  private async readBackTo(time: number): Promise<void> {
    const { turn, series } = this;
    while (turn === this.turn && (series?.first?.time ?? 0) > time) if (!(await this.older())) return;
  }

  private older(): Promise<boolean> {
    return this.symbol === undefined ? Promise.resolve(false) : this.market.older(this.symbol, this.interval);
  }

  /** What is wanted beside the candles: what can't be read of it is told by the market, and tried again. */
  private async quietly(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }

  /** Whether a time is so long ago that the way there is not read. */
  private isFar(time: number): boolean {
    return time < Date.now() / 1000 - REACH * SECONDS[this.interval];
  }

  /** Whether a stretch is in what is there, or will be when it has been read on to it. */
  private covers({ from, to }: Stretch): boolean {
    if (this.past === undefined) return !this.isFar(from) || (this.series?.first?.time ?? Infinity) <= from;
    const { first, last } = this.past.series;
    return first !== undefined && last !== undefined && first.time <= from && last.time >= to;
  }

  private moveToNewest(): void {
    const shown = Math.max(30, Math.round((this.container.clientWidth - 80) / SPACING));
    const last = this.plot.times.length;
    const { chart } = this.plot;
    chart.timeScale().setVisibleLogicalRange({ from: last - shown + ROOM, to: last + ROOM });
    chart.priceScale("right").applyOptions({ autoScale: true });
    chart.clearCrosshairPosition();
    this.pinned = false;
    this.hovered = undefined;
    this.tellReading();
  }

  private hear(change: SeriesChange): void {
    if (change.symbol !== this.symbol || change.interval !== this.interval || this.past !== undefined) return;
    this.dirtyFrom = Math.min(this.dirtyFrom, change.from);
    this.isStale ||= change.moved;
    if (this.isRead) inNextFrame(this.draw);
    // It was read for another reason than that it is looked at.
    else if (!this.isLoading && this.series?.hasHistory === true) void this.resume();
  }

  private redraw(): void {
    this.isStale = true;
    inNextFrame(this.draw);
  }

  private readonly draw = (): void => {
    const { series } = this;
    if (series === undefined || !this.isRead) return;
    const wasEmpty = this.isEmpty;
    this.plot.draw(series, this.dirtyFrom, this.isStale, this.past === undefined);
    // A series that is drawn whole may have other candles under its markers.
    if (this.isStale || wasEmpty) this.mark();
    this.dirtyFrom = Infinity;
    this.isStale = false;
    this.showPrice();
    if (this.isEmpty) return;
    if (wasEmpty) this.onState.emit(undefined);
    if (!this.isPlaced) this.place();
    this.tellReading();
    if (this.isPainted) inNextFrame(this.tellWindow);
    else this.awaitPaint();
  };

  /** Goes on once the first candles are on the screen, so that nothing keeps them from it. */
  private awaitPaint(): void {
    if (this.isPainting) return;
    this.isPainting = true;
    // The library paints in the next frame; the one after it is on the screen.
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        performance.mark("chart-painted");
        this.isPainted = true;
        this.tellWindow();
        void this.goOn();
      }),
    );
  }

  private place(): void {
    this.isPlaced = true;
    const { wanted } = this;
    if (wanted === undefined) this.moveToNewest();
    else this.plot.chart.timeScale().setVisibleRange({ from: stamp(wanted.from), to: stamp(wanted.to) });
  }

  private readonly mark = (): void => {
    if (this.series === undefined || !this.isRead) return;
    const count = this.plot.mark(this.series, this.market.alerts.of(this.symbol ?? ""));
    this.container.dataset["markers"] = String(count);
  };

  /** The price of the cards, so that the two say the same. */
  private readonly showPrice = (): void => {
    if (this.made === undefined) return;
    const last = this.series?.last;
    const value = this.isEmpty ? undefined : this.market.tickers.get(this.symbol ?? "")?.price;
    this.made.showPrice(value, (last?.close ?? 0) >= (last?.open ?? 0));
  };

  /**
   * Reads the next page of history where the window comes near the end of what is there. The window moves in the frame
   * after it was set; looked at before, it would be that of the series before or of the candles before a page.
   */
  private readAheadSoon(): void {
    if (this.isReadingAhead) return;
    this.isReadingAhead = true;
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        void this.quietly(this.readAhead());
      }),
    );
  }

  private async readAhead(): Promise<void> {
    let isMore = false;
    try {
      const { past, turn } = this;
      const { window, times } = this.plot;
      // What can't be read is asked for again when all is, by `resume`.
      if (window === null || !this.isRead || this.market.problem !== undefined) return;
      if (past === undefined) {
        isMore = window.from < AHEAD && (await this.older());
        return;
      }
      if (window.from < AHEAD) isMore = await past.older();
      if (window.to > times.length - AHEAD) isMore = (await past.newer()) || isMore;
      if (turn !== this.turn) return;
      if (isMore) {
        this.isStale = true;
        this.draw();
      }
      void this.arrive();
    } finally {
      this.isReadingAhead = false;
      // The window may have been moved on meanwhile, as far as it goes, so that nothing else would ask for the next page.
      if (isMore) this.readAheadSoon();
    }
  }

  /** Goes over to the series that ends at present where the window has come near enough to it. */
  private async arrive(): Promise<void> {
    const [first] = this.shown;
    const last = this.shown.at(-1);
    if (this.past?.reachesPresent !== true || this.symbol === undefined) return;
    if (first === undefined || last === undefined || this.isFar(first.time)) return;
    await this.show(this.symbol, this.interval, { from: first.time, to: last.time });
  }

  private tellReading(): void {
    this.onReading.emit(undefined);
  }

  private readonly tellWindow = (): void => {
    if (this.isPainted || this.isEmpty) this.onWindow.emit(undefined);
  };
}
