/** The panel of alerts, newest first; a click on an alert shows its candle. */

import { type Alert, explanation, headline, SEVERITIES, type Severity } from "../data/alert";
import { ApiError } from "../data/api";
import type { Market } from "../data/market";
import { Signal } from "../data/signal";
import { clock, moment, type Zone } from "../data/format";
import { byId, make, setText } from "./document";
import { inNextFrame } from "./frame";

const MAX_SHOWN = 100;
/** The age from which an alert is no news, in seconds: it comes from a pipeline that catches up. */
const MAX_NEWS_AGE = 5 * 60;
/** The age up to which an alert is shown without its date, in seconds. */
const MAX_AGE_WITHOUT_DATE = 20 * 60 * 60;

/** A line of the list. The element of a listed alert stays, and with it the keyboard's focus. */
class Line {
  readonly element = make("li", "alert");
  private readonly button = make("button", "");
  private shown = "";

  constructor(id: string) {
    this.button.type = "button";
    this.element.dataset["id"] = id;
    this.element.append(this.button);
  }

  show(alert: Alert, zone: Zone): void {
    const isRecent = alert.time > Date.now() / 1000 - MAX_AGE_WITHOUT_DATE;
    const when = isRecent ? clock(alert.time, zone) : moment(alert.time, zone);
    const next = `${String(alert.revision)} ${String(alert.isRetracted)} ${when}`;
    if (next === this.shown) return;
    this.shown = next;
    const top = make("span", "top", make("b", alert.isRise ? "up" : "down", headline(alert)), make("span", "", when));
    const severity = alert.severity.charAt(0) + alert.severity.slice(1).toLowerCase();
    this.button.replaceChildren(top, make("span", "why", `${severity}: ${explanation(alert)}`));
    if (alert.isRetracted) this.button.append(make("span", "count", "Retracted by a correction"));
    this.element.classList.toggle("retracted", alert.isRetracted);
    this.element.dataset["severity"] = alert.severity;
  }
}

export class Alerts {
  readonly onChoose = new Signal<Alert>();
  private readonly list = byId("alerts", HTMLOListElement);
  private readonly symbol = byId("alert-symbol", HTMLSelectElement);
  private readonly severity = byId("alert-severity", HTMLSelectElement);
  private readonly notify = byId("notify", HTMLButtonElement);
  private lines = new Map<string, Line>();
  private isNotifying = false;

  constructor(
    private readonly market: Market,
    private readonly zone: () => Zone,
  ) {
    market.alerts.onAlert.on(({ alert, isNews }) => {
      inNextFrame(this.draw);
      if (isNews) this.announce(alert);
    });
    market.onSymbols.on(() => {
      this.listSymbols();
    });
    market.onProblem.on((problem) => {
      if (problem === undefined && this.isFiltered) void this.readFiltered();
    });
    for (const filter of [this.symbol, this.severity]) {
      filter.addEventListener("change", () => {
        this.draw();
        void this.readFiltered();
      });
    }
    this.notify.hidden = !("Notification" in globalThis);
    this.notify.addEventListener("click", () => void this.toggleNotify());
    this.list.addEventListener("click", (event) => {
      const line = event.target instanceof Element ? event.target.closest("li") : null;
      const alert = market.alerts.get(line?.dataset["id"] ?? "");
      if (alert !== undefined) this.onChoose.emit(alert);
    });
  }

  readonly draw = (): void => {
    const minSeverity = SEVERITIES.indexOf(this.minSeverity);
    const listed = [...this.market.alerts.all]
      .filter(({ symbol }) => this.symbol.value === "" || symbol === this.symbol.value)
      .filter(({ severity }) => SEVERITIES.indexOf(severity) >= minSeverity)
      .sort((one, other) => other.time - one.time || one.symbol.localeCompare(other.symbol));
    this.arrange(listed.slice(0, MAX_SHOWN));
    const total = `${String(listed.length)}${this.market.alerts.isTruncated(this.chosenSymbol, this.minSeverity) ? "+" : ""}`;
    const count = listed.length > MAX_SHOWN ? `newest ${String(MAX_SHOWN)} of ${total}` : total;
    setText(byId("alert-count", HTMLSpanElement), listed.length === 0 ? "" : count);
    const empty = byId("no-alerts", HTMLParagraphElement);
    empty.hidden = listed.length > 0;
    this.list.hidden = listed.length === 0;
    setText(empty, this.isFiltered ? "No alert of the last seven days passes the filters" : "No alerts in the last seven days");
  };

  private get minSeverity(): Severity {
    return SEVERITIES.find((severity) => severity === this.severity.value) ?? "LOW";
  }

  private get chosenSymbol(): string | undefined {
    return this.symbol.value === "" ? undefined : this.symbol.value;
  }

  private get isFiltered(): boolean {
    return this.chosenSymbol !== undefined || this.minSeverity !== "LOW";
  }

  /** Reads the alerts that the filters pass, as they may be older than the newest of all. */
  private async readFiltered(): Promise<void> {
    try {
      await this.market.alerts.read(this.chosenSymbol, this.minSeverity);
      this.draw();
    } catch (error) {
      // The market reports the failure, and repeats the read.
      if (!(error instanceof ApiError)) throw error;
    }
  }

  /** Puts the lines in order, and does not touch a line that is in its position. */
  private arrange(alerts: readonly Alert[]): void {
    const lines = new Map(alerts.map(({ id }) => [id, this.lines.get(id) ?? new Line(id)]));
    for (const [id, { element }] of this.lines) if (!lines.has(id)) element.remove();
    this.lines = lines;
    let next = this.list.firstElementChild;
    for (const alert of alerts) {
      const line = lines.get(alert.id);
      if (line === undefined) continue;
      line.show(alert, this.zone());
      if (line.element === next) next = next.nextElementSibling;
      else this.list.insertBefore(line.element, next);
    }
  }

  private listSymbols(): void {
    const known = new Set([...this.symbol.options].map(({ value }) => value));
    for (const symbol of [...this.market.tickers.keys()].sort()) {
      if (!known.has(symbol)) this.symbol.append(new Option(symbol, symbol));
    }
  }

  private async toggleNotify(): Promise<void> {
    const isAllowed = (await Notification.requestPermission()) === "granted";
    this.isNotifying = isAllowed && !this.isNotifying;
    this.notify.setAttribute("aria-pressed", String(this.isNotifying));
    setText(this.notify, isAllowed ? "Notify" : "Not allowed");
  }

  private announce(alert: Alert): void {
    if (!this.isNotifying || alert.isRetracted || Date.now() / 1000 - alert.time > MAX_NEWS_AGE) return;
    try {
      const notification = new Notification(headline(alert), { body: explanation(alert), tag: alert.id });
      notification.onclick = () => {
        globalThis.focus();
        this.onChoose.emit(alert);
      };
    } catch {
      // Some browsers, such as Chrome on Android, allow notifications only to service workers.
      this.isNotifying = false;
      this.notify.setAttribute("aria-pressed", "false");
      setText(this.notify, "Not possible");
      this.notify.title = "This browser shows no notifications of pages";
    }
  }
}
