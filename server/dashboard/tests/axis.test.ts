import { TickMarkType, type UTCTimestamp } from "lightweight-charts";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ZonedScale } from "../src/view/axis";

const START = Date.UTC(2025, 10, 16) / 1000;
const QUARTERS = Array.from({ length: 2 * 96 }, (_, index) => START + index * 900);

type Points = Parameters<ZonedScale["fillWeightsForPoints"]>[0];

function pointsOf(scale: ZonedScale, times: readonly number[]): Points {
  return times.map((time) => {
    const internal = scale.convertHorzItemToInternal(time as UTCTimestamp);
    return { time: internal, timeWeight: 0, originalTime: time } as unknown as Points[number];
  });
}

/** The hours after the start of the points with at least the weight of midnight UTC. */
function midnights(zone: "UTC" | "local"): number[] {
  const utc = new ZonedScale();
  const reference = pointsOf(utc, QUARTERS);
  utc.fillWeightsForPoints(reference, 0);
  const ofDay = reference[96]?.timeWeight ?? Infinity;
  const scale = new ZonedScale();
  scale.zone = zone;
  const points = pointsOf(scale, QUARTERS);
  scale.fillWeightsForPoints(points, 0);
  return points.flatMap(({ timeWeight }, index) => (index > 0 && timeWeight >= ofDay ? [index / 4] : []));
}

describe("the axis", () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it.each([
    ["Asia/Kolkata", [18.5, 42.5]],
    ["America/St_Johns", [3.5, 27.5]],
    ["Pacific/Auckland", [11, 35]],
  ] as const)("begins its days at midnight in %s", (zone, expected) => {
    vi.stubEnv("TZ", zone);
    expect(midnights("local")).toEqual(expected);
    expect(midnights("UTC")).toEqual([24]);
  });

  it("gives an added point the weight that it has among all points", () => {
    vi.stubEnv("TZ", "Asia/Kolkata");
    const scale = new ZonedScale();
    scale.zone = "local";
    const all = pointsOf(scale, QUARTERS);
    scale.fillWeightsForPoints(all, 0);
    const grown = pointsOf(scale, QUARTERS);
    scale.fillWeightsForPoints(grown.slice(0, 70), 0);
    for (let length = 71; length <= grown.length; length += 1) scale.fillWeightsForPoints(grown.slice(0, length), length - 1);
    expect(grown.slice(1).map(({ timeWeight }) => timeWeight)).toEqual(all.slice(1).map(({ timeWeight }) => timeWeight));
  });

  it("labels a day with its local date", () => {
    vi.stubEnv("TZ", "Asia/Kolkata");
    const scale = new ZonedScale();
    scale.zone = "local";
    expect(scale.label(START + 18.5 * 3600, TickMarkType.DayOfMonth)).toBe("17 Nov");
    expect(scale.label(START + 18.5 * 3600, TickMarkType.Year)).toBe("2025");
    expect(scale.label(START + 19.5 * 3600, TickMarkType.Time)).toBe("01:00");
  });
});
