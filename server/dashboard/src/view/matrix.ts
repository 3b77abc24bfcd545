/** The correlations of the symbols' returns, as a heat map. */

import { SECONDS } from "../data/candle";
import { signed } from "../data/format";
import type { Market } from "../data/market";
import { jointCorrelation, returns } from "../data/statistics";
import { byId, make, setText } from "./document";

/** The largest number of symbols: more numbers would not be legible. */
const MAX_SYMBOLS = 10;
const DAY_SECONDS = 24 * 60 * 60;
/** The time between two drawings, in milliseconds. */
const REDRAW_INTERVAL_MS = 30_000;
/** The time between two drawings while the returns of a symbol are missing, in milliseconds. */
const FIRST_REDRAW_INTERVAL_MS = 500;

export class Matrix {
  private readonly container = byId("matrix", HTMLDivElement);
  private drawnAt = 0;
  /** Whether the last drawing had returns of every symbol. */
  private isComplete = false;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly market: Market,
    private readonly chosen: () => string | undefined,
  ) {
    market.candles.onChange.on(({ interval }) => {
      if (interval !== "15m" || this.timer !== undefined) return;
      const due = this.isComplete ? this.drawnAt + REDRAW_INTERVAL_MS : 0;
      const wait = Math.max(FIRST_REDRAW_INTERVAL_MS, due - Date.now());
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
    const part = all.length > MAX_SYMBOLS ? `, ${String(MAX_SYMBOLS)} of ${String(all.length)} symbols` : "";
    setText(byId("matrix-about", HTMLSpanElement), `15m returns, 24 h${part}`);
    const symbols = (chosen === undefined || !all.includes(chosen) ? others : [chosen, ...others]).sort();
    const since = Date.now() / 1000 - DAY_SECONDS;
    const returnsOf = symbols.map((symbol) =>
      returns(this.market.candles.get(symbol, "15m")?.between(since, Infinity) ?? [], SECONDS["15m"]),
    );
    this.isComplete = returnsOf.length > 0 && returnsOf.every(({ size }) => size > 0);
    const head = make("tr", "", make("th", "", make("span", "hidden", "Symbol")));
    const body = make("tbody", "");
    symbols.forEach((symbol, row) => {
      head.append(header(symbol, "col"));
      const line = make("tr", "", header(symbol, "row"));
      symbols.forEach((_, column) => {
        const [one, other] = [returnsOf[row], returnsOf[column]];
        const value = one === undefined || other === undefined ? undefined : jointCorrelation(one, other);
        const cell = make("td", "", row === column ? "1" : signed(value));
        cell.style.setProperty("--tone", (value ?? 0) < 0 ? "var(--down)" : "var(--up)");
        cell.style.setProperty("--share", `${(Math.abs(value ?? 0) * 45).toFixed(0)}%`);
        line.append(cell);
      });
      body.append(line);
    });
    this.container.replaceChildren(make("table", "", make("thead", "", head), body));
  }
}

function header(text: string, scope: "row" | "col"): HTMLTableCellElement {
  const cell = make("th", "", text);
  cell.scope = scope;
  return cell;
}
