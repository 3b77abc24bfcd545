//! One partition as its worker sees it: read, decoded, placed in time, counted.

use crate::bar::Bar;
use crate::operators::combine::Combiner;
use crate::record::{Counts, PartitionProgress, PartitionReader, ReadStatus, Record, Reject, RejectReason};
use crate::settings::Settings;
use crate::tick::{DecodeError, decode};
use crate::time::{EventTime, Interval};
use crate::watermark::{Placement, Watermark};

/// Whether a partition can still hold the frontier back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Behind, paused, or not silent for long enough.
    Live,
    /// Read to its end and silent.
    Idle,
    /// Nothing will follow.
    Finished,
}

/// One partition as its worker sees it.
pub(super) struct Partition {
    pub(super) reader: Box<dyn PartitionReader>,
    pub(super) watermark: Watermark,
    pub(super) counts: Counts,
    pub(super) offset: Option<u64>,
    /// For how long it has been read to its end without a record.
    pub(super) silent_ms: u64,
    pub(super) state: State,
}

impl Partition {
    pub(super) fn new(reader: Box<dyn PartitionReader>) -> Partition {
        Partition {
            reader,
            watermark: Watermark::default(),
            counts: Counts::default(),
            offset: None,
            silent_ms: 0,
            state: State::Live,
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
        let Partition { reader, watermark, counts, offset, .. } = self;
        let partition = reader.partition();
        reader.read(settings.batch_records, &mut |record: Record<'_>| {
            counts.records_in += 1;
            *offset = Some(record.offset);
            let Some(payload) = record.payload else {
                counts.tombstones += 1;
                return;
            };
            if let Err((reason, detail)) =
                accept(payload, &record, partition, now_ms, floor, settings, watermark, counts, combiner)
            {
                counts.reject(reason);
                rejects.push(Reject {
                    partition,
                    offset: record.offset,
                    reason,
                    detail,
                    raw: payload.to_vec(),
                });
            }
        })
    }

    pub(super) fn progress(&self) -> PartitionProgress {
        PartitionProgress {
            partition: self.reader.partition(),
            counts: self.counts,
            offset: self.offset,
            max_event_time: self.watermark.max_event_time(),
            idle: self.state == State::Idle,
        }
    }
}

/// Decodes and places one record, or says why not.
#[allow(
    clippy::too_many_arguments,
    reason = "the borrowed parts of one partition; a struct of them would be built for every record"
)]
#[inline]
fn accept(
    payload: &[u8],
    record: &Record<'_>,
    partition: u32,
    now_ms: u64,
    floor: u64,
    settings: &Settings,
    watermark: &mut Watermark,
    counts: &mut Counts,
    combiner: &mut Combiner,
) -> Result<(), (RejectReason, String)> {
    let tick = decode(payload).map_err(|error| match error {
        DecodeError::Malformed(detail) => (RejectReason::Malformed, detail),
        DecodeError::Invalid(detail) => (RejectReason::Invalid, detail),
    })?;
    // A record that claims to have been written later than now does not get a later bound by that.
    let written = record.log_time.or(tick.received).map_or(now_ms, |written| written.millis().min(now_ms));
    if tick.time.millis() > written.saturating_add(settings.max_future_ms) {
        // Without a time of the record's own the bound is that of the clock, which would make the words of a reject
        // differ from one replay to the next.
        let bound = if written == now_ms {
            "the clock".to_owned()
        } else {
            format!("{}, when it was written", EventTime(written).rfc3339())
        };
        let detail = format!(
            "timestamp {} is more than {} ms past {bound}",
            tick.time.rfc3339(),
            settings.max_future_ms,
        );
        return Err((RejectReason::Future, detail));
    }
    let logical = match watermark.place(tick.time, floor, settings) {
        Placement::OnTime { logical } => {
            counts.on_time += 1;
            logical
        }
        Placement::Late { logical } => {
            counts.late += 1;
            logical
        }
        Placement::TooLate { logical } => {
            let detail = format!(
                "timestamp {} came at {}, when its minute could not be corrected any more",
                tick.time.rfc3339(),
                EventTime(logical).rfc3339()
            );
            return Err((RejectReason::TooLate, detail));
        }
    };
    let minute = Interval::OneMinute.window_start(tick.time);
    combiner.add(tick.symbol, minute, logical, &Bar::of(&tick, minute, partition, record.offset));
    Ok(())
}
