//! Statistics of candles, in one pass and in constant space.

use crate::rows::CandleRow;
use crate::store::CandleStats;

/// The statistics of the candles added so far, oldest first.
#[derive(Default)]
pub struct StatsAccumulator(Option<Totals>);

impl StatsAccumulator {
    /// Adds the next candle.
    pub fn add(&mut self, row: &CandleRow) {
        match &mut self.0 {
            None => self.0 = Some(Totals::of(row)),
            Some(totals) => totals.add(row),
        }
    }

    /// Returns the statistics; `None` if no candle was added.
    pub fn stats(self) -> Option<CandleStats> {
        self.0.map(Totals::stats)
    }
}

struct Totals {
    /// All statistics except those that are computed at the end.
    stats: CandleStats,
    /// Σ average × ticks.
    price_sum: f64,
    ticks: f64,
    returns: Moments,
    volume_and_size_of_return: Moments,
}

impl Totals {
    fn of(row: &CandleRow) -> Totals {
        let ticks = row.trade_count as f64;
        Totals {
            stats: CandleStats {
                first: row.window_start,
                last: row.window_end,
                lowest_price: row.low_price,
                highest_price: row.high_price,
                average_price: row.avg_price,
                total_volume: row.vwap.map_or(0.0, |_| row.volume_sum),
                candle_count: 1,
                first_open: row.open_price,
                last_close: row.close_price,
                volatility: None,
                volume_price_correlation: None,
            },
            price_sum: row.avg_price * ticks,
            ticks,
            returns: Moments::default(),
            volume_and_size_of_return: Moments::default(),
        }
    }

    fn add(&mut self, row: &CandleRow) {
        let stats = &mut self.stats;
        let change = row.close_price / stats.last_close - 1.0;
        self.returns.add(change, change);
        stats.last = row.window_end;
        stats.lowest_price = stats.lowest_price.min(row.low_price);
        stats.highest_price = stats.highest_price.max(row.high_price);
        stats.candle_count += 1;
        stats.last_close = row.close_price;
        // A row without a vwap has no traded volume: its volume is a rolling one, or zero.
        if row.vwap.is_some() {
            stats.total_volume += row.volume_sum;
            self.volume_and_size_of_return.add(row.volume_sum, change.abs());
        }
        let ticks = row.trade_count as f64;
        self.price_sum += row.avg_price * ticks;
        self.ticks += ticks;
    }

    fn stats(self) -> CandleStats {
        CandleStats {
            average_price: self.price_sum / self.ticks,
            volatility: self.returns.sample_stddev(),
            volume_price_correlation: self.volume_and_size_of_return.correlation(),
            ..self.stats
        }
    }
}

/// Count, means and central moments of pairs (x, y), updated one pair at a time by Welford's
/// method, which avoids differences of large sums.
#[derive(Default)]
struct Moments {
    count: f64,
    mean_x: f64,
    mean_y: f64,
    xx: f64,
    yy: f64,
    xy: f64,
}

impl Moments {
    fn add(&mut self, x: f64, y: f64) {
        self.count += 1.0;
        let (dx, dy) = (x - self.mean_x, y - self.mean_y);
        self.mean_x += dx / self.count;
        self.mean_y += dy / self.count;
        self.xx += dx * (x - self.mean_x);
        self.yy += dy * (y - self.mean_y);
        self.xy += dx * (y - self.mean_y);
    }

    /// Returns the sample standard deviation of x; `None` for fewer than two pairs.
    fn sample_stddev(&self) -> Option<f64> {
        (self.count >= 2.0).then(|| (self.xx.max(0.0) / (self.count - 1.0)).sqrt())
    }

    /// Returns the correlation of x and y; `None` if one of them does not vary.
    fn correlation(&self) -> Option<f64> {
        let scale = self.xx.sqrt() * self.yy.sqrt();
        (scale > 0.0).then(|| (self.xy / scale).clamp(-1.0, 1.0))
    }
}
