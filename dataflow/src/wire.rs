//! The exchange by symbol: its container, and the encodings in which partial bars travel from one
//! process to another.
//!
//! Between the threads of a process the container is moved as it is. Between processes it travels
//! as bytes, in one of two encodings that the build chooses: **abomonation**, which writes bars
//! as they lie in memory, or with the feature `serde-exchange` serde's, which timely uses for every
//! other channel.
//!
//! ```text
//! abomonation   count: u64 · count × bar of 192 bytes      all little-endian on supported machines
//! ```
//!
//! **Safety.** abomonation takes any bytes for a value (RUSTSEC-2021-0120). That is undefined
//! behaviour for types with pointers, padding or invalid bit patterns. So nothing but [`WireBar`]
//! passes through abomonation: integers without padding, for which every bit pattern is valid. The
//! length is checked first, and every bar is copied to an aligned place. The *fields* of a
//! bar are checked when it becomes a [`PartialBar`]. Bytes that fail a check make the worker
//! panic, as bad bytes do on any other channel of timely: a process that sends such bytes can't be
//! worked with.
//!
//! Laws: `wire/tests.rs`, which also run under Miri. Besides this file only the batch reader of
//! Kafka has `unsafe` code.
#![allow(
    unsafe_code,
    reason = "abomonation has no safe functions; the head of this file says why the calls are sound"
)]

pub(crate) mod sample;
mod wire_bar;

use crate::operators::combine::PartialBar;
use abomonation::Abomonation;
use std::io::Write;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use timely::Accountable;
use timely::bytes::arc::Bytes;
use timely::container::{CapacityContainerBuilder, DrainContainer, PushInto, SizableContainer};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::ContainerBytes;
use timely::dataflow::channels::pact::{ExchangeCore, Pipeline};
use timely::dataflow::operators::generic::Operator;
use wire_bar::WireBar;

/// Name of the encoding between processes. All processes of a cluster must have the same.
#[cfg(not(feature = "serde-exchange"))]
pub const WIRE_FORMAT: &str = if cfg!(target_endian = "little") {
    "timely 0.32, abomonation 1"
} else {
    "timely 0.32, abomonation 1 big-endian"
};
/// Name of the encoding between processes. All processes of a cluster must have the same.
#[cfg(feature = "serde-exchange")]
pub const WIRE_FORMAT: &str = "timely 0.32, serde 1";

/// The container of the exchange.
#[cfg(not(feature = "serde-exchange"))]
type Exchanged = Batch<Abomonated>;
/// The container of the exchange.
#[cfg(feature = "serde-exchange")]
type Exchanged = Batch<Serialized>;

/// Sends each partial bar to the worker that owns its symbol.
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

/// An encoding of partial bars.
#[allow(clippy::ptr_arg, reason = "timely encodes vectors, and no slices")]
pub(crate) trait Encoding: 'static {
    /// Returns the number of bytes that `encode` writes, a multiple of eight.
    fn length(bars: &Vec<PartialBar>) -> usize;

    /// Writes the bars.
    fn encode<W: Write>(bars: &Vec<PartialBar>, writer: &mut W);

    /// Reads the bars.
    ///
    /// # Panics
    /// Panics if the bytes encode no bars.
    fn decode(bytes: Bytes) -> Vec<PartialBar>;
}

/// serde's encoding, which timely uses for every other channel.
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

/// Size of the count before the bars.
const HEADER: usize = size_of::<u64>();

impl Encoding for Abomonated {
    fn length(bars: &Vec<PartialBar>) -> usize {
        HEADER + bars.len() * size_of::<WireBar>()
    }

    fn encode<W: Write>(bars: &Vec<PartialBar>, writer: &mut W) {
        let written = write_bars(bars, writer);
        // timely provides as much room as `length` announces.
        assert!(written.is_ok(), "write {} bars for another process: {written:?}", bars.len());
    }

    fn decode(bytes: Bytes) -> Vec<PartialBar> {
        match read_bars(&bytes) {
            Ok(bars) => bars,
            Err(problem) => panic!("read bars of another process: {problem}"),
        }
    }
}

fn write_bars(bars: &[PartialBar], writer: &mut impl Write) -> std::io::Result<()> {
    writer.write_all(&(bars.len() as u64).to_ne_bytes())?;
    for bar in bars {
        // SAFETY: a `WireBar` has no padding, so all of its bytes may be read, and its `entomb`
        // does nothing.
        unsafe { abomonation::encode(&WireBar::of(bar), writer)? };
    }
    Ok(())
}

fn read_bars(bytes: &[u8]) -> Result<Vec<PartialBar>, String> {
    let (header, rest) =
        bytes.split_first_chunk().ok_or_else(|| format!("{} bytes are no count", bytes.len()))?;
    let (encoded, rest) = rest.as_chunks::<{ size_of::<WireBar>() }>();
    if !rest.is_empty() || u64::from_ne_bytes(*header) != encoded.len() as u64 {
        return Err(format!("{} bytes are not {} bars", bytes.len(), u64::from_ne_bytes(*header)));
    }
    let mut bars = Vec::with_capacity(encoded.len());
    for bar in encoded {
        bars.push(read_bar(bar)?.bar()?);
    }
    Ok(bars)
}

/// Copies a bar to an aligned place.
///
/// `abomonation::decode` turns a reference to the first byte into a reference to the whole bar,
/// which is undefined behaviour in the stricter of Miri's two models. Its other step, `exhume`, is
/// called here.
fn read_bar(bytes: &[u8; size_of::<WireBar>()]) -> Result<WireBar, String> {
    let mut bar = MaybeUninit::<WireBar>::uninit();
    // SAFETY: there are as many bytes as a `WireBar` has, and every bit pattern is a valid
    // `WireBar`.
    let mut bar = unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), bar.as_mut_ptr().cast::<u8>(), size_of::<WireBar>());
        bar.assume_init()
    };
    // SAFETY: a `WireBar` owns no other data, so this does nothing.
    let rest = unsafe { bar.exhume(&mut []) };
    rest.map(|_| ()).ok_or_else(|| "a bar is not whole".to_owned())?;
    Ok(bar)
}

/// Partial bars before or after the exchange.
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

#[cfg(test)]
mod tests;
