//! `/api/v1/symbols`: every symbol that has been seen, with the name of its coin if that is known.

use crate::app::Data;
use crate::http::problem::Problem;
use crate::http::response::{self, Response};
use crate::query::Query;
use hyper::StatusCode;
use serde::Serialize;
use tallow_model::Symbol;
use tallow_model::coins::Coins;

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
        match Coins::known().of(symbol) {
            Some(coin) => Listed { symbol, name: coin.name.clone(), slug: coin.id.clone() },
            None => Listed { symbol, name: symbol.to_string(), slug: symbol.text().to_ascii_lowercase() },
        }
    }
}

/// Returns the name of the symbol's coin; the symbol itself if the coin is unknown.
pub(crate) fn name(symbol: Symbol) -> String {
    Listed::from(symbol).name
}

/// Returns every symbol, sorted.
pub(crate) async fn list(data: &Data, query: Option<&str>) -> Result<Response, Problem> {
    Query::none(query)?;
    let symbols: Vec<Listed> = data.symbols().await?.into_iter().map(Listed::from).collect();
    Ok(response::json(StatusCode::OK, &Symbols { count: symbols.len(), symbols })?)
}
