/** The page in Chromium, served by a running program. */

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContextOptions, CDPSession, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { cpuShare, CuttableProxy, Program, until } from "./program";
import {
  apiCandlesDrawn,
  DESKTOP,
  launch,
  live,
  newPage,
  painted,
  PHONE,
  points as pointsOf,
  prepare,
  shownCandles,
} from "./view";

const SCREENSHOTS = fileURLToPath(new URL("../../../target/screenshots/", import.meta.url));
const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let program: Program;
let browser: Browser;
let page: Page;
/** Errors of any page while the program ran, and requests to other hosts. */
const complaints: string[] = [];
let isDown = false;
/** Pages that miss the updates during the other tests: one is frozen, the other cut off. */
let frozen: Page;
let cutOff: Page;
let proxy: CuttableProxy;
/** The newest closed candle of BTC that the two pages have, in milliseconds. */
let missedFrom = 0;

async function open(path: string, options: BrowserContextOptions = {}): Promise<Page> {
  const opened = await newPage(browser, { colorScheme: "dark", acceptDownloads: true, ...options });
  opened.on("console", (message) => {
    if ((message.type() === "error" || message.type() === "warning") && !isDown) complaints.push(message.text());
  });
  opened.on("pageerror", (error) => {
    complaints.push(error.stack ?? error.message);
  });
  opened.on("request", (request) => {
    const { host, protocol } = new URL(request.url());
    const isOwn = protocol === "data:" || protocol === "blob:" || host === `127.0.0.1:${String(program.port)}`;
    if (!isOwn) complaints.push(`foreign request: ${request.url()}`);
  });
  await opened.goto(`${program.url}${path}`);
  await painted(opened);
  return opened;
}

function points(of = page): ReturnType<typeof pointsOf> {
  return pointsOf(of);
}

function candlesDrawn(symbol: string, interval: string, of = page): Promise<number> {
  return apiCandlesDrawn(program, of, symbol, interval);
}

function chosen(): Promise<string | null> {
  return page.locator("#symbol-name").textContent();
}

beforeAll(async () => {
  await mkdir(SCREENSHOTS, { recursive: true });
  const settings = { TALLOW__UP__BACKFILL_HOURS: "30", TALLOW__UP__TRADES_PER_SECOND: "0.35" };
  program = await Program.start(["--seed", "7"], settings);
  browser = await launch();
  page = await open("/?symbol=BTC&interval=1m");
  proxy = new CuttableProxy(program.port);
  await proxy.open();
  frozen = await newPage(browser);
  cutOff = await newPage(browser);
  for (const [each, url] of [[frozen, program.url], [cutOff, proxy.url]] as const) {
    await each.goto(`${url}/?symbol=BTC&interval=1m`);
    await painted(each);
    await live(each);
    await candlesDrawn("BTC", "1m", each);
  }
  const rows = await program.candles("BTC", "1m");
  missedFrom = Date.parse(rows.at(-1)?.window_start ?? "");
  await (await frozen.context().newCDPSession(frozen)).send("Page.setWebLifecycleState", { state: "frozen" });
  await proxy.cut();
});

afterAll(async () => {
  await browser.close();
  await program.end();
});

it("requests the candles of the chart before everything else", async () => {
  const fresh = await open("/");
  const { painted, requests } = await fresh.evaluate(() => ({
    painted: performance.getEntriesByName("chart-painted")[0]?.startTime ?? Infinity,
    requests: performance
      .getEntriesByType("resource")
      .filter(({ name }) => name.includes("/api/"))
      .sort((one, other) => one.startTime - other.startTime)
      .map(({ name }) => new URL(name).pathname),
  }));
  console.log(`first chart painted after ${painted.toFixed(0)} ms`);
  expect(requests.slice(0, 3).sort()).toEqual(["/api/v1/historical/BTC", "/api/v1/stats", "/api/v1/symbols"]);
  await fresh.close();
});

it("moves the cards and says that the market is simulated", async () => {
  expect(await page.locator("#simulated").isVisible()).toBe(true);
  expect(await page.locator(".card").count()).toBe(8);
  const prices = (): Promise<string[]> => page.locator(".card .price").allTextContents();
  const before = await prices();
  await until("every card to have another price", async () => (await prices()).every((price, index) => price !== before[index]));
  expect(await page.locator(".card .change").first().textContent()).toMatch(/^[+−]?\d+\.\d\d % \d+h$/);
  expect(await page.locator('.card .freshness[data-state="live"]').count()).toBe(8);
});

it("shows the API's candles, and moves the open one", async () => {
  expect(await candlesDrawn("BTC", "1m")).toBeGreaterThan(200);
  const last = async (): Promise<string> => JSON.stringify((await points()).at(-1));
  const before = await last();
  await until("the open candle to move", async () => (await last()) !== before);
});

it("switches intervals with the keys", async () => {
  for (const [key, interval] of [["2", "5m"], ["3", "15m"], ["4", "1h"], ["1", "1m"]] as const) {
    await page.keyboard.press(key);
    await until("the address to follow", () => Promise.resolve(page.url().includes(`interval=${interval}`)));
    await until("the button to be pressed", async () =>
      (await page.locator('#intervals [aria-pressed="true"]').textContent()) === interval);
    expect(await candlesDrawn("BTC", interval)).toBeGreaterThan(15);
  }
});

it("reads history as the chart is scrolled", async () => {
  await page.keyboard.press("2");
  await candlesDrawn("BTC", "5m");
  const [first] = await points();
  const box = await page.locator("#chart").boundingBox();
  if (first === undefined || box === null) throw new Error("no chart");
  const all = await program.candles("BTC", "5m");
  // Only the history in the window has been read.
  expect(first.time).toBeGreaterThan(Date.parse(all[0]?.window_start ?? "") / 1000);
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await until("the first candle there is", async () => {
    await page.mouse.wheel(-3000, 0);
    const [now] = await points();
    return now?.time === Date.parse(all[0]?.window_start ?? "") / 1000;
  });
  expect(await candlesDrawn("BTC", "5m")).toBeGreaterThanOrEqual(all.length);
  await until("the address to hold the range", () => Promise.resolve(/&from=.*&to=/.test(page.url())));
    await until("the address to be that of what is shown", async () => {
    const [oldest] = await shownCandles(page);
    return Date.parse(new URL(page.url()).searchParams.get("from") ?? "") / 1000 === oldest?.time;
  });
  const before = await shownCandles(page);
  const shared = await open(new URL(page.url()).search);
  await until("the same range in another page", async () => {
    const there = await shownCandles(shared);
    return there[0]?.time === before[0]?.time && there.at(-1)?.time === before.at(-1)?.time;
  });
  await shared.close();
  // The window stays in its position while the market goes on.
  const newest = (await points()).at(-1);
  await until("a new tick", async () => JSON.stringify((await points()).at(-1)) !== JSON.stringify(newest));
  expect((await shownCandles(page))[0]?.time).toBe(before[0]?.time);
  await page.keyboard.press("1");
  await candlesDrawn("BTC", "1m");
});

it("marks alerts, explains them, and goes to their candle", async () => {
  interface Known {
    alert_id: string;
    window_start: string;
    z_score: number;
    severity: string;
    status: string;
  }
  // Read at each look: an alert may be raised, corrected or retracted meanwhile.
  const read = async (): Promise<Known[]> =>
    (JSON.parse(await program.text("/api/v1/alerts/BTC?limit=100&hours=168&include_retracted=true")) as { alerts: Known[] }).alerts;
  expect((await read()).length).toBeGreaterThan(0);
  await until("a marker for each alert whose candle is there", async () => {
    const oldest = (await points())[0]?.time ?? Infinity;
    const there = (await read()).filter(({ window_start, status }) => status !== "retracted" && Date.parse(window_start) / 1000 >= oldest);
    return there.length > 0 && Number(await page.locator("#chart").getAttribute("data-markers")) === there.length;
  });
  await page.locator("#alert-symbol").selectOption("BTC");
  await until("the filter", async () => (await page.locator(".alert").count()) === (await read()).length);
    await until("the explanation at the candle", async () => {
    const [newest] = await read();
    if (newest === undefined) return false;
    await page.locator(`.alert[data-id="${newest.alert_id}"] button`).click();
    const words = (await page.locator("#legend .why").allTextContents()).join();
    const time = Date.parse(newest.window_start) / 1000;
    return words.includes(`${Math.abs(newest.z_score).toFixed(1)} σ from the mean`) && (await shownCandles(page)).some((candle) => candle.time === time);
  });
  await page.locator("#alert-severity").selectOption("HIGH");
  await until("the filter of severity", async () =>
    (await page.locator(".alert:visible").count()) === (await read()).filter(({ severity }) => severity === "HIGH").length);
  await page.locator("#alert-severity").selectOption("LOW");
  await page.locator("#alert-symbol").selectOption("");
});

it("saves the server's CSV of the window and of a chosen range", async () => {
  const saved = async (): Promise<{ name: string; text: string }> => {
    const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#export-save").click()]);
    return { name: download.suggestedFilename(), text: await readFile(await download.path(), "utf8") };
  };
  const rows = (text: string): string[] => text.trim().split("\n");
  const query = "interval=1m&format=csv&order_by=asc&limit=1000";
  // A candle may close or be corrected between two looks.
  await until("the file to be the server's", async () => {
    const shown = await shownCandles(page);
    await page.locator("#export").click();
    const { name, text } = await saved();
    expect(name).toMatch(/^BTC-1m-\d{8}T\d{4}Z-\d{8}T\d{4}Z\.csv$/);
    const lines = rows(text);
    const start = lines[1]?.split(",")[1] ?? "";
    const end = lines.at(-1)?.split(",")[2] ?? "";
    expect(text).toBe(await program.text(`/api/v1/historical/BTC?${query}&start_time=${start}&end_time=${end}`));
    expect(lines.length - 1).toBe(shown.filter(({ isClosed }) => isClosed).length);
    return true;
  });

  const all = await program.candles("BTC", "1m");
  // Candles older than the allowed lateness of 15 minutes are not corrected any more.
  const settled = all.slice(0, -20);
  const [first, last] = [settled[0]?.window_start ?? "", settled.at(-1)?.window_start ?? ""];
  await page.locator("#export").click();
  await page.locator("#export-from").fill(first.slice(0, 16));
  await page.locator("#export-to").fill(last.slice(0, 16));
  const whole = rows((await saved()).text);
  expect(whole.length - 1).toBe(settled.length);
  const pages: string[] = [];
  for (let from = Date.parse(first); from <= Date.parse(last); ) {
    const range = `&start_time=${String(from)}&end_time=${String(Date.parse(last) + 1)}`;
    const part = rows(await program.text(`/api/v1/historical/BTC?${query}${range}`));
    pages.push(...(pages.length === 0 ? part : part.slice(1)));
    from = Date.parse(part.at(-1)?.split(",")[1] ?? "") + 1;
  }
  expect(whole).toEqual(pages);
});

it("notifies of a new alert where the user allows it, and of none that is old", async () => {
  const context = await browser.newContext({ viewport: DESKTOP });
  await context.grantPermissions(["notifications"], { origin: program.url });
  const view = await prepare(await context.newPage());
  let send: ((frame: string) => void) | undefined;
  await view.routeWebSocket(/\/ws\//, (socket) => {
    socket.connectToServer();
    send = (frame) => {
      socket.send(frame);
    };
  });
  // A test can't see notifications of the system; the permission is the browser's own.
  await view.addInitScript(() => {
    const made: string[] = [];
    const FakeNotification = class {
      constructor(readonly title: string) {
        made.push(title);
      }
      static requestPermission = Notification.requestPermission.bind(Notification);
    };
    Object.assign(globalThis, { Notification: FakeNotification, made });
  });
  await view.goto(`${program.url}/?symbol=BTC`);
  await painted(view);
  const alert = (id: string, age: number): string => JSON.stringify({ type: "alert", symbol: "ETH", data: {
    alert_id: id, symbol: "ETH", alert_type: "PRICE_SPIKE", severity: "HIGH", price_change_percent: 2.5, close_price: 3000,
    z_score: 9, mean: 0, stddev: 0.001, samples: 60, threshold: 4, revision: 0, status: "raised",
    window_start: new Date(Date.now() - age).toISOString(),
  } });
  const made = (): Promise<string[]> => view.evaluate(() => (globalThis as unknown as { made: string[] }).made);
  send?.(alert("unrequested", 0));
  await until("the alert in the list", async () => (await view.locator('.alert[data-id="unrequested"]').count()) === 1);
  expect(await made()).toEqual([]);
  await view.locator("#notify").click();
  await until("notifications to be on", async () => (await view.locator("#notify").getAttribute("aria-pressed")) === "true");
  send?.(alert("old", 3_600_000));
  send?.(alert("new", 0));
  await until("the notification", async () => (await made()).length > 0);
  expect(await made()).toEqual(["ETH rose 2.50 % to 3,000.00"]);
  await context.close();
});

it("saves the chart as a picture", async () => {
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#snapshot").click()]);
  const file = await readFile(await download.path());
  expect([download.suggestedFilename(), file.subarray(1, 4).toString()]).toEqual(["BTC-1m.png", "PNG"]);
});

it("can be used with the keyboard", async () => {
  await page.locator("body").click({ position: { x: 5, y: 5 } });
  await page.keyboard.press("/");
  await page.keyboard.type("ethe");
  await until("the search to leave one card", async () => (await page.locator(".card:visible").count()) === 1);
  await page.keyboard.press("Enter");
  await until("ETH", async () => (await chosen()) === "ETH");
  await page.keyboard.press("ArrowUp");
  await until("the symbol before it", async () => (await chosen()) === "DOGE");
  await page.keyboard.press("ArrowDown");
  await until("the symbol after that", async () => (await chosen()) === "ETH");
  await candlesDrawn("ETH", "1m");
});

it("changes averages, scale and zone without an error", async () => {
  const shown = (): Promise<string | null> => page.locator("#legend").textContent();
  await page.getByLabel("Candles of SMA 1").fill("10");
  await page.keyboard.press("Enter");
  await until("the new period", async () => (await shown())?.includes("SMA 10 "));
  await page.locator("#indicators button", { hasText: "EMA" }).click();
  await until("the EMA", async () => (await shown())?.includes("EMA 20 "));
  await page.locator("#indicators button", { hasText: "EMA" }).click();
  await page.locator("#log").click();
  await page.locator("#zone").click();
  expect(await page.locator("#zone").textContent()).toBe("Local");
  await page.locator("#zone").click();
  await page.locator("#log").click();
});

it("takes less than a fifth of a core for scripts", async () => {
  const { scripts, all } = await cpuShare(page, () => new Promise((resolve) => setTimeout(resolve, 5000)));
  console.log(`8 symbols: ${(scripts * 100).toFixed(1)} % of a core for scripts, ${(all * 100).toFixed(1)} % in all`);
  expect(scripts).toBeLessThan(0.2);
});

it("has no hole after the program was killed and has started again", async () => {
  await page.keyboard.press("1");
  await candlesDrawn("ETH", "1m");
  isDown = true;
  await program.kill();
  await until("the page to be disconnected", async () => (await page.locator("#connection").textContent()) === "disconnected");
  await until("the cards to be disconnected", async () => (await page.locator('.freshness[data-state="disconnected"]').count()) === 8);
  await program.run();
  await live(page);
  isDown = false;
  const last = (await points()).at(-1);
  await until("the chart to go on", async () => JSON.stringify((await points()).at(-1)) !== JSON.stringify(last));
  await candlesDrawn("ETH", "1m");
  await until("the cards to be live", async () => (await page.locator('.freshness[data-state="live"]').count()) >= 7);
});

for (const [name, options] of [
  ["dark", {}],
  ["light", { colorScheme: "light" }],
  ["phone", { viewport: PHONE, deviceScaleFactor: 2, isMobile: true, hasTouch: true }],
] as const) {
  it(`is accessible and fits its width (${name})`, async () => {
    const view = await open("/?symbol=BTC", options);
    await until("the matrix", async () => /0\.\d\d/.test((await view.locator("#matrix").textContent()) ?? ""));
    const width = await view.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    expect(width[0]).toBeLessThanOrEqual(width[1] ?? 0);
    await view.screenshot({ path: `${SCREENSHOTS}${name}.png`, fullPage: name === "phone" });
    await view.evaluate(AXE);
    const found = await view.evaluate(async () => {
      interface Axe {
        axe: { run: () => Promise<{ passes: unknown[]; violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[] }> };
      }
      const { passes, violations } = await (globalThis as unknown as Axe).axe.run();
      return { passes: passes.length, violations };
    });
    await writeFile(`${SCREENSHOTS}axe-${name}.json`, JSON.stringify(found, null, 2));
    console.log(`axe, ${name}: ${String(found.passes)} rules passed, ${String(found.violations.length)} broken`);
    const serious = found.violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    expect(serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("; ")}`)).toEqual([]);
    await view.close();
  });
}

it("keeps the legend of a phone off the candles", async () => {
  const view = await open("/?symbol=BTC", { viewport: PHONE, isMobile: true, hasTouch: true });
  await until("the legend", async () => (await view.locator("#legend").textContent())?.includes("VWAP"));
  const isOff = async (): Promise<void> => {
    const legend = await view.locator("#legend").boundingBox();
    const chart = await view.locator("#chart").boundingBox();
    if (legend === null || chart === null) throw new Error("no legend or no chart");
    expect(legend.height).toBeGreaterThan(0);
    expect(legend.y + legend.height).toBeLessThanOrEqual(chart.y);
    expect(chart.height).toBeGreaterThan(PHONE.height / 2);
    expect(chart.width).toBe(PHONE.width);
  };
  await isOff();
  // An alert makes the legend longer.
  await until("an alert", async () => (await view.locator(".alert:visible").count()) > 0);
  await view.locator(".alert button").first().click();
  await until("the explanation", async () => (await view.locator("#legend .why").count()) > 0);
  await isOff();
  await view.close();
});

/**
 * Swipes up from a point of the page. All events are sent at once, so that a pause does not make it
 * a long tap.
 */
async function swipeUp(session: CDPSession, x: number, y: number): Promise<void> {
  const moves = Array.from({ length: 15 }, (_, index) => ({ x, y: y - 8 * (index + 1) }));
  await Promise.all([
    session.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [{ x, y }] }),
    ...moves.map((point) => session.send("Input.dispatchTouchEvent", { type: "touchMove", touchPoints: [point] })),
    session.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] }),
  ]);
}

it("scrolls the page when the chart of a phone is swiped up", async () => {
  // A busy browser may still take the swipe for a long tap, which moves the crosshair: each attempt
  // has a new page.
  await until("a swipe to scroll the page", async () => {
    const view = await open("/?symbol=BTC", { viewport: PHONE, isMobile: true, hasTouch: true });
    try {
      const box = await view.locator("#chart").boundingBox();
      if (box === null) throw new Error("no chart");
      await swipeUp(await view.context().newCDPSession(view), box.x + box.width / 2, box.y + box.height / 2);
      return await until("the page to have moved", () => view.evaluate(() => scrollY > 30), 10);
    } finally {
      await view.close();
    }
  });
});

it("has no hole after it was frozen or cut off while minutes closed", async () => {
  await until("minutes to have closed without the pages", async () => {
    const newest = (await program.candles("BTC", "1m", missedFrom / 1000)).at(-1);
    return Date.parse(newest?.window_start ?? "") > missedFrom;
  });
  expect(await cutOff.locator("#connection").textContent()).not.toBe("live");
  await proxy.open();
  await (await frozen.context().newCDPSession(frozen)).send("Page.setWebLifecycleState", { state: "active" });
  for (const each of [frozen, cutOff]) {
    await live(each);
    await candlesDrawn("BTC", "1m", each);
    const last = (await points(each)).at(-1);
    await until("the chart to go on", async () => JSON.stringify((await points(each)).at(-1)) !== JSON.stringify(last));
  }
  await proxy.cut();
});

it("has written no error to the console, and has sent no request to another host", () => {
  expect(complaints).toEqual([]);
});
