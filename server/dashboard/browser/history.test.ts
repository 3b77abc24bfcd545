/**
 * A long history: gaps, the axis in other time zones, ranges and alerts far back, and a server that
 * fails.
 */

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Program, until } from "./program";
import {
  apiCandlesDrawn,
  averageLine,
  closeRouted,
  launch,
  legendTime,
  live,
  newPage,
  painted,
  points,
  shownCandles,
} from "./view";

const HOURS = 100;

let program: Program;
let browser: Browser;
/** Exceptions of any page; there must be none, whatever the server does. */
const errors: string[] = [];

beforeAll(async () => {
  const settings = { TALLOW__UP__BACKFILL_HOURS: String(HOURS), TALLOW__UP__TRADES_PER_SECOND: "0.1" };
  program = await Program.start(["--seed", "7", "--symbols", "BTC,ETH"], settings);
  browser = await launch();
});

afterAll(async () => {
  await browser.close();
  await program.end();
});

async function open(path: string, options: { timezoneId?: string } = {}): Promise<Page> {
  const page = await newPage(browser, options);
  page.on("pageerror", (error) => errors.push(error.stack ?? error.message));
  await page.goto(`${program.url}${path}`);
  await live(page);
  return page;
}

function state(page: Page): Promise<string | null> {
  return page.locator("#chart-state").textContent();
}

it("draws a gap without candles", async () => {
  const page = await newPage(browser);
  // The simulated market trades in every minute; here one in seven has no trade.
  const isWithoutTrades = (time: number): boolean => (time / 60) % 7 === 0;
  await page.route(/\/historical\/BTC\?interval=1m/, async (route) => {
    const response = await route.fetch();
    const rows = (await response.json()) as { window_start: string }[];
    await route.fulfill({ response, json: rows.filter(({ window_start }) => !isWithoutTrades(Date.parse(window_start) / 1000)) });
  });
  await page.routeWebSocket(/\/ws\//, () => undefined);
  await page.goto(`${program.url}/?symbol=BTC&interval=1m`);
  await painted(page);
  const drawn = await points(page);
  expect(drawn.length).toBeGreaterThan(200);
  drawn.forEach(({ time, open: value }, index) => {
    expect(time - (drawn[index - 1]?.time ?? time - 60)).toBe(60);
    expect([time, value === undefined]).toEqual([time, isWithoutTrades(time)]);
  });
  await closeRouted(page);
});

it("reads as much history as the period of an average", async () => {
  const page = await open("/?symbol=BTC&interval=5m");
  await painted(page);
  const begins = async (): Promise<number> => (await averageLine(page, 1))[0]?.time ?? Infinity;
  await page.getByLabel("Candles of SMA 2").fill("250");
  await page.keyboard.press("Enter");
  await until("the average to begin before the window", async () => (await begins()) <= ((await shownCandles(page))[0]?.time ?? 0));
  await page.close();
});

for (const [zone, ahead] of [["Asia/Kolkata", 5.5], ["America/St_Johns", -3.5]] as const) {
  it(`has days that begin at midnight and full hours on the axis of ${zone}`, async () => {
    const page = await open("/?symbol=BTC&interval=15m", { timezoneId: zone });
    await page.evaluate(() => {
      const texts: string[] = [];
      const draw = Reflect.get(CanvasRenderingContext2D.prototype, "fillText") as (...given: unknown[]) => void;
      CanvasRenderingContext2D.prototype.fillText = function (...given) {
        texts.push(given[0]);
        draw.apply(this, given);
      };
      Object.assign(globalThis, { texts });
    });
    const texts = (): Promise<string[]> => page.evaluate(() => (globalThis as unknown as { texts: string[] }).texts.splice(0));
    await painted(page);
    // The window is longer than a day.
    await until("the marks of UTC", async () => (await texts()).some((text) => /^\d+ [A-Z][a-z]+$/.test(text)));
    await page.locator("#zone").click();
    await texts();
    const shown = await shownCandles(page);
    const days = shown.filter(({ time }) => (time + ahead * 3600) % 86_400 === 0).map(({ time }) => {
      const date = new Date((time + ahead * 3600) * 1000);
      return `${String(date.getUTCDate())} ${date.toLocaleString("en-GB", { month: "short", timeZone: "UTC" })}`;
    });
    await until("the marks of the zone", async () => {
      const drawn = new Set(await texts());
      const clocks = [...drawn].filter((text) => /^\d\d:\d\d$/.test(text));
      expect(clocks.length).toBeGreaterThan(3);
      expect(clocks.filter((text) => !text.endsWith(":00"))).toEqual([]);
      for (const day of days) expect([...drawn]).toContain(day);
      return true;
    });
    expect(days.length).toBeGreaterThan(0);
    const range = (): Promise<string | null> => page.locator("#statistics-range").textContent();
    const local = await range();
    await page.locator("#zone").click();
    await until("the range of the statistics in the other zone", async () => (await range()) !== local);
    await page.close();
  });
}

it("opens a range far back without the candles in between, and reads on in both directions", async () => {
  const rows = await program.candles("BTC", "1m");
  const [first, last] = [rows[400], rows[500]];
  const search = `?symbol=BTC&interval=1m&from=${first?.window_start ?? ""}&to=${last?.window_start ?? ""}`;
  const page = await newPage(browser);
  page.on("pageerror", (error) => errors.push(error.stack ?? error.message));
  let requests = 0;
  page.on("request", (request) => {
    if (request.url().includes("historical/BTC?interval=1m")) requests += 1;
  });
  await page.goto(`${program.url}/${search}`);
  await painted(page);
  const range = async (): Promise<(number | undefined)[]> => {
    const shown = await shownCandles(page);
    return [shown[0]?.time, shown.at(-1)?.time];
  };
  const wanted = [first, last].map((row) => Date.parse(row?.window_start ?? "") / 1000);
  await until("the range", async () => JSON.stringify(await range()) === JSON.stringify(wanted));
  expect(requests).toBeLessThan(4);
  await until("the address to be the same", () => Promise.resolve(new URL(page.url()).search === search));
  const box = await page.locator("#chart").boundingBox();
  if (box === null) throw new Error("no chart");
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await until("the first candle there is", async () => {
    await page.mouse.wheel(-3000, 0);
    return (await points(page))[0]?.time === Date.parse(rows[0]?.window_start ?? "") / 1000;
  });
  await until("the window to move on to the present", async () => {
    await page.mouse.wheel(6000, 0);
    return ((await points(page)).at(-1)?.time ?? 0) > Date.now() / 1000 - 600;
  });
  expect(await apiCandlesDrawn(program, page, "BTC", "1m")).toBeGreaterThan(100);
  await page.close();
});

it("goes to the candle of an alert far back", async () => {
  const rows = await program.candles("BTC", "1m");
  const { window_start = "" } = rows[200] ?? {};
  const page = await newPage(browser);
  page.on("pageerror", (error) => errors.push(error.stack ?? error.message));
  await page.route(/\/api\/v1\/alerts\?/, async (route) => {
    const body = (await (await route.fetch()).json()) as object;
    await route.fulfill({ json: { ...body, alerts: [{
      alert_id: "old", symbol: "BTC", alert_type: "PRICE_SPIKE", severity: "HIGH", price_change_pct: 2.5, new_price: 3000, z_score: 9.5,
      mean: 0, stddev: 0.001, samples: 60, threshold: 4, revision: 0, status: "raised", window_start,
    }] } });
  });
  await page.goto(`${program.url}/?symbol=ETH&interval=1m`);
  await painted(page);
  await page.locator('.alert[data-id="old"] button').click();
  await until("the explanation", async () => (await page.locator("#legend .why").allTextContents()).join().includes("9.5 σ from the mean"));
  expect(await page.locator("#symbol-name").textContent()).toBe("BTC");
  const time = Date.parse(window_start) / 1000;
  await until("the candle", async () => (await shownCandles(page)).some((candle) => candle.time === time));
  expect(await legendTime(page)).toBe(time);
  expect(Number(await page.locator("#chart").getAttribute("data-markers"))).toBeGreaterThan(0);
  await closeRouted(page);
});

it("goes from a range far back to the newest candle", async () => {
  const rows = await program.candles("BTC", "1m");
  const page = await open(`/?symbol=BTC&interval=1m&from=${rows[10]?.window_start ?? ""}&to=${rows[90]?.window_start ?? ""}`);
  await painted(page);
  await page.locator("#latest").click();
  await apiCandlesDrawn(program, page, "BTC", "1m");
  await until("the newest candle to be shown", async () =>
    ((await shownCandles(page)).at(-1)?.time ?? 0) === (await points(page)).at(-1)?.time);
  await until("the address without a range", () => Promise.resolve(!page.url().includes("from=")));
  await page.close();
});

it("explains an empty range, and keeps it in the address", async () => {
  const search = "?symbol=BTC&interval=1m&from=2020-01-01T00:00:00Z&to=2020-01-01T02:00:00Z";
  const page = await open(`/${search}`);
  await until("the explanation of the empty chart", async () => (await state(page))?.startsWith("No candles in this range"));
  expect(new URL(page.url()).search).toBe(search);
  await page.close();
});

it("shows an existing market if the address names an impossible one", async () => {
  const page = await open("/?symbol=BTC/USD");
  await painted(page);
  expect(await page.locator("#symbol-name").textContent()).toBe("BTC");
  expect(await page.locator("#problem").isVisible()).toBe(false);
  await page.close();
});

it("explains that there is no such market, and shows the others", async () => {
  const page = await open("/?symbol=NOPE&from=2025-11-16T05:30:00Z&to=2025-11-16T06:30:00Z");
  await until("the explanation of the empty chart", async () => (await state(page))?.startsWith("There is no market NOPE"));
  await until("the cards", async () => (await page.locator('.card .freshness[data-state="live"]').count()) === 2);
  expect(await page.locator("#problem").isVisible()).toBe(false);
  await page.locator(".card button").first().click();
  await apiCandlesDrawn(program, page, "BTC", "1m");
  expect(await page.locator("#chart-state").isVisible()).toBe(false);
  await page.close();
});

it("gives up a hanging request, explains it, and goes on once it succeeds", async () => {
  const page = await newPage(browser);
  page.on("pageerror", (error) => errors.push(error.stack ?? error.message));
  let hangs = true;
  await page.route(/historical\/ETH\?interval=5m/, async (route) => {
    if (!hangs) await route.continue();
  });
  await page.goto(`${program.url}/?symbol=ETH&interval=5m`);
  await until("the explanation of the empty chart", async () => (await state(page)) === "No candles: the server takes too long");
  await until("the other series", async () => (await page.locator('.card .freshness[data-state="live"]').count()) === 2);
  hangs = false;
  await apiCandlesDrawn(program, page, "ETH", "5m");
  await until("nothing to be wrong", async () => !(await page.locator("#problem").isVisible()) && !(await page.locator("#chart-state").isVisible()));
  await closeRouted(page);
});

it("shows no candles of another symbol while the server is gone", async () => {
  const page = await open("/?symbol=BTC&interval=1m");
  await painted(page);
  await apiCandlesDrawn(program, page, "BTC", "1m");
  await until("the pipeline", async () => (await page.locator("#pipeline > div").count()) > 5);
  await program.kill();
  await until("the page to be disconnected", async () => (await page.locator("#connection").textContent()) === "disconnected");
  await page.keyboard.press("ArrowDown");
  await until("the other symbol", async () => (await page.locator("#symbol-name").textContent()) === "ETH");
  await until("the explanation of the empty chart", async () => (await state(page))?.startsWith("No candles: "));
  expect(await points(page)).toEqual([]);
  expect(await page.locator("#legend").textContent()).toBe("");
  expect(await page.locator("#chart").getAttribute("data-markers")).toBe("0");
  await until("the old figures of the pipeline to be marked", async () => /\bold\b/.test((await page.locator("#pipeline").getAttribute("class")) ?? ""));
  await program.run();
  await live(page);
  expect(await apiCandlesDrawn(program, page, "ETH", "1m")).toBeGreaterThan(50);
  await until("nothing to be wrong", async () => !(await page.locator("#problem").isVisible()) && !(await page.locator("#chart-state").isVisible()));
  await until("the pipeline's figures", async () => !/\bold\b/.test((await page.locator("#pipeline").getAttribute("class")) ?? ""));
  await page.close();
});

it("has thrown no exception", () => {
  expect(errors).toEqual([]);
});
