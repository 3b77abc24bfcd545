/** Alerts, as the API and the WebSocket write them, and as text. */

import { percent, price, signed } from "./format";
import type { components } from "./openapi";

export const SEVERITIES = ["LOW", "MEDIUM", "HIGH"] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface Alert {
  readonly id: string;
  readonly symbol: string;
  readonly isRise: boolean;
  readonly severity: Severity;
  /** The change of the close against the previous close, in percent. */
  readonly change: number;
  readonly close: number;
  readonly z: number;
  /** Mean and standard deviation of the returns of the hour before. */
  readonly mean: number;
  readonly deviation: number;
  readonly samples: number;
  readonly threshold: number;
  /** The start of the judged minute, in seconds. */
  readonly time: number;
  readonly revision: number;
  readonly isRetracted: boolean;
}

type Described = components["schemas"]["Alert"];
type CommonFields = Pick<
  Described,
  | "alert_id"
  | "symbol"
  | "alert_type"
  | "severity"
  | "z_score"
  | "mean"
  | "stddev"
  | "samples"
  | "threshold"
  | "window_start"
  | "revision"
  | "status"
>;

/** The fields of an alert of the API that are used. */
export type StoredAlert = CommonFields & Pick<Described, "price_change_pct" | "new_price">;
/**
 * The fields of an alert in a WebSocket frame that are used; frames are not part of the OpenAPI
 * document.
 */
export type SentAlert = CommonFields & { readonly price_change_percent: number; readonly close_price: number };

export function readAlert(raw: StoredAlert | SentAlert): Alert {
  const isStored = "new_price" in raw;
  return {
    id: raw.alert_id,
    symbol: raw.symbol,
    isRise: raw.alert_type === "PRICE_SPIKE",
    severity: raw.severity,
    change: isStored ? raw.price_change_pct : raw.price_change_percent,
    close: isStored ? raw.new_price : raw.close_price,
    z: raw.z_score,
    mean: raw.mean,
    deviation: raw.stddev,
    samples: raw.samples,
    threshold: raw.threshold,
    time: Date.parse(raw.window_start) / 1000,
    revision: raw.revision,
    isRetracted: raw.status === "retracted",
  };
}

/**
 * Whether `next` is a newer version of the alert `known`. A retraction is newer than the alert that
 * it retracts.
 */
export function supersedes(next: Alert, known: Alert): boolean {
  if (next.revision !== known.revision) return next.revision > known.revision;
  return next.isRetracted && !known.isRetracted;
}

/** The event in one line: `BTC rose 1.31 % to 97,004.30`. */
export function headline(alert: Alert): string {
  const size = percent(Math.abs(alert.change)).replace("+", "");
  return `${alert.symbol} ${alert.isRise ? "rose" : "fell"} ${size} to ${price(alert.close)}`;
}

/** The reason for the alert, with the figures to check it by. */
export function explanation(alert: Alert): string {
  const distance = Math.abs(alert.z).toFixed(1);
  return (
    `${distance} σ from the mean (z ${signed(alert.z, 1)}, threshold ±${alert.threshold.toFixed(1)}); ` +
    `mean ${percent(alert.mean * 100, 4)}, σ ${percent(alert.deviation * 100, 4).replace("+", "")} ` +
    `over ${String(alert.samples)} min`
  );
}
