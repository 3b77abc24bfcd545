/**
 * Prints Lighthouse's scores of a page in Chromium, and fails if that of accessibility is below 95.
 *
 *     node score.mjs URL          CHROMIUM is the path of the browser
 */

import { launch } from "chrome-launcher";
import lighthouse, { desktopConfig } from "lighthouse";

const MIN_ACCESSIBILITY = 95;

const url = process.argv[2];
if (url === undefined) {
  console.error("usage: node score.mjs URL");
  process.exit(2);
}
const chrome = await launch({
  chromePath: process.env.CHROMIUM,
  chromeFlags: ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage"],
});
try {
  const flags = { port: chrome.port, logLevel: "error", onlyCategories: ["accessibility", "performance"] };
  const result = await lighthouse(url, flags, desktopConfig);
  if (result === undefined || result.lhr.runtimeError !== undefined) {
    throw new Error(`Lighthouse could not load ${url}: ${result?.lhr.runtimeError?.message}`);
  }
  const { audits, categories } = result.lhr;
  const score = (category) => Math.round((category.score ?? 0) * 100);
  for (const { id } of categories.accessibility.auditRefs) {
    const audit = audits[id];
    if (audit.score !== null && audit.score < 1) console.log(`${id}: ${audit.title}`);
  }
  const paint = audits["first-contentful-paint"].displayValue;
  console.log(`Lighthouse ${result.lhr.lighthouseVersion}: accessibility ${score(categories.accessibility)}`);
  console.log(`performance ${score(categories.performance)}, first contentful paint after ${paint}`);
  if (score(categories.accessibility) < MIN_ACCESSIBILITY) {
    console.log(`accessibility is under ${MIN_ACCESSIBILITY}`);
    process.exitCode = 1;
  }
} finally {
  chrome.kill();
}
