//! `/api/v1/symbols`: every symbol that has been seen, with the name of its coin where that is known.

use crate::answer::{self, Answer};
use crate::app::Data;
use crate::problem::Problem;
use crate::query::Query;
use hyper::StatusCode;
use serde::Serialize;
use tallow_connectors::dataflow::Symbol;

/// Symbol, name and slug of the coins that are known by name. Any other is shown by its symbol.
const COINS: [(&str, &str, &str); 24] = [
    ("ADA", "Cardano", "cardano"),
    ("ATOM", "Cosmos Hub", "cosmos"),
    ("AVAX", "Avalanche", "avalanche-2"),
    ("BCH", "Bitcoin Cash", "bitcoin-cash"),
    ("BNB", "BNB", "binancecoin"),
    ("BTC", "Bitcoin", "bitcoin"),
    ("DOGE", "Dogecoin", "dogecoin"),
    ("DOT", "Polkadot", "polkadot"),
    ("ETC", "Ethereum Classic", "ethereum-classic"),
    ("ETH", "Ethereum", "ethereum"),
    ("FIL", "Filecoin", "filecoin"),
    ("LINK", "Chainlink", "chainlink"),
    ("LTC", "Litecoin", "litecoin"),
    ("NEAR", "NEAR Protocol", "near"),
    ("POL", "Polygon", "polygon-ecosystem-token"),
    ("SHIB", "Shiba Inu", "shiba-inu"),
    ("SOL", "Solana", "solana"),
    ("SUI", "Sui", "sui"),
    ("TRX", "TRON", "tron"),
    ("UNI", "Uniswap", "uniswap"),
    ("USDC", "USDC", "usd-coin"),
    ("USDT", "Tether", "tether"),
    ("XLM", "Stellar", "stellar"),
    ("XRP", "XRP", "ripple"),
];

#[derive(Serialize)]
struct Listed {
    symbol: Symbol,
    name: String,
    slug: String,
}

#[derive(Serialize)]
struct Symbols {
    symbols: Vec<Listed>,
    count: usize,
}

impl From<Symbol> for Listed {
    fn from(symbol: Symbol) -> Listed {
        let text = symbol.text();
        match COINS.iter().find(|(known, _, _)| *known == &*text) {
            Some((_, name, slug)) => Listed { symbol, name: (*name).to_owned(), slug: (*slug).to_owned() },
            None => Listed { symbol, name: symbol.to_string(), slug: text.to_ascii_lowercase() },
        }
    }
}

/// The name of a symbol's coin, or the symbol.
pub(crate) fn name(symbol: Symbol) -> String {
    Listed::from(symbol).name
}

/// Every symbol, sorted.
pub(crate) async fn list(data: &Data, query: Option<&str>) -> Result<Answer, Problem> {
    Query::none(query)?;
    let symbols: Vec<Listed> = data.symbols().await?.into_iter().map(Listed::from).collect();
    Ok(answer::json(StatusCode::OK, &Symbols { count: symbols.len(), symbols })?)
}
