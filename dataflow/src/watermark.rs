//! The watermark of a partition, and the logical time that it gives each tick.
//!
//! Notation. *w* is the partition's watermark before the tick: the largest event time accepted from
//! the partition so far, less `max_out_of_orderness`; 0 at the start. *e* is the end of the tick's
//! one-minute window. *f*, the floor, is the time that the source has already given up, a whole
//! second: no logical time may be below it.
//!
//! Definition. A tick's logical time is
//! 1. on time, if *w* < *e*: *e*;
//! 2. late, otherwise: the first whole second after *w*;
//! 3. in either case *f*, if *f* is later: then the tick is late too;
//! 4. too late, and the tick rejected, if the result is at or past *e* + `allowed_lateness`.
//!
//! Property. Every logical time is at least `next_second(w)`, and *w* never falls. Hence a source
//! that holds its capability at `next_second(w)` can always send the next tick, and a window is
//! closed as soon as *w* reaches its end.
//!
//! Argument. In step 1, *w* < *e* and *e* is a whole second, so `next_second(w)` ≤ *e*. Step 2
//! gives exactly `next_second(w)`. Step 3 only raises the time. Test:
//! `no_placement_lies_before_the_frontier_that_was_promised`, below.
//!
//! Property. Without step 3, which applies only after a partition has been idle, logical times are
//! a function of the partition's prefix: not of the other partitions, not of batching, not of when
//! the records were read. Oracle:
//! `tests/oracle.rs::every_version_at_every_time_equals_the_sequential_computation`; at the borders
//! `ticks_at_the_borders_equal_the_sequential_computation`.

use crate::settings::Settings;
use tallow_model::{EventTime, Interval, next_second};

/// A tick's logical time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// The end of the tick's window, shared with the window's other ticks.
    OnTime { logical: u64 },
    /// A later time: the tick is a correction.
    Late { logical: u64 },
    /// A time at which the window can no longer be corrected.
    TooLate { logical: u64 },
}

/// The watermark of one partition.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watermark {
    max_event_time: Option<EventTime>,
    /// *w*.
    watermark: u64,
}

impl Watermark {
    /// Creates the watermark after records with this largest event time.
    pub(crate) fn resumed(max_event_time: Option<EventTime>, settings: &Settings) -> Watermark {
        let behind = |time: EventTime| time.millis().saturating_sub(settings.max_out_of_orderness_ms);
        Watermark { max_event_time, watermark: max_event_time.map_or(0, behind) }
    }

    /// The largest event time accepted so far.
    pub(crate) fn max_event_time(&self) -> Option<EventTime> {
        self.max_event_time
    }

    /// Returns the frontier of this watermark: the least logical time that the next tick can get.
    pub(crate) fn frontier(&self) -> u64 {
        next_second(self.watermark)
    }

    /// Returns the logical time of a tick by steps 1 and 2: by this partition alone.
    pub(crate) fn own(&self, time: EventTime) -> u64 {
        let end = Interval::OneMinute.window_end(time).millis();
        if self.watermark < end { end } else { next_second(self.watermark) }
    }

    /// Places a tick of event time `time` above the floor *f*, then moves the watermark.
    pub(crate) fn place(&mut self, time: EventTime, floor: u64, settings: &Settings) -> Placement {
        let end = Interval::OneMinute.window_end(time).millis();
        // Steps 1 and 2, then step 3.
        let logical = self.own(time).max(floor);
        // Step 4. A rejected tick does not move the watermark.
        if logical >= end + settings.allowed_lateness_ms {
            return Placement::TooLate { logical };
        }
        if self.max_event_time.is_none_or(|max| time > max) {
            *self = Watermark::resumed(Some(time), settings);
        }
        if logical == end { Placement::OnTime { logical } } else { Placement::Late { logical } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(watermark: &mut Watermark, ms: u64) -> Placement {
        watermark.place(EventTime(ms), 0, &Settings::default())
    }

    #[test]
    fn a_tick_behind_the_newest_is_on_time_until_the_watermark_reaches_its_windows_end() {
        let mut watermark = Watermark::default();
        assert_eq!(place(&mut watermark, 69_999), Placement::OnTime { logical: 120_000 });
        assert_eq!(place(&mut watermark, 100), Placement::OnTime { logical: 60_000 });
        assert_eq!(place(&mut watermark, 70_000), Placement::OnTime { logical: 120_000 });
        assert_eq!(place(&mut watermark, 100), Placement::Late { logical: 61_000 });
    }

    #[test]
    fn late_ticks_of_one_second_of_the_watermark_share_a_logical_time() {
        let mut watermark = Watermark::default();
        place(&mut watermark, 75_100);
        assert_eq!(place(&mut watermark, 100), Placement::Late { logical: 66_000 });
        place(&mut watermark, 75_900);
        assert_eq!(place(&mut watermark, 200), Placement::Late { logical: 66_000 });
    }

    #[test]
    fn a_tick_is_too_late_from_the_allowed_lateness_on() {
        let mut watermark = Watermark::default();
        let end_of_lateness = 60_000 + 900_000;
        place(&mut watermark, end_of_lateness - 1_001 + 10_000);
        assert_eq!(place(&mut watermark, 5), Placement::Late { logical: end_of_lateness - 1_000 });
        place(&mut watermark, end_of_lateness - 1_000 + 10_000);
        assert_eq!(place(&mut watermark, 5), Placement::TooLate { logical: end_of_lateness });
    }

    #[test]
    fn a_tick_behind_the_sources_floor_becomes_a_correction_there() {
        let mut watermark = Watermark::default();
        let placed = watermark.place(EventTime(30_000), 75_000, &Settings::default());
        assert_eq!(placed, Placement::Late { logical: 75_000 });
    }

    #[test]
    fn no_placement_lies_before_the_frontier_that_was_promised() {
        let mut watermark = Watermark::default();
        let mut seed = 7u64;
        for _ in 0..10_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let promised = watermark.frontier();
            let (Placement::OnTime { logical }
            | Placement::Late { logical }
            | Placement::TooLate { logical }) = place(&mut watermark, (seed >> 33) % 3_000_000);
            assert!(logical >= promised);
            assert!(watermark.frontier() >= promised);
        }
    }
}
