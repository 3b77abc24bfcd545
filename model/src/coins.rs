//! The names of coins and their CoinGecko ids, by symbol.

use crate::Symbol;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::LazyLock;

/// A coin, and the symbol of its ticks: `bitcoin:BTC` or `bitcoin:BTC:Bitcoin`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Coin {
    /// The coin's CoinGecko id.
    pub id: String,
    /// The symbol of the coin's ticks.
    pub symbol: Symbol,
    /// The common name; the symbol if none is given.
    pub name: String,
}

impl FromStr for Coin {
    type Err = String;

    fn from_str(text: &str) -> Result<Coin, String> {
        let mut parts = text.splitn(3, ':').map(str::trim);
        let (Some(id), Some(symbol)) = (parts.next(), parts.next()) else {
            return Err(format!("coin {text:?} is not written as id:SYMBOL or id:SYMBOL:Name"));
        };
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
            return Err(format!("coin {text:?} has an id that is none"));
        }
        let symbol: Symbol = symbol.parse().map_err(|error| format!("coin {text:?}: {error}"))?;
        let name = parts.next().filter(|name| !name.is_empty());
        Ok(Coin { id: id.to_owned(), symbol, name: name.map_or_else(|| symbol.to_string(), str::to_owned) })
    }
}

impl TryFrom<String> for Coin {
    type Error = String;

    fn try_from(text: String) -> Result<Coin, String> {
        text.parse()
    }
}

impl From<Coin> for String {
    fn from(coin: Coin) -> String {
        format!("{}:{}:{}", coin.id, coin.symbol, coin.name)
    }
}

/// The built-in coins: id, symbol, name.
const KNOWN: [(&str, &str, &str); 24] = [
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

static DEFAULT: LazyLock<Coins> = LazyLock::new(|| {
    let coin = |(symbol, name, id): &(&str, &str, &str)| {
        let symbol: Symbol = symbol.parse().ok()?;
        Some((symbol, Coin { id: (*id).to_owned(), symbol, name: (*name).to_owned() }))
    };
    Coins(KNOWN.iter().filter_map(coin).collect())
});

/// Coins by symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coins(BTreeMap<Symbol, Coin>);

impl Default for Coins {
    /// Returns the built-in coins.
    fn default() -> Coins {
        Coins::known().clone()
    }
}

impl Coins {
    /// Returns the built-in coins.
    pub fn known() -> &'static Coins {
        &DEFAULT
    }

    /// Returns the configured coins, and the built-in ones for all other symbols.
    pub fn with(settings: &[Coin]) -> Coins {
        let mut coins = Coins::default();
        for coin in settings {
            let mut coin = coin.clone();
            let is_named = coin.name != coin.symbol.to_string();
            if let Some(known) =
                Coins::known().of(coin.symbol).filter(|known| !is_named && known.id == coin.id)
            {
                coin.name.clone_from(&known.name);
            }
            coins.0.insert(coin.symbol, coin);
        }
        coins
    }

    /// Returns the coin of a symbol.
    pub fn of(&self, symbol: Symbol) -> Option<&Coin> {
        self.0.get(&symbol)
    }

    /// Returns all coins, by symbol.
    pub fn all(&self) -> impl Iterator<Item = &Coin> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    #[test]
    fn every_known_coin_is_a_coin() {
        assert_eq!(Coins::known().all().count(), KNOWN.len());
        for coin in Coins::known().all() {
            assert_eq!(&String::from(coin.clone()).parse::<Coin>().unwrap(), coin);
        }
    }

    #[test]
    fn a_coin_of_the_settings_is_over_a_known_one_and_borrows_its_name() {
        let settings = ["matic-network:POL:Matic", "bitcoin:BTC", "wrapped-bitcoin:ETH", "my-coin:MINE"];
        let coins = Coins::with(&settings.map(|text| text.parse().unwrap()));
        let called = |symbol: &str| {
            coins
                .of(symbol.parse().unwrap())
                .map(|coin| format!("{} {}", coin.id, coin.name))
                .unwrap_or_default()
        };
        assert_eq!(called("POL"), "matic-network Matic");
        assert_eq!(called("BTC"), "bitcoin Bitcoin");
        assert_eq!(called("ETH"), "wrapped-bitcoin ETH", "another coin has another name");
        assert_eq!(called("MINE"), "my-coin MINE");
        assert_eq!(called("SOL"), "solana Solana");
        assert_eq!(called("OTHER"), "");
    }
}
