//! The symbols that a request names.

use super::mistake::{Failure, Mistake};
use super::parameters::BinanceParameters;
use crate::app::Data;
use crate::market;
use crate::parameter::{Literal, Parameter};
use tallow_model::Symbol;

/// The parameter for one symbol.
pub(super) const SYMBOL: Parameter =
    Parameter::text("symbol", "^[A-Za-z0-9._-]{1,20}[Uu][Ss][Dd]$", "A symbol and `USD`, in any case.")
        .like(Literal::Text("BTCUSD"));
/// The parameter for several symbols.
pub(super) const SYMBOLS: Parameter = Parameter::text(
    "symbols",
    r#"^\["[A-Za-z0-9._-]{1,20}[Uu][Ss][Dd]"(,"[A-Za-z0-9._-]{1,20}[Uu][Ss][Dd]")*\]$"#,
    "Symbols, as a JSON list of texts. Not together with `symbol`; without either, all there are.",
);

/// The pattern of a name, in any case.
const NAME: &str = "^[A-Z0-9-_.]{1,23}$";
/// The pattern of a list of names.
const NAMES: &str = r#"^\["[A-Z0-9-_.]{1,23}"(,"[A-Z0-9-_.]{1,23}")*\]$"#;

/// The symbols of a request.
#[derive(Debug, PartialEq)]
pub(super) enum Which {
    /// One symbol: the response is an object.
    One(Symbol),
    /// A list of symbols: the response is a list.
    Several(Vec<Symbol>),
}

/// Returns the symbol of a name.
fn symbol(parameter: &'static str, pattern: &'static str, name: &str) -> Result<Symbol, Mistake> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if !name.bytes().all(is_legal) {
        return Err(Mistake::IllegalCharacters(parameter, pattern));
    }
    market::symbol(name).ok_or(Mistake::Symbol)
}

/// Returns the symbol of the parameter `symbol`; one of the stores must have it.
pub(super) async fn one(data: &Data, parameters: &BinanceParameters) -> Result<Symbol, Failure> {
    let symbol = symbol("symbol", NAME, parameters.mandatory("symbol")?)?;
    if data.knows(symbol).await? { Ok(symbol) } else { Err(Mistake::Symbol.into()) }
}

/// Returns the symbol of `symbol`, the symbols of `symbols`, or without either every symbol of the
/// stores.
pub(super) async fn which(data: &Data, parameters: &BinanceParameters) -> Result<Which, Failure> {
    match (parameters.text("symbol"), parameters.text("symbols")) {
        (Some(_), Some(_)) => Err(Mistake::Combination.into()),
        (Some(_), None) => Ok(Which::One(one(data, parameters).await?)),
        (None, Some(names)) => {
            let names: Vec<String> = serde_json::from_str(names)
                .ok()
                .filter(|names: &Vec<String>| !names.is_empty())
                .ok_or(Mistake::IllegalCharacters("symbols", NAMES))?;
            let symbols: Result<Vec<Symbol>, Mistake> =
                names.iter().map(|name| symbol("symbols", NAMES, name)).collect();
            let (symbols, known) = (symbols?, data.symbols().await?);
            if symbols.iter().all(|symbol| known.contains(symbol)) {
                Ok(Which::Several(symbols))
            } else {
                Err(Mistake::Symbol.into())
            }
        }
        (None, None) => Ok(Which::Several(data.symbols().await?.into_iter().collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_no_name_has_are_another_mistake_than_a_name_of_nothing() {
        let parse = |name| symbol("symbol", NAME, name);
        assert_eq!(parse("btcusd").map(market::name), Ok("BTCUSD".to_owned()));
        for unknown in ["", "USD", "BTCEUR", "ABCDEFGHIJKLMNOPQRSTUUSD"] {
            assert_eq!(parse(unknown), Err(Mistake::Symbol), "{unknown}");
        }
        for illegal in ["BTC/USD", "BTC USD", "₿USD"] {
            assert_eq!(parse(illegal), Err(Mistake::IllegalCharacters("symbol", NAME)), "{illegal}");
        }
    }
}
