//! A JSON number, with the digits as they were written.

use crate::number::Decimal;
use std::fmt;

/// A number and the text it was read from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number<'a> {
    pub(super) text: &'a str,
    pub(super) negative: bool,
    /// The first 19 significant digits.
    pub(super) mantissa: u64,
    /// The power of ten of the last digit in `mantissa`.
    pub(super) exponent: i32,
    /// Whether it has neither a fraction nor an exponent.
    pub(super) whole: bool,
}

impl Number<'_> {
    /// Returns the number if it is not negative. Minus zero is not.
    pub(crate) fn unsigned(&self) -> Option<Decimal> {
        if self.negative && self.mantissa != 0 {
            return None;
        }
        Some(Decimal { mantissa: self.mantissa, exponent: self.exponent, value: self.value() })
    }

    /// Returns the number if it is written as an integer of at most 19 digits.
    pub(crate) fn integer(&self) -> Option<i128> {
        let magnitude = (self.whole && self.exponent == 0).then_some(i128::from(self.mantissa))?;
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// The nearest float of the magnitude.
    fn value(&self) -> f64 {
        const EXACT: [f64; 23] = [
            1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
            1e18, 1e19, 1e20, 1e21, 1e22,
        ];
        // Both operands are exact floats, so one operation rounds correctly (Clinger's fast path).
        // A mantissa that has lost digits has nineteen of them and is far above 2⁵³.
        if self.mantissa < 1 << 53
            && let Some(power) = EXACT.get(self.exponent.unsigned_abs() as usize)
        {
            let mantissa = self.mantissa as f64;
            return if self.exponent < 0 { mantissa / power } else { mantissa * power };
        }
        // The grammar has been checked, and it is a subset of what `f64` parses.
        self.text.trim_start_matches('-').parse().unwrap_or(f64::INFINITY)
    }
}

impl fmt::Display for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// Collects the first 19 significant decimal digits.
#[derive(Default)]
pub(super) struct Digits {
    pub(super) mantissa: u64,
}

impl Digits {
    /// Appends an ASCII digit; false if there was no room for it.
    #[inline]
    pub(super) fn push(&mut self, byte: u8) -> bool {
        let digit = u64::from(byte - b'0');
        let fits = self.mantissa < 1_000_000_000_000_000_000;
        if fits {
            self.mantissa = self.mantissa * 10 + digit;
        }
        fits
    }
}
