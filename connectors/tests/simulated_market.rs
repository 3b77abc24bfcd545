//! The simulated market: the same for the same seed, and like a market.

use std::collections::{BTreeMap, BTreeSet};
use tallow_connectors::feeds::simulator::{
    Arrival, Disorder, DisorderSettings, Simulator, SimulatorSettings,
};
use tallow_dataflow::AnomalySettings;
use tallow_model::feed::FeedTick;
use tallow_model::{EventTime, Price, Symbol};

const START_MS: u64 = 1_763_271_012_345;
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// The default market, traded less often, so that many hours pass quickly.
fn sparse(seed: u64) -> SimulatorSettings {
    SimulatorSettings { seed, trades_per_second: 0.1, longest_gap_ms: None, ..SimulatorSettings::default() }
}

fn ticks(settings: &SimulatorSettings, duration_ms: u64) -> Vec<FeedTick> {
    let mut ticks = Vec::new();
    let mut market = Simulator::open(settings, START_MS).expect("a market");
    market.ticks_until(START_MS + duration_ms, &mut ticks);
    ticks
}

fn symbol(name: &str) -> Symbol {
    name.parse().expect("a symbol")
}

fn of(symbol: Symbol, ticks: &[FeedTick]) -> Vec<FeedTick> {
    ticks.iter().filter(|tick| tick.symbol == symbol).copied().collect()
}

/// The last price of each minute of each symbol.
fn closes(ticks: &[FeedTick]) -> BTreeMap<Symbol, BTreeMap<u64, f64>> {
    let mut closes = BTreeMap::<Symbol, BTreeMap<u64, f64>>::new();
    for tick in ticks {
        let minute = tick.time.millis() / MINUTE_MS;
        closes.entry(tick.symbol).or_default().insert(minute, tick.price.value);
    }
    closes
}

/// One-minute log returns of adjoining minutes.
fn returns(closes: &BTreeMap<u64, f64>) -> Vec<f64> {
    let pairs = closes.iter().zip(closes.iter().skip(1));
    pairs.filter(|(a, b)| a.0 + 1 == *b.0).map(|(a, b)| (b.1 / a.1).ln()).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The mean product of the deviations `lag` apart.
fn autocovariance(values: &[f64], lag: usize) -> f64 {
    let mean = mean(values);
    let products = values.iter().zip(&values[lag..]).map(|(a, b)| (a - mean) * (b - mean));
    products.sum::<f64>() / values.len() as f64
}

/// The minutes that the z-score detector raises an alert for, computed the plain way.
fn alerts(closes: &BTreeMap<u64, f64>) -> Vec<u64> {
    let detector = AnomalySettings::default();
    let lookback = detector.lookback_ms / MINUTE_MS;
    let mut returns = BTreeMap::<u64, f64>::new();
    let mut raised = Vec::new();
    let mut previous: Option<(u64, f64)> = None;
    for (&minute, &close) in closes {
        if let Some((_, before)) = previous.filter(|(start, _)| minute - start <= lookback) {
            let log_return = (close / before).ln();
            let baseline: Vec<f64> =
                returns.range(minute.saturating_sub(lookback)..minute).map(|(_, r)| *r).collect();
            if baseline.len() >= detector.min_samples as usize {
                let mean = mean(&baseline);
                let squares = baseline.iter().map(|r| (r - mean).powi(2)).sum::<f64>();
                let deviation = (squares / (baseline.len() - 1) as f64).sqrt().max(detector.stddev_floor);
                if ((log_return - mean) / deviation).abs() >= detector.threshold {
                    raised.push(minute);
                }
            }
            returns.insert(minute, log_return);
        }
        previous = Some((minute, close));
    }
    raised
}

#[test]
fn the_same_seed_gives_the_same_ticks_however_they_are_taken() {
    let settings = SimulatorSettings::default();
    let at_once = ticks(&settings, 10 * MINUTE_MS);
    let mut in_portions = Vec::new();
    let mut market = Simulator::open(&settings, START_MS).expect("a market");
    let mut until_ms = START_MS;
    while until_ms < START_MS + 10 * MINUTE_MS {
        until_ms = (until_ms + 1 + until_ms % 977).min(START_MS + 10 * MINUTE_MS);
        market.ticks_until(until_ms, &mut in_portions);
        assert!(market.next_ms() >= until_ms);
    }
    assert_eq!(at_once, in_portions);
    let other_seed = ticks(&SimulatorSettings { seed: 2, ..settings }, 10 * MINUTE_MS);
    assert_ne!(at_once, other_seed);
}

#[test]
fn adding_a_symbol_changes_no_other_symbol() {
    let all = ticks(&sparse(3), HOUR_MS);
    let one = ticks(&SimulatorSettings { symbols: vec![symbol("SOL")], ..sparse(3) }, HOUR_MS);
    assert!(!one.is_empty());
    assert_eq!(of(symbol("SOL"), &all), one);
}

#[test]
fn ticks_are_in_order_and_their_ids_unique() {
    let settings = SimulatorSettings { trades_per_second: 10_000.0, ..SimulatorSettings::default() };
    for ticks in [ticks(&settings, 1_000), ticks(&SimulatorSettings::default(), HOUR_MS)] {
        assert!(ticks.is_sorted_by_key(|tick| tick.time));
        assert!(ticks.iter().all(|tick| tick.time >= EventTime(START_MS)));
        for name in SimulatorSettings::default().symbols {
            let ids: Vec<u64> = of(name, &ticks).iter().map(|tick| tick.trade_id).collect();
            assert!(ids.is_sorted_by(|a, b| a < b), "{name}");
        }
    }
}

#[test]
fn a_default_symbol_trades_at_least_every_second() {
    let ticks = ticks(&SimulatorSettings::default(), HOUR_MS);
    for name in SimulatorSettings::default().symbols {
        let times: Vec<u64> = of(name, &ticks).iter().map(|tick| tick.time.millis()).collect();
        let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(longest <= Some(901), "{name}: {longest:?} ms");
    }
}

#[test]
fn the_rate_of_trades_is_the_one_asked_for() {
    let settings = SimulatorSettings { trades_per_second: 0.05, ..sparse(5) };
    let rate = ticks(&settings, 10 * DAY_MS).len() as f64 / (10.0 * 86_400.0) / 8.0;
    assert!((rate / 0.05 - 1.0).abs() < 0.1, "{rate} a second");
}

#[test]
fn after_a_restart_prices_go_on_from_the_last_trades() {
    let before = ticks(&sparse(7), HOUR_MS);
    let last: Vec<(Symbol, Price, EventTime)> = SimulatorSettings::default()
        .symbols
        .iter()
        .filter_map(|symbol| before.iter().rfind(|tick| tick.symbol == *symbol))
        .map(|tick| (tick.symbol, Price(tick.price.value), tick.time))
        .collect();
    assert_eq!(last.len(), 8);
    // The market opens before its last trades: the next are later all the same.
    let resume = || {
        let mut after = Vec::new();
        let mut market = Simulator::resume(&sparse(7), &last, START_MS + HOUR_MS / 2).expect("a market");
        market.ticks_until(START_MS + HOUR_MS + 10 * MINUTE_MS, &mut after);
        after
    };
    let after = resume();
    assert_eq!(after, resume());
    for (symbol, price, time) in last {
        let ticks = of(symbol, &after);
        let old_ids = of(symbol, &before).last().map(|tick| tick.trade_id);
        assert!(ticks[0].time > time && Some(ticks[0].trade_id) > old_ids, "{symbol}");
        let step = (ticks[0].price.value / price.0).ln().abs();
        assert!(step < 0.02, "{symbol} went from {price} to {}", ticks[0].price.value);
    }
}

#[test]
fn a_symbol_that_nobody_knows_gets_a_sane_market() {
    let settings = SimulatorSettings {
        symbols: vec![symbol("PEPE"), symbol("MY-COIN.X"), symbol("DUST")],
        start_prices: vec![(symbol("DUST"), 1e-9)],
        ..sparse(11)
    };
    let ticks = ticks(&settings, DAY_MS);
    for name in &settings.symbols {
        let ticks = of(*name, &ticks);
        assert!(ticks.len() > 1_000, "{name}: {} ticks", ticks.len());
        let (first, last) = (ticks[0].price.value, ticks[ticks.len() - 1].price.value);
        assert!((last / first).ln().abs() < 0.5, "{name} went from {first} to {last}");
    }
    assert!((of(symbol("DUST"), &ticks)[0].price.value / 1e-9 - 1.0).abs() < 0.1);
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let default = SimulatorSettings::default;
    let cases = [
        SimulatorSettings { symbols: Vec::new(), ..default() },
        SimulatorSettings { trades_per_second: 0.0, ..default() },
        SimulatorSettings { trades_per_second: f64::NAN, ..default() },
        SimulatorSettings { jumps_per_hour: -1.0, ..default() },
        SimulatorSettings { longest_gap_ms: Some(0), ..default() },
        SimulatorSettings { start_prices: vec![(symbol("BTC"), f64::INFINITY)], ..default() },
    ];
    for settings in cases {
        assert!(Simulator::open(&settings, START_MS).is_err(), "{settings:?}");
    }
    assert!(Simulator::open(&default(), u64::MAX).is_err());
    let last = [(symbol("BTC"), Price(f64::NAN), EventTime(START_MS))];
    assert!(Simulator::resume(&default(), &last, START_MS).is_err());
}

#[test]
fn a_month_of_returns_looks_like_a_market() {
    let ticks = ticks(&sparse(13), 30 * DAY_MS);
    assert!(ticks.iter().all(|tick| tick.price.value.is_finite() && tick.price.value > 0.0));
    assert!(ticks.iter().all(|tick| tick.size.value.is_finite() && tick.size.value > 0.0));
    for (symbol, closes) in closes(&ticks) {
        let returns = returns(&closes);
        assert!(returns.len() > 20_000, "{symbol}: {} returns", returns.len());
        let variance = autocovariance(&returns, 0);
        let standard_error = (variance / returns.len() as f64).sqrt();
        let centre = mean(&returns);
        assert!(centre.abs() < 4.0 * standard_error, "{symbol}: mean {centre}");
        let annual = (variance * 525_600.0).sqrt();
        assert!((0.35..1.1).contains(&annual), "{symbol}: annual volatility {annual}");
        let fourth = returns.iter().map(|r| (r - centre).powi(4)).sum::<f64>();
        let kurtosis = fourth / returns.len() as f64 / (variance * variance);
        assert!(kurtosis > 6.0, "{symbol}: kurtosis {kurtosis}");
        let sizes: Vec<f64> = returns.iter().map(|r| r.abs()).collect();
        for lag in [1, 5, 15] {
            let correlation = autocovariance(&sizes, lag) / autocovariance(&sizes, 0);
            assert!(correlation > 0.02, "{symbol}: autocorrelation of |r| at {lag} min {correlation}");
        }
    }
}

#[test]
fn alerts_come_some_times_an_hour_and_in_every_six_hours() {
    let mut in_all = 0;
    for seed in 0..40 {
        let closes = closes(&ticks(&sparse(seed), 6 * HOUR_MS));
        let raised: usize = closes.values().map(|closes| alerts(closes).len()).sum();
        assert!(raised >= 1, "seed {seed} raises no alert");
        in_all += raised;
    }
    let per_hour = in_all as f64 / (40.0 * 6.0);
    assert!((2.0..6.0).contains(&per_hour), "{per_hour} alerts an hour");
}

#[test]
fn the_default_market_raises_an_alert_in_six_hours() {
    let closes = closes(&ticks(&SimulatorSettings::default(), 6 * HOUR_MS));
    assert!(closes.values().any(|closes| !alerts(closes).is_empty()));
}

fn arrivals(settings: &DisorderSettings, portion_ms: u64) -> Vec<Arrival> {
    let market = Simulator::open(&sparse(17), START_MS).expect("a market");
    let mut feed = Disorder::try_new(settings.clone(), market).expect("a feed");
    let mut arrivals = Vec::new();
    let mut until_ms = START_MS;
    while until_ms < START_MS + DAY_MS {
        until_ms += portion_ms;
        feed.arrivals_until(until_ms, &mut arrivals);
    }
    feed.finish(&mut arrivals);
    arrivals
}

#[test]
fn disorder_only_reorders() {
    let arrivals = arrivals(&DisorderSettings::default(), HOUR_MS);
    let mut arrived: Vec<FeedTick> = arrivals.iter().map(|arrival| arrival.tick).collect();
    assert!(arrivals.is_sorted_by_key(|arrival| arrival.at_ms));
    arrived.sort_by_key(|tick| (tick.symbol, tick.trade_id));
    let mut traded = ticks(&sparse(17), DAY_MS);
    traded.sort_by_key(|tick| (tick.symbol, tick.trade_id));
    assert_eq!(arrived, traded);
}

#[test]
fn disorder_does_not_depend_on_how_arrivals_are_taken() {
    let settings = DisorderSettings::default();
    assert_eq!(arrivals(&settings, DAY_MS), arrivals(&settings, 5 * MINUTE_MS));
}

#[test]
fn the_shares_of_delayed_ticks_are_those_asked_for() {
    let arrivals = arrivals(&DisorderSettings::default(), DAY_MS);
    let delays: Vec<u64> =
        arrivals.iter().map(|arrival| arrival.at_ms - arrival.tick.time.millis()).collect();
    let share = |within: std::ops::RangeInclusive<u64>| {
        delays.iter().filter(|delay| within.contains(delay)).count() as f64 / delays.len() as f64
    };
    assert!((0.018..0.022).contains(&share(1..=8_000)), "{}", share(1..=8_000));
    assert!((0.0005..0.002).contains(&share(12_000..=120_000)), "{}", share(12_000..=120_000));
    let distinct: BTreeSet<u64> = delays.into_iter().collect();
    assert!(distinct.iter().all(|delay| *delay <= 8_000 || (12_000..=120_000).contains(delay)));
}

#[test]
fn disorder_that_cannot_be_is_refused() {
    let market = || Simulator::open(&sparse(1), START_MS).expect("a market");
    let default = DisorderSettings::default;
    let cases = [
        DisorderSettings { out_of_order_share: 0.7, late_share: 0.4, ..default() },
        DisorderSettings { late_share: f64::NAN, ..default() },
        DisorderSettings { max_delay_ms: 0, ..default() },
        DisorderSettings { late_delay_ms: std::ops::RangeInclusive::new(2, 1), ..default() },
    ];
    for settings in cases {
        assert!(Disorder::try_new(settings.clone(), market()).is_err(), "{settings:?}");
    }
}
