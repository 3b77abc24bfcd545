//! Laws of the encodings: any bar survives a round trip, and bytes that are no bars are refused.

use super::sample::{WireBytes, WireEncoding, WireSample};
use super::*;
use crate::bar::{Bar, TickPosition};
use proptest::prelude::*;
use tallow_model::{EventTime, MAX_EVENT_TIME, MINUTE_MS, Price, Symbol};
use timely::bytes::arc::BytesMut;

prop_compose! {
    fn positions()(since_start_ms in 0u32..60_000, partition: u32, offset: u64) -> TickPosition {
        TickPosition { since_start_ms, partition, offset }
    }
}

fn prices() -> impl Strategy<Value = Price> {
    any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |value| value.is_finite()).prop_map(Price)
}

prop_compose! {
    fn bars()(
        (first, last) in (positions(), positions()),
        (open, high, low, close) in (prices(), prices(), prices(), prices()),
        (count, unsized_ticks) in (1u32.., 0u32..),
        (price_sum, size_sum, notional_sum) in any::<(i128, i128, i128)>(),
        day_volume in prop::option::of((positions(), prices())),
    ) -> Bar {
        let sized = count.saturating_sub(unsized_ticks);
        Bar { first, last, open, high, low, close, count, sized, price_sum, size_sum, notional_sum, day_volume }
    }
}

prop_compose! {
    fn partials()(
        name in prop::collection::vec(prop::sample::select(&b"AZ09._-"[..]), 1..=20),
        minute in 0..=MAX_EVENT_TIME.millis() / MINUTE_MS, logical: u64, bar in bars(),
    ) -> PartialBar {
        let symbol = Symbol::parse(&name).expect("a symbol");
        PartialBar { symbol, minute: EventTime(minute * MINUTE_MS), logical, bar }
    }
}

fn settings() -> ProptestConfig {
    // Miri is slow, and has no files to keep failures in.
    let cases = if cfg!(miri) { 4 } else { 256 };
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn encoded(bars: &[PartialBar]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_bars(bars, &mut bytes).expect("written");
    bytes
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn bars_come_back_bit_for_bit_in_both_encodings(bars in prop::collection::vec(partials(), 0..20)) {
        let sample = WireSample(bars);
        for encoding in [WireEncoding::Abomonation, WireEncoding::Serde] {
            let (mut bytes, mut bytes_again) = (Vec::new(), vec![7; 3]);
            sample.encode(encoding, &mut bytes);
            prop_assert_eq!(bytes.len() % 8, 0);
            let again = WireBytes::of(bytes.clone()).decode(encoding);
            prop_assert_eq!(&again, &sample);
            // Equal samples may still differ in the sign of a zero.
            again.encode(encoding, &mut bytes_again);
            prop_assert_eq!(bytes_again, bytes);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused_wherever_they_lie(
        noise in prop::collection::vec(any::<u8>(), 0..600), start in 0usize..8,
    ) {
        let bytes = &noise[start.min(noise.len())..];
        prop_assert!(read_bars(bytes).is_err() || bytes == 0u64.to_ne_bytes());
    }

    #[test]
    fn any_words_of_the_announced_number_are_read_or_refused(
        count in 1usize..4, words in prop::collection::vec(any::<u64>(), 72),
    ) {
        let words = [&[count as u64], &words[..24 * count]].concat();
        if let Ok(bars) = read_bars(&bytes(&words)) {
            prop_assert_eq!(encoded(&bars), bytes(&words));
        }
    }

    #[test]
    fn a_bar_with_one_word_changed_is_read_as_it_stands_or_refused(
        bar in partials(), at in 0usize..24, word: u64,
    ) {
        let mut bytes = encoded(&[bar]);
        bytes[HEADER + 8 * at..][..8].copy_from_slice(&word.to_ne_bytes());
        if let Ok(bars) = read_bars(&bytes) {
            prop_assert_eq!(encoded(&bars), bytes);
        }
    }

    #[test]
    fn a_length_that_is_not_the_announced_one_is_refused(bars in prop::collection::vec(partials(), 1..4), cut: prop::sample::Index) {
        let whole = encoded(&bars);
        let cut = cut.index(whole.len());
        prop_assert!(read_bars(&whole[..cut]).is_err());
        prop_assert!(read_bars(&[&whole[..], &[0; 8]].concat()).is_err());
    }
}

fn sample() -> PartialBar {
    let line = br#"{"symbol":"BTC","price_usd":10.5,"size":2,"volume_24h":7,"timestamp":120001}"#;
    WireSample::of([&tallow_model::decode(line).expect("a tick")]).0[0]
}

#[test]
fn a_field_that_no_bar_can_have_is_named() {
    let with = |at: usize, word: u64| {
        let mut bytes = encoded(&[sample()]);
        bytes[HEADER + 8 * at..][..8].copy_from_slice(&word.to_ne_bytes());
        read_bars(&bytes)
    };
    assert_eq!(with(4, 7), Ok(vec![PartialBar { logical: 7, ..sample() }]));
    let lower_case = u64::from_be_bytes(*b"btc\0\0\0\0\0");
    let cases = [
        (0, 0, "is no symbol"),
        (0, lower_case, "is no symbol"),
        (1, 1, "is no symbol"),
        (3, 1, "1 is no minute"),
        (3, u64::MAX / MINUTE_MS * MINUTE_MS, "is no minute"),
        (5, u64::from(u32::MAX) << 32 | 60_000, "a tick is 60000 ms into its minute"),
        (9, f64::NAN.to_bits(), "NaN is no price"),
        (12, f64::INFINITY.to_bits(), "inf is no price"),
        (13, 0, "0 of 0 ticks have a size"),
        (13, 2 << 32 | 1, "2 of 1 ticks have a size"),
        (20, 2, "2 does not say whether there is a volume"),
        (20, 0, "0 does not say whether there is a volume"),
        (23, f64::NAN.to_bits(), "NaN is no price"),
    ];
    for (at, word, expected) in cases.into_iter().filter(|_| cfg!(target_endian = "little")) {
        let problem = with(at, word).expect_err(expected);
        assert!(problem.contains(expected), "{problem}");
    }
    assert_eq!(read_bars(&[1, 2, 3]), Err("3 bytes are no count".to_owned()));
    assert_eq!(read_bars(&bytes(&[1, 2])), Err("16 bytes are not 1 bars".to_owned()));
    assert_eq!(read_bars(&bytes(&[u64::MAX])), Err(format!("8 bytes are not {} bars", u64::MAX)));
}

#[test]
#[should_panic(expected = "read bars of another process: 16 bytes are not 1 bars")]
fn a_worker_that_receives_no_bars_panics() {
    let _ = Batch::<Abomonated>::from_bytes(BytesMut::from(bytes(&[1, 2])).freeze());
}

#[test]
fn a_container_fills_and_drains_as_a_vector_does() {
    let mut batch = Exchanged::default();
    assert!(batch.is_empty());
    batch.ensure_capacity(&mut None);
    while !batch.at_capacity() {
        batch.push_into(sample());
    }
    let full = batch.record_count();
    assert_eq!(
        full,
        i64::try_from(timely::container::buffer::default_capacity::<PartialBar>()).expect("few")
    );
    let mut stash = Some(batch);
    let mut next = Exchanged::default();
    next.ensure_capacity(&mut stash);
    assert!(stash.is_none() && next.is_empty() && !next.at_capacity());
    next.push_into(sample());
    assert_eq!(next.drain().collect::<Vec<_>>(), [sample()]);
    assert_eq!(next.clone().record_count(), 0);
}
