//! The pure graph of Tallow: ticks of a partitioned log in; settled candles, alerts, rejects and
//! open candles out.
//!
//! Every settled output is a function of the log and the [`Settings`] alone: not of the number of
//! workers, not of batching, not of the clock. The crate does no input or output, and has no clock
//! and no randomness. Its caller passes a [`PartitionReader`](tallow_model::PartitionReader) for
//! each partition, an [`Output`] and a [`Clock`](tallow_model::Clock). The laws of this are tested
//! in `tests/oracle.rs`, `tests/checkpoints.rs` and `tests/cluster.rs`.
//!
//! # Examples
//!
//! Three ticks in; a candle and its correction out. The second tick closes the first minute,
//! because it is more than `max_out_of_orderness` (ten seconds) past that minute's end. The third
//! tick is late.
//!
//! ```
//! use std::sync::{Arc, mpsc};
//! use tallow_dataflow::{Output, Settings, WorkerIo, run};
//! use tallow_model::{
//!     Interval, LiveCandle, PartitionProgress, PartitionReader, ReadStatus, Record, Reject,
//!     SettledCandle, Step, clock::SystemClock,
//! };
//!
//! /// A partition in memory that is read once, to its end.
//! struct Lines(&'static [&'static str]);
//!
//! impl PartitionReader for Lines {
//!     fn partition(&self) -> u32 {
//!         0
//!     }
//!     fn read(&mut self, _limit: usize, visit: &mut dyn FnMut(Record<'_>)) -> ReadStatus {
//!         for (offset, line) in (0..).zip(self.0) {
//!             visit(Record { offset, log_time: None, payload: Some(line.as_bytes()) });
//!         }
//!         ReadStatus::Finished
//!     }
//! }
//!
//! /// Sends every version of every settled candle.
//! struct Candles(mpsc::Sender<SettledCandle>);
//!
//! impl Output for Candles {
//!     fn settled(&mut self, step: Step) {
//!         step.candles.into_iter().for_each(|candle| self.0.send(candle).expect("a receiver"));
//!     }
//!     fn live(&mut self, _: Vec<LiveCandle>) {}
//!     fn rejected(&mut self, _: Vec<Reject>) {}
//!     fn progress(&mut self, _: &[PartitionProgress]) {}
//!     fn failed(&mut self, _: u32, _: String) {}
//!     fn is_full(&self) -> bool {
//!         false
//!     }
//! }
//!
//! let ticks = &[
//!     r#"{"symbol":"BTC","price":100,"size":2,"timestamp":"2025-01-01T00:00:10Z"}"#,
//!     r#"{"symbol":"BTC","price":102,"size":1,"timestamp":"2025-01-01T00:01:20Z"}"#,
//!     r#"{"symbol":"BTC","price":101,"size":1,"timestamp":"2025-01-01T00:00:50Z"}"#,
//! ];
//! let (sender, candles) = mpsc::channel();
//! run(1, &Settings::default(), Arc::default(), move |_worker, _workers| WorkerIo {
//!     readers: vec![Box::new(Lines(ticks))],
//!     arrivals: None,
//!     output: Box::new(Candles(sender.clone())),
//!     clock: Arc::new(SystemClock),
//!     checkpoints: None,
//!     restore: None,
//! })?;
//!
//! let midnight = "2025-01-01T00:00:00Z";
//! let versions: Vec<String> = candles
//!     .iter()
//!     .filter(|it| it.interval == Interval::OneMinute && it.candle.window_start.rfc3339() == midnight)
//!     .map(|it| {
//!         let (at, candle) = (it.settled_at.rfc3339(), it.candle);
//!         format!("{at} revision {} close {} ticks {}", it.revision, candle.close, candle.count)
//!     })
//!     .collect();
//! assert_eq!(versions, [
//!     "2025-01-01T00:01:00Z revision 0 close 100 ticks 1",
//!     "2025-01-01T00:01:11Z revision 1 close 101 ticks 2",
//! ]);
//! # Ok::<(), tallow_dataflow::RunError>(())
//! ```

mod bar;
mod graph;
mod operators;
mod output;
mod run;
mod settings;
mod settle;
mod state;
mod views;
mod watermark;
mod wire;

pub use bar::{Bar, TickPosition};
pub use graph::{WorkerIo, build};
pub use output::Output;
pub use run::{Link, Peer, RunError, Workers, run};
pub use settings::{AnomalySettings, Settings};
pub use state::checkpoint::{
    CheckpointId, CheckpointPolicy, Restore, ResumePoint, RetainedMinute, RetainedReturn, RollupVersions,
    State,
};
pub use state::part::CheckpointPart;
pub use wire::WIRE_FORMAT;
#[doc(hidden)]
pub use wire::sample::{WireBytes, WireEncoding, WireSample};
