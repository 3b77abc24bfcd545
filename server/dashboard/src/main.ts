/** Puts the page together: the market, the views of it, and the commands of keys and buttons. */

import { readView, type View, writeView } from "./data/address";
import { apiKey, server } from "./data/api";
import { type Interval, LIVE_INTERVALS } from "./data/candle";
import { price, type Zone } from "./data/format";
import { type ConnectionState, Live } from "./data/live";
import { Market } from "./data/market";
import { summarise } from "./data/statistics";
import { Alerts } from "./view/alerts";
import { Cards } from "./view/cards";
import { PriceChart } from "./view/chart";
import { byId, save, setText } from "./view/document";
import { Exporting } from "./view/exporting";
import { showStatistics } from "./view/figures";
import { inNextFrame } from "./view/frame";
import { listenToKeys } from "./view/keys";
import { showLegend } from "./view/legend";
import { Matrix } from "./view/matrix";
import { PipelinePanel } from "./view/pipeline";
import type { Average } from "./view/plot";
import { Toolbar } from "./view/toolbar";

/** The symbol that is shown first, if there is one and the address names no other. */
const DEFAULT_SYMBOL = "BTC";
/** The wait before a changed view is written to the address: browsers limit the rate of changes. */
const ADDRESS_DELAY_MS = 300;
const TITLE_INTERVAL_MS = 1000;

const averages: Average[] = [
  { kind: "SMA", period: 20, isShown: true },
  { kind: "SMA", period: 50, isShown: true },
  { kind: "EMA", period: 20, isShown: false },
  { kind: "VWAP", period: undefined, isShown: true },
];

const view: View = readView(location.search);
let zone: Zone = "UTC";

const live = new Live(() => {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const key = apiKey.get();
  const query = `interval=${LIVE_INTERVALS.join(",")}${key === null ? "" : `&api_key=${encodeURIComponent(key)}`}`;
  return new WebSocket(`${scheme}://${location.host}/ws/prices/ALL?${query}`);
});
const market = new Market(server, live);
// These requests are sent before the page is built: their responses take longer than that.
void market.refresh();
if (view.range === undefined) market.history.prefetch(view.symbol ?? DEFAULT_SYMBOL, view.interval);
const cards = new Cards(market);
const alerts = new Alerts(market, () => zone);
const chart = new PriceChart(byId("chart", HTMLDivElement), market, averages);
const exporting = new Exporting(chart);
const matrix = new Matrix(market, () => view.symbol);
const toolbar = new Toolbar(chart, {
  chooseInterval: showInterval,
  chooseZone: showZone,
  savePicture,
  openExport: () => {
    exporting.open();
  },
});
new PipelinePanel(server, market);

const legend = byId("legend", HTMLDivElement);
const chartState = byId("chart-state", HTMLParagraphElement);
const title = document.querySelector("title");

/** Shows the reason for an empty chart. */
function explainChart(): void {
  const { state, isEmpty, isOfRange, symbol } = chart;
  let text = "";
  if (state.name === "loading") text = "Loading candles";
  else if (state.name === "failed" && state.error.code === "unknown_symbol")
    text = `There is no market ${symbol ?? ""} here: choose another one`;
  else if (state.name === "failed") text = `No candles: ${state.error.message}`;
  else if (isEmpty && isOfRange) text = "No candles in this range: “Latest” goes to the newest";
  else if (isEmpty) text = "No candles yet: the first closes within a minute or so";
  setText(chartState, text);
  chartState.hidden = text === "" || !isEmpty;
}

/** Returns the name of the chosen symbol, unless it is the symbol itself. */
function chosenName(): string {
  const name = market.tickers.get(view.symbol ?? "")?.name ?? "";
  return name === view.symbol ? "" : name;
}

function writeAddress(): void {
  history.replaceState(null, "", writeView(view));
}

async function show(): Promise<void> {
  const { symbol, interval, range } = view;
  if (symbol === undefined) return;
  writeAddress();
  cards.choose(symbol);
  matrix.draw();
  setText(byId("symbol-name", HTMLSpanElement), symbol);
  setText(byId("symbol-long", HTMLElement), chosenName());
  byId("chart", HTMLDivElement).setAttribute("aria-label", `Candlestick chart of ${symbol}, ${interval}`);
  toolbar.showInterval(interval);
  await chart.show(symbol, interval, range);
}

function choose(symbol: string): Promise<void> {
  view.symbol = symbol;
  view.range = undefined;
  return show();
}

function showInterval(interval: Interval): void {
  if (view.symbol === undefined) return;
  view.interval = interval;
  void choose(view.symbol);
}

function step(by: number): void {
  const { shown } = cards;
  const index = shown.indexOf(view.symbol ?? "");
  const next = shown[(index + by + shown.length) % shown.length];
  if (next !== undefined) void choose(next);
}

function showConnection(connection: ConnectionState): void {
  const element = byId("connection", HTMLParagraphElement);
  element.dataset["state"] = connection.state;
  setText(element, connection.state === "waiting" ? "disconnected" : connection.state);
  cards.showConnection(connection);
}

let volumeCorrelation: number | undefined;

function drawLegend(): void {
  showLegend(legend, chart, volumeCorrelation, zone);
}

function showZone(chosen: Zone): void {
  zone = chosen;
  chart.setZone(zone);
  alerts.draw();
  drawLegend();
  showStatistics(chart.shown, zone);
}

function savePicture(): void {
  const { symbol, interval } = view;
  const simulated = market.source === "simulated" ? ", simulated market" : "";
  const time = new Date().toISOString().slice(0, 16);
  const text = `${symbol ?? ""} ${interval}  ${price(chart.reading?.candle.close)}  ${time}Z${simulated}`;
  void chart.snapshot(text).then((picture) => {
    if (picture !== null) save(picture, `${symbol ?? "chart"}-${interval}.png`);
  });
}

let addressTimer: ReturnType<typeof setTimeout> | undefined;

function writeAddressSoon(): void {
  clearTimeout(addressTimer);
  addressTimer = setTimeout(writeAddress, ADDRESS_DELAY_MS);
}

/** Shows the statistics of the moved window, and keeps its range for the address. */
function takeWindow(): void {
  const { shown } = chart;
  volumeCorrelation = summarise(shown)?.volumeCorrelation;
  showStatistics(shown, zone);
  const [first] = shown;
  const last = shown.at(-1);
  // While the chart is empty the address still names the requested range.
  if (first === undefined || last === undefined) return;
  const range = chart.isAtNewest ? undefined : { from: first.time, to: last.time };
  if (range?.from === view.range?.from && range?.to === view.range?.to) return;
  view.range = range;
  writeAddressSoon();
}

function listenToMarket(): void {
  live.changes.on(showConnection);
  market.onSource.on((source) => {
    byId("simulated", HTMLParagraphElement).hidden = source !== "simulated";
  });
  market.onProblem.on((problem) => {
    const element = byId("problem", HTMLParagraphElement);
    element.hidden = problem === undefined;
    const text = `Request failed: ${problem?.message ?? ""}. The figures may be old; the page keeps trying.`;
    setText(element, problem === undefined ? "" : text);
    if (problem?.status === 401) askForKey();
  });
  market.onSymbols.on(() => {
    const symbols = [...market.tickers.keys()].sort();
    const first = symbols.includes(DEFAULT_SYMBOL) ? DEFAULT_SYMBOL : symbols[0];
    if (view.symbol === undefined && first !== undefined) void choose(first);
    setText(byId("symbol-long", HTMLElement), chosenName());
    if (view.symbol !== undefined) cards.choose(view.symbol);
  });
  chart.onState.on(explainChart);
  chart.onReading.on(() => {
    inNextFrame(drawLegend);
  });
  chart.onWindow.on(takeWindow);
  cards.onChoose.on((symbol) => void choose(symbol));
  alerts.onChoose.on((alert) => {
    const opened = view.symbol === alert.symbol ? Promise.resolve() : choose(alert.symbol);
    // The user may have chosen another symbol meanwhile.
    void opened.then(() => (view.symbol === alert.symbol ? chart.reveal(alert.time) : undefined));
  });
}

function askForKey(): void {
  const dialog = byId("key-dialog", HTMLDialogElement);
  if (dialog.open) return;
  dialog.addEventListener(
    "close",
    () => {
      apiKey.set(byId("key", HTMLInputElement).value);
      void market.refresh();
      live.check();
      if (view.symbol !== undefined) void show();
    },
    { once: true },
  );
  dialog.showModal();
}

/** Checks the connection when the page is shown again, as no timer may have run until then. */
function listenToWaking(): void {
  const check = (): void => {
    if (document.visibilityState === "visible") live.check();
  };
  document.addEventListener("visibilitychange", check);
  for (const event of ["online", "pageshow", "focus"]) globalThis.addEventListener(event, check);
}

toolbar.showInterval(view.interval);
listenToKeys({
  search: (text) => {
    cards.search(text);
  },
  openFound: () => {
    const [first] = cards.shown;
    if (first !== undefined) void choose(first);
  },
  step,
  chooseInterval: showInterval,
});
listenToMarket();
listenToWaking();
alerts.draw();
setInterval(() => {
  const ticker = market.tickers.get(view.symbol ?? "");
  if (title === null || ticker?.price === undefined) return;
  setText(title, `${price(ticker.price)} ${ticker.symbol} – Tallow`);
}, TITLE_INTERVAL_MS);
showConnection(live.connection);
live.start();
if (view.symbol !== undefined) void show();
// Browser tests read the candles on the chart from this event, as a canvas has no elements to look
// at.
document.dispatchEvent(new CustomEvent("tallow:chart", { detail: chart }));
