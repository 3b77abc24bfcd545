/** Fifty symbols, each as fast as the server sends: what the page costs. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { load, Program, until } from "./program";
import { launch } from "./view";

const SYMBOLS = Array.from({ length: 50 }, (_, index) => `S${String(index).padStart(2, "0")}`);
const SECONDS = 8;

let program: Program;
let browser: Browser;

beforeAll(async () => {
  // With so many trades nearly every quarter of a second has one of each symbol.
  const settings = { TALLOW__UP__TRADES_PER_SECOND: "12" };
  program = await Program.start(["--seed", "7", "--no-backfill", "--symbols", SYMBOLS.join(",")], settings);
  browser = await launch();
});

afterAll(async () => {
  await browser.close();
  await program.end();
});

it("fifty symbols take less than a fifth of a core for scripts", async () => {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  let frames = 0;
  page.on("websocket", (socket) => socket.on("framereceived", () => (frames += 1)));
  await page.goto(program.url);
  await until("all cards to have a price", async () =>
    (await page.locator(".card .price").allTextContents()).filter((text) => text !== "").length === SYMBOLS.length);
  const framesBefore = frames;
  const { scripts, all } = await load(page, SECONDS);
  const rate = (frames - framesBefore) / SECONDS;
  console.log(`50 symbols: ${rate.toFixed(0)} frames/s, ${(scripts * 100).toFixed(1)} % of a core for scripts, ${(all * 100).toFixed(1)} % in all`);
  // Three intervals of each symbol; a machine that can't make as many updates shows nothing.
  expect(rate).toBeGreaterThan(400);
  expect(scripts).toBeLessThan(0.2);
});
