//! The pure graph of Tallow: ticks of a partitioned log in; settled candles, alerts, rejects and open candles out.
//!
//! Every settled output is a function of the log and the [`Settings`], and of nothing else: not of the number of
//! workers, not of batching, not of the clock. The crate does no input or output, has no clock and no randomness;
//! its caller passes a [`PartitionReader`] for each partition, an [`Outlet`] and a [`Clock`].

mod alert;
mod bar;
mod candle;
mod checkpoint;
mod graph;
mod number;
mod operators;
mod outlet;
mod record;
mod run;
mod settings;
mod settle;
mod symbol;
mod tick;
mod time;
mod views;
mod watermark;
mod wire;

pub use alert::{Alert, AlertStatus, AlertType, DETECTOR, SettledAlert, Severity};
pub use bar::{Bar, Order};
pub use candle::{Candle, LiveCandle, SettledCandle, Volume};
pub use checkpoint::{
    CheckpointId, CheckpointPart, CheckpointPolicy, Restore, ResumePoint, RetainedMinute, RetainedMove,
    RollupVersions, State,
};
pub use graph::{WorkerIo, build};
pub use number::{
    Decimal, FixedText, MAX_NOTIONAL, MAX_PRICE, MAX_SIZE, MIN_PRICE, NOTIONAL_PLACES, NotionalSum,
    PRICE_PLACES, Price, PriceSum, SIZE_PLACES, SizeSum, nearest_ratio,
};
pub use outlet::{Outlet, Step};
pub use record::{
    Clock, Counts, PartitionProgress, PartitionReader, ReadStatus, Record, Reject, RejectReason,
};
pub use run::{Link, Peer, RunError, Workers, run};
pub use settings::{AnomalySettings, Settings};
pub use symbol::{InvalidSymbol, MAX_SYMBOL_LEN, Symbol, SymbolText};
pub use tick::{DecodeError, Tick, decode};
pub use time::{EventTime, Interval, MAX_EVENT_TIME, MINUTE_MS, SECOND_MS, next_second};
pub use wire::{WIRE_FORMAT, WireBytes, WireEncoding, WireSample};
