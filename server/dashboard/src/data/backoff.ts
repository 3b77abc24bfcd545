/** The wait before a failed operation is tried again: longer after each failure, up to a limit. */

export class Backoff {
  private failures = 0;

  /** Waits in milliseconds; `random` returns numbers in `[0, 1)`. */
  constructor(
    private readonly firstMs: number,
    private readonly maxMs: number,
    private readonly random: () => number = Math.random,
  ) {}

  get isFresh(): boolean {
    return this.failures === 0;
  }

  reset(): void {
    this.failures = 0;
  }

  /**
   * The wait after one more failure, at least `minMs`. Half of the wait is random, so that the
   * clients of a restarted server do not all return at once.
   */
  next(minMs = 0): number {
    const longest = Math.min(this.maxMs, this.firstMs * 2 ** this.failures);
    this.failures += 1;
    return Math.max(minMs, longest * (0.5 + this.random() / 2));
  }
}
