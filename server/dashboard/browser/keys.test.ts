/** A server that requires an API key: the page asks the user for it. */

import { createHash } from "node:crypto";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Program, until } from "./program";
import { launch, live, newPage, painted } from "./view";

const KEY = "0123456789abcdef0123456789abcdef";

let program: Program;
let browser: Browser;

beforeAll(async () => {
  const hash = createHash("sha256").update(KEY).digest("hex");
  const settings = { TALLOW__SERVER__API_KEYS: `desk:${hash}`, TALLOW__UP__BACKFILL_HOURS: "1" };
  program = await Program.start(["--seed", "7"], settings);
  browser = await launch();
});

afterAll(async () => {
  await browser.close();
  await program.end();
});

it("asks for a key, asks again after a wrong one, and goes on with the right one", async () => {
  const page = await newPage(browser);
  await page.goto(program.url);
  const dialog = page.locator("#key-dialog");
  await dialog.waitFor({ state: "visible" });
  await page.locator("#key").fill("wrong");
  await page.locator("#key-save").click();
  await until("the wrong key to be refused", async () => (await page.locator("#problem").isVisible()) && (await dialog.isVisible()));
  expect(await page.locator("#connection").textContent()).not.toBe("live");
  await page.locator("#key").fill(KEY);
  await page.locator("#key-save").click();
  await live(page);
  await painted(page);
  await until("prices", async () => (await page.locator(".card .price").allTextContents()).every((price) => price !== ""));
  await until("nothing to be wrong", async () => !(await dialog.isVisible()) && !(await page.locator("#problem").isVisible()));
});

it("asks for a key once in a tab", async () => {
  const page = await newPage(browser);
  await page.goto(program.url);
  await page.locator("#key-dialog").waitFor({ state: "visible" });
  await page.locator("#key").fill(KEY);
  await page.locator("#key-save").click();
  await live(page);
  await page.reload();
  await live(page);
  await painted(page);
  expect(await page.locator("#key-dialog").isVisible()).toBe(false);
});
