//! The start or the end of a range of a topic, as written on a command line.

use std::str::FromStr;
use tallow_model::EventTime;
use tallow_model::error::Error;

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The beginning of the partition.
    Beginning,
    /// The end of the partition at the moment of the query.
    End,
    /// The first record that is as late as this time.
    Time(EventTime),
    /// This offset, in every partition.
    Offset(u64),
}

impl FromStr for Bound {
    type Err = String;

    /// Parses `beginning`, `end`, `offset:N`, RFC 3339, or milliseconds since the epoch.
    fn from_str(text: &str) -> Result<Bound, String> {
        match text {
            "beginning" => return Ok(Bound::Beginning),
            "end" => return Ok(Bound::End),
            _ => {}
        }
        if let Some(offset) = text.strip_prefix("offset:") {
            return offset.parse().map(Bound::Offset).map_err(|_| format!("{offset:?} is no offset"));
        }
        if let Ok(millis) = text.parse() {
            return Ok(Bound::Time(EventTime(millis)));
        }
        let instant = text.parse::<jiff::Timestamp>().ok();
        let millis = instant.and_then(|instant| u64::try_from(instant.as_millisecond()).ok());
        millis.map(|millis| Bound::Time(EventTime(millis))).ok_or_else(|| {
            "neither beginning, end, offset:N, a time like 2025-11-16T05:30:00Z nor milliseconds".to_owned()
        })
    }
}

/// Refuses a range that can have no records in any topic.
///
/// # Errors
/// When its start is not before its end.
pub fn check(start: Bound, end: Bound) -> Result<(), Error> {
    let reversed = match (start, end) {
        (Bound::Time(start), Bound::Time(end)) => start >= end,
        (Bound::Offset(start), Bound::Offset(end)) => start >= end,
        (Bound::End, _) | (_, Bound::Beginning) => true,
        _ => false,
    };
    if reversed {
        return Err(Error::Invalid("read a range of a topic: its start is not before its end".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    #[test]
    fn bounds_are_read_as_they_are_written() {
        for (text, bound) in [
            ("beginning", Bound::Beginning),
            ("end", Bound::End),
            ("offset:42", Bound::Offset(42)),
            ("1763271000000", Bound::Time(EventTime(1_763_271_000_000))),
            ("2025-11-16T05:30:00Z", Bound::Time(EventTime(1_763_271_000_000))),
            ("2025-11-16T06:30:00.5+01:00", Bound::Time(EventTime(1_763_271_000_500))),
        ] {
            assert_eq!(text.parse::<Bound>().unwrap(), bound, "{text}");
        }
        for text in ["", "yesterday", "offset:-1", "-5", "1969-12-31T23:59:59Z", "2025-11-16"] {
            text.parse::<Bound>().unwrap_err();
        }
    }

    #[test]
    fn a_range_that_can_have_nothing_is_refused() {
        let (early, late) = (Bound::Time(EventTime(1)), Bound::Time(EventTime(2)));
        for (start, end) in
            [(late, early), (late, late), (Bound::Offset(3), Bound::Offset(3)), (Bound::End, late)]
        {
            check(start, end).unwrap_err();
        }
        for (start, end) in [(early, late), (Bound::Beginning, Bound::End), (late, Bound::Offset(0))] {
            check(start, end).unwrap();
        }
    }
}
