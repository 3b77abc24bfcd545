/** The alerts that are known, the newest version of each, however it came. */

import { type Alert, SEVERITIES, type Severity, supersedes } from "./alert";
import { type Api, MOST_ALERTS } from "./api";
import { Signal } from "./signal";

/** How many are kept. The oldest goes. */
const MAX_ALERTS = 1000;

export class AlertBook {
  /** An alert, and whether it was raised or retracted just now. */
  readonly onAlert = new Signal<{ readonly alert: Alert; readonly isNews: boolean }>();
  private readonly known = new Map<string, Alert>();
  /** The questions, as `key` writes them, that the server had more alerts for than it gives at once. */
  private readonly cut = new Set<string>();

  constructor(private readonly api: Pick<Api, "alerts">) {}

  get all(): Iterable<Alert> {
    return this.known.values();
  }

  get size(): number {
    return this.known.size;
  }

  get(id: string): Alert | undefined {
    return this.known.get(id);
  }

  of(symbol: string): Alert[] {
    return [...this.known.values()].filter((alert) => alert.symbol === symbol);
  }

  /** Of a symbol or of all, of this severity or a higher one: the fewer are asked for, the further back they reach. */
  async read(symbol?: string, least: Severity = "LOW"): Promise<void> {
    const answers = severities(least).map(async (severity) => {
      const alerts = await this.api.alerts(symbol, severity);
      if (alerts.length >= MOST_ALERTS) this.cut.add(key(symbol, severity));
      for (const alert of alerts) this.take(alert, false);
    });
    await Promise.all(answers);
  }

  /** Whether there may be older ones of these that have not been read. */
  isCut(symbol: string | undefined, least: Severity): boolean {
    return severities(least).some((severity) => this.cut.has(key(symbol, severity)));
  }

  take(alert: Alert, isNews: boolean): void {
    const known = this.known.get(alert.id);
    if (known !== undefined && !supersedes(alert, known)) return;
    this.known.set(alert.id, alert);
    if (this.known.size > MAX_ALERTS) {
      const oldest = [...this.known.values()].reduce((one, other) => (other.time < one.time ? other : one));
      this.known.delete(oldest.id);
    }
    this.onAlert.emit({ alert, isNews });
  }
}

/** What to ask the server for, which knows one severity or all. */
function severities(least: Severity): readonly (Severity | undefined)[] {
  return least === "LOW" ? [undefined] : SEVERITIES.slice(SEVERITIES.indexOf(least));
}

function key(symbol: string | undefined, severity: Severity | undefined): string {
  return `${symbol ?? ""} ${severity ?? ""}`;
}
