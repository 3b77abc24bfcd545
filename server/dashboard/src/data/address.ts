/** The view as the page's address holds it: an address can be shared. */

import { type Interval, isInterval } from "./candle";

export interface View {
  symbol: string | undefined;
  interval: Interval;
  /** The range on the chart, in seconds; `undefined` while the newest candle is shown. */
  range: { readonly from: number; readonly to: number } | undefined;
}

/** The symbols that the server accepts; any other one would have every request refused. */
const SYMBOL = /^[A-Z0-9._-]{1,20}$/;

function parseTime(text: string | null): number | undefined {
  if (text === null) return undefined;
  const time = Date.parse(text) / 1000;
  return Number.isFinite(time) ? time : undefined;
}

function iso(time: number): string {
  return new Date(Math.round(time) * 1000).toISOString().replace(".000Z", "Z");
}

export function readView(query: string): View {
  const parameters = new URLSearchParams(query);
  const symbol = parameters.get("symbol")?.toUpperCase();
  const interval = parameters.get("interval");
  const from = parseTime(parameters.get("from"));
  const to = parseTime(parameters.get("to"));
  return {
    symbol: symbol !== undefined && SYMBOL.test(symbol) ? symbol : undefined,
    interval: isInterval(interval) ? interval : "1m",
    range: from !== undefined && to !== undefined && from < to ? { from, to } : undefined,
  };
}

export function writeView(view: View): string {
  const parts = [`interval=${view.interval}`];
  if (view.symbol !== undefined) parts.unshift(`symbol=${encodeURIComponent(view.symbol)}`);
  if (view.range !== undefined) parts.push(`from=${iso(view.range.from)}`, `to=${iso(view.range.to)}`);
  return `?${parts.join("&")}`;
}
