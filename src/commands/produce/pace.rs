//! The pace of a feed: the time at which a record is due.

use crate::config::Speed;
use std::time::Duration;

/// The relation between the event time of a feed and the clock.
#[derive(Debug)]
pub(super) struct Pace {
    speed: Speed,
    /// An event time and the clock time that it stands for, in milliseconds. `None` before the
    /// first record.
    anchor: Option<(u64, u64)>,
}

impl Pace {
    /// Creates a pace at which the first record is due at once.
    pub(super) fn new(speed: Speed) -> Pace {
        Pace { speed, anchor: None }
    }

    /// Creates a pace at which the event time `from_ms` is due at `now_ms`.
    pub(super) fn from(speed: Speed, from_ms: u64, now_ms: u64) -> Pace {
        Pace { speed, anchor: Some((from_ms, now_ms)) }
    }

    /// Returns the time until a record of event time `time_ms` is due.
    pub(super) fn wait(&mut self, time_ms: u64, now_ms: u64) -> Duration {
        let Speed::Times(times) = self.speed else { return Duration::ZERO };
        let (from_ms, started_ms) = *self.anchor.get_or_insert((time_ms, now_ms));
        let passed = Duration::from_millis(now_ms.saturating_sub(started_ms));
        // A wait that is too long for a duration never ends.
        Duration::try_from_secs_f64(time_ms.saturating_sub(from_ms) as f64 / 1_000.0 / times)
            .unwrap_or(Duration::MAX)
            .saturating_sub(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_time_runs_at_its_speed_against_the_clock() {
        let mut pace = Pace::new(Speed::Times(60.0));
        let ms = Duration::from_millis;
        assert_eq!(pace.wait(600_000, 5_000), ms(0));
        assert_eq!(pace.wait(660_000, 5_000), ms(1_000));
        assert_eq!(pace.wait(660_000, 5_400), ms(600));
        assert_eq!(pace.wait(660_000, 9_000), ms(0));
        assert_eq!(pace.wait(540_000, 5_000), ms(0));
        assert_eq!(Pace::from(Speed::Times(0.5), 1_000, 0).wait(2_000, 500), ms(1_500));
        assert_eq!(Pace::from(Speed::Max, 0, 0).wait(u64::MAX, 0), ms(0));
    }
}
