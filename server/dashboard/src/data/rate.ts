/** The rate of a counter over the last seconds. */

/** The length of time that a rate covers, in seconds. */
const WINDOW_SECONDS = 15;

interface Sample {
  readonly seconds: number;
  readonly count: number;
}

/**
 * Records per second out of samples of a counter and of the server's uptime. The first sample has
 * no rate: an average since the start of the server would show the speed of a backfill for hours.
 */
export class Rate {
  private samples: Sample[] = [];

  /**
   * Takes a sample and returns the rate; `undefined` unless there is an earlier sample within the
   * window.
   */
  add(sample: Sample): number | undefined {
    const last = this.samples.at(-1);
    // A restarted server counts from zero again.
    if (last !== undefined && (sample.seconds < last.seconds || sample.count < last.count)) this.samples = [];
    this.samples = this.samples.filter(({ seconds }) => seconds >= sample.seconds - WINDOW_SECONDS);
    this.samples.push(sample);
    const [first] = this.samples;
    if (first === undefined || sample.seconds <= first.seconds) return undefined;
    return (sample.count - first.count) / (sample.seconds - first.seconds);
  }
}
