//! The name of a market, kept inline so that keys are copied and compared without following a
//! pointer.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The most characters that a symbol may have.
pub const MAX_SYMBOL_LEN: usize = 20;

/// 1–20 characters of `A–Z 0–9 . _ -`, lower case folded up.
///
/// Stored as zero-padded big-endian words: the derived order is the order of the text, and
/// comparing or hashing touches three machine words. Why not an interned number: workers in other
/// processes would have to agree on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol([u64; 3]);

impl Symbol {
    /// Reads a symbol, folding lower case up.
    ///
    /// # Errors
    /// The rule that the text breaks.
    pub fn parse(text: &[u8]) -> Result<Symbol, InvalidSymbol> {
        if text.is_empty() {
            return Err(InvalidSymbol::Empty);
        }
        if text.len() > MAX_SYMBOL_LEN {
            return Err(InvalidSymbol::TooLong(text.len()));
        }
        let mut bytes = [0u8; 24];
        for (to, &from) in bytes.iter_mut().zip(text) {
            *to = match from {
                b'a'..=b'z' => from.to_ascii_uppercase(),
                b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => from,
                other => return Err(InvalidSymbol::Character(other)),
            };
        }
        Ok(Symbol::from_bytes(bytes))
    }

    fn from_bytes(bytes: [u8; 24]) -> Symbol {
        let word = |i: usize| {
            let mut word = [0u8; 8];
            word.copy_from_slice(&bytes[i * 8..i * 8 + 8]);
            u64::from_be_bytes(word)
        };
        Symbol([word(0), word(1), word(2)])
    }

    /// Returns the words that the symbol is stored as.
    pub fn words(&self) -> [u64; 3] {
        self.0
    }

    /// Returns the symbol that is stored as these words, if there is one.
    pub fn of_words(words: [u64; 3]) -> Option<Symbol> {
        let symbol = Symbol(words);
        let SymbolText { bytes, len } = symbol.text();
        let (text, padding) = bytes.split_at(len);
        let is_kept = |byte: &u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        let is_one = (1..=MAX_SYMBOL_LEN).contains(&len)
            && text.iter().all(is_kept)
            && padding.iter().all(|byte| *byte == 0);
        is_one.then_some(symbol)
    }

    /// Returns the symbol as text.
    pub fn text(&self) -> SymbolText {
        let mut bytes = [0u8; 24];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&word.to_be_bytes());
        }
        let len = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
        SymbolText { bytes, len }
    }

    /// Returns a hash that is the same in every process and every version of Tallow. It decides
    /// which worker and which partition a symbol belongs to.
    pub fn stable_hash(&self) -> u64 {
        // A multiply-xorshift chain with the constants of SplitMix64: full avalanche, three
        // multiplications a word.
        let mut hash = 0x9e37_79b9_7f4a_7c15_u64;
        for word in self.0 {
            hash = (hash ^ word).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            hash ^= hash >> 31;
        }
        hash
    }
}

/// A symbol's characters, borrowed as `&str` through `Deref`.
#[derive(Clone, Copy)]
pub struct SymbolText {
    bytes: [u8; 24],
    len: usize,
}

impl std::ops::Deref for SymbolText {
    type Target = str;
    fn deref(&self) -> &str {
        // `parse` admits ASCII only; bytes of another origin are shown as far as they are text.
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or("?")
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text())
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl std::str::FromStr for Symbol {
    type Err = InvalidSymbol;
    fn from_str(text: &str) -> Result<Symbol, InvalidSymbol> {
        Symbol::parse(text.as_bytes())
    }
}

impl Serialize for Symbol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&self.text())
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Symbol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Symbol, D::Error> {
        if deserializer.is_human_readable() {
            let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            <[u64; 3]>::deserialize(deserializer).map(Symbol)
        }
    }
}

/// The reason why a text is not a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidSymbol {
    /// The text has no characters.
    Empty,
    /// The text has this many bytes, more than [`MAX_SYMBOL_LEN`].
    TooLong(usize),
    /// The text has this byte, which is not one of `A–Z a–z 0–9 . _ -`.
    Character(u8),
}

impl fmt::Display for InvalidSymbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidSymbol::Empty => f.write_str("symbol is empty"),
            InvalidSymbol::TooLong(len) => write!(f, "symbol has {len} bytes, the most is {MAX_SYMBOL_LEN}"),
            InvalidSymbol::Character(byte) if byte.is_ascii() => {
                write!(f, "symbol has {:?}, allowed are A-Z 0-9 . _ -", char::from(*byte))
            }
            // Part of a character that has several bytes.
            InvalidSymbol::Character(byte) => {
                write!(f, "symbol has byte 0x{byte:02x}, allowed are A-Z 0-9 . _ -")
            }
        }
    }
}

impl std::error::Error for InvalidSymbol {}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(text: &str) -> Symbol {
        text.parse().expect("a symbol")
    }

    #[test]
    fn lower_case_is_folded_up() {
        assert_eq!(symbol("btc-usd.p"), symbol("BTC-USD.P"));
        assert_eq!(&*symbol("btc").text(), "BTC");
    }

    #[test]
    fn the_order_is_the_order_of_the_text() {
        let mut names = vec!["ETH", "BTC", "B", "BTCUSDT.P", "BTCUSDT", "1INCH", "ABCDEFGHIJKLMNOPQRST"];
        let mut symbols: Vec<Symbol> = names.iter().map(|name| symbol(name)).collect();
        names.sort_unstable();
        symbols.sort_unstable();
        assert_eq!(symbols.iter().map(Symbol::to_string).collect::<Vec<_>>(), names);
    }

    #[test]
    fn odd_characters_are_named() {
        assert_eq!(Symbol::parse(b"BTC/USD"), Err(InvalidSymbol::Character(b'/')));
        assert_eq!(Symbol::parse(b""), Err(InvalidSymbol::Empty));
        assert_eq!(Symbol::parse(&[b'A'; 21]), Err(InvalidSymbol::TooLong(21)));
    }
}
