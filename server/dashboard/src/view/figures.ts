/** Lists of figures, and the statistics of the candles on the chart. */

import type { Candle } from "../data/candle";
import { compact, moment, percent, price, signed, type Zone } from "../data/format";
import { summarise } from "../data/statistics";
import { byId, make, setText } from "./document";

export type Figure = readonly [name: string, value: string, isBad?: boolean];

/** Fills a list of figures. Its elements stay, and unchanged ones are not touched. */
export function fillFigures(list: HTMLElement, figures: readonly Figure[]): void {
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

/** Shows the statistics of the candles on the chart. */
export function showStatistics(candles: readonly Candle[], zone: Zone): void {
  const summary = summarise(candles);
  const [first] = candles;
  const last = candles.at(-1);
  const isEmpty = first === undefined || last === undefined;
  const range = isEmpty ? "" : `${moment(first.time, zone)} – ${moment(last.time, zone)}`;
  setText(byId("statistics-range", HTMLSpanElement), range);
  fillFigures(byId("statistics", HTMLDListElement), [
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
