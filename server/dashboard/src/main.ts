/** Puts the page together: the market, the views of it, and what the keys do. */

import { readView, type View, writeView } from "./data/address";
import { apiKey, server } from "./data/api";
import { type Interval, INTERVALS, LIVE_INTERVALS } from "./data/candle";
import { type Connection, Live } from "./data/live";
import { Market } from "./data/market";
import { summarise } from "./data/statistics";
import { price, type Zone } from "./data/words";
import { Alerts } from "./view/alerts";
import { Cards } from "./view/cards";
import { PriceChart } from "./view/chart";
import { byId, make, save, setText } from "./view/document";
import { Exporting } from "./view/exporting";
import { Matrix, PipelinePanel, showStatistics } from "./view/figures";
import { inNextFrame } from "./view/frame";
import { showLegend } from "./view/legend";
import type { Average } from "./view/plot";

const MAX_PERIOD = 500;
/** What is shown first where there is such a market and the address names no other. */
const USUAL_SYMBOL = "BTC";

const averages: Average[] = [
  { kind: "SMA", period: 20, isShown: true },
  { kind: "SMA", period: 50, isShown: true },
  { kind: "EMA", period: 20, isShown: false },
  { kind: "VWAP", period: undefined, isShown: true },
];

const view: View = readView(location.search);
/** The name of a symbol, where one is known that is not the symbol itself. */
const nameOf = (symbol: string | undefined): string => {
  const name = market.tickers.get(symbol ?? "")?.name ?? "";
  return name === symbol ? "" : name;
};
let zone: Zone = "UTC";

const live = new Live(() => {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const key = apiKey.get();
  const query = `interval=${LIVE_INTERVALS.join(",")}${key === null ? "" : `&api_key=${encodeURIComponent(key)}`}`;
  return new WebSocket(`${scheme}://${location.host}/ws/prices/ALL?${query}`);
});
const market = new Market(server, live);
// Asked for before anything is built, as the answers take longer; they come when all of it is there.
void market.refresh();
if (view.range === undefined) market.expect(view.symbol ?? USUAL_SYMBOL, view.interval);
const cards = new Cards(market);
const alerts = new Alerts(market, () => zone);
const chart = new PriceChart(byId("chart", HTMLDivElement), market, averages);
const exporting = new Exporting(chart);
const matrix = new Matrix(market, () => view.symbol);
new PipelinePanel(server, market);

const legend = byId("legend", HTMLDivElement);
const chartState = byId("chart-state", HTMLParagraphElement);
const search = byId("search", HTMLInputElement);

/** Says why there is nothing on the chart. */
function explainChart(): void {
  const { failure, isLoading, isEmpty, isOfRange, symbol } = chart;
  let text = "";
  if (isLoading) text = "Loading candles";
  else if (failure?.code === "unknown_symbol") text = `There is no market ${symbol ?? ""} here: choose another one`;
  else if (failure !== undefined) text = `No candles: ${failure.message}`;
  else if (isEmpty && isOfRange) text = "No candles in this range: “Latest” goes to the newest";
  else if (isEmpty) text = "No candles yet: the first closes within a minute or so";
  setText(chartState, text);
  chartState.hidden = text === "" || !isEmpty;
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
  setText(byId("symbol-long", HTMLElement), nameOf(symbol));
  byId("chart", HTMLDivElement).setAttribute("aria-label", `Candlestick chart of ${symbol}, ${interval}`);
  for (const button of byId("intervals", HTMLDivElement).querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.textContent === interval));
  }
  await chart.show(symbol, interval, range);
}

function choose(symbol: string, interval: Interval = view.interval): Promise<void> {
  view.symbol = symbol;
  view.interval = interval;
  view.range = undefined;
  return show();
}

function step(by: number): void {
  const { shown } = cards;
  const place = shown.indexOf(view.symbol ?? "");
  const next = shown[(place + by + shown.length) % shown.length];
  if (next !== undefined) void choose(next);
}

function showConnection(connection: Connection): void {
  const element = byId("connection", HTMLParagraphElement);
  element.dataset["state"] = connection.state;
  setText(element, connection.state === "waiting" ? "disconnected" : connection.state);
  cards.connection(connection);
}

let volumeCorrelation: number | undefined;

const drawLegend = (): void => {
  showLegend(legend, chart, volumeCorrelation, zone);
};

function buildTools(): void {
  INTERVALS.forEach((interval, index) => {
    const button = make("button", "", interval);
    button.type = "button";
    button.title = `Key ${String(index + 1)}`;
    button.setAttribute("aria-pressed", String(interval === view.interval));
    button.addEventListener("click", () => void (view.symbol !== undefined && choose(view.symbol, interval)));
    byId("intervals", HTMLDivElement).append(button);
  });
  averages.forEach((average, index) => {
    const name = average.period === undefined ? average.kind : `${average.kind} ${String(index + 1)}`;
    const button = make("button", "", average.kind);
    button.type = "button";
    button.setAttribute("aria-pressed", String(average.isShown));
    button.title = average.kind === "VWAP" ? "Average price weighted by volume, since midnight UTC" : "Moving average of closes";
    button.setAttribute("aria-label", name);
    button.addEventListener("click", () => {
      average.isShown = !average.isShown;
      button.setAttribute("aria-pressed", String(average.isShown));
      chart.changeAverage(index);
    });
    const box = make("span", "indicator", button);
    if (average.period !== undefined) {
      const input = make("input", "");
      Object.assign(input, { type: "number", min: "2", max: String(MAX_PERIOD), value: String(average.period) });
      input.setAttribute("aria-label", `Candles of ${name}`);
      input.addEventListener("change", () => {
        const period = Math.min(MAX_PERIOD, Math.max(2, Math.round(Number(input.value)) || 2));
        input.value = String(period);
        average.period = period;
        chart.changeAverage(index);
      });
      box.append(input);
    }
    byId("indicators", HTMLDivElement).append(box);
  });
  const log = byId("log", HTMLButtonElement);
  log.addEventListener("click", () => {
    const isOn = log.getAttribute("aria-pressed") !== "true";
    log.setAttribute("aria-pressed", String(isOn));
    chart.setLogarithmic(isOn);
  });
  const zoneButton = byId("zone", HTMLButtonElement);
  zoneButton.addEventListener("click", () => {
    zone = zone === "UTC" ? "local" : "UTC";
    setText(zoneButton, zone === "UTC" ? "UTC" : "Local");
    chart.setZone(zone);
    alerts.draw();
    drawLegend();
    showStatistics(chart.shown, zone);
  });
  byId("latest", HTMLButtonElement).addEventListener("click", () => {
    void chart.goToNewest();
  });
  byId("export", HTMLButtonElement).addEventListener("click", () => {
    exporting.open();
  });
  byId("snapshot", HTMLButtonElement).addEventListener("click", () => {
    const simulated = market.source === "simulated" ? ", simulated market" : "";
    const title = `${view.symbol ?? ""} ${view.interval}  ${price(chart.reading?.candle.close)}  ${new Date().toISOString().slice(0, 16)}Z${simulated}`;
    void chart.snapshot(title).then((picture) => {
      if (picture !== null) save(picture, `${view.symbol ?? "chart"}-${view.interval}.png`);
    });
  });
}

function listenToKeys(): void {
  search.addEventListener("input", () => {
    cards.search(search.value);
  });
  search.addEventListener("keydown", (event) => {
    const [first] = cards.shown;
    if (event.key === "Enter" && first !== undefined) void choose(first);
    if (event.key !== "Enter" && event.key !== "Escape") return;
    search.value = "";
    cards.search("");
    search.blur();
  });
  document.addEventListener("keydown", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (target?.closest("input, select, dialog, .list, .matrix") != null) return;
    const interval = INTERVALS[Number(event.key) - 1];
    if (event.key === "/") search.focus();
    else if (event.key === "ArrowDown" || event.key === "ArrowRight") step(1);
    else if (event.key === "ArrowUp" || event.key === "ArrowLeft") step(-1);
    else if (interval !== undefined && view.symbol !== undefined) void choose(view.symbol, interval);
    else return;
    event.preventDefault();
  });
}

function listenToMarket(): void {
  live.changes.on(showConnection);
  market.onSource.on((source) => {
    byId("simulated", HTMLParagraphElement).hidden = source !== "simulated";
  });
  market.onProblem.on((problem) => {
    const element = byId("problem", HTMLParagraphElement);
    element.hidden = problem === undefined;
    setText(element, problem === undefined ? "" : `Not read: ${problem.message}. What is shown may be old; trying again.`);
    if (problem?.status === 401) askForKey();
  });
  market.onSymbols.on(() => {
    const first = market.tickers.has(USUAL_SYMBOL) ? USUAL_SYMBOL : [...market.tickers.keys()].sort()[0];
    if (view.symbol === undefined && first !== undefined) void choose(first);
    setText(byId("symbol-long", HTMLElement), nameOf(view.symbol));
    if (view.symbol !== undefined) cards.choose(view.symbol);
  });
  chart.onState.on(explainChart);
  chart.onReading.on(() => {
    inNextFrame(drawLegend);
  });
  chart.onWindow.on(() => {
    const shown = chart.shown;
    volumeCorrelation = summarise(shown)?.volumeCorrelation;
    showStatistics(shown, zone);
    const [first] = shown;
    const last = shown.at(-1);
    // While nothing is there the address says what is to come.
    if (first === undefined || last === undefined) return;
    const range = chart.isAtNewest ? undefined : { from: first.time, to: last.time };
    if (range?.from === view.range?.from && range?.to === view.range?.to) return;
    view.range = range;
    rememberSoon();
  });
  cards.onChoose.on((symbol) => void choose(symbol));
  alerts.onChoose.on((alert) => {
    const opened = view.symbol === alert.symbol ? Promise.resolve() : choose(alert.symbol);
    // Unless another one was chosen meanwhile.
    void opened.then(() => (view.symbol === alert.symbol ? chart.reveal(alert.time) : undefined));
  });
}

let remembering: ReturnType<typeof setTimeout> | undefined;

/** Browsers allow only so many changes of the address in a while. */
function rememberSoon(): void {
  clearTimeout(remembering);
  remembering = setTimeout(writeAddress, 300);
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

buildTools();
listenToKeys();
listenToMarket();
alerts.draw();
for (const event of ["visibilitychange", "online", "pageshow", "focus"]) {
  const target = event === "visibilitychange" ? document : globalThis;
  target.addEventListener(event, () => {
    if (document.visibilityState === "visible") live.check();
  });
}
setInterval(() => {
  const ticker = market.tickers.get(view.symbol ?? "");
  if (ticker?.price !== undefined) setText(document.querySelector("title") ?? legend, `${price(ticker.price)} ${ticker.symbol} – Tallow`);
}, 1000);
showConnection(live.connection);
live.start();
if (view.symbol !== undefined) void show();

/** What the chart was given, for whoever looks from outside: a test, or the console. */
Object.assign(globalThis, {
  tallow: {
    points: () => chart.points,
    volumes: () => chart.volumes,
    line: (place: number) => chart.line(place),
    shown: () => chart.shown,
    reading: () => chart.reading,
    isLogarithmic: () => chart.isLogarithmic,
  },
});
