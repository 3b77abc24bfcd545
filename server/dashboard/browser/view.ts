/** A page of the dashboard in Chromium, and what its chart was given. */

import { type Browser, chromium, type Page } from "playwright-core";
import { type Program, type Row, until } from "./program";

export const DESKTOP = { width: 1440, height: 900 };

/** What the chart was given: a candle, or the time of a gap. */
export interface Point {
  time: number;
  open?: number;
  high: number;
  low: number;
  close: number;
}

export interface Candle extends Required<Point> {
  volume: number;
  isClosed: boolean;
}

/** What the page has for whoever looks from outside. */
export interface Inspection {
  points: () => Point[];
  volumes: () => { time: number; value?: number }[];
  line: (place: number) => { time: number; value: number }[];
  shown: () => Candle[];
  reading: () => { candle: Candle } | undefined;
  isLogarithmic: () => boolean;
}

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
}

export function painted(page: Page): Promise<unknown> {
  return page.waitForFunction(() => performance.getEntriesByName("chart-painted").length > 0);
}

export function live(page: Page): Promise<unknown> {
  return until("the page to be live", async () => (await page.locator("#connection").textContent()) === "live");
}

export function inspect<K extends keyof Inspection>(page: Page, what: K, ...given: Parameters<Inspection[K]>): Promise<ReturnType<Inspection[K]>> {
  return page.evaluate(
    ([name, parameters]) => {
      const { tallow } = globalThis as unknown as { tallow: Record<string, (...given: unknown[]) => unknown> };
      return tallow[name as string]?.(...(parameters as unknown[])) as never;
    },
    [what, given],
  );
}

export function points(page: Page): Promise<Point[]> {
  return inspect(page, "points");
}

/** A candle of the API as text, to be compared. */
function asText(row: Row): string {
  const time = Date.parse(row.window_start) / 1000;
  return [time, row.open_price, row.high_price, row.low_price, row.close_price, row.volume_sum].join(" ");
}

/** Waits until each closed candle of the API since the chart's first is on the chart just so, and how many there are. */
export function equalsApi(program: Program, page: Page, symbol: string, interval: string): Promise<number> {
  return until(`the chart to have the API's ${interval} candles of ${symbol}`, async () => {
    const drawn = (await points(page)).filter(({ open }) => open !== undefined);
    const volumes = new Map((await inspect(page, "volumes")).map(({ time, value }) => [time, value]));
    const known = new Set(drawn.map(({ time, open, high, low, close }) => [time, open, high, low, close, volumes.get(time)].join(" ")));
    const [first] = drawn;
    if (first === undefined) return undefined;
    const rows = await program.candles(symbol, interval, first.time);
    const missing = rows.map(asText).filter((row) => !known.has(row));
    // The newest may be on its way; there may be open candles after the closed ones.
    if (missing.length > 0) throw new Error(`missing or different: ${missing.slice(0, 3).join(", ")} …`);
    const open = drawn.length - rows.length;
    if (open > 2) throw new Error(`${String(open)} candles too many`);
    return rows.length;
  });
}

/** Closes a page some of whose answers are made here: one that is still being made is no failure. */
export async function leave(page: Page): Promise<void> {
  await page.unrouteAll({ behavior: "ignoreErrors" });
  await page.close();
}
