//! Prices that are compared, and exact sums that are added.
//!
//! A price is a 64-bit float: read from decimal text, printed as the shortest text that reads back
//! the same, and only ever compared. Whatever is *summed* (prices for the mean, sizes, notionals)
//! is summed in 128-bit fixed point, taken from the decimal text and not from the float, so that
//! sums depend on no order, retract exactly and equal what an exchange computes from the same
//! decimals.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;

/// Decimal places of a price in a [`PriceSum`].
pub const PRICE_PLACES: i32 = 18;
/// Decimal places of a size in a [`SizeSum`].
pub const SIZE_PLACES: i32 = 15;
/// Decimal places of price × size in a [`NotionalSum`].
pub const NOTIONAL_PLACES: i32 = 12;

/// The lowest accepted price.
///
/// The bounds of price, size and notional are some orders of magnitude beyond any real market.
/// Within them a window can sum a hundred million ticks without leaving 128 bits.
pub const MIN_PRICE: f64 = 1e-18;
/// The highest accepted price. See [`MIN_PRICE`].
pub const MAX_PRICE: f64 = 1e12;
/// The largest accepted size. See [`MIN_PRICE`].
pub const MAX_SIZE: f64 = 1e15;
/// The largest accepted notional. See [`MIN_PRICE`].
pub const MAX_NOTIONAL: f64 = 1e18;

/// Sum of prices in units of 10⁻¹⁸.
pub type PriceSum = i128;
/// Sum of base quantities in units of 10⁻¹⁵.
pub type SizeSum = i128;
/// Sum of price × size in units of 10⁻¹².
pub type NotionalSum = i128;

/// A finite float with the total order, so that it can be part of keys and of differential data.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Price(pub f64);

impl PartialEq for Price {
    fn eq(&self, other: &Price) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Price {}
impl PartialOrd for Price {
    fn partial_cmp(&self, other: &Price) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Price {
    fn cmp(&self, other: &Price) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}
impl std::hash::Hash for Price {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}
impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl fmt::Debug for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A non-negative decimal as it was written: `mantissa × 10^exponent`, with the nearest float
/// beside it.
///
/// At most 19 significant digits are kept; further digits are cut off in the mantissa, not in the
/// float.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decimal {
    /// The significant digits, without trailing zeros where they were written after the point.
    pub mantissa: u64,
    /// The power of ten of the mantissa's last digit.
    pub exponent: i32,
    /// The nearest 64-bit float; infinite if the text is beyond its range.
    pub value: f64,
}

impl Decimal {
    /// Returns the number in units of 10⁻ᵖˡᵃᶜᵉˢ, cut towards zero.
    pub fn fixed(&self, places: i32) -> i128 {
        scale_by_ten(u128::from(self.mantissa), self.exponent.saturating_add(places))
    }

    /// Returns the exact product with `other` in units of 10⁻ᵖˡᵃᶜᵉˢ, cut towards zero.
    pub fn product_fixed(&self, other: &Decimal, places: i32) -> i128 {
        let mantissa = u128::from(self.mantissa) * u128::from(other.mantissa);
        let exponent = self.exponent.saturating_add(other.exponent).saturating_add(places);
        scale_by_ten(mantissa, exponent)
    }
}

/// Powers of ten that fit 128 bits.
const POWERS: [u128; 39] = {
    let mut powers = [1u128; 39];
    let mut i = 1;
    while i < powers.len() {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// Returns `value × 10^exponent`, cut towards zero, saturating at the largest `i128`.
fn scale_by_ten(value: u128, exponent: i32) -> i128 {
    let scaled = if exponent >= 0 {
        match POWERS.get(exponent as usize) {
            Some(power) => value.saturating_mul(*power),
            None if value == 0 => 0,
            None => u128::MAX,
        }
    } else {
        match POWERS.get(exponent.unsigned_abs() as usize) {
            Some(power) => match (u64::try_from(value), u64::try_from(*power)) {
                (Ok(value), Ok(power)) => u128::from(value / power),
                _ => value / power,
            },
            None => 0,
        }
    };
    i128::try_from(scaled).unwrap_or(i128::MAX)
}

/// Returns the float nearest to `numerator / denominator`, both non-negative.
///
/// The result is correctly rounded: its bits are found by long division in integers. Dividing two
/// rounded floats instead would be off by up to two units in the last place, which is enough to
/// print 105382.29999999999 for 105382.3.
///
/// # Panics
/// If the denominator is not positive or the numerator is negative.
pub fn nearest_ratio(numerator: i128, denominator: i128) -> f64 {
    assert!(denominator > 0 && numerator >= 0, "ratio {numerator}/{denominator} out of domain");
    let denominator = denominator.unsigned_abs();
    let mut quotient = numerator.unsigned_abs() / denominator;
    let mut remainder = numerator.unsigned_abs() % denominator;
    // Extend the quotient bit by bit until it has more bits than a float's mantissa and its
    // rounding bit.
    let mut shift = 0i32;
    while remainder != 0 && quotient < (1 << 64) && shift < 1100 {
        quotient <<= 1;
        shift += 1;
        // remainder < denominator ≤ i128::MAX, so doubling it fits u128.
        remainder <<= 1;
        if remainder >= denominator {
            remainder -= denominator;
            quotient |= 1;
        }
    }
    if remainder != 0 {
        // Sticky bit: the digits that were cut off only matter for breaking a tie.
        quotient |= 1;
    }
    // `as` rounds to nearest, ties to even; scaling by a power of two is exact.
    (quotient as f64) * libm::exp2(f64::from(-shift))
}

/// Displays fixed-point integers as plain decimals, without trailing zeros.
#[derive(Clone, Copy, Debug)]
pub struct FixedText {
    /// The number in units of 10⁻ᵖˡᵃᶜᵉˢ.
    pub units: i128,
    /// The decimal places of `units`.
    pub places: i32,
}

impl FixedText {
    /// Returns the nearest float.
    pub fn value(&self) -> f64 {
        let power = i128::try_from(POWERS[self.places.unsigned_abs() as usize]).unwrap_or(i128::MAX);
        let magnitude = nearest_ratio(self.units.saturating_abs(), power);
        if self.units < 0 { -magnitude } else { magnitude }
    }
}

impl fmt::Display for FixedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.units < 0 { "-" } else { "" };
        let power = POWERS[self.places.unsigned_abs() as usize];
        let magnitude = self.units.unsigned_abs();
        let (whole, mut fraction, mut width) = (magnitude / power, magnitude % power, self.places as usize);
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        while fraction % 10 == 0 {
            fraction /= 10;
            width -= 1;
        }
        write!(f, "{sign}{whole}.{fraction:0width$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fixed_point_takes_the_decimal_as_written() {
        let size = Decimal { mantissa: 27_625, exponent: -8, value: 0.00027625 };
        assert_eq!(size.fixed(SIZE_PLACES), 276_250_000_000);
        let price = Decimal { mantissa: 1_054_336, exponent: -1, value: 105_433.6 };
        // 105433.6 × 0.00027625 = 29.126032
        assert_eq!(price.product_fixed(&size, NOTIONAL_PLACES), 29_126_032_000_000);
    }

    #[test]
    fn fixed_text_has_no_trailing_zeros() {
        assert_eq!(FixedText { units: 9_553_700_000_000, places: 15 }.to_string(), "0.0095537");
        assert_eq!(FixedText { units: 0, places: 15 }.to_string(), "0");
        assert_eq!(FixedText { units: -1_500, places: 3 }.to_string(), "-1.5");
    }

    #[test]
    fn tiny_and_huge_exponents_saturate_instead_of_overflowing() {
        let number = |exponent| Decimal { mantissa: 7, exponent, value: 7.0 };
        assert_eq!(number(-400).fixed(18), 0);
        assert_eq!(number(400).fixed(18), i128::MAX);
        assert_eq!(Decimal { mantissa: 0, exponent: i32::MAX, value: 0.0 }.fixed(18), 0);
    }

    proptest! {
        #[test]
        fn a_ratio_of_small_integers_is_the_float_division(n in 0i128..1 << 53, d in 1i128..1 << 53) {
            prop_assert_eq!(nearest_ratio(n, d), n as f64 / d as f64);
        }

        #[test]
        fn a_ratio_does_not_change_when_both_sides_are_scaled(n in 0i128..1 << 53, d in 1i128..1 << 53, s in 1i128..1 << 60) {
            prop_assert_eq!(nearest_ratio(n * s, d * s), nearest_ratio(n, d));
        }
    }
}
