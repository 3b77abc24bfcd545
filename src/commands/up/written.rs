//! How far the log has been written, as the feed says and the board asks.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tallow_model::EventTime;
use tallow_model::store::SinkStatus;
use tallow_runtime::pipeline::{LogStatus, Partitions};

/// What the feed has said of the log.
#[derive(Default)]
pub(super) struct Written(Mutex<State>);

#[derive(Default)]
struct State {
    queue: u64,
    retries: u64,
    through: Option<EventTime>,
    problem: Option<String>,
    /// The offset of the last record of each partition at the moment at which the log reached the present.
    present: Option<Vec<Option<u64>>>,
}

impl Written {
    /// All ticks before `through` are in the log.
    pub(super) fn through(&self, through: EventTime) {
        let mut state = self.state();
        (state.queue, state.through, state.problem) = (0, Some(through), None);
    }

    /// So many lines wait for the log, which can't be written at the moment.
    pub(super) fn waits(&self, lines: u64, problem: String) {
        let mut state = self.state();
        (state.queue, state.retries, state.problem) = (lines, state.retries + 1, Some(problem));
    }

    /// From here on the log grows with the present. Its last record so far has this offset in each partition.
    pub(super) fn reaches_present(&self, last_offsets: Vec<Option<u64>>) {
        self.state().present = Some(last_offsets);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogStatus for Written {
    fn service(&self) -> SinkStatus {
        let state = self.state();
        SinkStatus {
            name: "log".to_owned(),
            queue: state.queue,
            retries: state.retries,
            stored_through: state.through,
            problem: state.problem.clone(),
            write_seconds: None,
        }
    }

    fn is_read(&self, partitions: &Partitions) -> bool {
        let state = self.state();
        let Some(last_offsets) = &state.present else { return false };
        (0..).zip(last_offsets).all(|(partition, last)| {
            let progress = partitions.get(&partition);
            *last <= progress.and_then(|progress| progress.offset)
        })
    }

    /// Offsets of this log count bytes and not records.
    fn pending(&self) -> BTreeMap<u32, u64> {
        BTreeMap::new()
    }
}
