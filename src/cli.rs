//! The command line: commands and flags. A flag overrides the setting that it stands for.

use crate::config::{Config, FeedKind, LogFormat, Speed};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tallow_connectors::export::Format;
use tallow_connectors::kafka::Bound;
use tallow_dataflow::{EventTime, Symbol};

/// Candles and anomaly alerts from a log of crypto market ticks, live and replayed.
///
/// Without a command: `up`, which takes its flags right here too.
#[derive(Debug, Parser)]
#[command(name = "tallow", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten, next_help_heading = "Options of `up`")]
    up: UpFlags,
    #[command(flatten, next_help_heading = "Global options")]
    global: GlobalFlags,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in one process: a simulated market, its log, the graph, the store and the server.
    Up(UpFlags),
    /// Settle files of ticks, or a range of a topic, as fast as it goes, and write candles, alerts and rejects into a
    /// folder.
    Backtest(BacktestFlags),
    /// Feed ticks into Kafka: quotes of CoinGecko, a simulated market, or files.
    Produce(ProduceFlags),
}

/// Flags of every command.
#[derive(Debug, Args)]
struct GlobalFlags {
    /// A file of settings that override the defaults.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// error, warn, info, debug or trace; or directives as in "info,tallow_server=debug".
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
    /// How log lines look.
    #[arg(long, global = true, value_name = "FORMAT", value_parser = log_format())]
    log_format: Option<LogFormat>,
}

/// Flags of `up`.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(crate) struct UpFlags {
    /// Where the log and the store are kept.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The port to listen on; 0 for any that is free.
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// The same seed gives the same market.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The markets to simulate.
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    symbols: Option<Vec<Symbol>>,
    /// Start without simulated history.
    #[arg(long)]
    no_backfill: bool,
    /// Threads that run the graph.
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
}

/// Flags of `backtest`.
#[derive(Debug, Args)]
pub(crate) struct BacktestFlags {
    /// JSONL files of ticks, plain, gzip or zstd; `-` is standard input. Each is a partition of its own.
    #[arg(long, required_unless_present = "topic", conflicts_with = "topic", num_args = 1.., value_name = "FILE")]
    pub(crate) from: Vec<PathBuf>,
    /// A topic of Kafka, read instead of files. Whoever reads it live does not notice.
    #[arg(long, value_name = "NAME")]
    pub(crate) topic: Option<String>,
    /// Where to start in the topic: beginning, a time (RFC 3339 or milliseconds), or offset:N for every partition.
    #[arg(long, requires = "topic", default_value = "beginning", value_name = "WHERE")]
    pub(crate) start: Bound,
    /// Where to stop: likewise, or end, which is where the topic ends now.
    #[arg(long, requires = "topic", default_value = "end", value_name = "WHERE")]
    pub(crate) end: Bound,
    /// Brokers to start from: host:port, separated by commas.
    #[arg(long, requires = "topic", value_name = "BROKERS")]
    bootstrap: Option<String>,
    /// The folder for the results; made where it is missing, files in it are replaced.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// How candles and alerts are written.
    #[arg(long, default_value = Format::Csv.name(), value_parser = export_format())]
    pub(crate) format: Format,
    /// Threads that run the graph.
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// How many records are read from a partition at a time.
    #[arg(long, value_name = "N")]
    batch_records: Option<usize>,
}

/// Flags of `produce`.
#[derive(Debug, Args)]
pub(crate) struct ProduceFlags {
    /// Where the ticks come from.
    #[arg(long, value_name = "FEED", value_parser = feed_kind())]
    feed: Option<FeedKind>,
    /// How fast event time runs against the clock, for sim and file: a factor, or max.
    #[arg(long, value_name = "N|max")]
    pub(crate) speed: Option<Speed>,
    /// JSONL files, plain, gzip or zstd; `-` is standard input. Each line is sent as it stands, several files are merged
    /// by time.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub(crate) from: Vec<PathBuf>,
    /// The same seed gives the same market.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// The markets to simulate.
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    pub(crate) symbols: Option<Vec<Symbol>>,
    /// How many trades a second each of them has on average.
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<f64>,
    /// When the simulated market opens (RFC 3339). Without it: now; at another speed than 1, a --duration ago.
    #[arg(long, value_name = "TIME", value_parser = event_time)]
    pub(crate) start: Option<EventTime>,
    /// How much of the market is simulated: 60m, 1h30m, 20s. Without it: on and on.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// Let some of the trades come out of order, and few of them late.
    #[arg(long)]
    pub(crate) disorder: bool,
    /// The topic to feed.
    #[arg(long, value_name = "NAME")]
    topic: Option<String>,
    /// Brokers to start from: host:port, separated by commas.
    #[arg(long, value_name = "BROKERS")]
    bootstrap: Option<String>,
}

impl Cli {
    /// Reads the process's arguments.
    pub(crate) fn read() -> Result<Cli, clap::Error> {
        let cli = Cli::try_parse()?;
        let refused = |problem: &str| Err(Cli::command().error(ErrorKind::ArgumentConflict, problem));
        let (name, from) = match &cli.command {
            None | Some(Command::Up(_)) => return Ok(cli),
            Some(Command::Backtest(flags)) => ("backtest", &flags.from),
            Some(Command::Produce(flags)) => ("produce", &flags.from),
        };
        if cli.up != UpFlags::default() {
            return refused(&format!("flags of 'up' stand before '{name}'"));
        }
        if from.iter().filter(|file| *file == Path::new("-")).count() > 1 {
            return refused("standard input ('-') can be read only once");
        }
        Ok(cli)
    }

    /// The file of settings, if one is given.
    pub(crate) fn config(&self) -> Option<&Path> {
        self.global.config.as_deref()
    }

    /// Overrides the settings with the flags; what is left is the command.
    pub(crate) fn apply(self, config: &mut Config) -> Command {
        override_with(&mut config.logging.level, self.global.log_level);
        override_with(&mut config.logging.format, self.global.log_format);
        self.up.apply(config);
        let command = self.command.unwrap_or_else(|| Command::Up(UpFlags::default()));
        match &command {
            Command::Up(flags) => flags.clone().apply(config),
            Command::Backtest(flags) => {
                override_with(&mut config.dataflow.workers, flags.workers);
                override_with(&mut config.dataflow.batch_records, flags.batch_records);
                override_with(&mut config.kafka.bootstrap_servers, flags.bootstrap.clone());
            }
            Command::Produce(flags) => flags.apply(config),
        }
        command
    }
}

impl UpFlags {
    fn apply(self, config: &mut Config) {
        override_with(&mut config.up.data, self.data);
        override_with(&mut config.up.seed, self.seed);
        override_with(&mut config.up.symbols, self.symbols);
        override_with(&mut config.dataflow.workers, self.workers);
        if let Some(port) = self.port {
            config.server.listen.set_port(port);
        }
        if self.no_backfill {
            config.up.backfill_hours = 0.0;
        }
    }
}

impl ProduceFlags {
    fn apply(&self, config: &mut Config) {
        override_with(&mut config.produce.feed, self.feed);
        override_with(&mut config.produce.speed, self.speed);
        override_with(&mut config.produce.seed, self.seed);
        override_with(&mut config.produce.symbols, self.symbols.clone());
        override_with(&mut config.produce.trades_per_second, self.rate);
        override_with(&mut config.kafka.topic, self.topic.clone());
        override_with(&mut config.kafka.bootstrap_servers, self.bootstrap.clone());
    }
}

fn override_with<T>(setting: &mut T, flag: Option<T>) {
    if let Some(value) = flag {
        *setting = value;
    }
}

fn export_format() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::ALL.map(Format::name))
        .try_map(|name| Format::parse(&name).ok_or("not a format"))
}

fn feed_kind() -> impl TypedValueParser<Value = FeedKind> {
    PossibleValuesParser::new(FeedKind::ALL.map(FeedKind::name))
        .try_map(|name| FeedKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or("not a feed"))
}

fn event_time(text: &str) -> Result<EventTime, String> {
    let instant: jiff::Timestamp = text.parse().map_err(|_| "not an RFC 3339 time".to_owned())?;
    u64::try_from(instant.as_millisecond()).map(EventTime).map_err(|_| "before 1970".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration: jiff::SignedDuration = text.parse().map_err(|_| "not a duration as in 1h30m".to_owned())?;
    Duration::try_from(duration).ok().filter(|it| !it.is_zero()).ok_or_else(|| "not above zero".to_owned())
}

fn log_format() -> impl TypedValueParser<Value = LogFormat> {
    PossibleValuesParser::new(["text", "json"])
        .map(|name| if name == "json" { LogFormat::Json } else { LogFormat::Text })
}

/// What is wrong with the arguments, in one line.
pub(crate) fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let mut paragraphs = text.split("\n\n").map(|paragraph| {
        let lines: Vec<&str> = paragraph.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines.join(" ")
    });
    let problem = paragraphs.next().unwrap_or_default();
    let problem = problem.strip_prefix("error: ").unwrap_or(&problem).to_owned();
    match paragraphs.find(|paragraph| paragraph.starts_with("tip: ")) {
        Some(tip) => format!("{problem}; {tip}"),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_and_flags_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }
}
