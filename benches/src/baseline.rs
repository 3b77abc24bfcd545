//! The baseline: the loop that a competent engineer writes by hand for the same work, with one
//! thread, hash maps and no dataflow.
//!
//! It reads each partition's file from start to end, decodes each line with Tallow's own decoder,
//! places it by the partition's watermark, keeps bars of one, five and fifteen minutes, and judges
//! each minute's return against the hour before. The rules are the same, candle for candle,
//! correction for correction and alert for alert. A settled version goes to [`Totals`] and is
//! dropped.
//!
//! **Simplifications.** A symbol's ticks are all in one partition, as in a log keyed by symbol, so
//! partitions need no common watermark and are read one after the other. There are no live candles,
//! no idle partitions, no checkpoints, and only one worker.
//!
//! **Order.** A window is settled when the watermark reaches its end. Late ticks wait until the
//! watermark leaves the second that they share as their logical time; then they become one
//! correction of each window.
//!
//! **State.** All symbols' minutes for half an hour, and their returns for an hour and a half.

mod market;
mod returns;

use crate::lines::each_line;
use crate::totals::Totals;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use market::Market;
use std::io;
use std::path::PathBuf;
use tallow_dataflow::{Bar, Settings};
use tallow_model::{DecodeError, EventTime, Interval, MINUTE_MS, Symbol, Tick, decode, next_second};

/// A late tick that waits to be applied: the index of its market, the start of its minute, and its
/// bar.
type Late = (u32, u64, Bar);

/// Settles a log, one file a partition. `now_ms` bounds timestamps from the future.
///
/// # Errors
/// Returns an error if a file can't be read, or if `max_out_of_orderness_ms` is a minute or longer:
/// the loop keeps only two open minutes.
pub fn settle(log: &[PathBuf], settings: &Settings, now_ms: u64) -> io::Result<Totals> {
    settle_into(Totals::default(), log, settings, now_ms)
}

/// Settles a log as [`settle`] does, into totals that may keep every version.
///
/// # Errors
/// Returns the errors of [`settle`].
pub fn settle_into(
    mut totals: Totals,
    log: &[PathBuf],
    settings: &Settings,
    now_ms: u64,
) -> io::Result<Totals> {
    if settings.max_out_of_orderness_ms >= MINUTE_MS {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "more than two minutes of a symbol can be open",
        ));
    }
    // Partitions are kept to the end, as in a loop that reads them in turns.
    let mut partitions = Vec::new();
    for (number, path) in (0..).zip(log) {
        let mut partition = Partition::new(number, settings, now_ms);
        each_line(path, |offset, line| partition.line(offset, line, &mut totals))?;
        partition.finish(&mut totals);
        partitions.push(partition);
    }
    Ok(totals)
}

/// One partition and its symbols.
struct Partition<'s> {
    number: u32,
    settings: &'s Settings,
    now_ms: u64,
    places: HashMap<Symbol, u32, FixedState>,
    markets: Vec<Market>,
    max_event_time: u64,
    watermark: u64,
    /// The end of the next minute to settle: the first after the watermark.
    next_close: u64,
    /// The latest end of a fifteen-minute window with ticks; nothing after it is to be settled.
    busy_until: u64,
    late: Vec<Late>,
    /// The logical time of the waiting late ticks.
    late_at: u64,
    /// Buffer, reused.
    corrections: Vec<(u64, Bar)>,
}

impl<'s> Partition<'s> {
    fn new(number: u32, settings: &'s Settings, now_ms: u64) -> Partition<'s> {
        Partition {
            number,
            settings,
            now_ms,
            places: HashMap::default(),
            markets: Vec::new(),
            max_event_time: 0,
            watermark: 0,
            next_close: MINUTE_MS,
            busy_until: 0,
            late: Vec::new(),
            late_at: 0,
            corrections: Vec::new(),
        }
    }

    #[inline]
    fn line(&mut self, offset: u64, line: &[u8], totals: &mut Totals) {
        totals.records.records_in += 1;
        let tick = match decode(line) {
            Ok(tick) => tick,
            Err(DecodeError::Malformed(_)) => {
                totals.records.malformed += 1;
                return;
            }
            Err(DecodeError::Invalid(_)) => {
                totals.records.invalid += 1;
                return;
            }
        };
        let written = tick.received.map_or(self.now_ms, |received| received.millis().min(self.now_ms));
        if tick.time.millis() > written.saturating_add(self.settings.max_future_ms) {
            totals.records.future += 1;
            return;
        }
        self.place(&tick, offset, totals);
    }

    #[inline]
    fn place(&mut self, tick: &Tick, offset: u64, totals: &mut Totals) {
        let time = tick.time.millis();
        let start = time - time % MINUTE_MS;
        let end = start + MINUTE_MS;
        let late = self.watermark >= end;
        if late && next_second(self.watermark) >= end + self.settings.allowed_lateness_ms {
            totals.records.too_late += 1;
            return;
        }
        let bar = Bar::of(tick, EventTime(start), self.number, offset);
        if late {
            totals.records.late += 1;
            let market = self.market(tick.symbol);
            self.late.push((market, start, bar));
            self.late_at = next_second(self.watermark);
        } else {
            totals.records.on_time += 1;
            // First close the windows that the tick's own watermark closes, which is never its own
            // window. Otherwise three minutes could be open.
            self.advance(time, totals);
            let market = self.market(tick.symbol);
            self.markets[market as usize].add(start, &bar);
        }
        self.busy_until = self.busy_until.max(Interval::FifteenMinutes.window_end(tick.time).millis());
    }

    /// Advances the watermark by a tick of this event time.
    #[inline]
    fn advance(&mut self, time: u64, totals: &mut Totals) {
        if time <= self.max_event_time {
            return;
        }
        self.max_event_time = time;
        self.watermark = time.saturating_sub(self.settings.max_out_of_orderness_ms);
        if !self.late.is_empty() && next_second(self.watermark) > self.late_at {
            self.correct(totals);
        }
        if self.watermark >= self.next_close {
            self.close_through(self.watermark, totals);
        }
    }

    #[inline]
    fn market(&mut self, symbol: Symbol) -> u32 {
        let Partition { places, markets, .. } = self;
        *places.entry(symbol).or_insert_with(|| {
            markets.push(Market::new(symbol));
            // A log of 2³² symbols does not fit into memory.
            (markets.len() - 1) as u32
        })
    }

    /// Applies the waiting late ticks.
    fn correct(&mut self, totals: &mut Totals) {
        let mut late = std::mem::take(&mut self.late);
        late.sort_unstable_by_key(|(market, start, _)| (*market, *start));
        for of_market in late.chunk_by(|a, b| a.0 == b.0) {
            self.corrections.clear();
            for of_minute in of_market.chunk_by(|a, b| a.1 == b.1) {
                let (_, start, mut bar) = of_minute[0];
                of_minute[1..].iter().for_each(|(_, _, more)| bar.merge(more));
                self.corrections.push((start, bar));
            }
            let market = &mut self.markets[of_market[0].0 as usize];
            market.correct(&self.corrections, self.late_at, self.settings, totals);
        }
        late.clear();
        self.late = late;
    }

    /// Settles every window that ends at or before `watermark`.
    fn close_through(&mut self, watermark: u64, totals: &mut Totals) {
        while self.next_close <= watermark {
            if self.next_close > self.busy_until {
                self.next_close = watermark - watermark % MINUTE_MS + MINUTE_MS;
                return;
            }
            for market in &mut self.markets {
                market.close(self.next_close, self.settings, totals);
            }
            self.next_close += MINUTE_MS;
        }
    }

    /// Settles all open windows at the end of the input.
    fn finish(&mut self, totals: &mut Totals) {
        self.correct(totals);
        self.close_through(self.busy_until, totals);
    }
}
