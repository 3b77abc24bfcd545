/** The figures of the pipeline, read while the page is visible. */

import { type Api, ApiError, type PipelineStats } from "../data/api";
import { compact, duration } from "../data/format";
import type { Market } from "../data/market";
import { Rate } from "../data/rate";
import { byId, setText } from "./document";
import { type Figure, fillFigures } from "./figures";

const POLL_INTERVAL_MS = 5000;
/** The wait for the second read, which gives the first rate. */
const SECOND_READ_MS = 2000;
/** The names of the log and the sinks as people write them. */
const SINK_NAMES: Readonly<Record<string, string>> = {
  log: "Log",
  sqlite: "SQLite",
  postgres: "PostgreSQL",
  redis: "Redis",
  checkpoints: "Checkpoints",
  "kafka-alerts": "Kafka alerts",
  "kafka-dead-letters": "Dead letters",
};

export class PipelinePanel {
  private readonly list = byId("pipeline", HTMLDListElement);
  private readonly state = byId("pipeline-state", HTMLSpanElement);
  private readonly recordRate = new Rate();
  private isReading = false;

  constructor(
    private readonly api: Pick<Api, "stats">,
    market: Market,
  ) {
    // The candles of the chart come first.
    const stop = market.candles.onChange.on(() => {
      stop();
      void this.read();
      setTimeout(() => void this.read(), SECOND_READ_MS);
    });
    setInterval(() => {
      if (document.visibilityState === "visible") void this.read();
    }, POLL_INTERVAL_MS);
  }

  private async read(): Promise<void> {
    if (this.isReading) return;
    this.isReading = true;
    try {
      this.show(await this.api.stats());
      this.list.classList.remove("old");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setText(this.state, error.message);
      // The figures of an earlier read must not be taken for health.
      this.list.classList.add("old");
    } finally {
      this.isReading = false;
    }
  }

  private show(stats: PipelineStats): void {
    const rate = this.recordRate.add({ seconds: stats.uptime_seconds, count: stats.records_in });
    const count = (bucket: string): number => stats.records[bucket] ?? 0;
    const rejected = count("malformed") + count("invalid") + count("future") + count("too_late");
    const sum = (counts: Readonly<Record<string, number>>): number =>
      Object.values(counts).reduce((total, each) => total + each, 0);
    const failing = stats.sinks.filter(({ problem }) => problem !== null);
    // Ages are by the server's clock: the clock of this machine may be wrong.
    const { lag_seconds: lag, max_event_time: newest } = stats;
    const serverNow = lag === null || newest === null ? undefined : Date.parse(newest) + lag * 1000;
    const ageOf = (time: string | null): number | undefined =>
      serverNow === undefined || time === null ? undefined : (serverNow - Date.parse(time)) / 1000;
    const watermarkLag = ageOf(stats.watermark);
    const checkpointAge = ageOf(stats.checkpoint?.stored_at ?? null);
    const health = stats.ready ? `up ${duration(stats.uptime_seconds)}` : "catching up";
    setText(this.state, stats.failure ?? health);
    fillFigures(this.list, [
      ["Records/s", rate === undefined ? "–" : rate.toFixed(1)],
      ["Watermark lag", watermarkLag === undefined ? "–" : duration(watermarkLag)],
      ["Records", compact(stats.records_in)],
      ["Late", compact(count("late"))],
      ["Candles", compact(sum(stats.candles_settled))],
      ["Rejected", compact(rejected), rejected > 0],
      ["Corrections", compact(sum(stats.corrections))],
      ["Checkpoint", checkpointAge === undefined ? "none" : `${duration(checkpointAge)} ago`],
      ...stats.sinks.map(({ name, queue, problem }): Figure => {
        const progress = queue === 0 ? "up to date" : `${String(queue)} waiting`;
        return [SINK_NAMES[name] ?? name, problem ?? progress, problem !== null];
      }),
      ["Sinks failing", String(failing.length), failing.length > 0],
    ]);
  }
}
