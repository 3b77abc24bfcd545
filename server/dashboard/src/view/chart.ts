/** The candlestick chart: candles, volume, averages and alerts of one symbol and interval. */

import {
  CandlestickSeries,
  type CandlestickData,
  createChart,
  createSeriesMarkers,
  CrosshairMode,
  HistogramSeries,
  type IChartApi,
  type ISeriesApi,
  LineSeries,
  LineStyle,
  PriceScaleMode,
  type SeriesMarker,
  TickMarkType,
  type Time,
  type UTCTimestamp,
  type WhitespaceData,
} from "lightweight-charts";
import type { Alert } from "../data/alert";
import { ApiError } from "../data/api";
import type { Candle, Interval } from "../data/candle";
import { ExponentialAverage, type Indicator, SimpleAverage, VolumeWeightedAverage } from "../data/indicators";
import type { Market, SeriesChange } from "../data/market";
import { gap, type Series } from "../data/series";
import { Signal } from "../data/signal";
import { clock, day, decimals, moment, type Zone } from "../data/words";
import { inNextFrame } from "./frame";
import { onThemeChange, readTheme, type Theme } from "./theme";

/** How many candles left of the window the next page of history is asked for. */
const AHEAD = 80;
const DAY = 24 * 60 * 60;
/** How many candles a click on an alert shows. */
const AROUND = 100;
/** How many pages are read at most to reach a time that is asked for. */
const MAX_PAGES = 30;
/** How many pixels a candle has at first. */
const SPACING = 7;
/** After what time a page of history that could not be read is asked for again. */
const RETRY_MS = 2000;
/** How many candles of room there are right of the newest. */
const ROOM = 6;

/** A moving average that can be shown; `period` in candles, none for the average of the day. */
export interface Average {
  readonly kind: "SMA" | "EMA" | "VWAP";
  period: number | undefined;
  isShown: boolean;
}

/** What the legend says: of the candle under the crosshair, or of the newest. */
export interface Reading {
  readonly candle: Candle;
  readonly previous: Candle | undefined;
  readonly averages: readonly (number | undefined)[];
  readonly alerts: readonly Alert[];
}

type Point = CandlestickData<UTCTimestamp> | WhitespaceData<UTCTimestamp>;

function stamp(seconds: number): UTCTimestamp {
  return seconds as UTCTimestamp;
}

function indicatorOf(average: Average): Indicator {
  if (average.kind === "SMA") return new SimpleAverage(average.period ?? 20);
  if (average.kind === "EMA") return new ExponentialAverage(average.period ?? 20);
  return new VolumeWeightedAverage();
}

export class PriceChart {
  /** Something that the legend and the figures are made of is another. */
  readonly onReading = new Signal<undefined>();
  /** The window has been moved, or the data under it. */
  readonly onWindow = new Signal<undefined>();
  symbol: string | undefined;
  interval: Interval = "1m";

  private readonly chart: IChartApi;
  private readonly candles: ISeriesApi<"Candlestick">;
  private readonly volume: ISeriesApi<"Histogram">;
  private readonly lines: ISeriesApi<"Line">[];
  private readonly markers;
  private indicators: Indicator[];
  private theme: Theme;
  private zone: Zone = "UTC";
  private series: Series | undefined;
  /** The starts of what is drawn, gaps included. */
  private times: number[] = [];
  /** How many candles are drawn. */
  private drawn = 0;
  /** The first candle that is not drawn as it is; whether all has to be drawn again. */
  private dirtyFrom = Infinity;
  private isStale = false;
  private hovered: number | undefined;
  /** Whether that was set, and not pointed at. */
  private pinned = false;
  private showing = 0;
  private isPainted = false;
  private isReadingAhead = false;

  constructor(
    private readonly container: HTMLElement,
    private readonly market: Market,
    readonly averages: readonly Average[],
  ) {
    this.theme = readTheme();
    // The logo would add a style element, which the page's policy forbids; the foot of the page has name and link.
    this.chart = createChart(container, { autoSize: true, layout: { attributionLogo: false } });
    this.candles = this.chart.addSeries(CandlestickSeries, {});
    this.volume = this.chart.addSeries(HistogramSeries, {
      priceScaleId: "",
      priceFormat: { type: "volume" },
      lastValueVisible: false,
      priceLineVisible: false,
    });
    this.candles.priceScale().applyOptions({ scaleMargins: { top: 0.1, bottom: 0.2 } });
    this.volume.priceScale().applyOptions({ scaleMargins: { top: 0.86, bottom: 0 } });
    this.lines = averages.map((average) =>
      this.chart.addSeries(LineSeries, {
        lineWidth: 1,
        priceLineVisible: false,
        lastValueVisible: false,
        crosshairMarkerVisible: false,
        visible: average.isShown,
        // The average of the day may be far from the candles in the window, which are not to be squeezed for it.
        ...(average.kind === "VWAP" ? { lineStyle: LineStyle.Dashed, autoscaleInfoProvider: () => null } : {}),
      }),
    );
    this.markers = createSeriesMarkers<Time>(this.candles, []);
    this.indicators = averages.map(indicatorOf);
    this.dress();
    onThemeChange(() => {
      this.theme = readTheme();
      this.dress();
      this.redraw();
    });
    market.onSeries.on((change) => {
      this.hear(change);
    });
    market.onAlert.on(({ alert }) => {
      if (alert.symbol === this.symbol) inNextFrame(this.mark);
    });
    this.chart.subscribeCrosshairMove(({ time, sourceEvent }) => {
      // What is not of the pointer has been set here, and stays until the pointer is moved.
      if (sourceEvent === undefined && this.pinned) return;
      this.pinned = false;
      this.hovered = typeof time === "number" ? time : undefined;
      this.tellReading();
    });
    this.chart.timeScale().subscribeVisibleLogicalRangeChange(() => {
      this.readAheadSoon();
      inNextFrame(this.tellWindow);
    });
  }

  /** Shows a series, at this stretch of time or at its newest candle. */
  async show(symbol: string, interval: Interval, range?: { from: number; to: number }): Promise<void> {
    this.showing += 1;
    const turn = this.showing;
    this.symbol = symbol;
    this.interval = interval;
    this.series = undefined;
    this.isStale = true;
    const series = await this.market.open(symbol, interval);
    if (range !== undefined) await this.readBackTo(series, symbol, interval, range.from);
    // Another one was chosen meanwhile.
    if (turn !== this.showing) return;
    this.series = series;
    this.hovered = undefined;
    this.pinned = false;
    this.times = [];
    this.draw();
    if (range === undefined) this.goToNewest();
    else this.chart.timeScale().setVisibleRange({ from: stamp(range.from), to: stamp(range.to) });
    this.readAheadSoon();
    // The average of the day needs the whole day.
    const midnight = Math.floor((series.last?.time ?? 0) / DAY) * DAY;
    await this.readBackTo(series, symbol, interval, midnight);
    await this.market.readAlerts(symbol);
  }

  /** Centres a time, with the crosshair on its candle. */
  async reveal(time: number): Promise<void> {
    const { series, symbol, interval } = this;
    if (series === undefined || symbol === undefined) return;
    const start = Math.floor(time / series.seconds) * series.seconds;
    await this.readBackTo(series, symbol, interval, start - series.seconds * AROUND);
    if (series !== this.series) return;
    this.draw();
    const place = this.times.findIndex((each) => each >= start);
    if (place < 0) return;
    this.chart.timeScale().setVisibleLogicalRange({ from: place - AROUND / 2, to: place + AROUND / 2 });
    const candle = series.at(start);
    if (candle === undefined) return;
    // The window moves in the next frame; until then the place of the candle is the old one.
    requestAnimationFrame(() => {
      if (this.pinned) this.chart.setCrosshairPosition(candle.close, stamp(start), this.candles);
    });
    // The library tells only of what the pointer does.
    this.pinned = true;
    this.hovered = start;
    this.tellReading();
  }

  goToNewest(): void {
    const shown = Math.max(30, Math.round((this.container.clientWidth - 80) / SPACING));
    const last = this.times.length;
    this.chart.timeScale().setVisibleLogicalRange({ from: last - shown + ROOM, to: last + ROOM });
    this.chart.priceScale("right").applyOptions({ autoScale: true });
    this.chart.clearCrosshairPosition();
    this.pinned = false;
    this.hovered = undefined;
    this.tellReading();
  }

  /** Whether the newest candle is in the window. */
  get isAtNewest(): boolean {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    return range === null || range.to >= this.times.length - 1;
  }

  /** The candles in the window, oldest first. */
  get shown(): readonly Candle[] {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    if (range === null || this.series === undefined) return [];
    const from = this.times[Math.max(0, Math.ceil(range.from))];
    const to = this.times[Math.min(this.times.length - 1, Math.floor(range.to))];
    return from === undefined || to === undefined ? [] : this.series.between(from, to + 1);
  }

  /** What the chart has been given, gaps included. */
  get points(): readonly Point[] {
    return this.candles.data() as readonly Point[];
  }

  get reading(): Reading | undefined {
    const series = this.series;
    if (series === undefined) return undefined;
    const all = series.candles;
    const found = this.hovered === undefined ? -1 : all.findLastIndex((candle) => candle.time === this.hovered);
    const place = this.hovered === undefined ? all.length - 1 : found;
    const candle = all[place];
    if (candle === undefined) return undefined;
    const alerts = this.market
      .alertsOf(this.symbol ?? "")
      .filter(({ time }) => time >= candle.time && time < candle.time + series.seconds);
    const averages = this.indicators.map((indicator) => indicator.values[place]);
    return { candle, previous: all[place - 1], averages, alerts: this.hovered === undefined ? [] : alerts };
  }

  /** Draws an average after its `period` or `isShown` has been changed. */
  changeAverage(place: number): void {
    const average = this.averages[place];
    if (average === undefined) return;
    this.lines[place]?.applyOptions({ visible: average.isShown });
    this.indicators = this.indicators.map((known, index) => (index === place ? indicatorOf(average) : known));
    this.redraw();
  }

  setLogarithmic(isLogarithmic: boolean): void {
    const mode = isLogarithmic ? PriceScaleMode.Logarithmic : PriceScaleMode.Normal;
    this.chart.priceScale("right").applyOptions({ mode });
  }

  setZone(zone: Zone): void {
    this.zone = zone;
    this.dress();
  }

  /** The chart as a picture, with a line above it that says what it is. */
  snapshot(title: string): Promise<Blob | null> {
    const picture = this.chart.takeScreenshot();
    const scale = picture.width / this.container.clientWidth;
    const head = Math.round(28 * scale);
    const canvas = document.createElement("canvas");
    canvas.width = picture.width;
    canvas.height = picture.height + head;
    const context = canvas.getContext("2d");
    if (context === null) return Promise.resolve(null);
    context.fillStyle = this.theme.panel;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = this.theme.text;
    context.font = `${String(Math.round(13 * scale))}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    context.fillText(title, 12 * scale, head / 2);
    context.drawImage(picture, 0, head);
    return new Promise((resolve) => {
      canvas.toBlob(resolve, "image/png");
    });
  }

  private dress(): void {
    const { theme, zone } = this;
    this.chart.applyOptions({
      layout: {
        background: { color: theme.panel },
        textColor: theme.soft,
        fontSize: 11,
        fontFamily: 'system-ui, "Segoe UI", Roboto, sans-serif',
      },
      grid: { vertLines: { color: theme.grid }, horzLines: { color: theme.grid } },
      crosshair: {
        mode: CrosshairMode.Normal,
        vertLine: { color: theme.soft, labelBackgroundColor: theme.raised },
        horzLine: { color: theme.soft, labelBackgroundColor: theme.raised },
      },
      rightPriceScale: { borderColor: theme.line },
      timeScale: {
        borderColor: theme.line,
        timeVisible: true,
        secondsVisible: false,
        minBarSpacing: 0.6,
        tickMarkFormatter: (time: Time, type: TickMarkType) => this.tick(Number(time), type),
      },
      localization: { timeFormatter: (time: Time) => `${moment(Number(time), zone)} ${zone === "UTC" ? "UTC" : ""}` },
    });
    this.candles.applyOptions({
      upColor: theme.up,
      downColor: theme.down,
      wickUpColor: theme.up,
      wickDownColor: theme.down,
      borderVisible: false,
    });
    this.lines.forEach((line, index) => {
      line.applyOptions({ color: theme.averages[index] ?? theme.accent });
    });
  }

  /** The marks are those of UTC; a day is named where it begins in the zone that is shown. */
  private tick(time: number, type: TickMarkType): string {
    const text = clock(time, this.zone);
    if (text !== "00:00") return text;
    if (type === TickMarkType.Year) return String(new Date(time * 1000).getUTCFullYear());
    return day(time, this.zone);
  }

  private hear(change: SeriesChange): void {
    if (change.symbol !== this.symbol || change.interval !== this.interval || this.series === undefined) return;
    this.dirtyFrom = Math.min(this.dirtyFrom, change.from);
    this.isStale ||= change.moved;
    inNextFrame(this.draw);
  }

  private redraw(): void {
    this.isStale = true;
    inNextFrame(this.draw);
  }

  private readonly draw = (): void => {
    const series = this.series;
    if (series === undefined) return;
    // A few corrections are put in place; for more it is quicker to draw all.
    if (this.isStale || this.dirtyFrom < this.drawn - 32) this.drawAll(series);
    else this.drawFrom(series, this.dirtyFrom);
    this.drawn = series.candles.length;
    this.dirtyFrom = Infinity;
    this.isStale = false;
    this.tellReading();
    inNextFrame(this.tellWindow);
    if (!this.isPainted && this.drawn > 0) {
      this.isPainted = true;
      // The library paints in the next frame; the one after it is on the screen.
      requestAnimationFrame(() => requestAnimationFrame(() => performance.mark("chart-painted")));
    }
  };

  private drawAll(series: Series): void {
    const all = series.candles;
    this.candles.applyOptions({ priceFormat: this.format(series) });
    const scale = this.chart.timeScale();
    const window = scale.getVisibleLogicalRange();
    const wasAtNewest = this.isAtNewest;
    const anchor = window === null ? 0 : Math.max(0, Math.min(this.times.length - 1, Math.ceil(window.from)));
    const anchorTime = this.times[anchor];
    const points: Point[] = [];
    const places: (number | undefined)[] = [];
    all.forEach((candle, index) => {
      const before = all[index - 1];
      if (before !== undefined) {
        for (const time of gap(before.time, candle.time, series.seconds)) {
          points.push({ time: stamp(time) });
          places.push(undefined);
        }
      }
      points.push(this.point(candle));
      places.push(index);
    });
    this.times = points.map((point) => point.time);
    this.candles.setData(points);
    this.volume.setData(
      points.map(({ time }, index) => {
        const candle = all[places[index] ?? -1];
        return candle === undefined ? { time } : this.bar(candle);
      }),
    );
    this.indicators.forEach((indicator, line) => {
      indicator.update(all, 0, series.isComplete);
      this.lines[line]?.setData(
        points.map(({ time }, index) => {
          const place = places[index];
          const value = place === undefined ? undefined : indicator.values[place];
          return value === undefined ? { time } : { time, value };
        }),
      );
    });
    this.mark();
    if (window === null || anchorTime === undefined || wasAtNewest) return;
    const place = this.times.indexOf(anchorTime);
    // The oldest candles may have gone.
    if (place < 0) return;
    const shift = place - anchor;
    scale.setVisibleLogicalRange({ from: window.from + shift, to: window.to + shift });
  }

  private drawFrom(series: Series, from: number): void {
    const all = series.candles;
    for (const indicator of this.indicators) indicator.update(all, from, series.isComplete);
    for (let index = from; index < all.length; index += 1) {
      const candle = all[index];
      if (candle === undefined) break;
      const newest = this.times.at(-1);
      const isOld = newest !== undefined && candle.time < newest;
      if (newest !== undefined && candle.time > newest) {
        for (const time of gap(newest, candle.time, series.seconds)) {
          this.times.push(time);
          this.candles.update({ time: stamp(time) });
        }
      }
      if (newest === undefined || candle.time > newest) this.times.push(candle.time);
      this.candles.update(this.point(candle), isOld);
      this.volume.update(this.bar(candle), isOld);
      this.indicators.forEach((indicator, line) => {
        const value = indicator.values[index];
        if (value !== undefined) this.lines[line]?.update({ time: stamp(candle.time), value }, isOld);
      });
    }
  }

  private format(series: Series): { type: "price"; precision: number; minMove: number } {
    const precision = decimals(series.last?.close ?? 1);
    return { type: "price", precision, minMove: 10 ** -precision };
  }

  private point({ time, open, high, low, close }: Candle): CandlestickData<UTCTimestamp> {
    return { time: stamp(time), open, high, low, close };
  }

  private bar({ time, open, close, volume }: Candle): { time: UTCTimestamp; value: number; color: string } {
    return { time: stamp(time), value: volume, color: close >= open ? this.theme.upVolume : this.theme.downVolume };
  }

  private readonly mark = (): void => {
    const { series, theme } = this;
    if (series === undefined) return;
    const marks: SeriesMarker<Time>[] = [];
    for (const alert of this.market.alertsOf(this.symbol ?? "")) {
      const start = Math.floor(alert.time / series.seconds) * series.seconds;
      if (alert.isRetracted || series.at(start) === undefined) continue;
      marks.push({
        id: alert.id,
        time: stamp(start),
        position: alert.isRise ? "aboveBar" : "belowBar",
        shape: alert.isRise ? "arrowUp" : "arrowDown",
        color: alert.severity === "LOW" ? theme.soft : alert.severity === "MEDIUM" ? theme.warn : alert.isRise ? theme.up : theme.down,
        text: `z ${Math.abs(alert.z).toFixed(1)}`,
      });
    }
    marks.sort((one, other) => Number(one.time) - Number(other.time));
    this.markers.setMarkers(marks);
    this.container.dataset["markers"] = String(marks.length);
  };

  /**
   * Reads the next page of history where the window comes near the oldest candle. The window moves in the frame after it
   * was set; looked at before, it would be that of the series before or of the candles before a page.
   */
  private readAheadSoon(): void {
    if (this.isReadingAhead) return;
    this.isReadingAhead = true;
    requestAnimationFrame(() => requestAnimationFrame(() => void this.readAhead()));
  }

  private async readAhead(): Promise<void> {
    const { series, symbol, interval } = this;
    const range = this.chart.timeScale().getVisibleLogicalRange();
    let wait: number | undefined;
    try {
      if (range === null || series === undefined || symbol === undefined) return;
      // The window may have been moved on meanwhile, as far as it goes, so that nothing else would ask for the next page.
      if (range.from < AHEAD && (await this.market.older(symbol, interval))) wait = 0;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      // Nothing else would ask for it where the window is as far as it goes.
      wait = RETRY_MS;
    } finally {
      this.isReadingAhead = false;
    }
    if (wait === undefined) return;
    setTimeout(() => {
      this.readAheadSoon();
    }, wait);
  }

  private async readBackTo(series: Series, symbol: string, interval: Interval, time: number): Promise<void> {
    for (let page = 0; page < MAX_PAGES && (series.first?.time ?? 0) > time && !series.isComplete; page += 1) {
      await this.market.older(symbol, interval);
    }
  }

  private tellReading(): void {
    this.onReading.emit(undefined);
  }

  private readonly tellWindow = (): void => {
    this.onWindow.emit(undefined);
  };
}
