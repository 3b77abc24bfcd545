//! Names and CoinGecko ids of the symbols in the database, filled in if nobody has written them.

use super::PostgresConfig;
use super::blocking::Blocking;
use super::connection::{OPEN_TIMEOUT, Purpose, Target};
use super::errors::postgres;
use tallow_model::coins::Coins;
use tallow_model::error::Error;

/// An existing name or id stays, whoever has written it.
const FILL: &str = "UPDATE cryptocurrencies AS stored
    SET name = COALESCE(stored.name, new.name), coingecko_id = COALESCE(stored.coingecko_id, new.id)
    FROM UNNEST($1::TEXT[], $2::TEXT[], $3::TEXT[]) AS new (symbol, name, id)
    WHERE stored.symbol = new.symbol AND (stored.name IS NULL OR stored.coingecko_id IS NULL)";

/// Fills in the missing names and ids of the symbols in the database; returns the number of symbols
/// changed.
///
/// # Errors
/// When the database can't be reached, has another version of the schema, or can't be written.
pub fn name_coins(config: &PostgresConfig, coins: &Coins) -> Result<u64, Error> {
    let target = Target::of(config, Purpose::Write)?;
    let symbols: Vec<String> = coins.all().map(|coin| coin.symbol.to_string()).collect();
    let (names, ids): (Vec<&str>, Vec<&str>) = coins.all().map(|coin| (&*coin.name, &*coin.id)).unzip();
    Blocking::start()?.wait("name coins in", &target.on, 2 * OPEN_TIMEOUT, async {
        let connection = target.open().await?;
        let filled = connection.client.execute(FILL, &[&symbols, &names, &ids]).await;
        filled.map_err(postgres("name coins in", &target.on))
    })
}
