//! One symbol of the hand-written loop: its open and settled minutes, roll-ups, returns and alerts.

use super::returns::Returns;
use crate::totals::Totals;
use std::collections::VecDeque;
use tallow_dataflow::{Bar, Settings};
use tallow_model::{
    Alert, AlertStatus, Candle, EventTime, Interval, MINUTE_MS, Price, SettledAlert, SettledCandle, Symbol,
};

/// A settled minute that can still be corrected, or is part of a roll-up that can.
struct Minute {
    start: u64,
    bar: Bar,
    revision: u32,
}

/// The roll-ups of one interval that can still be corrected, oldest first.
struct RollUps {
    interval: Interval,
    list: VecDeque<(Candle, u32)>,
}

impl RollUps {
    fn new(interval: Interval) -> RollUps {
        RollUps { interval, list: VecDeque::new() }
    }

    /// Settles a new version at `at`.
    fn settle(&mut self, symbol: Symbol, candle: Candle, at: u64, totals: &mut Totals) {
        let place = self.list.partition_point(|(other, _)| other.window_start < candle.window_start);
        let revision = match self.list.get_mut(place) {
            Some((before, revision)) if before.window_start == candle.window_start => {
                *before = candle;
                *revision += 1;
                *revision
            }
            _ => {
                self.list.insert(place, (candle, 0));
                0
            }
        };
        let settled_at = EventTime(at);
        totals.candle(&SettledCandle { symbol, interval: self.interval, candle, revision, settled_at });
    }
}

/// The state of one symbol.
pub(super) struct Market {
    symbol: Symbol,
    /// The open minutes, by the parity of their number: at most two are open at a time.
    open: [Option<(u64, Bar)>; 2],
    minutes: VecDeque<Minute>,
    fives: RollUps,
    fifteens: RollUps,
    returns: Returns,
    /// Standing alerts that can still change.
    alerts: Vec<Alert>,
}

impl Market {
    pub(super) fn new(symbol: Symbol) -> Market {
        Market {
            symbol,
            open: [None, None],
            minutes: VecDeque::new(),
            fives: RollUps::new(Interval::FiveMinutes),
            fifteens: RollUps::new(Interval::FifteenMinutes),
            returns: Returns::default(),
            alerts: Vec::new(),
        }
    }

    /// Adds a tick that is on time.
    #[inline]
    pub(super) fn add(&mut self, start: u64, bar: &Bar) {
        match &mut self.open[slot(start)] {
            Some((of, open)) if *of == start => open.merge(bar),
            other => *other = Some((start, *bar)),
        }
    }

    /// Settles the windows that end at `end`.
    pub(super) fn close(&mut self, end: u64, settings: &Settings, totals: &mut Totals) {
        let start = end - MINUTE_MS;
        if let Some((_, bar)) = self.open[slot(start)].take_if(|(of, _)| *of == start) {
            self.minutes.push_back(Minute { start, bar, revision: 0 });
            self.settle_minute(self.minutes.len() - 1, end, totals);
            self.judge(self.minutes.len() - 1, end, settings, totals);
        }
        for interval in [Interval::FiveMinutes, Interval::FifteenMinutes] {
            if end.is_multiple_of(interval.millis()) {
                self.roll_up(interval, end - interval.millis(), end, totals);
            }
        }
        if end.is_multiple_of(Interval::FifteenMinutes.millis()) {
            self.expire(end, settings);
        }
    }

    /// Corrects minutes at the logical time `at`. `late` is sorted by start and has each minute
    /// once. Exactly the windows that end before `at` have been settled.
    pub(super) fn correct(&mut self, late: &[(u64, Bar)], at: u64, settings: &Settings, totals: &mut Totals) {
        let Some(&(first, _)) = late.first() else { return };
        for (start, bar) in late {
            let place = self.minutes.partition_point(|minute| minute.start < *start);
            match self.minutes.get_mut(place) {
                Some(minute) if minute.start == *start => {
                    minute.bar.merge(bar);
                    minute.revision += 1;
                }
                _ => self.minutes.insert(place, Minute { start: *start, bar: *bar, revision: 0 }),
            }
            self.settle_minute(place, at, totals);
        }
        for interval in [Interval::FiveMinutes, Interval::FifteenMinutes] {
            let mut corrected = None;
            for (start, _) in late {
                let window = start - start % interval.millis();
                if corrected.replace(window) != Some(window) && window + interval.millis() < at {
                    self.roll_up(interval, window, at, totals);
                }
            }
        }
        self.returns.rewind(first);
        for place in self.minutes.partition_point(|minute| minute.start < first)..self.minutes.len() {
            self.judge(place, at, settings, totals);
        }
    }

    fn settle_minute(&self, place: usize, at: u64, totals: &mut Totals) {
        let minute = &self.minutes[place];
        totals.candle(&SettledCandle {
            symbol: self.symbol,
            interval: Interval::OneMinute,
            candle: minute.bar.candle(EventTime(minute.start)),
            revision: minute.revision,
            settled_at: EventTime(at),
        });
    }

    fn roll_up(&mut self, interval: Interval, start: u64, at: u64, totals: &mut Totals) {
        let end = start + interval.millis();
        if interval == Interval::FiveMinutes {
            let first = self.minutes.partition_point(|minute| minute.start < start);
            let parts = self.minutes.range(first..).take_while(|minute| minute.start < end);
            let parts = parts.map(|minute| minute.bar.candle(EventTime(minute.start)));
            if let Some(whole) = whole(start, parts) {
                self.fives.settle(self.symbol, whole, at, totals);
            }
        } else {
            let first = self.fives.list.partition_point(|(part, _)| part.window_start.millis() < start);
            let parts = self.fives.list.range(first..).map(|(part, _)| *part);
            if let Some(whole) = whole(start, parts.take_while(|part| part.window_start.millis() < end)) {
                self.fifteens.settle(self.symbol, whole, at, totals);
            }
        }
    }

    /// Judges a minute whose predecessors have been judged.
    fn judge(&mut self, place: usize, at: u64, settings: &Settings, totals: &mut Totals) {
        let minute = &self.minutes[place];
        let window_start = EventTime(minute.start);
        let verdict = self.returns.push(minute.start, minute.bar.close.0, &settings.anomalies);
        let alert = verdict.map(|verdict| Alert {
            symbol: self.symbol,
            window_start,
            open: minute.bar.open,
            close: minute.bar.close,
            previous_close: Price(verdict.previous_close),
            z_score: Price(verdict.z_score),
            mean: Price(verdict.mean),
            stddev: Price(verdict.stddev),
            samples: verdict.samples,
            threshold: Price(settings.anomalies.threshold),
            revision: minute.revision,
        });
        let before = self.alerts.iter().position(|standing| standing.window_start == window_start);
        let (alert, status) = match (before, alert) {
            (None, None) => return,
            (Some(before), Some(alert)) if self.alerts[before] == alert => return,
            (Some(before), Some(alert)) => {
                self.alerts[before] = alert;
                (alert, AlertStatus::Raised)
            }
            (Some(before), None) => (self.alerts.swap_remove(before), AlertStatus::Retracted),
            (None, Some(alert)) => {
                self.alerts.push(alert);
                (alert, AlertStatus::Raised)
            }
        };
        totals.alert(&SettledAlert { alert, status, settled_at: EventTime(at) });
    }

    /// Frees the state that no correction at or after `now` can reach.
    fn expire(&mut self, now: u64, settings: &Settings) {
        // A fifteen-minute window that ends by then can no longer be corrected.
        let Some(end) = now.checked_sub(settings.allowed_lateness_ms) else { return };
        let keep = end - end % Interval::FifteenMinutes.millis();
        let expired = |start: u64| start < keep;
        while self.minutes.front().is_some_and(|minute| expired(minute.start)) {
            self.minutes.pop_front();
        }
        for RollUps { list, .. } in [&mut self.fives, &mut self.fifteens] {
            while list.front().is_some_and(|(whole, _)| expired(whole.window_start.millis())) {
                list.pop_front();
            }
        }
        self.returns.expire(keep.saturating_sub(settings.anomalies.lookback_ms));
        self.alerts.retain(|alert| !expired(alert.window_start.millis()));
    }
}

/// Returns the index of the minute that starts at `start` among the open ones.
fn slot(start: u64) -> usize {
    (start / MINUTE_MS % 2) as usize
}

/// Returns the candle of a longer window from the candles of its parts, which are in order of time.
fn whole(start: u64, mut parts: impl Iterator<Item = Candle>) -> Option<Candle> {
    let mut whole = Candle { window_start: EventTime(start), ..parts.next()? };
    parts.for_each(|part| whole.append(&part));
    Some(whole)
}
