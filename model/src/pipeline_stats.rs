//! The statistics of a pipeline in JSON: written by `/api/v1/stats`, read by other processes.

use crate::rows::optional_rfc3339;
use crate::store::{CheckpointFigures, PartitionStatus, PipelineStatus, SinkStatus};
use crate::{Counts, EventTime, Interval, PartitionProgress, Severity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The response of `/api/v1/stats`. Each of several processes of one pipeline reports its own part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PipelineStats {
    /// The source of the ticks.
    pub source: String,
    /// Whether the pipeline has caught up with its log and serves the present.
    pub ready: bool,
    /// The time since the responding process started.
    pub uptime_seconds: f64,
    /// The number of records read.
    pub records_in: u64,
    /// The records by bucket; they add up to `records_in`.
    pub records: BTreeMap<String, u64>,
    /// The number of symbols seen; null if no store can tell.
    pub symbols: Option<usize>,
    /// Everything with a logical time below this is settled.
    #[serde(with = "optional_rfc3339")]
    pub watermark: Option<EventTime>,
    /// The newest event time seen.
    #[serde(with = "optional_rfc3339")]
    pub max_event_time: Option<EventTime>,
    /// Now minus the newest event time seen, never below 0: the age of the newest tick.
    pub lag_seconds: Option<f64>,
    /// Candles settled for the first time, by interval.
    pub candles_settled: BTreeMap<String, u64>,
    /// Corrections, by interval.
    pub corrections: BTreeMap<String, u64>,
    /// The number of alerts.
    pub alerts: AlertStats,
    /// The partitions that are read.
    pub partitions: Vec<PartitionStats>,
    /// The log and the sinks.
    pub sinks: Vec<SinkStatus>,
    /// The checkpoints; `None` if none are taken.
    #[serde(default)]
    pub checkpoint: Option<CheckpointFigures>,
    /// The failure that ended the pipeline, if it has failed.
    pub failure: Option<String>,
}

/// The number of alerts by kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertStats {
    /// The number of alerts raised.
    pub raised: u64,
    /// Raised, by severity.
    pub by_severity: BTreeMap<String, u64>,
    /// The number of alerts retracted.
    pub retracted: u64,
}

/// The progress of reading a partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartitionStats {
    /// The partition's number.
    pub partition: u32,
    /// The number of records read from the partition.
    pub records_in: u64,
    /// The offset of the last record read.
    pub offset: Option<u64>,
    /// The largest event time accepted.
    #[serde(with = "optional_rfc3339")]
    pub max_event_time: Option<EventTime>,
    /// Whether the partition is read to its end and silent.
    pub idle: bool,
    /// The number of records written and not yet read, if known.
    pub pending: Option<u64>,
}

fn by_interval(counts: [u64; 3]) -> BTreeMap<String, u64> {
    Interval::ALL.iter().map(|interval| interval.name().to_owned()).zip(counts).collect()
}

impl From<PipelineStatus> for PipelineStats {
    /// Leaves out the fields that only the responding process knows: uptime, symbols and lag.
    fn from(status: PipelineStatus) -> PipelineStats {
        let buckets = status.counts.buckets();
        PipelineStats {
            source: status.source,
            ready: status.ready,
            uptime_seconds: 0.0,
            records_in: status.counts.records_in,
            records: buckets.map(|(name, count)| (name.to_owned(), count)).into_iter().collect(),
            symbols: None,
            watermark: status.watermark,
            max_event_time: status.max_event_time,
            lag_seconds: None,
            candles_settled: by_interval(status.candles_settled),
            corrections: by_interval(status.corrections),
            alerts: AlertStats {
                raised: status.alerts_raised.iter().sum(),
                by_severity: Severity::ALL
                    .iter()
                    .map(|severity| severity.name().to_owned())
                    .zip(status.alerts_raised)
                    .collect(),
                retracted: status.alerts_retracted,
            },
            partitions: status.partitions.into_iter().map(PartitionStats::from).collect(),
            sinks: status.sinks,
            checkpoint: status.checkpoint,
            failure: status.failure,
        }
    }
}

impl From<PipelineStats> for PipelineStatus {
    fn from(stats: PipelineStats) -> PipelineStatus {
        let bucket = |name: &str| stats.records.get(name).copied().unwrap_or_default();
        let intervals = |counts: &BTreeMap<String, u64>| {
            Interval::ALL.map(|interval| counts.get(interval.name()).copied().unwrap_or_default())
        };
        PipelineStatus {
            close_seconds: None,
            source: stats.source.clone(),
            ready: stats.ready,
            counts: Counts {
                records_in: stats.records_in,
                on_time: bucket("on_time"),
                late: bucket("late"),
                malformed: bucket("malformed"),
                invalid: bucket("invalid"),
                future: bucket("future"),
                too_late: bucket("too_late"),
                tombstones: bucket("tombstones"),
            },
            watermark: stats.watermark,
            max_event_time: stats.max_event_time,
            candles_settled: intervals(&stats.candles_settled),
            corrections: intervals(&stats.corrections),
            alerts_raised: Severity::ALL
                .map(|severity| stats.alerts.by_severity.get(severity.name()).copied().unwrap_or_default()),
            alerts_retracted: stats.alerts.retracted,
            partitions: stats.partitions.into_iter().map(PartitionStatus::from).collect(),
            sinks: stats.sinks,
            checkpoint: stats.checkpoint,
            failure: stats.failure,
        }
    }
}

impl From<PartitionStatus> for PartitionStats {
    fn from(status: PartitionStatus) -> PartitionStats {
        PartitionStats {
            partition: status.progress.partition,
            records_in: status.progress.counts.records_in,
            offset: status.progress.offset,
            max_event_time: status.progress.max_event_time,
            idle: status.progress.idle,
            pending: status.pending,
        }
    }
}

impl From<PartitionStats> for PartitionStatus {
    fn from(stats: PartitionStats) -> PartitionStatus {
        PartitionStatus {
            silent_seconds: None,
            progress: PartitionProgress {
                partition: stats.partition,
                counts: Counts { records_in: stats.records_in, ..Counts::default() },
                offset: stats.offset,
                max_event_time: stats.max_event_time,
                idle: stats.idle,
            },
            pending: stats.pending,
        }
    }
}
