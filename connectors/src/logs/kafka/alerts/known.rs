//! The versions of alerts in the topic: the newest of each.

use hashbrown::HashMap;
use serde::Deserialize;
use tallow_model::EventTime;
use tallow_model::rows::rfc3339;

/// Number of alerts from which those that can't come again are forgotten.
const FORGET_FROM: usize = 10_000;

/// The fields of an alert's JSON that identify its version.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Version {
    pub(super) alert_id: String,
    #[serde(with = "rfc3339")]
    pub(super) settled_at: EventTime,
}

/// The newest version of each alert.
#[derive(Debug, Default)]
pub(super) struct KnownVersions {
    newest: HashMap<String, EventTime>,
    /// Number of alerts left when some were last forgotten.
    kept: usize,
}

impl KnownVersions {
    pub(super) fn is_new(&self, version: &Version) -> bool {
        self.newest.get(&version.alert_id).is_none_or(|newest| *newest < version.settled_at)
    }

    /// Records a version, unless a newer one is known.
    pub(super) fn note(&mut self, version: Version) {
        if self.is_new(&version) {
            self.newest.insert(version.alert_id, version.settled_at);
        }
    }

    /// Forgets versions before this time, below which everything has been given and nothing can
    /// come again.
    pub(super) fn forget_before(&mut self, through: EventTime) {
        if self.newest.len() >= FORGET_FROM.max(2 * self.kept) {
            self.newest.retain(|_, settled_at| *settled_at >= through);
            self.kept = self.newest.len();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.newest.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(id: &str, time: u64) -> Version {
        Version { alert_id: id.to_owned(), settled_at: EventTime(time) }
    }

    #[test]
    fn only_a_newer_version_is_new_and_what_can_not_come_again_is_forgotten() {
        let mut known = KnownVersions::default();
        let given = [5, 5, 3, 6].map(|time| {
            let new = known.is_new(&version("BTC", time));
            known.note(version("BTC", time));
            new
        });
        assert_eq!(given, [true, false, false, true]);
        let most = FORGET_FROM as u64;
        for i in 0..most {
            known.note(version(&i.to_string(), 10 + i));
        }
        known.forget_before(EventTime(10 + most - 3));
        assert_eq!(known.len(), 3);
        known.forget_before(EventTime(u64::MAX));
        assert_eq!(known.len(), 3, "a few are no matter");
    }
}
