/**
 * The chart: the series that it shows, how far its history has been read, and the candle under the
 * crosshair.
 */

import type { Alert } from "../data/alert";
import { ApiError, PAGE } from "../data/api";
import { type Candle, type Interval, SECONDS } from "../data/candle";
import type { SeriesChange } from "../data/candlestore";
import type { Excerpt } from "../data/excerpt";
import type { Zone } from "../data/format";
import type { Market } from "../data/market";
import type { Series } from "../data/series";
import { Signal } from "../data/signal";
import { afterPaint, inNextFrame, oneAtATime } from "./frame";
import { type Average, Plot, stamp } from "./plot";
import { onThemeChange } from "./theme";

/**
 * The distance from either end of the candles, in candles, at which the next page of history is
 * read.
 */
const READ_AHEAD = 80;
const DAY = 24 * 60 * 60;
/** The number of candles that a click on an alert shows. */
const CANDLES_AROUND_ALERT = 100;
/**
 * The distance from the present, in candles, beyond which a range is read as an excerpt of its own.
 */
const MAX_READ_BACK = 5 * PAGE;
/** The width of a candle at first, in pixels. */
const CANDLE_WIDTH = 7;
/** The free space right of the newest candle, in candles. */
const MARGIN_RIGHT = 6;

/** A range of times in seconds. */
interface TimeRange {
  readonly from: number;
  readonly to: number;
}

/** The content of the legend: the candle under the crosshair, or the newest one. */
export interface Reading {
  readonly candle: Candle;
  readonly previous: Candle | undefined;
  readonly averages: readonly (number | undefined)[];
  readonly alerts: readonly Alert[];
}

/**
 * The progress of the chosen series: `idle` before a choice, then `loading`, and `failed` with the
 * reason or `read`. The series is `placed` once its first candles are drawn and the window has been
 * moved to the requested range.
 */
export type ChartState =
  | { readonly name: "idle" | "loading" | "read" | "placed" }
  | { readonly name: "failed"; readonly error: ApiError };

export class PriceChart {
  /** The content of the legend has changed. */
  readonly onReading = new Signal<undefined>();
  /** The window has been moved, or its candles have changed. */
  readonly onWindow = new Signal<undefined>();
  /** `state` or `isEmpty` has changed. */
  readonly onState = new Signal<undefined>();
  symbol: string | undefined;
  interval: Interval = "1m";
  state: ChartState = { name: "idle" };

  /** Made for the first candles: an empty plot takes as long to paint, and would delay them. */
  private made: Plot | undefined;
  private series: Series | undefined;
  /** The excerpt of history on the chart; `undefined` for the series that ends at present. */
  private excerpt: Excerpt | undefined;
  /** The range to show when it has been read; `undefined` for the newest candle. */
  private requested: TimeRange | undefined;
  /**
   * The index of the first candle that has changed since it was drawn; 0 has the whole series drawn
   * again.
   */
  private dirtyFrom = Infinity;
  /**
   * The candle under the crosshair; a pinned crosshair was set by the page and not by the pointer.
   */
  private crosshair: { readonly time: number; readonly isPinned: boolean } | undefined;
  /** The number of the current choice: work for an earlier choice is dropped. */
  private turn = 0;
  /** The first candles of the page: nothing is read or drawn that would delay them. */
  private firstPaint: "awaited" | "under way" | "done" = "awaited";

  constructor(
    private readonly container: HTMLElement,
    private readonly market: Market,
    readonly averages: readonly Average[],
  ) {
    onThemeChange(() => {
      this.made?.applyTheme();
      this.redraw();
    });
    market.candles.onChange.on((change) => {
      this.takeChange(change);
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

  /** The plot, once there has been something to draw. */
  get plotted(): Plot | undefined {
    return this.made;
  }

  private get plot(): Plot {
    this.made ??= this.makePlot();
    return this.made;
  }

  private makePlot(): Plot {
    const plot = new Plot(this.container, this.averages);
    plot.chart.subscribeCrosshairMove(({ time, sourceEvent }) => {
      // A pinned crosshair stays until the pointer is moved.
      if (sourceEvent === undefined && this.crosshair?.isPinned === true) return;
      this.crosshair = typeof time === "number" ? { time, isPinned: false } : undefined;
      this.onReading.emit(undefined);
    });
    plot.chart.timeScale().subscribeVisibleLogicalRangeChange(() => {
      if (this.firstPaint !== "done") return;
      this.readAheadSoon();
      inNextFrame(this.announceWindow);
    });
    return plot;
  }

  /**
   * Shows a series, at this range of times or at its newest candle. A failure is found in `state`.
   */
  async show(symbol: string, interval: Interval, range?: TimeRange): Promise<void> {
    this.turn += 1;
    this.symbol = symbol;
    this.interval = interval;
    this.requested = range;
    const isFar = range !== undefined && this.isFar(range.from);
    this.excerpt = isFar ? this.market.history.excerpt(symbol, interval) : undefined;
    this.series = this.excerpt?.series ?? this.market.candles.open(symbol, interval);
    this.state = { name: "idle" };
    this.crosshair = undefined;
    // No candle of the previous series may be taken for one of this series.
    this.made?.clear();
    this.container.dataset["markers"] = "0";
    this.onReading.emit(undefined);
    await this.load();
  }

  /** Centres a time, with the crosshair on its candle. */
  async reveal(time: number): Promise<void> {
    const { symbol, interval } = this;
    if (symbol === undefined) return;
    const seconds = SECONDS[interval];
    const start = Math.floor(time / seconds) * seconds;
    const half = CANDLES_AROUND_ALERT / 2;
    const around = { from: start - half * seconds, to: start + half * seconds };
    if (!this.covers(around)) await this.show(symbol, interval, around);
    const { series, turn } = this;
    if (series === undefined) return;
    if (this.excerpt === undefined) {
      await this.ignoringApiErrors(this.readBackTo(start - seconds * CANDLES_AROUND_ALERT));
    }
    if (turn !== this.turn) return;
    this.draw();
    const index = this.plot.times.findIndex((each) => each >= start);
    if (index < 0) return;
    this.plot.chart.timeScale().setVisibleLogicalRange({ from: index - half, to: index + half });
    const candle = series.at(start);
    if (candle === undefined) return;
    // The window moves in the next frame; until then the position of the candle is the old one.
    requestAnimationFrame(() => {
      if (this.crosshair?.isPinned !== true) return;
      this.plot.chart.setCrosshairPosition(candle.close, stamp(start), this.plot.candles);
    });
    // The library reports only the moves of the pointer.
    this.crosshair = { time: start, isPinned: true };
    this.onReading.emit(undefined);
  }

  async goToNewest(): Promise<void> {
    const { symbol, interval } = this;
    if (symbol !== undefined && this.excerpt !== undefined) await this.show(symbol, interval);
    else this.moveToNewest();
  }

  /** Whether the newest candle is in the window. */
  get isAtNewest(): boolean {
    return this.excerpt === undefined && (this.made?.isAtEnd ?? true);
  }

  /** Whether a range of times was requested, and not the newest candle. */
  get isOfRange(): boolean {
    return this.requested !== undefined;
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

  get reading(): Reading | undefined {
    const { series, crosshair } = this;
    if (series === undefined || this.isEmpty) return undefined;
    const all = series.candles;
    const index =
      crosshair === undefined ? all.length - 1 : all.findLastIndex((candle) => candle.time === crosshair.time);
    const candle = all[index];
    if (candle === undefined) return undefined;
    const alerts = this.market.alerts
      .of(this.symbol ?? "")
      .filter(({ time }) => time >= candle.time && time < candle.time + series.seconds);
    const averages = this.plot.averagesAt(index);
    return { candle, previous: all[index - 1], averages, alerts: crosshair === undefined ? [] : alerts };
  }

  /** Draws an average whose `period` or `isShown` has been changed. */
  updateAverage(index: number): void {
    this.plot.updateAverage(index);
    this.redraw();
    void this.ignoringApiErrors(this.complete());
  }

  setLogarithmic(isLogarithmic: boolean): void {
    this.plot.setLogarithmic(isLogarithmic);
  }

  setZone(zone: Zone): void {
    const { window } = this.plot;
    this.plot.setZone(zone);
    this.draw();
    if (window !== null) this.plot.chart.timeScale().setVisibleLogicalRange(window);
  }

  /** The chart as a picture, below a line with the title. */
  snapshot(title: string): Promise<Blob | null> {
    return this.plot.picture(title);
  }

  private get isRead(): boolean {
    return this.state.name === "read" || this.state.name === "placed";
  }

  /** Reads the requested candles and draws them; then reads the rest. */
  private async load(): Promise<void> {
    const { turn, symbol, interval, excerpt, requested } = this;
    if (symbol === undefined) return;
    this.setState({ name: "loading" });
    let next: ChartState = { name: "read" };
    try {
      if (excerpt !== undefined && requested !== undefined) await excerpt.load(requested);
      else await this.market.history.open(symbol, interval);
      if (excerpt === undefined && requested !== undefined) await this.readBackTo(requested.from);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      next = { name: "failed", error };
    }
    if (turn !== this.turn) return;
    this.state = next;
    this.dirtyFrom = 0;
    this.draw();
    this.onState.emit(undefined);
    // The first candles of the page come before the rest.
    if (this.isRead && (this.firstPaint === "done" || this.isEmpty)) await this.readRest();
  }

  /** Reads the history beyond the requested candles. */
  private async readRest(): Promise<void> {
    this.readAheadSoon();
    await this.ignoringApiErrors(this.complete());
  }

  /** Continues a read that has failed. */
  private async resume(): Promise<void> {
    if (this.state.name === "loading" || this.symbol === undefined) return;
    if (this.isRead) await this.readRest();
    else await this.load();
  }

  /** Reads the candles and alerts outside the window that averages and markers need. */
  private async complete(): Promise<void> {
    const { series, symbol } = this;
    if (series === undefined || symbol === undefined || !this.isRead) return;
    await Promise.all([this.completeAverages(series), this.market.alerts.read(symbol)]);
  }

  private async completeAverages(series: Series): Promise<void> {
    if (this.excerpt !== undefined) return;
    // The average of the day needs the whole day, the others as many candles as their period.
    const midnight = Math.floor((series.last?.time ?? 0) / DAY) * DAY;
    await this.readBackTo(midnight);
    const longest = Math.max(...this.averages.map(({ period, isShown }) => (isShown ? (period ?? 0) : 0)));
    const needed = longest + Math.ceil(this.container.clientWidth / CANDLE_WIDTH);
    const { turn } = this;
    while (turn === this.turn && series.candles.length < needed) if (!(await this.older())) return;
  }

  private async readBackTo(time: number): Promise<void> {
    const { turn, series } = this;
    while (turn === this.turn && (series?.first?.time ?? 0) > time) if (!(await this.older())) return;
  }

  private older(): Promise<boolean> {
    return this.symbol === undefined
      ? Promise.resolve(false)
      : this.market.history.older(this.symbol, this.interval);
  }

  /** Awaits reads beside the candles. The market reports their failures, and repeats them. */
  private async ignoringApiErrors(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }

  /** Whether a time is so long ago that the candles between it and the present are not read. */
  private isFar(time: number): boolean {
    return time < Date.now() / 1000 - MAX_READ_BACK * SECONDS[this.interval];
  }

  /** Whether the series on the chart contains a range, or will once it has been read back. */
  private covers({ from, to }: TimeRange): boolean {
    if (this.excerpt === undefined) return !this.isFar(from) || (this.series?.first?.time ?? Infinity) <= from;
    const { first, last } = this.excerpt.series;
    return first !== undefined && last !== undefined && first.time <= from && last.time >= to;
  }

  private moveToNewest(): void {
    const shown = Math.max(30, Math.round((this.container.clientWidth - 80) / CANDLE_WIDTH));
    const last = this.plot.times.length;
    const { chart } = this.plot;
    chart.timeScale().setVisibleLogicalRange({ from: last - shown + MARGIN_RIGHT, to: last + MARGIN_RIGHT });
    chart.priceScale("right").applyOptions({ autoScale: true });
    chart.clearCrosshairPosition();
    this.crosshair = undefined;
    this.onReading.emit(undefined);
  }

  private takeChange(change: SeriesChange): void {
    const isShown = change.symbol === this.symbol && change.interval === this.interval;
    if (!isShown || this.excerpt !== undefined) return;
    this.dirtyFrom = change.moved ? 0 : Math.min(this.dirtyFrom, change.from);
    if (this.isRead) inNextFrame(this.draw);
    // The market has read the series after the chart's own read had failed.
    else if (this.state.name !== "loading" && this.series?.hasHistory === true) void this.resume();
  }

  private redraw(): void {
    this.dirtyFrom = 0;
    inNextFrame(this.draw);
  }

  private readonly draw = (): void => {
    const { series } = this;
    if (series === undefined || !this.isRead) return;
    const wasEmpty = this.isEmpty;
    const isWhole = this.dirtyFrom === 0;
    this.plot.draw(series, this.dirtyFrom, this.excerpt === undefined);
    this.dirtyFrom = Infinity;
    // The markers belong to candles that may have moved.
    if (isWhole || wasEmpty) this.mark();
    this.showPrice();
    if (this.isEmpty) return;
    if (wasEmpty) this.onState.emit(undefined);
    if (this.state.name === "read") this.placeWindow();
    this.onReading.emit(undefined);
    if (this.firstPaint === "done") inNextFrame(this.announceWindow);
    else if (this.firstPaint === "awaited") void this.finishFirstPaint();
  };

  private async finishFirstPaint(): Promise<void> {
    this.firstPaint = "under way";
    await afterPaint();
    performance.mark("chart-painted");
    this.firstPaint = "done";
    this.announceWindow();
    await this.readRest();
  }

  private placeWindow(): void {
    this.state = { name: "placed" };
    const { requested } = this;
    if (requested === undefined) this.moveToNewest();
    else this.plot.chart.timeScale().setVisibleRange({ from: stamp(requested.from), to: stamp(requested.to) });
  }

  private readonly mark = (): void => {
    if (this.series === undefined || !this.isRead) return;
    const count = this.plot.mark(this.series, this.market.alerts.of(this.symbol ?? ""));
    this.container.dataset["markers"] = String(count);
  };

  /** Shows the price of the ticker, so that chart and card agree. */
  private readonly showPrice = (): void => {
    if (this.made === undefined) return;
    const last = this.series?.last;
    const value = this.isEmpty ? undefined : this.market.tickers.get(this.symbol ?? "")?.price;
    this.made.showPrice(value, (last?.close ?? 0) >= (last?.open ?? 0));
  };

  /**
   * Reads the next page of history when the window comes near the end of the candles. The window
   * moves in the frame after it was set; before that it would be the window of the previous series,
   * or of the candles before a page.
   */
  private readonly readAheadSoon = oneAtATime(async () => {
    await afterPaint();
    let hasMore = false;
    await this.ignoringApiErrors(
      (async () => {
        hasMore = await this.readAhead();
      })(),
    );
    // The window may be at the end of its way already, so that no move of it would start the next
    // read.
    return hasMore;
  });

  private async readAhead(): Promise<boolean> {
    const { excerpt, turn } = this;
    const { window, times } = this.plot;
    // A failed read is repeated by `resume`.
    if (window === null || !this.isRead || this.market.problem !== undefined) return false;
    if (excerpt === undefined) return window.from < READ_AHEAD && (await this.older());
    let hasMore = false;
    if (window.from < READ_AHEAD) hasMore = await excerpt.older();
    if (window.to > times.length - READ_AHEAD) hasMore = (await excerpt.newer()) || hasMore;
    if (turn !== this.turn) return false;
    if (hasMore) {
      this.dirtyFrom = 0;
      this.draw();
    }
    void this.returnToPresent();
    return hasMore;
  }

  /**
   * Replaces an excerpt that reaches the present by the series that ends there, once the window is
   * near enough.
   */
  private async returnToPresent(): Promise<void> {
    const [first] = this.shown;
    const last = this.shown.at(-1);
    if (this.excerpt?.reachesPresent !== true || this.symbol === undefined) return;
    if (first === undefined || last === undefined || this.isFar(first.time)) return;
    await this.show(this.symbol, this.interval, { from: first.time, to: last.time });
  }

  private setState(state: ChartState): void {
    this.state = state;
    this.onState.emit(undefined);
  }

  private readonly announceWindow = (): void => {
    if (this.firstPaint === "done" || this.isEmpty) this.onWindow.emit(undefined);
  };
}
