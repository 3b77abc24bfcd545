/** The panels of figures: of the candles that are shown, of the symbols together, and of the pipeline. */

import { ApiError, type Api, type PipelineFigures } from "../data/api";
import type { Candle } from "../data/candle";
import type { Market } from "../data/market";
import { jointCorrelation, returns, summarise } from "../data/statistics";
import { compact, duration, moment, percent, price, signed, type Zone } from "../data/words";
import { byId, make, setText } from "./document";

const POLL_MS = 5000;
/** How many symbols the matrix has at most: its numbers are to be read. */
const MAX_SYMBOLS = 10;
const MATRIX_MS = 30_000;
/** The log and the sinks by the names that they have among people. */
const SINKS: Readonly<Record<string, string>> = {
  log: "Log",
  sqlite: "SQLite",
  postgres: "PostgreSQL",
  redis: "Redis",
  checkpoints: "Checkpoints",
  "kafka-alerts": "Kafka alerts",
  "kafka-dead-letters": "Dead letters",
};

type Figure = readonly [name: string, value: string, isBad?: boolean];

/** Fills a list of figures; its elements stay, and what did not change is left alone. */
function fill(list: HTMLElement, figures: readonly Figure[]): void {
  while (list.children.length > figures.length) list.lastElementChild?.remove();
  figures.forEach(([name, value, isBad], index) => {
    let row = list.children[index];
    if (row === undefined) {
      row = make("div", "", make("dt", ""), make("dd", ""));
      list.append(row);
    }
    const [term, text] = row.children;
    if (term !== undefined) setText(term, name);
    if (text === undefined) return;
    setText(text, value);
    text.classList.toggle("bad", isBad === true);
  });
}

/** The figures of the candles that the chart shows. */
export function showStatistics(candles: readonly Candle[], zone: Zone): void {
  const summary = summarise(candles);
  const [first] = candles;
  const last = candles.at(-1);
  const range = first === undefined || last === undefined ? "" : `${moment(first.time, zone)} – ${moment(last.time, zone)}`;
  setText(byId("statistics-range", HTMLSpanElement), range);
  fill(byId("statistics", HTMLDListElement), [
    ["High", price(summary?.high)],
    [summary?.isTraded === false ? "24h volume" : "Volume", compact(summary?.volume)],
    ["Low", price(summary?.low)],
    ["Volatility", percent(summary?.volatility, 3).replace("+", "")],
    ["Mean close", price(summary?.average)],
    ["Volume/move corr.", signed(summary?.volumeCorrelation)],
    ["Change", percent(summary?.change)],
    ["Candles", String(candles.length)],
  ]);
}

/** The correlation of the symbols' returns, as a heat map. */
export class Matrix {
  private readonly place = byId("matrix", HTMLDivElement);
  private drawnAt = 0;
  /** Whether there were returns of every symbol. */
  private isWhole = false;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly market: Market,
    private readonly chosen: () => string | undefined,
  ) {
    market.onSeries.on(({ interval }) => {
      if (interval !== "15m" || this.timer !== undefined) return;
      const wait = Math.max(500, (this.isWhole ? this.drawnAt + MATRIX_MS : 0) - Date.now());
      this.timer = setTimeout(() => {
        this.timer = undefined;
        this.draw();
      }, wait);
    });
  }

  draw(): void {
    this.drawnAt = Date.now();
    const chosen = this.chosen();
    const all = [...this.market.tickers.keys()].sort();
    const others = all.filter((symbol) => symbol !== chosen).slice(0, MAX_SYMBOLS - 1);
    const rest = all.length > MAX_SYMBOLS ? `, ${String(MAX_SYMBOLS)} of ${String(all.length)} symbols` : "";
    setText(byId("matrix-about", HTMLSpanElement), `15m returns, 24 h${rest}`);
    const symbols = (chosen === undefined || !all.includes(chosen) ? others : [chosen, ...others]).sort();
    const since = Date.now() / 1000 - 24 * 60 * 60;
    const found = symbols.map((symbol) =>
      returns(this.market.seriesOf(symbol, "15m")?.between(since, Infinity) ?? [], 900),
    );
    this.isWhole = found.length > 0 && found.every(({ size }) => size > 0);
    const head = make("tr", "", make("th", "", make("span", "hidden", "Symbol")));
    const body = make("tbody", "");
    symbols.forEach((symbol, row) => {
      head.append(header(symbol, "col"));
      const line = make("tr", "", header(symbol, "row"));
      symbols.forEach((_, column) => {
        const [one, other] = [found[row], found[column]];
        const value = one === undefined || other === undefined ? undefined : jointCorrelation(one, other);
        const cell = make("td", "", row === column ? "1" : signed(value));
        cell.style.setProperty("--tone", (value ?? 0) < 0 ? "var(--down)" : "var(--up)");
        cell.style.setProperty("--share", `${(Math.abs(value ?? 0) * 45).toFixed(0)}%`);
        line.append(cell);
      });
      body.append(line);
    });
    this.place.replaceChildren(make("table", "", make("thead", "", head), body));
  }
}

function header(text: string, scope: "row" | "col"): HTMLTableCellElement {
  const cell = make("th", "", text);
  cell.scope = scope;
  return cell;
}

/** How the pipeline does, asked for while somebody looks. */
export class PipelinePanel {
  private readonly list = byId("pipeline", HTMLDListElement);
  private readonly state = byId("pipeline-state", HTMLSpanElement);
  private before: { readonly at: number; readonly records: number } | undefined;
  private isAsking = false;

  constructor(
    private readonly api: Api,
    market: Market,
  ) {
    // Not before what the chart waits for.
    const stop = market.onSeries.on(() => {
      stop();
      void this.ask();
    });
    setInterval(() => {
      if (document.visibilityState === "visible") void this.ask();
    }, POLL_MS);
  }

  private async ask(): Promise<void> {
    if (this.isAsking) return;
    this.isAsking = true;
    try {
      this.show(await this.api.pipeline(), Date.now());
      this.list.classList.remove("old");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.before = undefined;
      setText(this.state, error.message);
      // The figures are those of before, and are not to be taken for health.
      this.list.classList.add("old");
    } finally {
      this.isAsking = false;
    }
  }

  private show(figures: PipelineFigures, now: number): void {
    const { before } = this;
    const seconds = before === undefined ? figures.uptime_seconds : (now - before.at) / 1000;
    // After a restart the count is smaller than it was.
    const records = Math.max(0, figures.records_in - (before?.records ?? 0));
    this.before = { at: now, records: figures.records_in };
    const count = (name: string): number => figures.records[name] ?? 0;
    const rejected = count("malformed") + count("invalid") + count("future") + count("too_late");
    const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((total, each) => total + each, 0);
    const stored = figures.checkpoint?.stored_at ?? null;
    const failing = figures.sinks.filter(({ problem }) => problem !== null);
    // By the server's clock: the one of this machine may be wrong.
    const { lag_seconds: age, max_event_time: newest } = figures;
    const serverNow = age === null || newest === null ? undefined : Date.parse(newest) + age * 1000;
    const since = (time: string | null): number | undefined =>
      serverNow === undefined || time === null ? undefined : (serverNow - Date.parse(time)) / 1000;
    const [watermark, checkpoint] = [since(figures.watermark), since(stored)];
    setText(this.state, figures.failure ?? (figures.ready ? `up ${duration(figures.uptime_seconds)}` : "catching up"));
    fill(this.list, [
      ["Records/s", seconds > 0 ? (records / seconds).toFixed(1) : "–"],
      ["Watermark lag", watermark === undefined ? "–" : duration(watermark)],
      ["Records", compact(figures.records_in)],
      ["Late", compact(count("late"))],
      ["Candles", compact(sum(figures.candles_settled))],
      ["Rejected", compact(rejected), rejected > 0],
      ["Corrections", compact(sum(figures.corrections))],
      ["Checkpoint", checkpoint === undefined ? "none" : `${duration(checkpoint)} ago`],
      ...figures.sinks.map(({ name, queue, problem }): Figure => [SINKS[name] ?? name, problem ?? (queue === 0 ? "up to date" : `${String(queue)} waiting`), problem !== null]),
      ["Sinks failing", String(failing.length), failing.length > 0],
    ]);
  }
}
