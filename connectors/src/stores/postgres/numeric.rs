//! PostgreSQL's decimals, read as floats.
//!
//! The database could send floats, but it would print each number and parse it again: for a page of
//! a thousand candles with eight numbers each, this took two thirds of the time. Why not a
//! library's decimal: the known ones bound the digits, or round twice on the way to a float.

use std::error::Error;
use std::fmt::Write;
use tokio_postgres::types::{FromSql, Type, accepts};

/// The base of the digits on the wire: each holds four decimal digits.
const BASE: u64 = 10_000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITE: u16 = 0xD000;
const NEGATIVE_INFINITE: u16 = 0xF000;

/// The float nearest to a `NUMERIC`; equal to the float that was stored, if it was one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct NumericAsF64(pub(super) f64);

impl<'a> FromSql<'a> for NumericAsF64 {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<NumericAsF64, Box<dyn Error + Sync + Send>> {
        let mut words = raw.chunks_exact(2).map(|word| u16::from_be_bytes([word[0], word[1]]));
        let (Some(count), Some(weight), Some(sign), Some(_scale)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err("a number without its head".into());
        };
        if words.len() != usize::from(count) {
            return Err(format!("a number of {count} digits has {}", words.len()).into());
        }
        // The first digit counts in powers of the base; `exponent` is the power of ten of the last
        // one.
        let exponent = 4 * (i32::from(weight.cast_signed()) - i32::from(count) + 1);
        let size = match sign {
            NAN => f64::NAN,
            INFINITE | NEGATIVE_INFINITE => f64::INFINITY,
            _ => exactly(words.clone(), exponent).map_or_else(|| parsed(words, exponent), Ok)?,
        };
        Ok(NumericAsF64(if matches!(sign, NEGATIVE | NEGATIVE_INFINITE) { -size } else { size }))
    }

    accepts!(NUMERIC);
}

/// Returns the number if its digits and its power of ten are exact floats: one operation then
/// rounds correctly.
fn exactly(digits: impl Iterator<Item = u16>, exponent: i32) -> Option<f64> {
    const MAX_INTEGER: u64 = 1 << f64::MANTISSA_DIGITS;
    const POWERS: [f64; 23] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
        1e18, 1e19, 1e20, 1e21, 1e22,
    ];
    let mut integer = 0u64;
    for digit in digits {
        integer = integer.checked_mul(BASE)?.checked_add(u64::from(digit))?;
    }
    let power = *POWERS.get(exponent.unsigned_abs() as usize)?;
    if integer > MAX_INTEGER {
        return None;
    }
    Some(if exponent < 0 { integer as f64 / power } else { integer as f64 * power })
}

/// Returns the number of these digits, however many there are, by way of text.
fn parsed(digits: impl Iterator<Item = u16>, exponent: i32) -> Result<f64, Box<dyn Error + Sync + Send>> {
    let mut text = String::with_capacity(64);
    for digit in digits {
        write!(text, "{digit:04}")?;
    }
    write!(text, "e{exponent}")?;
    Ok(text.parse()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;
    use std::cell::RefCell;
    use tallow_testing::database::Database;

    fn wire(count: u16, weight: i16, sign: u16, digits: &[u16]) -> Vec<u8> {
        let head = [count, weight.cast_unsigned(), sign, 0];
        head.iter().chain(digits).flat_map(|word| word.to_be_bytes()).collect()
    }

    fn read(raw: &[u8]) -> Result<f64, String> {
        NumericAsF64::from_sql(&Type::NUMERIC, raw).map(|number| number.0).map_err(|error| error.to_string())
    }

    #[test]
    fn a_number_is_read_as_the_wire_has_it() {
        assert_eq!(read(&wire(0, 0, 0, &[])), Ok(0.0));
        assert_eq!(read(&wire(1, 0, 0, &[7])), Ok(7.0));
        assert_eq!(read(&wire(3, 1, 0, &[9, 5123, 4500])), Ok(95123.45));
        assert_eq!(read(&wire(1, -2, NEGATIVE, &[1234])), Ok(-0.000_012_34));
        assert_eq!(read(&wire(1, 3, 0, &[1])), Ok(1e12));
        assert!(read(&wire(0, 0, NAN, &[])).unwrap().is_nan());
        assert_eq!(read(&wire(0, 0, INFINITE, &[])), Ok(f64::INFINITY));
        assert_eq!(read(&wire(0, 0, NEGATIVE_INFINITE, &[])), Ok(f64::NEG_INFINITY));
    }

    #[test]
    fn what_is_cut_off_is_no_number() {
        assert_eq!(read(&[0, 1, 0, 0, 0, 0]), Err("a number without its head".to_owned()));
        assert_eq!(read(&wire(2, 0, 0, &[7])), Err("a number of 2 digits has 1".to_owned()));
    }

    /// Generates floats of any size, decimals of any length, and decimals halfway between two
    /// floats.
    fn decimals() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<f64>()
                .prop_filter("a number", |number| number.is_finite())
                .prop_map(|number| format!("{number}")),
            r"-?[0-9]{1,40}\.[0-9]{1,40}",
            (1u64 << 52..1 << 53).prop_map(|integer| format!("{}", 2 * integer + 1)),
            (any::<u64>(), 0usize..30).prop_map(|(integer, places)| format!(
                "{:.*}",
                places,
                integer as f64 / 1e8
            )),
        ]
    }

    #[test]
    fn every_number_of_the_database_is_the_nearest_float() {
        let Some(database) = Database::create() else { return };
        let client = RefCell::new(database.connect());
        let statement = client.borrow_mut().prepare("SELECT UNNEST($1::TEXT[])::NUMERIC").unwrap();
        let texts = prop::collection::vec(decimals(), 200);
        let outcome =
            TestRunner::new(ProptestConfig { cases: 20, ..ProptestConfig::default() }).run(&texts, |texts| {
                let rows = client.borrow_mut().query(&statement, &[&texts]).unwrap();
                prop_assert_eq!(rows.len(), texts.len());
                for (text, row) in texts.iter().zip(rows) {
                    let NumericAsF64(number) = row.get(0);
                    prop_assert_eq!(number, text.parse::<f64>().unwrap(), "{}", text);
                }
                Ok(())
            });
        outcome.unwrap();
    }
}
