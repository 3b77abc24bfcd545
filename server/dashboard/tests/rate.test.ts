import { describe, expect, it } from "vitest";
import { Rate } from "../src/data/rate";

describe("a rate", () => {
  it("leaves out the records of a backfill before the first sample", () => {
    const rate = new Rate();
    expect(rate.add({ seconds: 30, count: 1_035_450 })).toBeUndefined();
    expect(rate.add({ seconds: 32, count: 1_035_452 })).toBe(1);
  });

  it("covers the last seconds alone", () => {
    const rate = new Rate();
    rate.add({ seconds: 0, count: 0 });
    // The pipeline catches up for ten seconds, and then reads one record a second.
    rate.add({ seconds: 10, count: 100_000 });
    let last: number | undefined;
    for (let seconds = 15; seconds <= 30; seconds += 5) last = rate.add({ seconds, count: 100_000 + seconds - 10 });
    expect(last).toBe(1);
  });

  it("is unknown after a pause, and after a restart of the server", () => {
    const rate = new Rate();
    rate.add({ seconds: 0, count: 0 });
    expect(rate.add({ seconds: 5, count: 50 })).toBe(10);
    expect(rate.add({ seconds: 3600, count: 50_000 })).toBeUndefined();
    expect(rate.add({ seconds: 2, count: 30 })).toBeUndefined();
    expect(rate.add({ seconds: 4, count: 50 })).toBe(10);
  });

  it("is unknown for two samples of the same time", () => {
    const rate = new Rate();
    rate.add({ seconds: 1, count: 1 });
    expect(rate.add({ seconds: 1, count: 1 })).toBeUndefined();
  });
});
