//! The dead letters in the topic: the newest of each source partition, by the identities of their
//! records.

use hashbrown::{HashMap, HashSet};
use std::collections::VecDeque;
use tallow_model::EventTime;

/// Dead letters that are remembered of a partition, some 50 bytes each: a replay that goes back
/// further writes them again.
const MAX_LETTERS: usize = 200_000;

/// The fields that distinguish a record from every other one that has ever been at its position, in
/// this log or in an earlier one of the same name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity<'a> {
    pub(super) partition: u32,
    pub(super) offset: u64,
    /// Log time, if known.
    pub(super) log_time: Option<EventTime>,
    /// Size of the record in bytes.
    pub(super) length: u64,
    /// The bytes that are kept.
    pub(super) raw: &'a [u8],
}

impl Identity<'_> {
    fn digest(&self) -> u128 {
        let mut hash = blake3::Hasher::new();
        hash.update(&self.offset.to_le_bytes());
        hash.update(&[u8::from(self.log_time.is_some())]);
        hash.update(&self.log_time.map_or(0, EventTime::millis).to_le_bytes());
        hash.update(&self.length.to_le_bytes());
        hash.update(self.raw);
        let mut digest = [0; 16];
        hash.finalize_xof().fill(&mut digest);
        u128::from_le_bytes(digest)
    }
}

/// The dead letters in the topic, or in flight to it.
#[derive(Debug)]
pub(super) struct KnownLetters {
    most: usize,
    partitions: HashMap<u32, NewestLetters>,
}

/// The dead letters of one partition.
#[derive(Debug, Default)]
struct NewestLetters {
    digests: HashSet<u128>,
    order: VecDeque<u128>,
}

impl Default for KnownLetters {
    fn default() -> KnownLetters {
        KnownLetters { most: MAX_LETTERS, partitions: HashMap::new() }
    }
}

impl KnownLetters {
    /// Returns whether this record has a dead letter. A letter without a log time stands for any
    /// record with these bytes at this position.
    pub(super) fn has(&self, record: &Identity<'_>) -> bool {
        let Some(newest) = self.partitions.get(&record.partition) else { return false };
        let timeless = Identity { log_time: None, ..*record };
        newest.digests.contains(&record.digest()) || newest.digests.contains(&timeless.digest())
    }

    /// Records a dead letter.
    pub(super) fn note(&mut self, record: &Identity<'_>) {
        let newest = self.partitions.entry(record.partition).or_default();
        let digest = record.digest();
        if !newest.digests.insert(digest) {
            return;
        }
        newest.order.push_back(digest);
        if newest.order.len() > self.most
            && let Some(oldest) = newest.order.pop_front()
        {
            newest.digests.remove(&oldest);
        }
    }

    /// Returns the number of dead letters known.
    pub(super) fn count(&self) -> usize {
        self.partitions.values().map(|newest| newest.order.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: Identity<'static> =
        Identity { partition: 1, offset: 7, log_time: Some(EventTime(5)), length: 4, raw: b"oops" };

    #[test]
    fn a_record_is_told_by_its_place_its_time_and_its_bytes() {
        let mut known = KnownLetters::default();
        known.note(&RECORD);
        known.note(&RECORD);
        assert_eq!(known.count(), 1);
        assert!(known.has(&RECORD));
        for other in [
            Identity { partition: 0, ..RECORD },
            Identity { offset: 8, ..RECORD },
            Identity { log_time: Some(EventTime(6)), ..RECORD },
            Identity { log_time: None, ..RECORD },
            Identity { length: 5, ..RECORD },
            Identity { raw: b"oups", ..RECORD },
        ] {
            assert!(!known.has(&other), "{other:?}");
        }
    }

    #[test]
    fn one_that_does_not_say_when_is_of_any_time() {
        let mut known = KnownLetters::default();
        known.note(&Identity { log_time: None, ..RECORD });
        assert!(known.has(&RECORD) && known.has(&Identity { log_time: None, ..RECORD }));
        assert!(!known.has(&Identity { raw: b"oups", ..RECORD }));
    }

    #[test]
    fn of_each_partition_only_the_newest_are_known() {
        let mut known = KnownLetters { most: 2, ..KnownLetters::default() };
        let at = |partition, offset| Identity { partition, offset, ..RECORD };
        for (partition, offset) in [(0, 1), (1, 1), (0, 2), (0, 3)] {
            known.note(&at(partition, offset));
        }
        assert_eq!(known.count(), 3);
        assert!(!known.has(&at(0, 1)));
        assert!(known.has(&at(0, 2)) && known.has(&at(0, 3)) && known.has(&at(1, 1)));
    }
}
