import { describe, expect, it } from "vitest";
import { explanation, headline, readAlert } from "../src/data/alert";
import { readView, writeView } from "../src/data/address";
import { type Candle, replaces, rollUp } from "../src/data/candle";
import { ExponentialAverage, type Indicator, SimpleAverage, VolumeWeightedAverage } from "../src/data/indicators";
import { gap, MAX_GAP, Series } from "../src/data/series";
import { correlation, jointCorrelation, returns, standardDeviation, summarise } from "../src/data/statistics";
import { clock, compact, duration, percent, price } from "../src/data/format";

const DAY = 86_400;

function candle(time: number, close: number, more: Partial<Candle> = {}): Candle {
  return { time, open: close, high: close, low: close, close, volume: 1, isTraded: true, count: 1, isClosed: true, revision: 0, ...more };
}

/** Candles with pseudo-random closes, from one seed. */
function walk(length: number): Candle[] {
  let state = 7;
  return Array.from({ length }, (_, index) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return candle(DAY - 3000 + index * 60, 100 + (state % 1000) / 100, { volume: 1 + (state % 7) });
  });
}

describe("a series", () => {
  it("is in order whatever the order of arrival", () => {
    const series = new Series(60);
    expect(series.merge([candle(120, 1), candle(0, 1)])).toEqual({ from: 0, moved: true });
    expect(series.merge([candle(60, 1)])).toEqual({ from: 1, moved: true });
    expect(series.merge([candle(180, 1)])).toEqual({ from: 3, moved: false });
    expect(series.candles.map(({ time }) => time)).toEqual([0, 60, 120, 180]);
    expect(series.between(60, 180).map(({ time }) => time)).toEqual([60, 120]);
  });

  it("accepts a correction, and no older version after it", () => {
    const series = new Series(60);
    series.merge([candle(0, 1), candle(60, 1)]);
    expect(series.merge([candle(0, 2, { count: 2, revision: 1 })])).toEqual({ from: 0, moved: false });
    expect(series.merge([candle(0, 1)])).toBeUndefined();
    expect(series.at(0)?.close).toBe(2);
  });

  it("has gaps of the windows without ticks, and shortens a very long one", () => {
    expect(gap(0, 60, 60)).toEqual([]);
    expect(gap(0, 240, 60)).toEqual([60, 120, 180]);
    expect(gap(0, 1e9, 60)).toHaveLength(MAX_GAP);
  });

  it("prefers a closed version to an open one with more ticks", () => {
    expect(replaces(candle(0, 1), candle(0, 1, { isClosed: false, count: 9 }))).toBe(true);
    expect(replaces(candle(0, 1, { isClosed: false, count: 9 }), candle(0, 1))).toBe(false);
  });
});

describe("an average", () => {
  const kinds: [string, () => Indicator][] = [
    ["simple", () => new SimpleAverage(20)],
    ["exponential", () => new ExponentialAverage(20)],
    ["volume-weighted", () => new VolumeWeightedAverage()],
  ];

  it.each(kinds)("has the values of a full computation after each change (%s)", (_, make) => {
    const candles = walk(120);
    const moving = make();
    for (let length = 1; length <= candles.length; length += 1) {
      // The open candle moves, then it closes.
      const now = candles.slice(0, length);
      moving.update([...now.slice(0, -1), candle(now.at(-1)?.time ?? 0, 50)], length - 1, true);
      moving.update(now, length - 1, true);
    }
    // A correction in the middle.
    candles[60] = candle(candles[60]?.time ?? 0, 300);
    moving.update(candles, 60, true);
    const whole = make();
    whole.update(candles, 0, true);
    expect(moving.values).toHaveLength(120);
    moving.values.forEach((value, index) => {
      if (value === undefined) expect(whole.values[index]).toBeUndefined();
      else expect(value).toBeCloseTo(whole.values[index] ?? NaN, 9);
    });
  });

  it("follows its definition", () => {
    const candles = [2, 4, 6, 8].map((close, index) => candle(index * 60, close));
    const simple = new SimpleAverage(2);
    simple.update(candles, 0);
    expect(simple.values).toEqual([undefined, 3, 5, 7]);
    const exponential = new ExponentialAverage(3);
    exponential.update(candles, 0);
    expect(exponential.values).toEqual([undefined, undefined, 4, 6]);
  });

  it("weighted by volume has no value on an incomplete day", () => {
    const average = new VolumeWeightedAverage();
    average.update([candle(DAY - 60, 10), candle(DAY, 50)], 0, false);
    expect(average.values).toEqual([undefined, 50]);
  });

  it("weighted by volume starts afresh at midnight", () => {
    const average = new VolumeWeightedAverage();
    average.update([candle(DAY - 120, 10, { volume: 1 }), candle(DAY - 60, 20, { volume: 3 }), candle(DAY, 50, { volume: 0 }), candle(DAY + 60, 40)], 0, true);
    expect(average.values).toEqual([10, 17.5, undefined, 40]);
  });
});

describe("statistics", () => {
  it("correlate equal moves with 1 and opposite moves with −1", () => {
    expect(correlation([1, 2, 3], [2, 4, 6])).toBeCloseTo(1, 12);
    expect(correlation([1, 2, 3], [3, 2, 1])).toBeCloseTo(-1, 12);
    expect(correlation([1, 2, 3], [1, 1, 1])).toBeUndefined();
    expect(correlation([1, 2], [1, 2])).toBeUndefined();
  });

  it("take returns only of neighbours, and correlate only common windows", () => {
    const one = returns([candle(0, 1), candle(60, 2), candle(180, 4), candle(240, 8, { isClosed: false })], 60);
    expect([...one.keys()]).toEqual([60]);
    const left = new Map([[1, 1], [2, 2], [3, 3], [9, 100]]);
    const right = new Map([[1, 2], [2, 4], [3, 6], [8, -50]]);
    expect(jointCorrelation(left, right)).toBeCloseTo(1, 12);
  });

  it("sum up a stretch of candles", () => {
    const summary = summarise([candle(0, 10), candle(60, 20, { volume: 5 }), candle(120, 15, { high: 30, low: 5 })]);
    expect(summary).toMatchObject({ high: 30, low: 5, average: 15, volume: 7, change: 50 });
    expect(summary?.volatility).toBeCloseTo((standardDeviation([1, -0.25]) ?? 0) * 100, 12);
    expect(summarise([])).toBeUndefined();
  });
});

/** A candle of a feed without sizes: its volume is that of the last 24 hours. */
function quote(time: number, close: number, volume: number): Candle {
  return candle(time, close, { volume, isTraded: false });
}

describe("a feed of quotes", () => {
  const quotes = [quote(0, 10, 5000), quote(60, 12, 5100), quote(120, 11, 4900)];

  it("has the newest of its rolling volumes, and no sum", () => {
    expect(rollUp(0, quotes, true)).toMatchObject({ volume: 4900, isTraded: false, count: 3 });
    expect(summarise(quotes)).toMatchObject({ volume: 4900, isTraded: false, high: 12 });
  });

  it("has no correlation of volume and moves", () => {
    const many = Array.from({ length: 20 }, (_, index) => quote(index * 60, 100 + (index % 7), 5000 + index * index));
    expect(summarise(many)?.volumeCorrelation).toBeUndefined();
    expect(summarise(many)?.volatility).toBeGreaterThan(0);
  });

  it("has no price weighted by volume", () => {
    const average = new VolumeWeightedAverage();
    average.update(quotes, 0, true);
    expect(average.values).toEqual([undefined, undefined, undefined]);
  });

  it("adds nothing to the traded volume", () => {
    const both = [quote(0, 10, 5000), candle(60, 12, { volume: 3 }), candle(120, 13, { volume: 4 })];
    expect(rollUp(0, both, true)).toMatchObject({ volume: 7, isTraded: true });
    expect(summarise(both)).toMatchObject({ volume: 7, isTraded: true });
  });
});

describe("formats", () => {
  it("give a price the decimals of its size", () => {
    expect([96_800.5, 140.25, 0.16343, 0.000012345].map((value) => price(value))).toEqual([
      "96,800.50", "140.2500", "0.16343", "0.000012345",
    ]);
    expect(price(undefined)).toBe("–");
  });

  it("give a change its sign, and no sign to zero", () => {
    expect([1.234, -1.236, 0.001, NaN].map((value) => percent(value))).toEqual(["+1.23 %", "−1.24 %", "0.00 %", "–"]);
  });

  it("shorten volumes, spans and times", () => {
    expect([1_234_567, 12.345, 0].map(compact)).toEqual(["1.23 M", "12.35", "0"]);
    expect([5, 65, 600, 90_000].map(duration)).toEqual(["5.0 s", "65 s", "10 min", "25 h"]);
    expect(clock(1_763_271_000, "UTC")).toBe("05:30");
  });

  it("explain an alert of the API and of a frame alike", () => {
    const base = {
      alert_id: "x", symbol: "BTC", alert_type: "PRICE_SPIKE" as const, severity: "MEDIUM" as const, z_score: 6.4, mean: 0.00001, stddev: 0.002,
      samples: 60, threshold: 4, window_start: "2025-11-16T05:30:00Z", revision: 0, status: "raised" as const,
    };
    const stored = readAlert({ ...base, price_change_pct: 1.31, new_price: 97_004.3 });
    const published = readAlert({ ...base, price_change_percent: 1.31, close_price: 97_004.3 });
    expect(stored).toEqual(published);
    expect(headline(stored)).toBe("BTC rose 1.31 % to 97,004.30");
    expect(explanation(stored)).toBe(
      "6.4 σ from the mean (z 6.4, threshold ±4.0); mean +0.0010 %, σ 0.2000 % over 60 min",
    );
  });
});

describe("an address", () => {
  it("holds a view", () => {
    const view = { symbol: "BTC", interval: "5m" as const, range: { from: 1_763_271_000, to: 1_763_274_600 } };
    expect(writeView(view)).toBe("?symbol=BTC&interval=5m&from=2025-11-16T05:30:00Z&to=2025-11-16T06:30:00Z");
    expect(readView(writeView(view))).toEqual(view);
  });

  it("with an impossible symbol names no symbol", () => {
    for (const symbol of ["BTC/USD", "%20", "B".repeat(21), "ÄÖ"]) {
      expect(readView(`?symbol=${encodeURIComponent(symbol)}`).symbol).toBeUndefined();
    }
    expect(readView("?symbol=btc.usd-_9").symbol).toBe("BTC.USD-_9");
  });

  it("without sense has the default view", () => {
    expect(readView("?symbol=&interval=7m&from=yesterday&to=now")).toEqual({ symbol: undefined, interval: "1m", range: undefined });
  });
});
