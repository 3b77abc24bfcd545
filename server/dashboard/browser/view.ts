/** A page of the dashboard in Chromium, and the data on its chart. */

import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import type { Candle } from "../src/data/candle";
import type { PriceChart } from "../src/view/chart";
import { DEADLINE_SECONDS, type Program, type Row, until } from "./program";

export const DESKTOP = { width: 1440, height: 900 };
export const PHONE = { width: 390, height: 844 };

/** A candle on the chart, or the time of a gap, which has no prices. */
export interface Point {
  readonly time: number;
  readonly open?: number;
  readonly high?: number;
  readonly low?: number;
  readonly close?: number;
}

/** The global of the page that holds its chart; `newPage` sets it. */
interface ChartHolder {
  chart: PriceChart;
}

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
}

/** Opens a page whose chart can be inspected. */
export async function newPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Page> {
  return prepare(await browser.newPage({ viewport: DESKTOP, ...options }));
}

/**
 * Keeps the chart that the page announces, and gives the page the time that a busy machine needs.
 */
export async function prepare(page: Page): Promise<Page> {
  page.setDefaultTimeout(DEADLINE_SECONDS * 1000);
  await page.addInitScript(() => {
    document.addEventListener("tallow:chart", (event) => {
      Object.assign(globalThis, { chart: (event as CustomEvent).detail as unknown });
    });
  });
  return page;
}

export function painted(page: Page): Promise<unknown> {
  return page.waitForFunction(() => performance.getEntriesByName("chart-painted").length > 0);
}

export function live(page: Page): Promise<unknown> {
  return until("the page to be live", async () => (await page.locator("#connection").textContent()) === "live");
}

/** Waits until the page has drawn this many frames. */
export function framesDrawn(page: Page, count: number): Promise<void> {
  return page.evaluate(async (frames) => {
    for (let frame = 0; frame < frames; frame += 1) {
      await new Promise<void>((resolve) =>
        requestAnimationFrame(() => {
          resolve();
        }),
      );
    }
  }, count);
}

/** The candles on the chart with their gaps, as the library has them. */
export function points(page: Page): Promise<Point[]> {
  return page.evaluate(() => {
    const { plotted } = (globalThis as unknown as ChartHolder).chart;
    if (plotted === undefined) return [];
    const known = new Map(plotted.candles.data().map((point) => [Number(point.time), { ...point, time: Number(point.time) }]));
    const scale = plotted.chart.timeScale();
    const times = plotted.times.filter((time) => scale.timeToIndex(time as never) !== null);
    return times.map((time) => known.get(time) ?? { time });
  });
}

/** The volume bars of the chart; a candle without a traded volume has no value. */
export function volumes(page: Page): Promise<{ time: number; value?: number }[]> {
  return page.evaluate(() => {
    const data = (globalThis as unknown as ChartHolder).chart.plotted?.volume.data() ?? [];
    return data.map((bar) => ("value" in bar ? { time: Number(bar.time), value: bar.value } : { time: Number(bar.time) }));
  });
}

/** The values of an average on the chart. */
export function averageLine(page: Page, index: number): Promise<{ time: number; value: number }[]> {
  return page.evaluate((line) => {
    const data = (globalThis as unknown as ChartHolder).chart.plotted?.lines[line]?.data() ?? [];
    return data.flatMap((point) => ("value" in point ? [{ time: Number(point.time), value: point.value }] : []));
  }, index);
}

/** The candles in the window of the chart. */
export function shownCandles(page: Page): Promise<readonly Candle[]> {
  return page.evaluate(() => (globalThis as unknown as ChartHolder).chart.shown);
}

/** The start of the candle that the legend describes. */
export function legendTime(page: Page): Promise<number | undefined> {
  return page.evaluate(() => (globalThis as unknown as ChartHolder).chart.reading?.candle.time);
}

export function isLogarithmic(page: Page): Promise<boolean> {
  // 1 is the library's PriceScaleMode.Logarithmic.
  return page.evaluate(() => {
    const { plotted } = (globalThis as unknown as ChartHolder).chart;
    return Number(plotted?.candles.priceScale().options().mode) === 1;
  });
}

/** A candle of the API as text, for comparison. */
function asText(row: Row): string {
  const time = Date.parse(row.window_start) / 1000;
  return [time, row.open_price, row.high_price, row.low_price, row.close_price, row.volume_sum].join(" ");
}

/**
 * Waits until the chart has every closed candle of the API since its first one, and returns their
 * number.
 */
export function apiCandlesDrawn(program: Program, page: Page, symbol: string, interval: string): Promise<number> {
  return until(`the chart to have the API's ${interval} candles of ${symbol}`, async () => {
    const drawn = (await points(page)).filter(({ open }) => open !== undefined);
    const volumeAt = new Map((await volumes(page)).map(({ time, value }) => [time, value]));
    const known = new Set(
      drawn.map(({ time, open, high, low, close }) => [time, open, high, low, close, volumeAt.get(time)].join(" ")),
    );
    const [first] = drawn;
    if (first === undefined) return undefined;
    const rows = await program.candles(symbol, interval, first.time);
    const missing = rows.map(asText).filter((row) => !known.has(row));
    // The newest candle may be on its way; open candles may follow the closed ones.
    if (missing.length > 0) throw new Error(`missing or different: ${missing.slice(0, 3).join(", ")} …`);
    const open = drawn.length - rows.length;
    if (open > 2) throw new Error(`${String(open)} candles too many`);
    return rows.length;
  });
}

/** Closes a page with routes of the test; a response that is still being made is no failure. */
export async function closeRouted(page: Page): Promise<void> {
  await page.unrouteAll({ behavior: "ignoreErrors" });
  await page.close();
}
