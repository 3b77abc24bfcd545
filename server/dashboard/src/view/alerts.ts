/** The panel of alerts: newest first, in words, each a way to its candle. */

import { type Alert, explanation, headline, SEVERITIES, type Severity } from "../data/alert";
import { ApiError } from "../data/api";
import type { Market } from "../data/market";
import { Signal } from "../data/signal";
import { clock, moment, type Zone } from "../data/words";
import { byId, make, setText } from "./document";
import { inNextFrame } from "./frame";

const MAX_SHOWN = 100;
/** An alert older than this is no news, in seconds: it comes from a pipeline that catches up. */
const NEWS = 5 * 60;

/** A line of the list. It stays as long as its alert is listed, so that the keyboard's focus on it does. */
class Line {
  readonly element = make("li", "alert");
  private readonly button = make("button", "");
  private written = "";

  constructor(id: string) {
    this.button.type = "button";
    this.element.dataset["id"] = id;
    this.element.append(this.button);
  }

  show(alert: Alert, zone: Zone): void {
    const isRecent = alert.time > Date.now() / 1000 - 20 * 60 * 60;
    const when = isRecent ? clock(alert.time, zone) : moment(alert.time, zone);
    const written = `${String(alert.revision)} ${String(alert.isRetracted)} ${when}`;
    if (written === this.written) return;
    this.written = written;
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
  private notifies = false;

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
      if (problem === undefined && this.isFiltered) void this.readWanted();
    });
    for (const filter of [this.symbol, this.severity]) {
      filter.addEventListener("change", () => {
        this.draw();
        void this.readWanted();
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
    const least = SEVERITIES.indexOf(this.least);
    const wanted = [...this.market.alerts.all]
      .filter(({ symbol }) => this.symbol.value === "" || symbol === this.symbol.value)
      .filter(({ severity }) => SEVERITIES.indexOf(severity) >= least)
      .sort((one, other) => other.time - one.time || one.symbol.localeCompare(other.symbol));
    this.place(wanted.slice(0, MAX_SHOWN));
    const many = `${String(wanted.length)}${this.market.alerts.isCut(this.wantedSymbol, this.least) ? "+" : ""}`;
    const count = wanted.length > MAX_SHOWN ? `newest ${String(MAX_SHOWN)} of ${many}` : many;
    setText(byId("alert-count", HTMLSpanElement), wanted.length === 0 ? "" : count);
    const empty = byId("no-alerts", HTMLParagraphElement);
    empty.hidden = wanted.length > 0;
    this.list.hidden = wanted.length === 0;
    setText(empty, this.isFiltered ? "No alert of the last seven days passes the filters" : "No alerts in the last seven days");
  };

  private get least(): Severity {
    return SEVERITIES.find((severity) => severity === this.severity.value) ?? "LOW";
  }

  private get wantedSymbol(): string | undefined {
    return this.symbol.value === "" ? undefined : this.symbol.value;
  }

  private get isFiltered(): boolean {
    return this.wantedSymbol !== undefined || this.least !== "LOW";
  }

  /** The server gives the newest of all: those of a symbol or of a severity may be older. */
  private async readWanted(): Promise<void> {
    try {
      await this.market.alerts.read(this.wantedSymbol, this.least);
      this.draw();
    } catch (error) {
      // It is told by the market, and tried again.
      if (!(error instanceof ApiError)) throw error;
    }
  }

  /** Puts the lines in order; one that is in its place is not touched. */
  private place(alerts: readonly Alert[]): void {
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
    this.notifies = isAllowed && !this.notifies;
    this.notify.setAttribute("aria-pressed", String(this.notifies));
    setText(this.notify, isAllowed ? "Notify" : "Not allowed");
  }

  private announce(alert: Alert): void {
    if (!this.notifies || alert.isRetracted || Date.now() / 1000 - alert.time > NEWS) return;
    try {
      const notification = new Notification(headline(alert), { body: explanation(alert), tag: alert.id });
      notification.onclick = () => {
        globalThis.focus();
        this.onChoose.emit(alert);
      };
    } catch {
      // Some browsers, as Chrome's on Android, allow notifications to service workers alone.
      this.notifies = false;
      this.notify.setAttribute("aria-pressed", "false");
      setText(this.notify, "Not possible");
      this.notify.title = "This browser shows no notifications of a page";
    }
  }
}
