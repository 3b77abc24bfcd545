/** The known alerts, the newest version of each, from the API and the WebSocket alike. */

import { type Alert, SEVERITIES, type Severity, supersedes } from "./alert";
import { type Api, MAX_ALERTS_READ } from "./api";
import { Signal } from "./signal";

/** The number of alerts that are kept. The oldest alert is dropped. */
const MAX_ALERTS = 1000;

export class AlertStore {
  /** A new version of an alert, and whether it was raised or retracted just now. */
  readonly onAlert = new Signal<{ readonly alert: Alert; readonly isNews: boolean }>();
  private readonly known = new Map<string, Alert>();
  /**
   * The filters, as written by `keyOf`, for which the server had more alerts than a response holds.
   */
  private readonly truncated = new Set<string>();

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

  /**
   * Reads the alerts of one symbol or of all, of this severity or a higher one. A narrower filter
   * reaches further back, as the number of alerts in a response is limited.
   */
  async read(symbol?: string, minSeverity: Severity = "LOW"): Promise<void> {
    const reads = severitiesFrom(minSeverity).map(async (severity) => {
      const alerts = await this.api.alerts(symbol, severity);
      if (alerts.length >= MAX_ALERTS_READ) this.truncated.add(keyOf(symbol, severity));
      for (const alert of alerts) this.take(alert, false);
    });
    await Promise.all(reads);
  }

  /** Whether the server may have older alerts of this filter. */
  isTruncated(symbol: string | undefined, minSeverity: Severity): boolean {
    return severitiesFrom(minSeverity).some((severity) => this.truncated.has(keyOf(symbol, severity)));
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

/** The values of the server's filter, which takes one severity or all (`undefined`). */
function severitiesFrom(minSeverity: Severity): readonly (Severity | undefined)[] {
  return minSeverity === "LOW" ? [undefined] : SEVERITIES.slice(SEVERITIES.indexOf(minSeverity));
}

function keyOf(symbol: string | undefined, severity: Severity | undefined): string {
  return `${symbol ?? ""} ${severity ?? ""}`;
}
