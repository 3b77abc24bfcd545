/**
 * The figures and drawings beside the candles: statistics, averages, the legend, changing alerts.
 */

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { percent, price, signed } from "../src/data/format";
import { Program, type Row, until } from "./program";
import {
  apiCandlesDrawn,
  averageLine,
  closeRouted,
  DESKTOP,
  framesDrawn,
  isLogarithmic,
  launch,
  legendTime,
  live,
  newPage,
  painted,
  points,
  prepare,
  shownCandles,
  volumes,
} from "./view";

let program: Program;
let browser: Browser;
let page: Page;
/** Sends a frame to the page, as the server would. */
let send: (frame: unknown) => void;

beforeAll(async () => {
  program = await Program.start(["--seed", "7", "--symbols", "BTC,ETH"], { TALLOW__UP__BACKFILL_HOURS: "8" });
  browser = await launch();
  page = await newPage(browser);
  await page.routeWebSocket(/\/ws\//, (socket) => {
    socket.connectToServer();
    send = (frame) => {
      socket.send(JSON.stringify(frame));
    };
  });
  await page.goto(`${program.url}/?symbol=BTC`);
  await painted(page);
  await live(page);
});

afterAll(async () => {
  await browser.close();
  await program.end();
});

/** The figures of a panel, by name. */
async function figures(of: Page, id: string): Promise<Record<string, string>> {
  const rows = await of.locator(`#${id} > div`).evaluateAll((all) => all.map((row) => [...row.children].map((each) => each.textContent)));
  return Object.fromEntries(rows.map(([name, value]) => [name ?? "", value ?? ""]));
}

it("has the API's statistics of the range that is shown", async () => {
  const rows = await program.candles("BTC", "1m");
  const [first, last] = [rows.at(-150), rows.at(-30)];
  const view = await newPage(browser);
  await view.goto(`${program.url}/?symbol=BTC&interval=1m&from=${first?.window_start ?? ""}&to=${last?.window_start ?? ""}`);
  interface Stats {
    lowest_price: number;
    highest_price: number;
    total_volume: number;
    candle_count: number;
    price_change_pct: number;
    volatility: number;
    volume_price_correlation: number;
  }
  await until("the statistics to be the API's", async () => {
    const shown = await shownCandles(view);
    const [from, to] = [shown[0]?.time ?? 0, shown.at(-1)?.time ?? 0];
    expect([from, to].map((time) => time * 1000)).toEqual([first, last].map((row) => Date.parse(row?.window_start ?? "")));
    const path = `/api/v1/historical/BTC/stats?interval=1m&start_time=${String(from * 1000)}&end_time=${String(to * 1000 + 1)}`;
    const stats = JSON.parse(await program.text(path)) as Stats;
    const found = await figures(view, "statistics");
    expect(found).toMatchObject({
      High: price(stats.highest_price),
      Low: price(stats.lowest_price),
      Change: percent(stats.price_change_pct),
      Candles: String(stats.candle_count),
      Volatility: percent(stats.volatility * 100, 3).replace("+", ""),
      "Volume/move corr.": signed(stats.volume_price_correlation),
    });
    expect(Number(found["Volume"])).toBeCloseTo(stats.total_volume, 0);
    return true;
  });
  await view.close();
});

it("shows no rate before two reads, as the first would include the backfill", async () => {
  const view = await newPage(browser);
  const rates: string[] = [];
  await view.exposeFunction("collectRate", (rate: string) => rates.push(rate));
  await view.addInitScript(() => {
    const { collectRate } = globalThis as unknown as { collectRate: (rate: string) => void };
    new MutationObserver(() => {
      const rate = document.querySelector("#pipeline dd")?.textContent;
      if (rate != null && rate !== "") collectRate(rate);
    }).observe(document, { childList: true, subtree: true, characterData: true });
  });
  await view.goto(`${program.url}/?symbol=BTC`);
  await until("a rate", () => Promise.resolve(rates.some((rate) => Number(rate) > 0)));
  expect(rates[0]).toBe("–");
  expect(rates.filter((rate) => Number(rate) > 100)).toEqual([]);
  await view.close();
});

it("shows the figures of the pipeline", async () => {
  await until("the panel to have the server's figures", async () => {
    const { candles_settled, checkpoint } = JSON.parse(await program.text("/api/v1/stats")) as {
      candles_settled: Record<string, number>;
      checkpoint: { stored_at: string | null } | null;
    };
    const settled = Object.values(candles_settled).reduce((sum, each) => sum + each, 0);
    const found = await figures(page, "pipeline");
    const rate = Number(found["Records/s"]);
    expect(rate).toBeGreaterThan(0);
    // Two symbols trade a few times a second. The backfill of eight hours before that is not part
    // of the rate.
    expect(rate).toBeLessThan(100);
    expect(found["Watermark lag"]).toMatch(/^\d+(\.\d)? (s|min)$/);
    expect(found["Candles"]).toBe(settled >= 1000 ? `${(settled / 1000).toFixed(2)} K` : String(settled));
    expect(found["Checkpoint"]).toMatch(checkpoint?.stored_at == null ? /^none$/ : / ago$/);
    expect(found).toMatchObject({ Rejected: "0", Log: "up to date", SQLite: "up to date", "Sinks failing": "0" });
    return true;
  });
});

it("draws the average of the candles", async () => {
  await apiCandlesDrawn(program, page, "BTC", "1m");
  await until("each value of SMA 20", async () => {
    const closes = (await points(page)).filter(({ open }) => open !== undefined);
    const line = await averageLine(page, 0);
    const known = new Map(line.map(({ time, value }) => [time, value]));
    // The open candle may change between the two looks.
    const ends = closes.slice(19, -1);
    expect(ends.length).toBeGreaterThan(200);
    ends.forEach(({ time }, index) => {
      const mean = closes.slice(index, index + 20).reduce((sum, { close }) => sum + (close ?? NaN), 0) / 20;
      expect(known.get(time)).toBeCloseTo(mean, 6);
    });
    return true;
  });
});

it("describes the candle under the crosshair in the legend", async () => {
  const box = await page.locator("#chart").boundingBox();
  if (box === null) throw new Error("no chart");
  const rows = new Map((await program.candles("BTC", "1m")).map((row): [number, Row] => [Date.parse(row.window_start) / 1000, row]));
  for (const share of [0.3, 0.6]) {
    await page.mouse.move(box.x + box.width * share, box.y + box.height / 2);
    await until("the legend to be of the candle there", async () => {
      const time = (await legendTime(page)) ?? 0;
      const shown = await shownCandles(page);
      const index = shown.findIndex((candle) => candle.time === time);
      expect(index).toBeGreaterThan(shown.length * (share - 0.15));
      expect(index).toBeLessThan(shown.length * (share + 0.25));
      const row = rows.get(time);
      const words = (await page.locator("#legend").textContent()) ?? "";
      for (const value of [row?.open_price, row?.high_price, row?.low_price, row?.close_price]) {
        expect(words).toContain(price(value));
      }
      return true;
    });
  }
  await page.mouse.move(5, 5);
});

it("switches the logarithmic scale on and off", async () => {
  expect(await isLogarithmic(page)).toBe(false);
  await page.locator("#log").click();
  expect([await isLogarithmic(page), await page.locator("#log").getAttribute("aria-pressed")]).toEqual([true, "true"]);
  await page.locator("#log").click();
  expect(await isLogarithmic(page)).toBe(false);
});

it("keeps zoom and position while candles close", async () => {
  await apiCandlesDrawn(program, page, "BTC", "1m");
  await page.locator("#latest").click();
  const box = await page.locator("#chart").boundingBox();
  if (box === null) throw new Error("no chart");
  const back = await newPage(browser);
  await back.goto(`${program.url}/?symbol=BTC&interval=1m`);
  await painted(back);
  await back.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await back.mouse.wheel(-800, 0);
  const range = async (of: Page): Promise<number[]> => {
    const shown = await shownCandles(of);
    return [shown[0]?.time ?? 0, shown.at(-1)?.time ?? 0];
  };
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  const wide = (await shownCandles(page)).length;
  await until("the zoom", async () => {
    await page.mouse.wheel(0, -400);
    return (await shownCandles(page)).length < wide - 20;
  });
  await until("the other window to be further back", async () => ((await range(back))[1] ?? Infinity) < ((await range(page))[1] ?? 0));
  // A window moves on for a while after the last turn of the wheel.
  const windows = async (): Promise<string> => JSON.stringify([await range(back), (await shownCandles(page)).length]);
  await until("the windows to rest", async () => {
    const before = await windows();
    await Promise.all([framesDrawn(back, 20), framesDrawn(page, 20)]);
    return (await windows()) === before;
  });
  const [zoomed, placed] = [(await shownCandles(page)).length, await range(back)];
  const newest = (await points(page)).at(-1)?.time ?? 0;
  const goesOn = async (of: Page): Promise<boolean> => ((await points(of)).at(-1)?.time ?? 0) > newest;
  await until("another candle", async () => (await goesOn(back)) && (await goesOn(page)));
  expect(await range(back)).toEqual(placed);
  const now = (await shownCandles(page)).length;
  expect(Math.abs(now - zoomed)).toBeLessThanOrEqual(1);
  await page.mouse.move(5, 5);
  await back.close();
});

it("strikes a retracted alert through, takes its marker away, and leaves the keyboard where it was", async () => {
  const candle = (await points(page)).filter(({ open }) => open !== undefined).at(-20);
  const alert = (id: string, minutes: number, more: object = {}): unknown => ({ type: "alert", symbol: "BTC", data: {
    alert_id: id, symbol: "BTC", alert_type: "PRICE_DROP", severity: "MEDIUM", price_change_percent: -1.5, close_price: 90_000,
    z_score: -6.5, mean: 0, stddev: 0.001, samples: 60, threshold: 4, revision: 0, status: "raised",
    window_start: new Date(((candle?.time ?? 0) + minutes * 60) * 1000).toISOString(), ...more,
  } });
  const line = page.locator('.alert[data-id="first"]');
  const style = (): Promise<string> => line.locator("b").evaluate((element) => getComputedStyle(element).textDecorationLine);
  const markers = async (): Promise<number> => Number(await page.locator("#chart").getAttribute("data-markers"));
  const before = await markers();
  send(alert("first", 0));
  await line.waitFor();
  await until("its marker", async () => (await markers()) === before + 1);
  expect(await style()).toBe("none");
  await line.locator("button").focus();
  send(alert("second", 1));
  await page.locator('.alert[data-id="second"]').waitFor();
  send(alert("first", 0, { revision: 1, status: "retracted" }));
  await until("it to be struck through", async () => (await style()) === "line-through");
  await until("its marker to be gone", async () => (await markers()) === before + 1);
  expect(await line.textContent()).toContain("Retracted by a correction");
  expect(await page.evaluate(() => document.activeElement?.closest("li")?.dataset["id"])).toBe("first");
});

it("has no VWAP and no sum of volumes for a feed of quotes", async () => {
  const view = await newPage(browser);
  // A quote of CoinGecko has the volume of the last 24 hours.
  const rolling = 78_701_577_213;
  await view.route(/\/api\/v1\/historical\//, async (route) => {
    const rows = (await (await route.fetch()).json()) as object[];
    await route.fulfill({ json: rows.map((row) => ({ ...row, vwap: null, volume_sum: rolling })) });
  });
  await view.routeWebSocket(/\/ws\//, () => undefined);
  await view.goto(`${program.url}/?symbol=BTC`);
  await painted(view);
  await until("the statistics", async () => (await figures(view, "statistics"))["24h volume"] === "78.70 B");
  expect((await figures(view, "statistics"))["Volume/move corr."]).toBe("–");
  const legend = (await view.locator("#legend").textContent()) ?? "";
  expect(legend).toContain("24h vol 78.70 B");
  expect(legend).toContain("VWAP –");
  expect((await volumes(view)).every(({ value }) => value === undefined)).toBe(true);
  await closeRouted(view);
});

it("explains that the browser does not allow notifications of pages", async () => {
  const context = await browser.newContext({ viewport: DESKTOP });
  await context.grantPermissions(["notifications"], { origin: program.url });
  const view = await prepare(await context.newPage());
  const errors: string[] = [];
  view.on("pageerror", (error) => errors.push(error.message));
  let sendText: ((frame: string) => void) | undefined;
  await view.routeWebSocket(/\/ws\//, (socket) => {
    socket.connectToServer();
    sendText = (frame) => {
      socket.send(frame);
    };
  });
  await view.addInitScript(() => {
    const FakeNotification = class {
      readonly title = "";
      constructor() {
        throw new TypeError("Illegal constructor");
      }
      static requestPermission = Notification.requestPermission.bind(Notification);
    };
    Object.assign(globalThis, { Notification: FakeNotification });
  });
  await view.goto(`${program.url}/?symbol=BTC`);
  await painted(view);
  await view.locator("#notify").click();
  await until("notifications to be on", async () => (await view.locator("#notify").getAttribute("aria-pressed")) === "true");
  sendText?.(JSON.stringify({ type: "alert", symbol: "ETH", data: {
    alert_id: "now", symbol: "ETH", alert_type: "PRICE_SPIKE", severity: "HIGH", price_change_percent: 2.5, close_price: 3000,
    z_score: 9, mean: 0, stddev: 0.001, samples: 60, threshold: 4, revision: 0, status: "raised", window_start: new Date().toISOString(),
  } }));
  await until("it to say so", async () => (await view.locator("#notify").textContent()) === "Not possible");
  await until("the alert all the same", async () => (await view.locator('.alert[data-id="now"]').count()) === 1);
  expect(errors).toEqual([]);
  await context.close();
});
