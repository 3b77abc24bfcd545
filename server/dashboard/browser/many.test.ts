/** The processor time of the page with fifty symbols, each as fast as the server sends. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { cpuShare, Program, until } from "./program";
import { launch, newPage } from "./view";

const SYMBOLS = Array.from({ length: 50 }, (_, index) => `S${String(index).padStart(2, "0")}`);
/** The number of frames of a measurement: about eight seconds of them on an idle machine. */
const FRAMES = 4000;

let program: Program;
let browser: Browser;

beforeAll(async () => {
  // At this rate nearly every quarter of a second has a trade of each symbol.
  const settings = { TALLOW__UP__TRADES_PER_SECOND: "12" };
  program = await Program.start(["--seed", "7", "--no-backfill", "--symbols", SYMBOLS.join(",")], settings);
  browser = await launch();
});

afterAll(async () => {
  await browser.close();
  await program.end();
});

it("fifty symbols take less than a fifth of a core for scripts", async () => {
  const page = await newPage(browser);
  let frames = 0;
  page.on("websocket", (socket) => socket.on("framereceived", () => (frames += 1)));
  await page.goto(program.url);
  await until("all cards to have a price", async () => {
    const prices = await page.locator(".card .price").allTextContents();
    return prices.filter((text) => text !== "").length === SYMBOLS.length;
  });
  const start = Date.now();
  const before = frames;
  const { scripts, all } = await cpuShare(page, () =>
    until(`${String(FRAMES)} frames`, () => Promise.resolve(frames - before >= FRAMES)));
  const rate = (frames - before) / ((Date.now() - start) / 1000);
  const [ofScripts, inAll] = [scripts, all].map((share) => `${(share * 100).toFixed(1)} %`);
  console.log(`50 symbols: ${rate.toFixed(0)} frames/s, ${String(ofScripts)} of a core for scripts, ${String(inAll)} in all`);
  expect(scripts).toBeLessThan(0.2);
});
