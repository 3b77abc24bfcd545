//! A part that is written reads back, and every change to its bytes is found.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use super::*;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeSet;
use tallow_dataflow::{Bar, CheckpointId, ResumePoint, TickPosition};
use tallow_model::{Counts, EventTime, Interval, MAX_EVENT_TIME, Price, Symbol};

fn origin() -> Origin {
    let meaning = [("rules", "1"), ("anomalies.threshold", "4")];
    let meaning = meaning.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Origin { source: "kafka:crypto-prices".to_owned(), meaning }
}

fn head() -> PartHead {
    let counts = Counts { records_in: u64::MAX, on_time: 1, ..Counts::default() };
    let point = |partition, max_event_time| ResumePoint {
        partition,
        offset: u64::MAX,
        unsettled_from: 7,
        idle: true,
        max_event_time,
        counts,
    };
    let id = CheckpointId { frontier: EventTime(1_763_271_060_000), run: u128::MAX - 1 };
    let partitions = vec![point(0, None), point(2, Some(EventTime(1_763_271_059_999)))];
    PartHead { id, worker: 1, workers: 3, partitions }
}

fn encoded(pieces: Vec<State>) -> Bytes {
    encode(&(head(), pieces), &origin()).unwrap().into_bytes()
}

/// Decodes all rows.
fn decoded(bytes: Bytes) -> Result<State, Error> {
    let mut state = State::default();
    StoredPart::read("part", bytes)?.decode_into(&mut state)?;
    Ok(state)
}

/// Replaces the checksum by the one that the bytes must have.
fn sealed(mut bytes: Vec<u8>) -> Bytes {
    let end = bytes.len().saturating_sub(CHECKSUM);
    bytes.truncate(end);
    let checksum = blake3::hash(&bytes);
    bytes.extend_from_slice(checksum.as_bytes());
    bytes.into()
}

prop_compose! {
    fn symbols()(text in "[A-Z0-9._-]{1,20}") -> Symbol {
        text.parse().unwrap()
    }
}

prop_compose! {
    fn times()(time in prop_oneof![0..=MAX_EVENT_TIME.0, Just(MAX_EVENT_TIME.0)]) -> EventTime {
        EventTime(time)
    }
}

/// Any bits, not-a-number included.
fn prices() -> impl Strategy<Value = Price> {
    prop_oneof![any::<f64>(), any::<u64>().prop_map(f64::from_bits)].prop_map(Price)
}

fn sums() -> impl Strategy<Value = i128> {
    prop_oneof![any::<i128>(), Just(i128::MAX), Just(i128::MIN), -9i128..9]
}

prop_compose! {
    fn orders()(since_start_ms: u32, partition: u32, offset: u64) -> TickPosition {
        TickPosition { since_start_ms, partition, offset }
    }
}

prop_compose! {
    fn bars()(
        first in orders(), last in orders(), prices in prop::array::uniform4(prices()),
        counts: (u32, u32), sums in prop::array::uniform3(sums()),
        day_volume in prop::option::of((orders(), prices())),
    ) -> Bar {
        let [open, high, low, close] = prices;
        let (count, sized) = counts;
        let [price_sum, size_sum, notional_sum] = sums;
        Bar { first, last, open, high, low, close, count, sized, price_sum, size_sum, notional_sum, day_volume }
    }
}

prop_compose! {
    fn minutes()(
        symbol in symbols(), start in times(), bar in bars(), revision: u32,
        previous_close in prop::option::of(prices()),
    ) -> RetainedMinute {
        RetainedMinute { symbol, start, bar, revision, previous_close }
    }
}

prop_compose! {
    fn returns()(
        symbol in symbols(), start in times(), open in prices(), close in prices(), revision: u32,
        previous_close in prop::option::of(prices()),
    ) -> RetainedReturn {
        RetainedReturn { symbol, start, open, close, previous_close, revision }
    }
}

prop_compose! {
    fn rollups()(
        symbol in symbols(), interval in prop::sample::select(Interval::ALL.to_vec()), start in times(),
        versions: u32,
    ) -> RollupVersions {
        RollupVersions { symbol, interval, start, versions }
    }
}

prop_compose! {
    fn states()(
        minutes in prop::collection::vec(minutes(), 0..8),
        returns in prop::collection::vec(returns(), 0..8),
        rollups in prop::collection::vec(rollups(), 0..8),
    ) -> State {
        State { minutes, returns, rollups }
    }
}

fn order(offset: u64) -> TickPosition {
    TickPosition { since_start_ms: 60_000 - offset as u32, partition: 1, offset }
}

/// A row of each kind with a value in each field.
fn one_of_each() -> State {
    let symbol = "BTC-USD.P".parse().unwrap();
    let start = EventTime(1_763_271_000_000);
    let [open, high, low, close] = [95_750.0, 95_800.25, 0.000_000_017, 95_780.5].map(Price);
    let bar = Bar {
        first: order(1),
        last: order(2),
        open,
        high,
        low,
        close,
        count: 12,
        sized: 11,
        price_sum: -1,
        size_sum: i128::from(i64::MAX),
        notional_sum: 3,
        day_volume: Some((order(3), Price(78_701_577_213.28))),
    };
    let previous_close = Some(Price(95_749.5));
    State {
        minutes: vec![RetainedMinute { symbol, start, bar, revision: 2, previous_close }],
        returns: vec![RetainedReturn { symbol, start, open, close, previous_close, revision: 3 }],
        rollups: vec![RollupVersions { symbol, interval: Interval::FifteenMinutes, start, versions: 4 }],
    }
}

/// Collects the names of all fields, nested ones included.
fn flatten(name: &str, value: &Value, into: &mut BTreeSet<String>) {
    let below = |field: &str| if name.is_empty() { field.to_owned() } else { format!("{name}.{field}") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(field, value)| flatten(&below(field), value, into)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, value)| flatten(&below(&at.to_string()), value, into));
        }
        _ => drop(into.insert(name.to_owned())),
    }
}

#[test]
fn the_header_names_the_fields_that_a_row_has() {
    let state = one_of_each();
    let rows = [
        serde_json::to_value(state.minutes[0]).unwrap(),
        serde_json::to_value(state.returns[0]).unwrap(),
        serde_json::to_value(state.rollups[0]).unwrap(),
    ];
    for (section, row) in Section::ALL.into_iter().zip(rows) {
        let mut fields = BTreeSet::new();
        flatten("", &row, &mut fields);
        let named: BTreeSet<String> = section.fields().iter().map(|field| field.replace('?', "")).collect();
        assert_eq!(named, fields, "{}: other fields need another format version", section.name());
    }
}

/// Fails when rows are written in another way under the same version: older checkpoints could then
/// not be read.
#[test]
fn a_part_of_this_format_reads_as_it_did_when_it_was_written() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/checkpoints/format-1.part");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, encoded(vec![one_of_each()])).unwrap();
    }
    let part = StoredPart::read("format-1.part", std::fs::read(path).unwrap().into()).unwrap();
    assert_eq!(part.head, head());
    assert!(part.header.differences(&origin()).is_empty());
    let mut state = State::default();
    part.decode_into(&mut state).unwrap();
    assert_eq!(state, one_of_each());
}

#[test]
fn every_flipped_bit_and_every_truncation_is_found() {
    let bytes = encoded(vec![one_of_each()]);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = decoded(flipped.into()).unwrap_err();
        assert!(matches!(&error, Error::Damaged { what, .. } if what == "part"), "bit {bit}: {error}");
    }
    for length in 0..bytes.len() {
        let error = decoded(bytes.slice(..length)).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{length} bytes: {error}");
    }
    assert!(decoded([&bytes[..], b"more"].concat().into()).is_err());
}

#[test]
fn another_format_version_is_refused_and_not_called_damage() {
    let mut bytes = encoded(vec![one_of_each()]).to_vec();
    bytes[MAGIC.len()] = 2;
    let error = decoded(sealed(bytes)).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    assert!(error.to_string().contains("format 2 and this program reads format 1"), "{error}");
}

#[test]
fn rows_in_more_than_a_chunk_keep_their_order() {
    let mut piece = one_of_each();
    piece.returns = (0..2 * MAX_CHUNK_ROWS as u32 + 5)
        .map(|revision| RetainedReturn { revision, ..piece.returns[0] })
        .collect();
    let state = decoded(encoded(vec![piece.clone(), State::default(), one_of_each()])).unwrap();
    let last = one_of_each();
    assert_eq!(state.returns, [piece.returns, last.returns].concat());
    assert_eq!(state.minutes, [piece.minutes, last.minutes].concat());
}

#[test]
fn a_row_without_a_valid_symbol_is_refused() {
    let mut piece = one_of_each();
    piece.minutes.clear();
    piece.rollups.clear();
    // The words of a symbol that no text has, and a time past all times.
    let words = postcard::to_stdvec(&[0xffff_ffff_ffff_ffff_u64, 0, 0]).unwrap();
    piece.returns[0].symbol = postcard::from_bytes(&words).unwrap();
    assert!(decoded(encoded(vec![piece.clone()])).unwrap_err().to_string().contains("symbol"));
    piece.returns[0].symbol = "BTC".parse().unwrap();
    piece.returns[0].start = EventTime(u64::MAX);
    assert!(decoded(encoded(vec![piece])).unwrap_err().to_string().contains("later than any time"));
}

proptest! {
    #[test]
    fn any_state_reads_back_bit_by_bit(pieces in prop::collection::vec(states(), 0..4)) {
        let mut whole = State::default();
        for piece in &pieces {
            whole.minutes.extend(&piece.minutes);
            whole.returns.extend(&piece.returns);
            whole.rollups.extend(&piece.rollups);
        }
        let bytes = encoded(pieces);
        prop_assert_eq!(StoredPart::read("part", bytes.clone()).unwrap().head, head());
        prop_assert_eq!(decoded(bytes).unwrap(), whole);
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(decoded(bytes.into()).is_err());
    }

    #[test]
    fn rubbish_with_the_right_checksum_never_panics(
        piece in states(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..9),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = encoded(vec![piece]).to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        drop(decoded(sealed(bytes)));
    }

    #[test]
    fn rubbish_in_the_rows_with_the_right_lengths_never_panics(
        section in 0u8..5, rows in 0u32..10_000, raw in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let whole = encoded(Vec::new());
        let mut bytes = whole[..whole.len() - CHECKSUM].to_vec();
        let compressed = zstd::bulk::compress(&raw, COMPRESSION_LEVEL).unwrap();
        bytes.push(section);
        for number in [rows, raw.len() as u32, compressed.len() as u32] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&compressed);
        bytes.extend_from_slice(&[0; CHECKSUM]);
        // The header claims that there are no rows.
        prop_assert!(decoded(sealed(bytes)).is_err() || rows == 0);
    }
}
