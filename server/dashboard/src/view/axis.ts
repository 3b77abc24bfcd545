/** The time axis, in UTC or in the local time zone. */

import { defaultHorzScaleBehavior, type IHorzScaleBehavior, TickMarkType, type Time, type TimeScalePoint, type UTCTimestamp } from "lightweight-charts";
import { clock, day, year, type Zone } from "../data/format";

type Points = Parameters<IHorzScaleBehavior<Time>["fillWeightsForPoints"]>[0];

/**
 * A time scale with its marks at the days and hours of a time zone. The library chooses marks by
 * the days and hours of UTC: in another zone no mark would be at midnight, and in a zone half an
 * hour off none at a full hour. Here the library receives each point at the time that a clock in
 * the zone shows.
 */
export class ZonedScale extends defaultHorzScaleBehavior() {
  zone: Zone = "UTC";

  override fillWeightsForPoints(points: Points, startIndex: number): void {
    if (this.zone === "UTC") {
      super.fillWeightsForPoints(points, startIndex);
      return;
    }
    // The weight of a point depends on the point before it.
    const first = Math.max(0, startIndex - 1);
    const moved = points.slice(first).map((point) => ({ ...point, time: this.moved(point) }));
    super.fillWeightsForPoints(moved, startIndex - first);
    moved.forEach(({ timeWeight }, index) => {
      const point = points[first + index];
      if (point !== undefined && first + index >= startIndex) point.timeWeight = timeWeight;
    });
  }

  /** The text of a mark. */
  label(time: number, type: TickMarkType): string {
    if (type === TickMarkType.Year) return year(time, this.zone);
    return type === TickMarkType.Month || type === TickMarkType.DayOfMonth ? day(time, this.zone) : clock(time, this.zone);
  }

  private moved({ time }: TimeScalePoint): TimeScalePoint["time"] {
    const seconds = Number(this.key(time));
    const ahead = -new Date(seconds * 1000).getTimezoneOffset() * 60;
    return this.convertHorzItemToInternal((seconds + ahead) as UTCTimestamp);
  }
}
