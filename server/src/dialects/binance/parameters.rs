//! The parameters of a request, checked as Binance checks them: the first mistake is the response.

use super::mistake::Mistake;
use crate::query::Named;

/// The pattern of a number.
const DIGITS: &str = "^[0-9]{1,20}$";

/// The parameters of one request.
#[derive(Debug)]
pub(super) struct BinanceParameters {
    known: Vec<&'static str>,
    sent: Vec<(&'static str, String)>,
}

impl BinanceParameters {
    /// Reads the query of a URI. Only the `known` parameters are allowed.
    pub(super) fn parse(raw: Option<&str>, known: &[impl Named]) -> Result<BinanceParameters, Mistake> {
        let known: Vec<&'static str> = known.iter().map(Named::name).collect();
        let mut parameters: Vec<(&'static str, String)> = Vec::new();
        let sent = || form_urlencoded::parse(raw.unwrap_or_default().as_bytes());
        for (name, value) in sent() {
            let Some(known) = known.iter().find(|known| **known == name) else {
                return Err(Mistake::TooManyParameters(known.len(), sent().count()));
            };
            if parameters.iter().any(|(other, _)| other == known) {
                return Err(Mistake::DuplicateParameter);
            }
            if value.is_empty() {
                return Err(Mistake::Empty(known));
            }
            parameters.push((*known, value.into_owned()));
        }
        Ok(BinanceParameters { known, sent: parameters })
    }

    /// Returns the text of a parameter. Debug builds panic at a parameter that is not declared: it
    /// could never be sent.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        debug_assert!(self.known.contains(&name), "{name} is read and not declared");
        self.sent.iter().find(|(other, _)| *other == name).map(|(_, text)| text.as_str())
    }

    /// Returns the text of a parameter that must be there.
    pub(super) fn mandatory(&self, name: &'static str) -> Result<&str, Mistake> {
        self.text(name).ok_or(Mistake::Missing(name))
    }

    /// Reads a number without a sign.
    pub(super) fn integer(&self, name: &'static str) -> Result<Option<u64>, Mistake> {
        let Some(text) = self.text(name) else { return Ok(None) };
        if text.len() > 20 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Mistake::IllegalCharacters(name, DIGITS));
        }
        text.parse().map(Some).map_err(|_| Mistake::Invalid(name))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_or_sent_twice_is_too_much() {
        let parse = |raw| BinanceParameters::parse(Some(raw), &["limit", "symbol"]).map(|_| ());
        assert_eq!(parse("symbol=BTCUSD&limit=5"), Ok(()));
        assert_eq!(parse("symbol=BTCUSD&limit=5&depth=1"), Err(Mistake::TooManyParameters(2, 3)));
        assert_eq!(parse("limit=5&limit=5"), Err(Mistake::DuplicateParameter));
        assert_eq!(parse("symbol="), Err(Mistake::Empty("symbol")));
    }

    #[test]
    fn a_number_has_digits_and_fits() {
        let limit = |raw| BinanceParameters::parse(Some(raw), &["limit"]).unwrap().integer("limit");
        assert_eq!(limit(""), Ok(None));
        assert_eq!(limit("limit=007"), Ok(Some(7)));
        for illegal in ["limit=-1", "limit=1.5", "limit=0x1", "limit=%2B1", "limit=000000000000000000001"] {
            assert_eq!(limit(illegal), Err(Mistake::IllegalCharacters("limit", DIGITS)), "{illegal}");
        }
        assert_eq!(limit("limit=99999999999999999999"), Err(Mistake::Invalid("limit")));
    }
}
