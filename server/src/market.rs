//! The names of markets: a symbol of Tallow and the dollar, `BTCUSD`, as other programs name it;
//! and `ALL`.

use tallow_model::Symbol;

/// The name that stands for every symbol, in any case. A market of this name can't be addressed on
/// paths that take it.
pub(crate) const ALL: &str = "ALL";

/// The currency of every price.
pub(crate) const QUOTE: &str = "USD";

/// Returns the name of the market of a symbol.
pub(crate) fn name(symbol: Symbol) -> String {
    format!("{symbol}{QUOTE}")
}

/// Returns the symbol of a market's name, in any case; `None` if the name is no symbol with `USD`
/// behind it.
pub(crate) fn symbol(name: &str) -> Option<Symbol> {
    let (base, quote) = name.split_at_checked(name.len().checked_sub(QUOTE.len())?)?;
    if !quote.eq_ignore_ascii_case(QUOTE) {
        return None;
    }
    Symbol::parse(base.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_symbol_and_the_dollar() {
        for (text, expected) in
            [("BTCUSD", "BTCUSD"), ("btcUsd", "BTCUSD"), ("NEW.XUSD", "NEW.XUSD"), ("USDUSD", "USDUSD")]
        {
            assert_eq!(symbol(text).map(name).as_deref(), Some(expected));
        }
        for text in ["", "US", "USD", "BTC", "BTCEUR", "ABCDEFGHIJKLMNOPQRSTUUSD", "BTC/USD", "₿USD", "€"]
        {
            assert_eq!(symbol(text), None, "{text}");
        }
    }
}
