//! How partial bars cross from one process to another: the container of the exchange by symbol, and its encodings.
//!
//! Between the threads of a process the container is moved as it is. Between processes it travels as bytes, in one of two
//! encodings that the build chooses: **abomonation**, which writes records as they lie in memory, or with the feature
//! `serde-exchange` the one of serde that timely has for everything else.
//!
//! ```text
//! abomonation   count: u64 · count × record of 192 bytes      all little-endian, on the machines that there are
//! ```
//!
//! **Safety.** abomonation takes whatever bytes it is given for a value (RUSTSEC-2021-0120). That is undefined behaviour
//! for types with pointers, padding, or bits that they must not have. So nothing but [`WireBar`] passes through it: words
//! without gaps, for which all bits are values. The length is checked first, and every record is copied to a place
//! that is aligned. What a decoded record *says* is checked when it becomes a [`PartialBar`]; what can't be is a panic of the worker,
//! as it is for any other channel of timely, because a process that sends such bytes can't be worked with.
//!
//! Besides this file only `connectors/src/kafka/queue.rs` has `unsafe` code.
#![allow(
    unsafe_code,
    reason = "abomonation has no safe functions; what makes the two calls sound stands above"
)]

use crate::bar::{Bar, Order};
use crate::operators::combine::PartialBar;
use abomonation::Abomonation;
use std::io::Write;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use tallow_model::Price;
use tallow_model::Symbol;
use tallow_model::Tick;
use tallow_model::{EventTime, MAX_EVENT_TIME, MINUTE_MS};
use timely::Accountable;
use timely::bytes::arc::{Bytes, BytesMut};
use timely::container::{CapacityContainerBuilder, DrainContainer, PushInto, SizableContainer};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::ContainerBytes;
use timely::dataflow::channels::pact::{ExchangeCore, Pipeline};
use timely::dataflow::operators::generic::Operator;

/// How what the processes of a cluster send each other is encoded: all must have the same.
#[cfg(not(feature = "serde-exchange"))]
pub const WIRE_FORMAT: &str = if cfg!(target_endian = "little") {
    "timely 0.32, abomonation 1"
} else {
    "timely 0.32, abomonation 1 big-endian"
};
/// How what the processes of a cluster send each other is encoded: all must have the same.
#[cfg(feature = "serde-exchange")]
pub const WIRE_FORMAT: &str = "timely 0.32, serde 1";

/// The container of the exchange.
#[cfg(not(feature = "serde-exchange"))]
type Exchanged = Batch<Abomonated>;
/// The container of the exchange.
#[cfg(feature = "serde-exchange")]
type Exchanged = Batch<Serialized>;

/// Sends each partial bar to the worker that its symbol belongs to.
pub(crate) fn exchanged(partials: StreamVec<'_, u64, PartialBar>) -> StreamVec<'_, u64, PartialBar> {
    let packed = partials.unary::<CapacityContainerBuilder<Exchanged>, _, _, _>(Pipeline, "pack", |_, _| {
        |input, output| {
            input.for_each(|capability, bars| {
                output.session(&capability).give_container(&mut Batch::of(std::mem::take(bars)));
            });
        }
    });
    let by_symbol = ExchangeCore::new(|partial: &PartialBar| partial.symbol.stable_hash());
    packed.unary::<CapacityContainerBuilder<Vec<PartialBar>>, _, _, _>(by_symbol, "exchange", |_, _| {
        |input, output| {
            input.for_each(|capability, batch: &mut Exchanged| {
                output.session(&capability).give_container(&mut batch.bars);
            });
        }
    })
}

/// A way to write partial bars.
#[allow(clippy::ptr_arg, reason = "timely encodes vectors, and no slices")]
pub(crate) trait Encoding: 'static {
    /// The bytes that so many of them take, a multiple of eight.
    fn length(bars: &Vec<PartialBar>) -> usize;

    /// Writes them.
    fn encode<W: Write>(bars: &Vec<PartialBar>, writer: &mut W);

    /// Reads them again.
    ///
    /// # Panics
    /// When no bars are encoded so.
    fn decode(bytes: Bytes) -> Vec<PartialBar>;
}

/// serde's encoding, as timely has it.
pub(crate) enum Serialized {}

impl Encoding for Serialized {
    fn length(bars: &Vec<PartialBar>) -> usize {
        bars.length_in_bytes()
    }

    fn encode<W: Write>(bars: &Vec<PartialBar>, writer: &mut W) {
        bars.into_bytes(writer);
    }

    fn decode(bytes: Bytes) -> Vec<PartialBar> {
        Vec::from_bytes(bytes)
    }
}

/// abomonation's encoding of [`WireBar`].
pub(crate) enum Abomonated {}

/// The count before the records.
const HEADER: usize = size_of::<u64>();

impl Encoding for Abomonated {
    fn length(bars: &Vec<PartialBar>) -> usize {
        HEADER + bars.len() * size_of::<WireBar>()
    }

    fn encode<W: Write>(bars: &Vec<PartialBar>, writer: &mut W) {
        let written = write_records(bars, writer);
        // timely hands out as much room as `length` says.
        assert!(written.is_ok(), "write {} bars for another process: {written:?}", bars.len());
    }

    fn decode(bytes: Bytes) -> Vec<PartialBar> {
        match read_records(&bytes) {
            Ok(bars) => bars,
            Err(problem) => panic!("read bars of another process: {problem}"),
        }
    }
}

fn write_records(bars: &[PartialBar], writer: &mut impl Write) -> std::io::Result<()> {
    writer.write_all(&(bars.len() as u64).to_ne_bytes())?;
    for bar in bars {
        // Sound, because a `WireBar` has no padding, whose bytes nobody may read, and `entomb` does nothing.
        unsafe { abomonation::encode(&WireBar::of(bar), writer)? };
    }
    Ok(())
}

fn read_records(bytes: &[u8]) -> Result<Vec<PartialBar>, String> {
    let (header, records) =
        bytes.split_first_chunk().ok_or_else(|| format!("{} bytes are no count", bytes.len()))?;
    let (records, rest) = records.as_chunks::<{ size_of::<WireBar>() }>();
    if !rest.is_empty() || u64::from_ne_bytes(*header) != records.len() as u64 {
        return Err(format!("{} bytes are not {} records", bytes.len(), u64::from_ne_bytes(*header)));
    }
    let mut bars = Vec::with_capacity(records.len());
    for record in records {
        bars.push(read_record(record)?.bar()?);
    }
    Ok(bars)
}

/// The record that these bytes are, at a place that is aligned for it.
///
/// Why not `abomonation::decode`: it takes a reference to the first byte for one to the whole, which is undefined behaviour
/// in the stricter of the models by which Miri judges. What it does besides, putting owned data in its place, is called here.
fn read_record(bytes: &[u8; size_of::<WireBar>()]) -> Result<WireBar, String> {
    let mut record = MaybeUninit::<WireBar>::uninit();
    // Sound, because there are as many bytes as a `WireBar` has, and all of them are one.
    let mut record = unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), record.as_mut_ptr().cast::<u8>(), size_of::<WireBar>());
        record.assume_init()
    };
    // Sound, because a `WireBar` owns nothing that would have to be there, so this does nothing.
    let rest = unsafe { record.exhume(&mut []) };
    rest.map(|_| ()).ok_or_else(|| "a record is not whole".to_owned())?;
    Ok(record)
}

/// A partial bar as words: of a fixed size, without pointers and without gaps, and whatever the words are, it is one.
#[derive(Clone, Copy)]
#[repr(C)]
struct WireBar {
    symbol: [u64; 3],
    minute: u64,
    logical: u64,
    first: WireOrder,
    last: WireOrder,
    /// The bits of open, high, low and close.
    prices: [u64; 4],
    count: u32,
    sized: u32,
    /// Price, size and notional, each as its low and its high half.
    sums: [[u64; 2]; 3],
    /// 1 where there is a volume of 24 hours, else 0.
    has_day_volume: u64,
    day_volume_order: WireOrder,
    /// Its bits.
    day_volume: u64,
}

/// An [`Order`] as words.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
struct WireOrder {
    since_start_ms: u32,
    partition: u32,
    offset: u64,
}

/// It has nothing beyond its own bytes: what `entomb` and `exhume` do by themselves, which is nothing, is right.
impl Abomonation for WireBar {}

/// No byte of a record is padding: it has as many as its words together.
const _: () = assert!(size_of::<WireOrder>() == 4 + 4 + 8);
const _: () = assert!(
    size_of::<WireBar>()
        == 3 * 8
            + 8
            + 8
            + 2 * size_of::<WireOrder>()
            + 4 * 8
            + 4
            + 4
            + 6 * 8
            + 8
            + size_of::<WireOrder>()
            + 8
);

impl WireOrder {
    const NONE: WireOrder = WireOrder { since_start_ms: 0, partition: 0, offset: 0 };

    fn of(order: Order) -> WireOrder {
        let Order { since_start_ms, partition, offset } = order;
        WireOrder { since_start_ms, partition, offset }
    }

    fn order(self) -> Result<Order, String> {
        let WireOrder { since_start_ms, partition, offset } = self;
        if u64::from(since_start_ms) >= MINUTE_MS {
            return Err(format!("a tick is {since_start_ms} ms into its minute"));
        }
        Ok(Order { since_start_ms, partition, offset })
    }
}

impl WireBar {
    fn of(partial: &PartialBar) -> WireBar {
        let PartialBar { symbol, minute, logical, bar } = partial;
        let halves = |sum: i128| [sum as u64, (sum >> 64) as u64];
        let (has_day_volume, (order, volume)) = match bar.day_volume {
            Some((order, volume)) => (1, (WireOrder::of(order), volume.0.to_bits())),
            None => (0, (WireOrder::NONE, 0)),
        };
        WireBar {
            symbol: symbol.words(),
            minute: minute.millis(),
            logical: *logical,
            first: WireOrder::of(bar.first),
            last: WireOrder::of(bar.last),
            prices: [bar.open, bar.high, bar.low, bar.close].map(|price| price.0.to_bits()),
            count: bar.count,
            sized: bar.sized,
            sums: [bar.price_sum, bar.size_sum, bar.notional_sum].map(halves),
            has_day_volume,
            day_volume_order: order,
            day_volume: volume,
        }
    }

    /// The bar, if these words are one.
    fn bar(&self) -> Result<PartialBar, String> {
        let symbol =
            Symbol::of_words(self.symbol).ok_or_else(|| format!("{:?} is no symbol", self.symbol))?;
        if !self.minute.is_multiple_of(MINUTE_MS) || self.minute > MAX_EVENT_TIME.millis() {
            return Err(format!("{} is no minute", self.minute));
        }
        if self.count == 0 || self.sized > self.count {
            return Err(format!("{} of {} ticks have a size", self.sized, self.count));
        }
        let finite = |bits: u64| {
            let value = f64::from_bits(bits);
            if value.is_finite() { Ok(Price(value)) } else { Err(format!("{value} is no price")) }
        };
        let [open, high, low, close] = self.prices.map(finite);
        let [price_sum, size_sum, notional_sum] =
            self.sums.map(|[low, high]| i128::from(high as i64) << 64 | i128::from(low));
        let day_volume = match self.has_day_volume {
            0 if (self.day_volume_order, self.day_volume) == (WireOrder::NONE, 0) => None,
            1 => Some((self.day_volume_order.order()?, finite(self.day_volume)?)),
            tag => return Err(format!("{tag} does not say whether there is a volume")),
        };
        let bar = Bar {
            first: self.first.order()?,
            last: self.last.order()?,
            open: open?,
            high: high?,
            low: low?,
            close: close?,
            count: self.count,
            sized: self.sized,
            price_sum,
            size_sum,
            notional_sum,
            day_volume,
        };
        Ok(PartialBar { symbol, minute: EventTime(self.minute), logical: self.logical, bar })
    }
}

/// Partial bars that are about to be exchanged, or have been.
pub(crate) struct Batch<E> {
    bars: Vec<PartialBar>,
    encoding: PhantomData<fn() -> E>,
}

impl<E> Batch<E> {
    fn of(bars: Vec<PartialBar>) -> Batch<E> {
        Batch { bars, encoding: PhantomData }
    }
}

impl<E> Default for Batch<E> {
    fn default() -> Batch<E> {
        Batch::of(Vec::new())
    }
}

impl<E> Clone for Batch<E> {
    fn clone(&self) -> Batch<E> {
        Batch::of(self.bars.clone())
    }
}

impl<E> Accountable for Batch<E> {
    fn record_count(&self) -> i64 {
        self.bars.record_count()
    }
}

impl<E: 'static> DrainContainer for Batch<E> {
    type Item<'a> = PartialBar;
    type DrainIter<'a> = std::vec::Drain<'a, PartialBar>;

    fn drain(&mut self) -> Self::DrainIter<'_> {
        self.bars.drain(..)
    }
}

impl<E> SizableContainer for Batch<E> {
    fn at_capacity(&self) -> bool {
        self.bars.at_capacity()
    }

    fn ensure_capacity(&mut self, stash: &mut Option<Batch<E>>) {
        self.bars.ensure_capacity(&mut stash.take().map(|stash| stash.bars));
    }
}

impl<E> PushInto<PartialBar> for Batch<E> {
    fn push_into(&mut self, bar: PartialBar) {
        self.bars.push(bar);
    }
}

impl<E: Encoding> ContainerBytes for Batch<E> {
    fn from_bytes(bytes: Bytes) -> Batch<E> {
        Batch::of(E::decode(bytes))
    }

    fn length_in_bytes(&self) -> usize {
        E::length(&self.bars)
    }

    fn into_bytes<W: Write>(&self, writer: &mut W) {
        E::encode(&self.bars, writer);
    }
}

/// One of the encodings, for measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireEncoding {
    /// What is used unless the build says otherwise.
    Abomonation,
    /// What the feature `serde-exchange` switches to.
    Serde,
}

/// Partial bars outside of the graph, to measure what it costs to send them.
#[derive(Clone, Debug, PartialEq)]
pub struct WireSample(Vec<PartialBar>);

/// Them as bytes.
#[derive(Clone)]
pub struct WireBytes(Bytes);

impl WireSample {
    /// A bar of each tick, as if each came alone.
    pub fn of<'a>(ticks: impl IntoIterator<Item = &'a Tick>) -> WireSample {
        let bar = |(offset, tick): (u64, &Tick)| {
            let minute = EventTime(tick.time.millis() / MINUTE_MS * MINUTE_MS);
            let bar = Bar::of(tick, minute, 0, offset);
            PartialBar { symbol: tick.symbol, minute, logical: minute.millis() + MINUTE_MS, bar }
        };
        WireSample((0..).zip(ticks).map(bar).collect())
    }

    /// How many bars there are.
    #[allow(clippy::len_without_is_empty, reason = "an empty one measures nothing")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Makes the room be the bytes that they take on the way.
    pub fn encode(&self, encoding: WireEncoding, room: &mut Vec<u8>) {
        match encoding {
            WireEncoding::Abomonation => self.encode_as::<Abomonated>(room),
            WireEncoding::Serde => self.encode_as::<Serialized>(room),
        }
    }

    fn encode_as<E: Encoding>(&self, room: &mut Vec<u8>) {
        room.resize(E::length(&self.0), 0);
        let mut rest = &mut room[..];
        E::encode(&self.0, &mut rest);
        assert!(rest.is_empty(), "{} bytes more were announced than written", rest.len());
    }
}

impl WireBytes {
    /// These bytes, whatever they are.
    pub fn of(bytes: Vec<u8>) -> WireBytes {
        WireBytes(BytesMut::from(bytes).freeze())
    }

    /// The bars again.
    ///
    /// # Panics
    /// When the bytes encode none.
    pub fn decode(&self, encoding: WireEncoding) -> WireSample {
        WireSample(match encoding {
            WireEncoding::Abomonation => Abomonated::decode(self.0.clone()),
            WireEncoding::Serde => Serialized::decode(self.0.clone()),
        })
    }
}

#[cfg(test)]
mod tests;
