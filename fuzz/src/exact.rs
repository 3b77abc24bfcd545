//! Decimal arithmetic on the text of a JSON number, digit by digit: slow, but evidently right.

/// Number of significant digits that the decoder keeps.
const KEPT: usize = 19;

/// Returns the nearest float of the magnitude; infinity if the text is beyond its range.
pub(crate) fn float(text: &str) -> f64 {
    text.trim_start_matches('-').parse().expect("the grammar of JSON numbers is part of Rust's")
}

/// Whether the number is below zero. Minus zero is not.
pub(crate) fn is_negative(text: &str) -> bool {
    text.starts_with('-') && !digits(text).0.is_empty()
}

/// Returns the number in units of 10⁻ᵖˡᵃᶜᵉˢ, truncated towards zero.
pub(crate) fn fixed(text: &str, places: i32) -> i128 {
    let (digits, exponent) = digits(text);
    shifted(&digits, exponent + i64::from(places))
}

/// Returns the product of two numbers in units of 10⁻ᵖˡᵃᶜᵉˢ, truncated towards zero.
pub(crate) fn product(one: &str, other: &str, places: i32) -> i128 {
    let ((one, one_exponent), (other, other_exponent)) = (digits(one), digits(other));
    let number = |digits: &str| digits.parse::<u128>().unwrap_or(0);
    let product = (number(&one) * number(&other)).to_string();
    shifted(product.trim_start_matches('0'), one_exponent + other_exponent + i64::from(places))
}

/// Returns the first significant digits, none for zero, and the power of ten of the last digit.
fn digits(text: &str) -> (String, i64) {
    let text = text.trim_start_matches('-');
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let (sign, written) = match exponent.strip_prefix('-') {
        Some(written) => (-1, written),
        None => (1, exponent.trim_start_matches('+')),
    };
    // No input has enough digits to make up for an exponent that does not fit 32 bits.
    let exponent = sign * written.parse::<i64>().unwrap_or(i64::MAX).min(i64::from(i32::MAX));
    let all = format!("{whole}{fraction}");
    let significant = all.trim_start_matches('0');
    let kept = &significant[..significant.len().min(KEPT)];
    let cut = (significant.len() - kept.len()) as i64;
    (kept.to_owned(), exponent - fraction.len() as i64 + cut)
}

/// Returns `digits × 10^exponent`, truncated towards zero, at most the largest `i128`.
fn shifted(digits: &str, exponent: i64) -> i128 {
    if digits.is_empty() {
        return 0;
    }
    if exponent >= 0 {
        let zeros = "0".repeat(usize::try_from(exponent).unwrap_or(usize::MAX).min(40));
        return format!("{digits}{zeros}").parse().unwrap_or(i128::MAX);
    }
    let dropped = usize::try_from(exponent.unsigned_abs()).unwrap_or(usize::MAX);
    digits[..digits.len().saturating_sub(dropped)].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_shifted_and_cut_towards_zero() {
        assert_eq!(fixed("105433.6", 2), 10_543_360);
        assert_eq!(fixed("0.00027625", 7), 2_762);
        assert_eq!(fixed("1.5e-3", 3), 1);
        assert_eq!(fixed("-0.000e99", 18), 0);
        assert_eq!(product("105433.6", "0.00027625", 12), 29_126_032_000_000);
    }
}
