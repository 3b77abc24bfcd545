/** Alerts, as the API and the WebSocket write them, and in words. */

import { percent, price, signed } from "./words";

export const SEVERITIES = ["LOW", "MEDIUM", "HIGH"] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface Alert {
  readonly id: string;
  readonly symbol: string;
  readonly isRise: boolean;
  readonly severity: Severity;
  /** Of the close against the close before, in percent. */
  readonly change: number;
  readonly close: number;
  readonly z: number;
  /** Mean and standard deviation of the returns of the hour before. */
  readonly mean: number;
  readonly deviation: number;
  readonly samples: number;
  readonly threshold: number;
  /** The start of the minute that it judges, in seconds. */
  readonly time: number;
  readonly revision: number;
  readonly isRetracted: boolean;
}

/** The fields that both spellings have, and those of either. */
export interface RawAlert {
  alert_id: string;
  symbol: string;
  alert_type: string;
  severity: string;
  price_change_pct?: number;
  price_change_percent?: number;
  new_price?: number;
  close_price?: number;
  z_score: number;
  mean: number;
  stddev: number;
  samples: number;
  threshold: number;
  window_start: string;
  revision: number;
  status: string;
}

export function readAlert(raw: RawAlert): Alert {
  return {
    id: raw.alert_id,
    symbol: raw.symbol,
    isRise: raw.alert_type === "PRICE_SPIKE",
    severity: SEVERITIES.find((severity) => severity === raw.severity) ?? "LOW",
    change: raw.price_change_pct ?? raw.price_change_percent ?? NaN,
    close: raw.new_price ?? raw.close_price ?? NaN,
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

/** Whether `next` is a newer version of the alert `known`. A retraction is newer than what it retracts. */
export function supersedes(next: Alert, known: Alert): boolean {
  if (next.revision !== known.revision) return next.revision > known.revision;
  return next.isRetracted && !known.isRetracted;
}

/** What happened: `BTC rose 1.31 % to 97,004.30`. */
export function headline(alert: Alert): string {
  const size = percent(Math.abs(alert.change)).replace("+", "");
  return `${alert.symbol} ${alert.isRise ? "rose" : "fell"} ${size} to ${price(alert.close)}`;
}

/** Why it is one, with the figures to check it by. */
export function explanation(alert: Alert): string {
  const away = Math.abs(alert.z).toFixed(1);
  return (
    `${away} σ from the mean (z ${signed(alert.z, 1)}, threshold ±${alert.threshold.toFixed(1)}); ` +
    `mean ${percent(alert.mean * 100, 4)}, σ ${percent(alert.deviation * 100, 4).replace("+", "")} ` +
    `over ${String(alert.samples)} min`
  );
}
