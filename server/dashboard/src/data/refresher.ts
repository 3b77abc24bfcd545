/**
 * The reading of everything that may have been missed, one run at a time, and its repetition after
 * a failure.
 *
 * One timer repeats failed requests, whoever made them: with a back-off, and by reading everything
 * again.
 */

import { ApiError } from "./api";
import { Backoff } from "./backoff";
import { Signal } from "./signal";

const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 30_000;
/**
 * The time without a failure after which the back-off starts again. One success says nothing of the
 * other requests.
 */
const CALM_MS = 60_000;

export class Refresher {
  /** The failure that is being repeated; `undefined` once everything has been read. */
  readonly onProblem = new Signal<ApiError | undefined>();
  problem: ApiError | undefined;
  private running: Promise<void> | undefined;
  private isRequested = false;
  private readonly backoff = new Backoff(FIRST_RETRY_MS, MAX_RETRY_MS);
  private retry: ReturnType<typeof setTimeout> | undefined;
  private failedAt = 0;

  constructor(private readonly readAll: () => Promise<void>) {}

  /** Whether a failed run waits to be repeated. */
  get isWaiting(): boolean {
    return this.retry !== undefined;
  }

  /** Reads everything. A call during a run has one more run follow it. */
  refresh(): Promise<void> {
    this.isRequested = true;
    clearTimeout(this.retry);
    this.retry = undefined;
    this.running ??= this.run().finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  /** Hands a request on. A failure that may pass has everything read again later. */
  async watch<T>(request: Promise<T>): Promise<T> {
    try {
      return await request;
    } catch (error) {
      if (error instanceof ApiError && error.isTransient) this.scheduleRetry(error);
      throw error;
    }
  }

  private async run(): Promise<void> {
    while (this.isRequested) {
      this.isRequested = false;
      try {
        await this.readAll();
        if (this.problem === undefined) continue;
        this.problem = undefined;
        this.onProblem.emit(undefined);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        this.scheduleRetry(error);
        return;
      }
    }
  }

  private scheduleRetry(error: ApiError): void {
    this.problem = error;
    this.onProblem.emit(error);
    if (Date.now() - this.failedAt > CALM_MS) this.backoff.reset();
    this.failedAt = Date.now();
    // A request without a valid key would be refused again.
    if (this.retry !== undefined || error.status === 401) return;
    this.retry = setTimeout(() => void this.refresh(), this.backoff.next(error.retryAfter * 1000));
  }
}
