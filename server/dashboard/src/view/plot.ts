/**
 * The drawing of a series with the library: candles, volume, averages, alerts and the newest price.
 */

import {
  CandlestickSeries,
  type CandlestickData,
  createChartEx,
  createSeriesMarkers,
  CrosshairMode,
  HistogramSeries,
  type IChartApi,
  type IPriceLine,
  type ISeriesApi,
  LineSeries,
  LineStyle,
  type LogicalRange,
  PriceScaleMode,
  type SeriesMarker,
  type TickMarkType,
  type Time,
  type UTCTimestamp,
  type WhitespaceData,
} from "lightweight-charts";
import type { Alert } from "../data/alert";
import type { Candle } from "../data/candle";
import { ExponentialAverage, type Indicator, SimpleAverage, VolumeWeightedAverage } from "../data/indicators";
import { gap, type Series } from "../data/series";
import { decimals, moment, price, type Zone } from "../data/format";
import { ZonedScale } from "./axis";
import { readTheme, type Theme } from "./theme";

/**
 * A moving average that can be shown; `period` in candles, `undefined` for the average of the day.
 */
export interface Average {
  readonly kind: "SMA" | "EMA" | "VWAP";
  period: number | undefined;
  isShown: boolean;
}

/** A candle, or the time of a gap. */
export type Point = CandlestickData<UTCTimestamp> | WhitespaceData<UTCTimestamp>;

/** The largest number of changed candles that are drawn one by one. */
const MAX_SINGLE_DRAWS = 32;

/** The library's type of a time in seconds. */
export function stamp(seconds: number): UTCTimestamp {
  return seconds as UTCTimestamp;
}

function indicatorOf(average: Average): Indicator {
  if (average.kind === "SMA") return new SimpleAverage(average.period ?? 20);
  if (average.kind === "EMA") return new ExponentialAverage(average.period ?? 20);
  return new VolumeWeightedAverage();
}

export class Plot {
  readonly chart: IChartApi;
  readonly candles: ISeriesApi<"Candlestick">;
  theme: Theme;
  /** The starts of the windows on the chart, gaps included, in seconds. */
  times: number[] = [];
  private readonly scale = new ZonedScale();
  readonly volume: ISeriesApi<"Histogram">;
  readonly lines: ISeriesApi<"Line">[];
  private readonly markers;
  private readonly newest: IPriceLine;
  private indicators: Indicator[];
  /** The number of candles on the chart. */
  private drawn = 0;

  constructor(
    private readonly container: HTMLElement,
    private readonly averages: readonly Average[],
  ) {
    this.theme = readTheme();
    // The logo would add a style element, which the page's policy forbids; the footer has name and
    // link.
    this.chart = createChartEx<Time, ZonedScale>(container, this.scale, {
      autoSize: true,
      layout: { attributionLogo: false },
      // On a phone the chart fills half of the screen, and a swipe up scrolls the page.
      handleScroll: { vertTouchDrag: false },
      localization: { dateFormat: "dd MMM 'yy" },
    });
    // The library labels the last candle in the window, which need not be the newest one.
    this.candles = this.chart.addSeries(CandlestickSeries, { lastValueVisible: false, priceLineVisible: false });
    this.newest = this.candles.createPriceLine({ price: 0, lineWidth: 1, lineStyle: LineStyle.Dotted, lineVisible: false, axisLabelVisible: false });
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
        // The average of the day may be far from the candles in the window, and must not squeeze
        // them.
        ...(average.kind === "VWAP" ? { lineStyle: LineStyle.Dashed, autoscaleInfoProvider: () => null } : {}),
      }),
    );
    this.markers = createSeriesMarkers<Time>(this.candles, []);
    this.indicators = averages.map(indicatorOf);
    this.applyTheme();
  }

  /** The indexes in the window, which may be before the first and after the last candle. */
  get window(): LogicalRange | null {
    return this.chart.timeScale().getVisibleLogicalRange();
  }

  /** Whether the last candle is in the window. */
  get isAtEnd(): boolean {
    const { window } = this;
    return window === null || window.to >= this.times.length - 1;
  }

  /** The values of the averages at the candle of this index. */
  averagesAt(index: number): readonly (number | undefined)[] {
    return this.indicators.map((indicator) => indicator.values[index]);
  }

  setLogarithmic(isOn: boolean): void {
    this.chart.priceScale("right").applyOptions({ mode: isOn ? PriceScaleMode.Logarithmic : PriceScaleMode.Normal });
  }

  /** Removes everything from the chart. */
  clear(): void {
    this.times = [];
    this.drawn = 0;
    for (const each of [this.candles, this.volume, ...this.lines]) each.setData([]);
    this.markers.setMarkers([]);
    this.newest.applyOptions({ lineVisible: false, axisLabelVisible: false });
  }

  /**
   * Sets the time zone, and clears the chart: the library chooses the marks of the axis when
   * candles are added.
   */
  setZone(zone: Zone): void {
    this.scale.zone = zone;
    this.applyTheme();
    this.clear();
  }

  updateAverage(changed: number): void {
    const average = this.averages[changed];
    if (average === undefined) return;
    this.lines[changed]?.applyOptions({ visible: average.isShown });
    this.indicators = this.indicators.map((known, index) => (index === changed ? indicatorOf(average) : known));
  }

  /**
   * Draws the candles from this index on; from 0 draws the whole series. With `follows` a window
   * that contains the newest candle moves along with new candles.
   */
  draw(series: Series, from: number, follows: boolean): void {
    // A few corrections are drawn one by one; for more it is quicker to draw the whole series.
    if (from === 0 || this.drawn === 0 || from < this.drawn - MAX_SINGLE_DRAWS) this.drawAll(series, follows);
    else this.drawFrom(series, from);
    this.drawn = series.candles.length;
  }

  /** Shows the newest price, or none. */
  showPrice(value: number | undefined, isRise: boolean): void {
    const isShown = value !== undefined;
    this.newest.applyOptions({
      price: value ?? 0,
      color: isRise ? this.theme.up : this.theme.down,
      lineVisible: isShown,
      axisLabelVisible: isShown,
    });
  }

  /** Marks the alerts whose candles are on the chart, and returns their number. */
  mark(series: Series, alerts: readonly Alert[]): number {
    const { theme } = this;
    const marks: SeriesMarker<Time>[] = [];
    for (const alert of alerts) {
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
    return marks.length;
  }

  /** The chart as a picture, below a line with the title. */
  picture(title: string): Promise<Blob | null> {
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

  /** Applies the colours of the theme, and the time zone. */
  applyTheme(): void {
    this.theme = readTheme();
    const { theme } = this;
    const { zone } = this.scale;
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
        tickMarkFormatter: (time: Time, type: TickMarkType) => this.scale.label(Number(time), type),
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

  private drawAll(series: Series, follows: boolean): void {
    const all = series.candles;
    const digits = decimals(series.last?.close ?? 1);
    this.candles.applyOptions({
      priceFormat: { type: "custom", minMove: 10 ** -digits, formatter: (value: number) => price(value, digits) },
    });
    const { window } = this;
    const isFollowing = follows && this.isAtEnd;
    const anchor = window === null ? 0 : Math.max(0, Math.min(this.times.length - 1, Math.ceil(window.from)));
    const anchorTime = this.times[anchor];
    const points: Point[] = [];
    const indexes: (number | undefined)[] = [];
    all.forEach((candle, index) => {
      const before = all[index - 1];
      if (before !== undefined) {
        for (const time of gap(before.time, candle.time, series.seconds)) {
          points.push({ time: stamp(time) });
          indexes.push(undefined);
        }
      }
      points.push(this.point(candle));
      indexes.push(index);
    });
    this.times = points.map((point) => point.time);
    this.candles.setData(points);
    this.volume.setData(
      points.map(({ time }, index) => {
        const candle = all[indexes[index] ?? -1];
        return candle === undefined ? { time } : this.bar(candle);
      }),
    );
    this.indicators.forEach((indicator, line) => {
      indicator.update(all, 0, series.isComplete);
      this.lines[line]?.setData(
        points.map(({ time }, index) => {
          const source = indexes[index];
          const value = source === undefined ? undefined : indicator.values[source];
          return value === undefined ? { time } : { time, value };
        }),
      );
    });
    if (window === null || anchorTime === undefined || isFollowing) return;
    const moved = this.times.indexOf(anchorTime);
    // The oldest candles may have been dropped.
    if (moved < 0) return;
    const shift = moved - anchor;
    this.chart.timeScale().setVisibleLogicalRange({ from: window.from + shift, to: window.to + shift });
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

  private point({ time, open, high, low, close }: Candle): CandlestickData<UTCTimestamp> {
    return { time: stamp(time), open, high, low, close };
  }

  /**
   * A rolling figure has no bar: it is not the volume of the candle, and a row of equal bars says
   * nothing.
   */
  private bar({ time, open, close, volume, isTraded }: Candle): { time: UTCTimestamp; value?: number; color?: string } {
    if (!isTraded) return { time: stamp(time) };
    return { time: stamp(time), value: volume, color: close >= open ? this.theme.upVolume : this.theme.downVolume };
  }
}
