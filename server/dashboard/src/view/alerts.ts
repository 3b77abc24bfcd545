/** The panel of alerts: newest first, in words, each a way to its candle. */

import { type Alert, explanation, headline, SEVERITIES } from "../data/alert";
import type { Market } from "../data/market";
import { Signal } from "../data/signal";
import { clock, moment, type Zone } from "../data/words";
import { byId, make, setText } from "./document";
import { inNextFrame } from "./frame";

const MAX_SHOWN = 100;
/** An alert older than this is no news, in seconds: it comes from a pipeline that catches up. */
const NEWS = 5 * 60;

export class Alerts {
  readonly onChoose = new Signal<Alert>();
  private readonly list = byId("alerts", HTMLOListElement);
  private readonly symbol = byId("alert-symbol", HTMLSelectElement);
  private readonly severity = byId("alert-severity", HTMLSelectElement);
  private readonly notify = byId("notify", HTMLButtonElement);
  private notifies = false;

  constructor(
    private readonly market: Market,
    private readonly zone: () => Zone,
  ) {
    market.onAlert.on(({ alert, isNews }) => {
      inNextFrame(this.draw);
      if (isNews) this.announce(alert);
    });
    market.onSymbols.on(() => {
      this.listSymbols();
    });
    for (const filter of [this.symbol, this.severity]) filter.addEventListener("change", this.draw);
    this.notify.hidden = !("Notification" in globalThis);
    this.notify.addEventListener("click", () => void this.toggleNotify());
    this.list.addEventListener("click", (event) => {
      const line = event.target instanceof Element ? event.target.closest("li") : null;
      const alert = market.alerts.get(line?.dataset["id"] ?? "");
      if (alert !== undefined) this.onChoose.emit(alert);
    });
  }

  readonly draw = (): void => {
    const least = SEVERITIES.findIndex((severity) => severity === this.severity.value);
    const wanted = [...this.market.alerts.values()]
      .filter(({ symbol }) => this.symbol.value === "" || symbol === this.symbol.value)
      .filter(({ severity }) => SEVERITIES.indexOf(severity) >= least)
      .sort((one, other) => other.time - one.time || one.symbol.localeCompare(other.symbol));
    this.list.replaceChildren(...wanted.slice(0, MAX_SHOWN).map((alert) => this.line(alert)));
    setText(byId("alert-count", HTMLSpanElement), wanted.length === 0 ? "" : String(wanted.length));
    const empty = byId("no-alerts", HTMLParagraphElement);
    empty.hidden = wanted.length > 0;
    this.list.hidden = wanted.length === 0;
    setText(empty, this.market.alerts.size === 0 ? "No alerts in the last seven days" : "No alert passes the filters");
  };

  private line(alert: Alert): HTMLLIElement {
    const time = make("span", "", alert.time > Date.now() / 1000 - 20 * 60 * 60 ? clock(alert.time, this.zone()) : moment(alert.time, this.zone()));
    const top = make("span", "top", make("b", alert.isRise ? "up" : "down", headline(alert)), time);
    const severity = alert.severity.charAt(0) + alert.severity.slice(1).toLowerCase();
    const why = make("span", "why", `${severity}: ${explanation(alert)}`);
    const button = make("button", "", top, why);
    button.type = "button";
    if (alert.isRetracted) button.append(make("span", "count", "Retracted by a correction"));
    const line = make("li", alert.isRetracted ? "alert retracted" : "alert", button);
    line.dataset["id"] = alert.id;
    line.dataset["severity"] = alert.severity;
    return line;
  }

  private listSymbols(): void {
    const known = new Set([...this.symbol.options].map(({ value }) => value));
    for (const symbol of [...this.market.tickers.keys()].sort()) {
      if (!known.has(symbol)) this.symbol.append(new Option(symbol, symbol));
    }
  }

  private async toggleNotify(): Promise<void> {
    const isAllowed = (await Notification.requestPermission()) === "granted";
    this.notifies = isAllowed && !this.notifies;
    this.notify.setAttribute("aria-pressed", String(this.notifies));
    setText(this.notify, isAllowed ? "Notify" : "Not allowed");
  }

  private announce(alert: Alert): void {
    if (!this.notifies || alert.isRetracted || Date.now() / 1000 - alert.time > NEWS) return;
    const notification = new Notification(headline(alert), { body: explanation(alert), tag: alert.id });
    notification.onclick = () => {
      globalThis.focus();
      this.onChoose.emit(alert);
    };
  }
}
