/** How long to wait before what has failed is tried again: longer after each failure, up to a limit. */

export class Backoff {
  private failures = 0;

  /** Waits in milliseconds; `random` gives numbers in `[0, 1)`. */
  constructor(
    private readonly first: number,
    private readonly most: number,
    private readonly random: () => number = Math.random,
  ) {}

  get isFresh(): boolean {
    return this.failures === 0;
  }

  reset(): void {
    this.failures = 0;
  }

  /**
   * The wait after one more failure, `least` of it where the server has asked for that. Half of it is left to chance, so
   * that the clients of a server that has restarted do not all come at once.
   */
  next(least = 0): number {
    const longest = Math.min(this.most, this.first * 2 ** this.failures);
    this.failures += 1;
    return Math.max(least, longest * (0.5 + this.random() / 2));
  }
}
