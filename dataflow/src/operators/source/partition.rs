//! One partition as its worker sees it: read, decoded, placed in logical time and counted.

use crate::bar::Bar;
use crate::operators::combine::Combiner;
use crate::settings::Settings;
use crate::state::checkpoint::ResumePoint;
use crate::state::resume_points::{Position, ResumeIndex};
use crate::state::worker::SharedResumeIndex;
use crate::watermark::{Placement, Watermark};
use tallow_model::{
    Counts, DecodeError, EventTime, Interval, PartitionProgress, PartitionReader, ReadStatus, Record, Reject,
    RejectReason, decode,
};

/// Whether a partition can still hold the frontier back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartitionState {
    /// Behind, paused, or not silent for long enough.
    Live,
    /// Read to its end and silent.
    Idle,
    /// Ended: no record follows.
    Finished,
}

/// One partition as its worker sees it.
pub(super) struct Partition {
    pub(super) reader: Box<dyn PartitionReader>,
    pub(super) watermark: Watermark,
    pub(super) counts: Counts,
    /// The offset of the last record read.
    pub(super) offset: Option<u64>,
    /// Time since it was read to its end without a record, in milliseconds.
    pub(super) silent_ms: u64,
    pub(super) state: PartitionState,
    settled: Settled,
    /// `None` without checkpoints.
    resume_index: Option<SharedResumeIndex>,
}

/// The records that a restored checkpoint has settled: those with an offset below `before` whose
/// own logical time is below `below`.
#[derive(Clone, Copy, Debug, Default)]
struct Settled {
    before: u64,
    below: u64,
}

impl Partition {
    /// Creates a partition that is read from its beginning.
    pub(super) fn new(
        reader: Box<dyn PartitionReader>,
        resume_index: Option<SharedResumeIndex>,
    ) -> Partition {
        Partition {
            reader,
            watermark: Watermark::default(),
            counts: Counts::default(),
            offset: None,
            silent_ms: 0,
            state: PartitionState::Live,
            settled: Settled::default(),
            resume_index,
        }
    }

    /// Creates a partition whose reading resumes after a checkpoint at `frontier`.
    pub(super) fn resumed(
        reader: Box<dyn PartitionReader>,
        resume_index: Option<SharedResumeIndex>,
        point: &ResumePoint,
        frontier: EventTime,
        settings: &Settings,
    ) -> Partition {
        Partition {
            watermark: Watermark::resumed(point.max_event_time, settings),
            counts: point.counts,
            offset: (point.counts.records_in > 0).then(|| point.offset.saturating_sub(1)),
            silent_ms: if point.idle { settings.idle_timeout_ms } else { 0 },
            settled: Settled { before: point.unsettled_from, below: frontier.millis() },
            ..Partition::new(reader, resume_index)
        }
    }

    /// Reads up to a batch of records. `floor` is the time of the worker's capability.
    pub(super) fn read(
        &mut self,
        settings: &Settings,
        now_ms: u64,
        floor: u64,
        combiner: &mut Combiner,
        rejects: &mut Vec<Reject>,
    ) -> ReadStatus {
        let Partition { reader, watermark, counts, offset, settled, resume_index, .. } = self;
        let partition = reader.partition();
        let mut resume_index = resume_index.as_ref().map(|index| index.borrow_mut());
        let mut placing = Placing {
            partition,
            now_ms,
            floor,
            settings,
            settled: *settled,
            resume_index: resume_index.as_deref_mut(),
        };
        reader.read(settings.batch_records, &mut |record: Record<'_>| {
            *offset = Some(record.offset);
            let Some(payload) = record.payload else {
                counts.records_in += 1;
                counts.tombstones += 1;
                return;
            };
            if let Err((reason, detail)) = placing.accept(payload, &record, watermark, counts, combiner) {
                counts.reject(reason);
                rejects.push(Reject {
                    partition,
                    offset: record.offset,
                    log_time: record.log_time,
                    reason,
                    detail,
                    raw: payload.to_vec(),
                });
            }
            counts.records_in += 1;
        })
    }

    /// Notes that the source gives up all time before `frontier`: see `resume_points.rs`.
    pub(super) fn give_up(&self, frontier: u64, settled: u64) {
        if let Some(index) = &self.resume_index {
            let position = Position {
                offset: self.offset.map_or(0, |offset| offset + 1),
                max_event_time: self.watermark.max_event_time(),
                counts: self.counts,
                idle: self.state == PartitionState::Idle,
            };
            index.borrow_mut().give_up(frontier, settled, position);
        }
    }

    pub(super) fn progress(&self) -> PartitionProgress {
        PartitionProgress {
            partition: self.reader.partition(),
            counts: self.counts,
            offset: self.offset,
            max_event_time: self.watermark.max_event_time(),
            idle: self.state == PartitionState::Idle,
        }
    }
}

/// The context in which the records of a batch are placed in logical time.
struct Placing<'a> {
    partition: u32,
    now_ms: u64,
    /// The time of the worker's capability.
    floor: u64,
    settings: &'a Settings,
    settled: Settled,
    resume_index: Option<&'a mut ResumeIndex>,
}

impl Placing<'_> {
    /// Decodes one record, places it in logical time and adds it to its partial bar; or returns why
    /// it is rejected.
    #[inline]
    fn accept(
        &mut self,
        payload: &[u8],
        record: &Record<'_>,
        watermark: &mut Watermark,
        counts: &mut Counts,
        combiner: &mut Combiner,
    ) -> Result<(), (RejectReason, String)> {
        let tick = decode(payload).map_err(|error| match error {
            DecodeError::Malformed(detail) => (RejectReason::Malformed, detail),
            DecodeError::Invalid(detail) => (RejectReason::Invalid, detail),
        })?;
        // A record that claims to have been written in the future gets no later bound by that
        // claim.
        let written = record
            .log_time
            .or(tick.received)
            .map_or(self.now_ms, |written| written.millis().min(self.now_ms));
        if tick.time.millis() > written.saturating_add(self.settings.max_future_ms) {
            // The text names the bound only if it is the record's own time: the clock's would
            // differ from one replay to the next.
            let bound = if written == self.now_ms {
                "the clock".to_owned()
            } else {
                format!("{}, when it was written", EventTime(written).rfc3339())
            };
            let detail = format!(
                "timestamp {} is more than {} ms past {bound}",
                tick.time.rfc3339(),
                self.settings.max_future_ms,
            );
            return Err((RejectReason::Future, detail));
        }
        // A record that a checkpoint has settled takes no floor: it must get the logical time that
        // it had then.
        let is_settled = record.offset < self.settled.before && watermark.own(tick.time) < self.settled.below;
        let before = *watermark;
        let placement = watermark.place(tick.time, if is_settled { 0 } else { self.floor }, self.settings);
        let logical = match placement {
            Placement::OnTime { logical } | Placement::Late { logical } => logical,
            Placement::TooLate { logical } => {
                let detail = format!(
                    "timestamp {} came at {}, when its minute could not be corrected any more",
                    tick.time.rfc3339(),
                    EventTime(logical).rfc3339()
                );
                return Err((RejectReason::TooLate, detail));
            }
        };
        if let Some(index) = &mut self.resume_index
            && index.wants(logical)
        {
            let max_event_time = before.max_event_time();
            let at = Position { offset: record.offset, max_event_time, counts: *counts, idle: false };
            index.note(logical, at);
        }
        match placement {
            Placement::OnTime { .. } => counts.on_time += 1,
            _ => counts.late += 1,
        }
        if !is_settled {
            let minute = Interval::OneMinute.window_start(tick.time);
            combiner.add(
                tick.symbol,
                minute,
                logical,
                &Bar::of(&tick, minute, self.partition, record.offset),
            );
        }
        Ok(())
    }
}
