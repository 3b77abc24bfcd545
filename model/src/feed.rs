//! Trades of a feed, and the JSON in which each one is written to a log.

use crate::{Decimal, EventTime, Symbol};

/// The producer of a tick, as the tick's JSON names it.
#[derive(Debug, PartialEq, Eq)]
pub struct Producer {
    /// The tick's field `producer_id`.
    pub id: &'static str,
    /// The tick's field `source`; `simulated` for a market that does not exist.
    pub source: &'static str,
}

/// The side that took the liquidity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A buyer lifted the ask.
    Buy,
    /// A seller hit the bid.
    Sell,
}

impl Side {
    /// Returns the name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Side::Buy => "buy",
            Side::Sell => "sell",
        }
    }
}

/// One trade of one market.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FeedTick {
    /// The producer of the tick.
    pub producer: &'static Producer,
    /// The market's symbol.
    pub symbol: Symbol,
    /// Event time: the time of the trade.
    pub time: EventTime,
    /// The price in quote currency, a whole multiple of the market's price step.
    pub price: Decimal,
    /// The traded base quantity.
    pub size: Decimal,
    /// The trade's number, unique within the symbol and growing from trade to trade.
    pub trade_id: u64,
    /// The side that took the liquidity.
    pub side: Side,
}

impl FeedTick {
    /// Appends the tick's JSON, one line without its line feed.
    ///
    /// `received_ms` is the time at which the line is written to its log, in milliseconds since the
    /// epoch: a timestamp is judged to lie in the future against it. Times are written as integers,
    /// the cheaper to read of the two forms that a tick may have.
    pub fn to_json_line(&self, received_ms: u64, buf: &mut Vec<u8>) {
        let symbol = self.symbol.text();
        let mut digits = itoa::Buffer::new();
        let trade_id = digits.format(self.trade_id);
        for (name, value) in [("{\"symbol\":\"", &*symbol), ("\",\"trade_id\":", trade_id)] {
            buf.extend_from_slice(name.as_bytes());
            buf.extend_from_slice(value.as_bytes());
        }
        buf.extend_from_slice(b",\"price_usd\":");
        write_decimal(&self.price, buf);
        buf.extend_from_slice(b",\"size\":");
        write_decimal(&self.size, buf);
        for (name, value) in [
            (",\"side\":\"", self.side.name()),
            ("\",\"producer_id\":\"", self.producer.id),
            ("\",\"source\":\"", self.producer.source),
            ("\",\"message_id\":\"", &*symbol),
            ("-", trade_id),
        ] {
            buf.extend_from_slice(name.as_bytes());
            buf.extend_from_slice(value.as_bytes());
        }
        buf.extend_from_slice(b"\",\"timestamp\":");
        buf.extend_from_slice(itoa::Buffer::new().format(self.time.millis()).as_bytes());
        buf.extend_from_slice(b",\"received\":");
        buf.extend_from_slice(itoa::Buffer::new().format(received_ms).as_bytes());
        buf.push(b'}');
    }
}

/// Returns `units` × 10⁻ᵖˡᵃᶜᵉˢ, without trailing zeros after the point.
///
/// The float beside it is the nearest one for up to 2⁵³ units and 22 places.
pub fn decimal(mut units: u64, mut places: u8) -> Decimal {
    while places > 0 && units.is_multiple_of(10) {
        units /= 10;
        places -= 1;
    }
    let value = units as f64 / 10f64.powi(i32::from(places));
    Decimal { mantissa: units, exponent: -i32::from(places), value }
}

/// Appends the decimal, digit for digit, in plain notation as long as that is no longer than a
/// float's digits can be.
pub fn write_decimal(decimal: &Decimal, buf: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(decimal.mantissa).as_bytes();
    let places = decimal.exponent.unsigned_abs() as usize;
    match decimal.exponent {
        0 => buf.extend_from_slice(digits),
        -30..0 => {
            let whole = digits.len().saturating_sub(places);
            if whole == 0 {
                buf.push(b'0');
            }
            buf.extend_from_slice(&digits[..whole]);
            buf.push(b'.');
            buf.resize(buf.len() + places.saturating_sub(digits.len()), b'0');
            buf.extend_from_slice(&digits[whole..]);
        }
        exponent => {
            buf.extend_from_slice(digits);
            buf.push(b'e');
            buf.extend_from_slice(itoa::Buffer::new().format(exponent).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    static TESTER: Producer = Producer { id: "tallow-test", source: "test" };

    fn tick(units: u64, places: u8) -> FeedTick {
        FeedTick {
            producer: &TESTER,
            symbol: "BTC".parse().expect("a symbol"),
            time: EventTime(1_763_271_031_120),
            price: decimal(units, places),
            size: decimal(276_250, 10),
            trade_id: 1_763_271_031_120_007,
            side: Side::Sell,
        }
    }

    fn text(decimal: &Decimal) -> String {
        let mut buf = Vec::new();
        write_decimal(decimal, &mut buf);
        String::from_utf8(buf).expect("digits")
    }

    #[test]
    fn a_line_is_the_contracts_tick() {
        let mut buf = Vec::new();
        tick(9_575_012, 2).to_json_line(1_763_271_031_125, &mut buf);
        assert_eq!(
            String::from_utf8(buf).expect("text"),
            r#"{"symbol":"BTC","trade_id":1763271031120007,"price_usd":95750.12,"size":0.000027625,"side":"sell","#
                .to_owned()
                + r#""producer_id":"tallow-test","source":"test","message_id":"BTC-1763271031120007","#
                + r#""timestamp":1763271031120,"received":1763271031125}"#
        );
    }

    #[test]
    fn numbers_are_clean_to_the_digit() {
        let cases = [(30, 2, "0.3"), (1, 8, "0.00000001"), (100, 0, "100"), (0, 4, "0"), (1_000, 2, "10")];
        for (units, places, clean) in cases {
            assert_eq!(text(&decimal(units, places)), clean);
        }
        assert_eq!(text(&Decimal { mantissa: 19, exponent: 11, value: 1.9e12 }), "19e11");
        assert_eq!(text(&Decimal { mantissa: 7, exponent: -400, value: 0.0 }), "7e-400");
    }

    proptest! {
        #[test]
        fn a_line_reads_back_as_the_same_tick(units in 1u64..1 << 50, places in 4u8..16, received in 0u64..1 << 45) {
            let written = tick(units, places);
            let mut line = Vec::new();
            written.to_json_line(received, &mut line);
            let read = crate::decode(&line).expect("a tick");
            prop_assert_eq!(read.price, written.price);
            prop_assert_eq!(read.size, Some(written.size));
            prop_assert_eq!((read.symbol, read.time), (written.symbol, written.time));
            prop_assert_eq!(read.received, Some(EventTime(received)));
        }
    }
}
