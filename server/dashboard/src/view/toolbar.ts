/**
 * The buttons above the chart: intervals, moving averages, scale, time zone, picture and export.
 */

import { type Interval, INTERVALS } from "../data/candle";
import type { Zone } from "../data/format";
import type { PriceChart } from "./chart";
import { byId, make, setText } from "./document";
import type { Average } from "./plot";

const MIN_PERIOD = 2;
const MAX_PERIOD = 500;

/** Commands that the buttons give. */
export interface ToolbarCommands {
  chooseInterval(interval: Interval): void;
  chooseZone(zone: Zone): void;
  savePicture(): void;
  openExport(): void;
}

export class Toolbar {
  private readonly intervals = byId("intervals", HTMLDivElement);

  constructor(
    private readonly chart: PriceChart,
    private readonly commands: ToolbarCommands,
  ) {
    INTERVALS.forEach((interval, index) => {
      const button = make("button", "", interval);
      button.type = "button";
      button.title = `Key ${String(index + 1)}`;
      button.addEventListener("click", () => {
        commands.chooseInterval(interval);
      });
      this.intervals.append(button);
    });
    chart.averages.forEach((average, index) => {
      byId("indicators", HTMLDivElement).append(this.averageControl(average, index));
    });
    this.listenToScale();
    this.listenToZone();
    onClick("latest", () => void chart.goToNewest());
    onClick("export", () => {
      commands.openExport();
    });
    onClick("snapshot", () => {
      commands.savePicture();
    });
  }

  showInterval(interval: Interval): void {
    for (const button of this.intervals.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.textContent === interval));
    }
  }

  private averageControl(average: Average, index: number): HTMLElement {
    const isOfDay = average.kind === "VWAP";
    const name = average.period === undefined ? average.kind : `${average.kind} ${String(index + 1)}`;
    const button = make("button", "", average.kind);
    button.type = "button";
    button.setAttribute("aria-pressed", String(average.isShown));
    button.title = isOfDay ? "Average price weighted by volume, since midnight UTC" : "Moving average of closes";
    button.setAttribute("aria-label", name);
    button.addEventListener("click", () => {
      average.isShown = !average.isShown;
      button.setAttribute("aria-pressed", String(average.isShown));
      this.chart.updateAverage(index);
    });
    const control = make("span", "indicator", button);
    if (average.period === undefined) return control;
    const input = make("input", "");
    const bounds = { min: String(MIN_PERIOD), max: String(MAX_PERIOD) };
    Object.assign(input, { type: "number", ...bounds, value: String(average.period) });
    input.setAttribute("aria-label", `Candles of ${name}`);
    input.addEventListener("change", () => {
      const period = Math.min(MAX_PERIOD, Math.max(MIN_PERIOD, Math.round(Number(input.value)) || MIN_PERIOD));
      input.value = String(period);
      average.period = period;
      this.chart.updateAverage(index);
    });
    control.append(input);
    return control;
  }

  private listenToScale(): void {
    const button = byId("log", HTMLButtonElement);
    button.addEventListener("click", () => {
      const isOn = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(isOn));
      this.chart.setLogarithmic(isOn);
    });
  }

  private listenToZone(): void {
    const button = byId("zone", HTMLButtonElement);
    let zone: Zone = "UTC";
    button.addEventListener("click", () => {
      zone = zone === "UTC" ? "local" : "UTC";
      setText(button, zone === "UTC" ? "UTC" : "Local");
      this.commands.chooseZone(zone);
    });
  }
}

function onClick(id: string, action: () => void): void {
  byId(id, HTMLButtonElement).addEventListener("click", () => {
    action();
  });
}
