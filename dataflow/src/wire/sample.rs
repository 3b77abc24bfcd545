//! Partial bars outside the graph, for benchmarks and tests of their encodings. No part of the
//! public interface.

use super::{Abomonated, Encoding, Serialized};
use crate::bar::Bar;
use crate::operators::combine::PartialBar;
use tallow_model::{EventTime, MINUTE_MS, Tick};
use timely::bytes::arc::{Bytes, BytesMut};

/// An encoding of partial bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireEncoding {
    /// The default.
    Abomonation,
    /// The encoding of builds with the feature `serde-exchange`.
    Serde,
}

/// Partial bars outside the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct WireSample(pub(super) Vec<PartialBar>);

/// Encoded partial bars.
#[derive(Clone)]
pub struct WireBytes(Bytes);

impl WireSample {
    /// Creates one partial bar of each tick.
    pub fn of<'a>(ticks: impl IntoIterator<Item = &'a Tick>) -> WireSample {
        let bar = |(offset, tick): (u64, &Tick)| {
            let minute = EventTime(tick.time.millis() / MINUTE_MS * MINUTE_MS);
            let bar = Bar::of(tick, minute, 0, offset);
            PartialBar { symbol: tick.symbol, minute, logical: minute.millis() + MINUTE_MS, bar }
        };
        WireSample((0..).zip(ticks).map(bar).collect())
    }

    /// Number of bars.
    #[allow(clippy::len_without_is_empty, reason = "an empty one measures nothing")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Replaces the contents of `room` by the encoded bars.
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
        assert!(rest.is_empty(), "{} bytes fewer were written than announced", rest.len());
    }
}

impl WireBytes {
    /// Wraps any bytes.
    pub fn of(bytes: Vec<u8>) -> WireBytes {
        WireBytes(BytesMut::from(bytes).freeze())
    }

    /// Decodes the bars.
    ///
    /// # Panics
    /// Panics if the bytes encode no bars.
    pub fn decode(&self, encoding: WireEncoding) -> WireSample {
        WireSample(match encoding {
            WireEncoding::Abomonation => Abomonated::decode(self.0.clone()),
            WireEncoding::Serde => Serialized::decode(self.0.clone()),
        })
    }
}
