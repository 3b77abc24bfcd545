//! The order of candles and of their updates: which is newer, which comes next, which is missing.
//!
//! Every component that publishes, caches, forwards or stores candles asks one of two questions,
//! and this file answers both.
//!
//! # Which of two candles is newer?
//!
//! A [`Version`] says which window a candle is of and how far that window had come. Versions are
//! ordered by four fields, the most significant first:
//!
//! 1. the start of the window: a later window is newer;
//! 2. closed over open: a settled candle replaces what was shown of its window before;
//! 3. the number of ticks: a correction only ever adds ticks;
//! 4. the revision, for a correction that leaves the number of ticks as it was.
//!
//! A store keeps closed candles by symbol, interval and window, so that the last two fields decide.
//! [`REPLACES_STORED`] is the rule in SQL, [`SettledCandle::replace_if_newer`] in Rust; the
//! contract suite that every store passes binds the two.
//!
//! # Which update comes next, and which are missing?
//!
//! The updates of one symbol and interval (a *series*) are numbered 1, 2, 3, …, and a channel keeps
//! their order. A [`Sequence`] is the point that a publisher or a reader of a series has reached:
//! the number of the last update, and the newest version among all updates up to it. Let `n` be
//! that number and `v` that version. A reader judges an update `(m, w)` as follows:
//!
//! | number | version | [`Arrival`] | cause |
//! | --- | --- | --- | --- |
//! | `m = n + 1`, or nothing was read before | any | `Next` | the rule |
//! | `m > n + 1` | any | `Gap` | updates `n + 1 … m − 1` were lost |
//! | `m ≤ n` | `w ≤ v` | `Duplicate` | the publisher sent the update again |
//! | `m ≤ n` | `w > v` | `Restart` | the publisher lost the numbers and counts from 1 |
//!
//! Numbers alone can't tell the last two rows apart. A publisher whose connection broke does not
//! know whether its last updates arrived and sends them again under their old numbers; a publisher
//! whose counters were lost starts at 1 again and replays what readers already have. In both cases
//! readers have everything up to `v`, so an update that is not newer adds nothing. The first newer
//! one is new under any number, and numbers count from there.
//!
//! # Laws
//!
//! `tests/versions.rs` checks them on random series:
//!
//! - *Monotone*: numbers grow by one, and the newest version never becomes older.
//! - *Faithful*: a reader of every update finds each `Next` and stands where the publisher stands.
//! - *Idempotent*: an update that was followed before is a `Duplicate`, and writing versions to a
//!   store a second time changes nothing.
//! - *Complete*: a reader that lost updates finds the next one a `Gap`, and knows the first lost
//!   one.
//! - *Right after a restart*: a publisher that resumes anywhere continues the numbers and opens no
//!   window before the newest one; with its counters lost, readers follow it from its first newer
//!   update.

use crate::candle::SettledCandle;
use crate::rows::LatestCandle;
use crate::time::{EventTime, SECOND_MS};

/// The rule by which a store replaces its row of a window, in SQL.
///
/// `stored` is the row of the table and `excluded` the row to be inserted. The revision that is
/// stored is the greater of the two, so that it never decreases: a run that read late ticks in time
/// comes to the same candle with fewer corrections.
pub const REPLACES_STORED: &str = "excluded.trade_count > stored.trade_count
            OR (excluded.trade_count = stored.trade_count AND excluded.revision > stored.revision)";

/// The position of a candle in the order of all candles of its symbol and interval.
///
/// The derived order compares the fields in the order in which they stand here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The start of the window.
    pub window_start: EventTime,
    /// Whether the window is settled.
    pub is_closed: bool,
    /// The number of ticks in the candle.
    pub ticks: u64,
    /// The number of corrections before this version; 0 while open.
    pub revision: u32,
}

/// The point that a publisher or a reader of one symbol and interval has reached.
///
/// A publisher calls [`admit`](Self::admit) for each candle, a reader [`judge`](Self::judge) and
/// [`follow`](Self::follow) for each update. The default is the point before the first update.
///
/// # Examples
///
/// ```
/// use tallow_model::EventTime;
/// use tallow_model::version::{Arrival, Sequence, Version};
///
/// let open = |minute: u64, ticks| Version {
///     window_start: EventTime(minute * 60_000),
///     is_closed: false,
///     ticks,
///     revision: 0,
/// };
/// let (mut publisher, mut reader) = (Sequence::default(), Sequence::default());
/// let first = publisher.admit(open(1, 3)).expect("the first candle");
/// assert_eq!(publisher.admit(open(1, 2)), None, "fewer ticks of the same window");
/// let second = publisher.admit(open(1, 4)).expect("a newer candle");
///
/// assert_eq!(reader.judge(first.seq, open(1, 3)), Arrival::Next);
/// reader.follow(first.seq, open(1, 3));
/// reader.follow(second.seq, open(1, 4));
/// assert_eq!(reader.judge(second.seq, open(1, 4)), Arrival::Duplicate);
/// assert_eq!(reader.judge(5, open(2, 1)), Arrival::Gap);
/// assert_eq!(reader.missing_from(5), Some(3));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    seq: u64,
    newest: Option<Version>,
    /// Open candles of windows that start before this time are out of date.
    open_from: EventTime,
}

/// The number that an admitted candle is published under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The number, from 1.
    pub seq: u64,
    /// Whether the candle is newer than all before it.
    pub is_newest: bool,
}

/// The relation of an update to those that a reader has followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The next update, or the first.
    Next,
    /// A later update than the next: those between were lost.
    Gap,
    /// An update that the reader has had, or an older one.
    Duplicate,
    /// A newer candle under a number that was used before: the publisher counts from 1 again.
    Restart,
}

impl Sequence {
    /// Returns the point that another publisher or reader has left: the number of the last update,
    /// and the newest version.
    ///
    /// Open windows before the newest one have been shown, and the publisher does not show them
    /// again.
    pub fn resume(seq: u64, newest: Option<Version>) -> Sequence {
        let mut sequence = Sequence { seq, newest: None, open_from: EventTime::default() };
        if let Some(newest) = newest {
            sequence.open_from = newest.window_start;
            sequence.note(newest);
        }
        sequence
    }

    /// Returns the number of the last update; 0 before the first.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Returns the newest version among all updates.
    pub fn newest(&self) -> Option<Version> {
        self.newest
    }

    /// Returns whether the version is newer than every one before it.
    pub fn is_newer(&self, version: Version) -> bool {
        self.newest.is_none_or(|newest| version > newest)
    }

    /// Numbers a candle that is to be published; `None` if it is out of date and must not be.
    ///
    /// A closed candle is always published: of an old window it is a correction. An open one is out
    /// of date if its window has closed, or if the newest candle is of the same window and has as
    /// many ticks.
    pub fn admit(&mut self, version: Version) -> Option<Admission> {
        if !version.is_closed {
            let is_same_window = self.newest.is_some_and(|it| it.window_start == version.window_start);
            if version.window_start < self.open_from || (is_same_window && !self.is_newer(version)) {
                return None;
            }
        }
        self.seq += 1;
        Some(Admission { seq: self.seq, is_newest: self.note(version) })
    }

    /// Returns how an update relates to those followed.
    pub fn judge(&self, seq: u64, version: Version) -> Arrival {
        if self.seq == 0 && self.newest.is_none() {
            Arrival::Next
        } else if seq > self.seq.saturating_add(1) {
            Arrival::Gap
        } else if seq > self.seq {
            Arrival::Next
        } else if self.is_newer(version) {
            Arrival::Restart
        } else {
            Arrival::Duplicate
        }
    }

    /// Takes an update as the last one. Returns whether it is newer than all before it.
    pub fn follow(&mut self, seq: u64, version: Version) -> bool {
        self.seq = seq;
        self.note(version)
    }

    /// Returns the first number that a reader must read again, if the update of this number is not
    /// the next one and not the first.
    ///
    /// After a restart of the numbers this is the number of the update itself.
    pub fn missing_from(&self, seq: u64) -> Option<u64> {
        let next = self.seq.saturating_add(1);
        (self.seq != 0 && seq != next).then(|| seq.min(next))
    }

    fn note(&mut self, version: Version) -> bool {
        if version.is_closed {
            let after = EventTime(version.window_start.millis().saturating_add(1));
            self.open_from = self.open_from.max(after);
        }
        let is_newest = self.is_newer(version);
        if is_newest {
            self.newest = Some(version);
        }
        is_newest
    }
}

impl LatestCandle {
    /// Returns the candle's version. The number of the update is no part of it.
    pub fn version(&self) -> Version {
        Version {
            window_start: EventTime(self.window_start.saturating_mul(SECOND_MS)),
            is_closed: self.is_closed,
            ticks: self.event_count,
            revision: self.revision,
        }
    }

    /// Returns whether the candle is newer than another one of its symbol and interval.
    pub fn is_newer_than(&self, other: &LatestCandle) -> bool {
        self.version() > other.version()
    }
}

impl SettledCandle {
    /// Returns the candle's version.
    pub fn version(&self) -> Version {
        Version {
            window_start: self.candle.window_start,
            is_closed: true,
            ticks: u64::from(self.candle.count),
            revision: self.revision,
        }
    }

    /// Becomes `other`, a candle of the same window, if that is newer, as [`REPLACES_STORED`] has
    /// it. The revision never decreases.
    pub fn replace_if_newer(&mut self, other: &SettledCandle) {
        if other.version() > self.version() {
            let revision = self.revision.max(other.revision);
            *self = SettledCandle { revision, ..*other };
        }
    }
}
