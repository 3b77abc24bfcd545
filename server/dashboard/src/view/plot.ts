/** What is drawn of a series: candles, volume, averages, alerts and the newest price, with the library. */

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
import { decimals, moment, price, type Zone } from "../data/words";
import { ZonedScale } from "./axis";
import { readTheme, type Theme } from "./theme";

/** A moving average that can be shown; `period` in candles, none for the average of the day. */
export interface Average {
  readonly kind: "SMA" | "EMA" | "VWAP";
  period: number | undefined;
  isShown: boolean;
}

/** A candle, or the time of a gap. */
export type Point = CandlestickData<UTCTimestamp> | WhitespaceData<UTCTimestamp>;

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
  /** The starts of what is drawn, gaps included. */
  times: number[] = [];
  private readonly scale = new ZonedScale();
  private readonly volume: ISeriesApi<"Histogram">;
  private readonly lines: ISeriesApi<"Line">[];
  private readonly markers;
  private readonly newest: IPriceLine;
  private indicators: Indicator[];
  /** How many candles are drawn. */
  private drawn = 0;

  constructor(
    private readonly container: HTMLElement,
    private readonly averages: readonly Average[],
  ) {
    this.theme = readTheme();
    // The logo would add a style element, which the page's policy forbids; the foot of the page has name and link.
    this.chart = createChartEx<Time, ZonedScale>(container, this.scale, {
      autoSize: true,
      layout: { attributionLogo: false },
      // On a phone a swipe up scrolls the page, of which the chart is half.
      handleScroll: { vertTouchDrag: false },
      localization: { dateFormat: "dd MMM 'yy" },
    });
    // The label of the library is that of the last candle in the window, which need not be the newest.
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
        // The average of the day may be far from the candles in the window, which are not to be squeezed for it.
        ...(average.kind === "VWAP" ? { lineStyle: LineStyle.Dashed, autoscaleInfoProvider: () => null } : {}),
      }),
    );
    this.markers = createSeriesMarkers<Time>(this.candles, []);
    this.indicators = averages.map(indicatorOf);
    this.dress();
  }

  /** The places in the window, which may be beyond the first and the last. */
  get window(): LogicalRange | null {
    return this.chart.timeScale().getVisibleLogicalRange();
  }

  /** Whether the last of what is drawn is in the window. */
  get isAtEnd(): boolean {
    const { window } = this;
    return window === null || window.to >= this.times.length - 1;
  }

  /** What was drawn of the averages at this candle. */
  averagesAt(place: number): readonly (number | undefined)[] {
    return this.indicators.map((indicator) => indicator.values[place]);
  }

  /** What the library has of the candles, and the places on its axis that have none. */
  get points(): readonly Point[] {
    const known = new Map(this.candles.data().map((point): [number, Point] => [Number(point.time), point as Point]));
    const scale = this.chart.timeScale();
    const there = this.times.filter((time) => scale.timeToIndex(stamp(time)) !== null);
    return there.map((time) => known.get(time) ?? { time: stamp(time) });
  }

  /** What the volume was given. */
  get volumes(): readonly { readonly time: number; readonly value?: number }[] {
    return this.volume.data() as readonly { time: UTCTimestamp; value?: number }[];
  }

  /** What an average was given, without the places that have none. */
  line(place: number): readonly { readonly time: number; readonly value: number }[] {
    const data = (this.lines[place]?.data() ?? []) as readonly { time: UTCTimestamp; value?: number }[];
    return data.flatMap(({ time, value }) => (value === undefined ? [] : [{ time, value }]));
  }

  get isLogarithmic(): boolean {
    return this.candles.priceScale().options().mode === PriceScaleMode.Logarithmic;
  }

  set isLogarithmic(isOn: boolean) {
    this.chart.priceScale("right").applyOptions({ mode: isOn ? PriceScaleMode.Logarithmic : PriceScaleMode.Normal });
  }

  /** Takes away all that is drawn. */
  clear(): void {
    this.times = [];
    this.drawn = 0;
    for (const each of [this.candles, this.volume, ...this.lines]) each.setData([]);
    this.markers.setMarkers([]);
    this.newest.applyOptions({ lineVisible: false, axisLabelVisible: false });
  }

  /** Clears: the marks of the axis are chosen when their candles come. */
  setZone(zone: Zone): void {
    this.scale.zone = zone;
    this.dress();
    this.clear();
  }

  changeAverage(place: number): void {
    const average = this.averages[place];
    if (average === undefined) return;
    this.lines[place]?.applyOptions({ visible: average.isShown });
    this.indicators = this.indicators.map((known, index) => (index === place ? indicatorOf(average) : known));
  }

  /**
   * Draws the candles from this place on, or all of them. `follows` moves a window with the newest candle in it along with
   * new ones.
   */
  draw(series: Series, from: number, isAll: boolean, follows: boolean): void {
    // A few corrections are put in place; for more it is quicker to draw all.
    if (isAll || this.drawn === 0 || from < this.drawn - 32) this.drawAll(series, follows);
    else this.drawFrom(series, from);
    this.drawn = series.candles.length;
  }

  /** Shows the newest price there is; none for none. */
  showPrice(value: number | undefined, isRise: boolean): void {
    const isShown = value !== undefined;
    this.newest.applyOptions({
      price: value ?? 0,
      color: isRise ? this.theme.up : this.theme.down,
      lineVisible: isShown,
      axisLabelVisible: isShown,
    });
  }

  /** Marks the alerts whose candles there are, and gives their number. */
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

  /** The chart as a picture, with a line above it that says what it is. */
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

  /** Takes the colours of the theme, and the words of the zone. */
  dress(): void {
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
    if (window === null || anchorTime === undefined || isFollowing) return;
    const place = this.times.indexOf(anchorTime);
    // The oldest candles may have gone.
    if (place < 0) return;
    const shift = place - anchor;
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

  /** A rolling figure has no bar: it is not of the candle, and a row of like bars says nothing. */
  private bar({ time, open, close, volume, isTraded }: Candle): { time: UTCTimestamp; value?: number; color?: string } {
    if (!isTraded) return { time: stamp(time) };
    return { time: stamp(time), value: volume, color: close >= open ? this.theme.upVolume : this.theme.downVolume };
  }
}
