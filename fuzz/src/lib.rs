//! The property of the tick decoder that must hold for every input. Two drivers try to break it:
//!
//! - `tests/decode.rs`: proptest, which generates texts of the shape of a tick and damages them. It
//!   runs with every `cargo test`, on a stable toolchain.
//! - `fuzz_targets/decode.rs`: libFuzzer, which follows the branches of the compiled decoder. It
//!   needs a nightly toolchain and `cargo fuzz`.
//!
//! The property: [`decode`] never panics. A text that `serde_json` does not read as an object is
//! malformed, by the same rules of grammar, escapes and nesting. For any other text the result is
//! exactly that of the plain decoder in `reference.rs`. The two libraries differ on purpose in
//! numbers only: `serde_json` refuses 1e400; here it is well-formed but no price.

mod exact;
mod reference;

use reference::{Expected, Verdict};
use tallow_model::{DecodeError, NOTIONAL_PLACES, PRICE_PLACES, SIZE_PLACES, Tick, decode};

/// Checks the property for one input, and returns whether the input is a tick.
///
/// # Panics
/// Panics if the property does not hold.
pub fn check(bytes: &[u8]) -> bool {
    let decoded = decode(bytes);
    match (reference::judge(bytes), &decoded) {
        (Verdict::NotAnObject, Err(DecodeError::Malformed(detail)))
        | (Verdict::NotATick, Err(DecodeError::Malformed(detail) | DecodeError::Invalid(detail))) => {
            assert!(!detail.is_empty(), "a reject without a reason");
            false
        }
        (Verdict::Tick(expected), Ok(tick)) => {
            compare(tick, &expected);
            true
        }
        (verdict, decoded) => panic!("expected {verdict:?}, decoded {decoded:?}"),
    }
}

fn compare(tick: &Tick, expected: &Expected) {
    assert_eq!(&*tick.symbol.text(), expected.symbol);
    assert_eq!(tick.time.millis(), expected.time);
    assert_eq!(tick.received.map(|time| time.millis()), expected.received);
    assert_eq!(tick.day_volume.map(|volume| volume.0.to_bits()), expected.day_volume.map(f64::to_bits));

    assert_eq!(tick.price.value.to_bits(), exact::float(&expected.price).to_bits());
    assert_eq!(tick.price.fixed(PRICE_PLACES), exact::fixed(&expected.price, PRICE_PLACES));
    assert_eq!(
        tick.size.map(|size| size.value.to_bits()),
        expected.size.as_deref().map(|size| exact::float(size).to_bits())
    );
    if let (Some(size), Some(text)) = (&tick.size, &expected.size) {
        assert_eq!(size.fixed(SIZE_PLACES), exact::fixed(text, SIZE_PLACES));
        assert_eq!(
            tick.price.product_fixed(size, NOTIONAL_PLACES),
            exact::product(&expected.price, text, NOTIONAL_PLACES)
        );
    }
}
