/**
 * The legend: the figures of the candle under the crosshair, or of the newest one, and its alerts.
 */

import { explanation, headline } from "../data/alert";
import { compact, moment, percent, price, signed, decimals, type Zone } from "../data/format";
import type { PriceChart } from "./chart";
import { make } from "./document";

export function showLegend(element: HTMLElement, chart: PriceChart, volumeCorrelation: number | undefined, zone: Zone): void {
  const { reading } = chart;
  if (reading === undefined) {
    element.replaceChildren();
    return;
  }
  const { candle, previous, averages, alerts } = reading;
  const digits = decimals(candle.close);
  const tone = candle.close >= candle.open ? "up" : "down";
  const figure = (name: string, value: string, className = ""): HTMLElement => make("span", "", `${name} `, make("b", className, value));
  const change = previous === undefined ? undefined : (candle.close / previous.close - 1) * 100;
  const figures = make(
    "div",
    "",
    make("span", "", moment(candle.time, zone)),
    figure("O", price(candle.open, digits), tone),
    figure("H", price(candle.high, digits), tone),
    figure("L", price(candle.low, digits), tone),
    figure("C", price(candle.close, digits), tone),
    make("b", (change ?? 0) >= 0 ? "up" : "down", percent(change)),
    figure(candle.isTraded ? "Vol" : "24h vol", compact(candle.volume)),
    ...(volumeCorrelation === undefined ? [] : [figure("vol/move corr.", signed(volumeCorrelation))]),
    ...(candle.isClosed ? [] : [make("span", "", "forming")]),
    ...(candle.revision > 0 ? [make("span", "", `corrected ${String(candle.revision)}×`)] : []),
  );
  const averageValues = make("div", "");
  chart.averages.forEach((average, index) => {
    if (!average.isShown) return;
    const name = average.period === undefined ? average.kind : `${average.kind} ${String(average.period)}`;
    averageValues.append(make("span", `average-${String(index + 1)}`, `${name} ${price(averages[index], digits)}`));
  });
  const explanations = alerts.map((alert) =>
    make("p", "why", `${alert.isRetracted ? "Retracted: " : ""}${headline(alert)}. ${explanation(alert)}`),
  );
  element.replaceChildren(figures, averageValues, ...explanations);
}
