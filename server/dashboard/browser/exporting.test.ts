/**
 * Exports of thousands of candles: as a download of the browser, and with a key into a picked file
 * or a blob.
 */

import { readFile } from "node:fs/promises";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Program, until } from "./program";
import { launch, newPage, painted } from "./view";

const HOURS = 60;

/** The file that a fake of the browser's picker has received. */
interface Picked {
  name: string;
  text: string;
  end: "open" | "closed" | "aborted";
}

let program: Program;
let browser: Browser;
/** The bounds of the saved range, and its candles as the pages of the API have them. */
let first = "";
let last = "";
let expected = "";

beforeAll(async () => {
  const settings = { TALLOW__UP__BACKFILL_HOURS: String(HOURS), TALLOW__UP__TRADES_PER_SECOND: "0.1" };
  program = await Program.start(["--seed", "7", "--symbols", "BTC"], settings);
  browser = await launch();
  const all = await program.candles("BTC", "1m");
  first = all[0]?.window_start ?? "";
  // Candles older than the allowed lateness of 15 minutes are not corrected any more.
  last = all.at(-20)?.window_start ?? "";
  const pages: string[] = [];
  for (let from = Date.parse(first); from <= Date.parse(last); ) {
    const query = `format=csv&order_by=asc&limit=1000&start_time=${String(from)}&end_time=${String(Date.parse(last) + 1)}`;
    const page = await program.text(`/api/v1/historical/BTC?${query}`);
    pages.push(pages.length === 0 ? page : page.slice(page.indexOf("\n") + 1));
    from = Date.parse(page.trim().split("\n").at(-1)?.split(",")[1] ?? "") + 1;
  }
  expected = pages.join("");
  expect(expected.split("\n").length).toBeGreaterThan(3000);
});

afterAll(async () => {
  await browser.close();
  await program.end();
});

/** Opens the dialog with the whole range; with a key in the tab the page reads the file itself. */
async function open(key?: "key", picker?: "picker"): Promise<Page> {
  const page = await newPage(browser, { acceptDownloads: true });
  await page.addInitScript(
    ([hasKey, hasPicker]) => {
      // A server without keys accepts any key.
      if (hasKey) sessionStorage.setItem("tallow.api-key", "any");
      const picked: Picked = { name: "", text: "", end: "open" };
      const showSaveFilePicker = ({ suggestedName }: { suggestedName: string }): Promise<unknown> => {
        picked.name = suggestedName;
        const decoder = new TextDecoder();
        const stream = new WritableStream<Uint8Array>({
          write: (chunk) => {
            picked.text += decoder.decode(chunk, { stream: true });
          },
          close: () => {
            picked.end = "closed";
          },
          abort: () => {
            picked.end = "aborted";
          },
        });
        return Promise.resolve({ createWritable: () => Promise.resolve(stream) });
      };
      Object.assign(globalThis, { picked, showSaveFilePicker: hasPicker ? showSaveFilePicker : undefined });
    },
    [key !== undefined, picker !== undefined] as const,
  );
  await page.goto(`${program.url}/?symbol=BTC&interval=1m`);
  await painted(page);
  await fill(page);
  return page;
}

async function fill(page: Page): Promise<void> {
  await page.locator("#export").click();
  await page.locator("#export-from").fill(first.slice(0, 16));
  await page.locator("#export-to").fill(last.slice(0, 16));
}

/** Saves the file, and returns its name and text. */
async function saved(page: Page): Promise<{ name: string; text: string }> {
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#export-save").click()]);
  await page.locator("#export-dialog").waitFor({ state: "hidden" });
  return { name: download.suggestedFilename(), text: await readFile(await download.path(), "utf8") };
}

function picked(page: Page): Promise<Picked> {
  return page.evaluate(() => (globalThis as unknown as { picked: Picked }).picked);
}

/** The number of exports that have ended on the server. */
async function endedExports(): Promise<number> {
  const lines = (await program.text("/metrics")).split("\n");
  const counts = lines.filter((line) => line.startsWith("tallow_http_request_duration_seconds_count") && line.includes("/export"));
  return counts.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

it("has the browser download thousands of candles", async () => {
  const page = await open();
  const { name, text } = await saved(page);
  expect(name).toMatch(/^BTC-1m-\d{8}T\d{4}Z-\d{8}T\d{4}Z\.csv$/);
  expect(text === expected).toBe(true);
  await page.close();
});

it("reads the file itself with a key, and gives it the same name", async () => {
  const plain = await open();
  const page = await open("key");
  const { name, text } = await saved(page);
  expect(text === expected).toBe(true);
  expect(name).toBe((await saved(plain)).name);
  await page.close();
  await plain.close();
});

it("writes the file that the user has picked", async () => {
  const page = await open("key", "picker");
  await page.locator("#export-save").click();
  await page.locator("#export-dialog").waitFor({ state: "hidden" });
  const { name, text, end } = await picked(page);
  expect(end).toBe("closed");
  expect(name).toMatch(/^BTC-1m-\d{8}T\d{4}Z-\d{8}T\d{4}Z\.csv$/);
  expect(text === expected).toBe(true);
  await page.close();
});

it.each(["picker", undefined] as const)("stops when cancelled, and leaves no file (%s)", async (picker) => {
  const page = await open("key", picker);
  const downloads: string[] = [];
  page.on("download", (download) => downloads.push(download.suggestedFilename()));
  const before = await endedExports();
  const session = await page.context().newCDPSession(page);
  const throttle = (downloadThroughput: number): Promise<unknown> =>
    session.send("Network.emulateNetworkConditions", { offline: false, latency: 0, uploadThroughput: -1, downloadThroughput });
  await session.send("Network.enable");
  await throttle(10_000);
  await page.locator("#export-save").click();
  await until("a first part", async () => (await page.locator("#export-state").textContent())?.includes("MB"));
  const stopped = page.waitForEvent("requestfailed", (request) => request.url().includes("/export"));
  await page.locator("#export-dialog button[value=cancel]").click();
  await stopped;
  await until("the server to have stopped", async () => (await endedExports()) === before + 1);
  if (picker !== undefined) await until("the picked file to be given up", async () => (await picked(page)).end === "aborted");

  // The next export works, and is the only saved one.
  await throttle(-1);
  await fill(page);
  if (picker === undefined) {
    expect((await saved(page)).text === expected).toBe(true);
    expect(downloads.length).toBe(1);
  }
  expect(await page.locator("#export-save").isEnabled()).toBe(true);
  await page.close();
});

it("explains that a range has no candles, and saves nothing", async () => {
  for (const key of [undefined, "key"] as const) {
    const page = await open(key);
    await page.locator("#export-from").fill("2001-01-01T00:00");
    await page.locator("#export-to").fill("2001-01-01T01:00");
    await page.locator("#export-save").click();
    await until("the reason", async () => (await page.locator("#export-state").textContent()) === "There are no closed candles in this range.");
    expect(await page.locator("#export-dialog").isVisible()).toBe(true);
    await page.close();
  }
});
