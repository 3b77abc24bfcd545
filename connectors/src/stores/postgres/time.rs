//! Times as PostgreSQL stores them.

use bytes::{BufMut, BytesMut};
use std::error::Error;
use tallow_model::{EventTime, MAX_EVENT_TIME};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

/// Midnight at the start of 2000, in milliseconds since the Unix epoch.
const YEAR_2000_MS: i64 = 946_684_800_000;

/// A `TIMESTAMPTZ`: microseconds since the start of 2000, UTC. Why not a library's instant: the
/// known ones end before the last accepted event time, and have no infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time(i64);

impl From<EventTime> for Time {
    /// A time past every event time becomes infinity, the open end of a range.
    fn from(time: EventTime) -> Time {
        let since_epoch = i64::try_from(time.millis()).unwrap_or(i64::MAX);
        Time(if time > MAX_EVENT_TIME { i64::MAX } else { (since_epoch - YEAR_2000_MS) * 1_000 })
    }
}

impl From<Time> for EventTime {
    /// A time before 1970, which no event has, becomes the epoch.
    fn from(time: Time) -> EventTime {
        EventTime(u64::try_from(time.0.div_euclid(1_000).saturating_add(YEAR_2000_MS)).unwrap_or(0))
    }
}

impl ToSql for Time {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i64(self.0);
        Ok(IsNull::No)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Time {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Time, Box<dyn Error + Sync + Send>> {
        Ok(Time(i64::from_be_bytes(raw.try_into()?)))
    }

    accepts!(TIMESTAMPTZ);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_comes_back_to_the_millisecond_and_what_is_past_all_is_infinity() {
        for millis in [0, 1, 946_684_799_999, 946_684_800_000, 1_763_271_031_120, MAX_EVENT_TIME.millis()] {
            assert_eq!(EventTime::from(Time::from(EventTime(millis))), EventTime(millis));
        }
        assert_eq!(Time::from(EventTime(946_684_800_001)), Time(1_000));
        for past in [MAX_EVENT_TIME.millis() + 1, u64::MAX] {
            assert_eq!(Time::from(EventTime(past)), Time(i64::MAX));
        }
    }
}
