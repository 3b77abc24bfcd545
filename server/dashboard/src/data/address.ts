/** What is looked at, as it stands in the page's address: a view can be shared by it. */

import { type Interval, isInterval } from "./candle";

export interface View {
  symbol: string | undefined;
  interval: Interval;
  /** The stretch of time that is shown, in seconds; none while the newest candle is in it. */
  range: { readonly from: number; readonly to: number } | undefined;
}

/** What a symbol is made of; with anything else the server would refuse every request. */
const SYMBOL = /^[A-Z0-9._-]{1,20}$/;

function seconds(text: string | null): number | undefined {
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
  const from = seconds(parameters.get("from"));
  const to = seconds(parameters.get("to"));
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
