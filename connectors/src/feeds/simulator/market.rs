//! The properties of a market: price level, steps, volatility and activity.

use tallow_model::Symbol;

/// The lasting properties of a market.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Market {
    /// First price, in quote currency.
    pub(super) start_price: f64,
    /// Decimal places of a price.
    pub(super) price_places: u8,
    /// Decimal places of a size.
    pub(super) size_places: u8,
    /// Standard deviation of the log return over a year, jumps included.
    pub(super) annual_volatility: f64,
    /// Trades in relation to a market of usual activity.
    pub(super) activity: f64,
    /// Median value of a trade, in quote currency.
    pub(super) median_notional: f64,
}

const fn named(
    start_price: f64,
    (price_places, size_places): (u8, u8),
    annual_volatility: f64,
    activity: f64,
    median_notional: f64,
) -> Market {
    Market { start_price, price_places, size_places, annual_volatility, activity, median_notional }
}

/// The markets that are known by name. Their activities have a mean of one.
pub(super) const NAMED: [(&str, Market); 8] = [
    ("BTC", named(95_750.0, (2, 8), 0.45, 2.0, 450.0)),
    ("ETH", named(3_180.0, (2, 6), 0.60, 1.6, 350.0)),
    ("SOL", named(141.0, (2, 4), 0.75, 1.2, 250.0)),
    ("XRP", named(2.24, (4, 2), 0.75, 1.0, 200.0)),
    ("ADA", named(0.497, (5, 2), 0.80, 0.5, 120.0)),
    ("DOGE", named(0.1612, (5, 1), 0.85, 0.7, 120.0)),
    ("AVAX", named(15.4, (3, 3), 0.85, 0.6, 120.0)),
    ("POL", named(0.1525, (5, 1), 0.90, 0.4, 80.0)),
];

impl Market {
    /// Returns the market of a symbol: a known one, or one with sane values derived from its name.
    /// A start price given by the caller brings the steps that suit it.
    pub(super) fn of(symbol: Symbol, start_price: Option<f64>) -> Market {
        let text = symbol.text();
        let known = NAMED.iter().find(|(name, _)| *name == &*text).map(|(_, market)| *market);
        let market = known.unwrap_or_else(|| Market::unknown(symbol));
        match start_price {
            Some(price) => {
                let (price_places, size_places) = steps(price);
                Market { start_price: price, price_places, size_places, ..market }
            }
            None => market,
        }
    }

    fn unknown(symbol: Symbol) -> Market {
        let hash = symbol.stable_hash();
        let share = |shift: u32| f64::from((hash >> shift) as u16) / 65_536.0;
        // Evenly spread over the orders of magnitude from a cent to a thousand.
        let start_price = libm::pow(10.0, 5.0 * share(0) - 2.0);
        let (price_places, size_places) = steps(start_price);
        Market {
            start_price,
            price_places,
            size_places,
            annual_volatility: 0.6 + 0.4 * share(16),
            activity: 1.0,
            median_notional: 50.0 + 200.0 * share(32),
        }
    }
}

/// Returns the decimal places of prices and sizes around this price: five digits of price, and size
/// steps worth about a cent.
fn steps(price: f64) -> (u8, u8) {
    let magnitude = libm::floor(libm::log10(price));
    // Both lie within 0 and 13.
    ((4.0 - magnitude).clamp(0.0, 13.0) as u8, (3.0 + magnitude).clamp(0.0, 8.0) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_markets_have_a_mean_activity_of_one() {
        let mean = NAMED.iter().map(|(_, market)| market.activity).sum::<f64>() / NAMED.len() as f64;
        assert!((mean - 1.0).abs() < 1e-12, "{mean}");
    }

    #[test]
    fn any_name_gives_a_sane_market_and_always_the_same() {
        for name in ["PEPE", "X", "BTC-USD.P", "ABCDEFGHIJKLMNOPQRST", "1INCH"] {
            let symbol = name.parse().expect("a symbol");
            let market = Market::of(symbol, None);
            assert_eq!(market, Market::of(symbol, None));
            assert!((0.01..1000.0).contains(&market.start_price), "{name}: {market:?}");
            assert!((0.6..1.0).contains(&market.annual_volatility), "{name}: {market:?}");
            let digits = market.start_price * 10f64.powi(i32::from(market.price_places));
            assert!((9_999.0..100_001.0).contains(&digits), "{name}: {market:?}");
        }
    }
}
