//! The command line: commands and flags. A flag overrides the setting that it stands for.

use crate::config::{Config, FeedKind, LogFormat, Speed};
use anyhow::{Context, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{ArgGroup, Args, CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tallow_connectors::export::Format;
use tallow_connectors::logs::kafka::{Bound, check_range};
use tallow_model::{EventTime, Symbol};
use tallow_runtime::cluster::Cluster;

/// The port of the first process where no file says otherwise, as timely has it.
const FIRST_PORT: usize = 2101;

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
    /// Run a process of the pipeline: Kafka in, PostgreSQL, Redis and Kafka alerts out.
    Run(RunFlags),
    /// Run several processes of the pipeline on this machine; when one ends, all start again from the newest checkpoint.
    Launch(LaunchFlags),
    /// Serve the API and the dashboard out of PostgreSQL and Redis.
    Serve(ServeFlags),
    /// Settle files of ticks, or a range of a topic, as fast as it goes, and write candles, alerts and rejects into a
    /// folder.
    Backtest(BacktestFlags),
    /// Make the topics and bring the database up to this program's schema; done again it changes nothing.
    Migrate,
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

impl GlobalFlags {
    /// As another process of this program takes them.
    fn as_arguments(&self) -> Vec<OsString> {
        let mut arguments = Vec::new();
        let mut add = |name: &str, value: OsString| arguments.extend([name.into(), value]);
        if let Some(config) = &self.config {
            add("--config", config.into());
        }
        if let Some(level) = &self.log_level {
            add("--log-level", level.into());
        }
        match self.log_format {
            Some(LogFormat::Text) => add("--log-format", "text".into()),
            Some(LogFormat::Json) => add("--log-format", "json".into()),
            None => {}
        }
        arguments
    }
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
    /// Serve the data alone, without the dashboard.
    #[arg(long)]
    no_dashboard: bool,
    /// Threads that run the graph.
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Remove all checkpoints and read the log from its beginning.
    #[arg(long)]
    pub(crate) from_scratch: bool,
}

/// Flags of `run`: the first four are timely's own.
#[derive(Debug, Args)]
pub(crate) struct RunFlags {
    /// Threads that run the graph, in each process.
    #[arg(short = 'w', long, visible_alias = "threads", value_name = "N")]
    workers: Option<usize>,
    /// How many processes share the work.
    #[arg(short = 'n', long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    processes: u16,
    /// Which of them this is, counted from 0.
    #[arg(short = 'p', long, default_value_t = 0, value_name = "I")]
    process: u16,
    /// Where each process listens for the others, and nowhere else: host:port, a line each, the same file for all. Without
    /// it they are on this machine, from port 2101 on. These ports know no passwords and no encryption: keep them on a
    /// private network.
    #[arg(long, value_name = "FILE")]
    hostfile: Option<PathBuf>,
    /// Remove all checkpoints and read the topic from its beginning.
    #[arg(long)]
    pub(crate) from_scratch: bool,
    /// Where to say how it is: /health, /ready, /metrics and /api/v1/stats.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,
    /// Stop when the standard input ends: what `tallow launch` starts its processes with.
    #[arg(long, hide = true)]
    pub(crate) until_input_ends: bool,
    /// What the flags come to.
    #[arg(skip)]
    pub(crate) cluster: Option<Cluster>,
}

/// Flags of `launch`.
#[derive(Debug, Args)]
pub(crate) struct LaunchFlags {
    /// How many processes share the work.
    #[arg(short = 'n', long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) processes: u16,
    /// Threads that run the graph, in each process.
    #[arg(short = 'w', long, visible_alias = "threads", value_name = "N")]
    workers: Option<usize>,
    /// Remove all checkpoints and read the topic from its beginning.
    #[arg(long)]
    pub(crate) from_scratch: bool,
    /// Where the first process says how it is; the others do so at the ports after this.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,
    /// The global options, as each process is given them.
    #[arg(skip)]
    pub(crate) passed_on: Vec<OsString>,
}

impl RunFlags {
    /// The processes that share the work.
    ///
    /// # Errors
    /// When there is no such process, or not an address for each.
    fn cluster(&self, threads: usize) -> anyhow::Result<Cluster> {
        let (process, processes) = (usize::from(self.process), usize::from(self.processes));
        if process >= processes {
            bail!("process {process} is none of {processes}, which are counted from 0");
        }
        let addresses = match &self.hostfile {
            _ if processes == 1 => Vec::new(),
            None => (0..processes).map(|number| format!("127.0.0.1:{}", FIRST_PORT + number)).collect(),
            Some(path) => {
                let tried = || format!("read the hosts in {}", path.display());
                let text = std::fs::read_to_string(path).with_context(tried)?;
                let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
                let hosts: Vec<String> = lines.filter(|line| !line.is_empty()).map(str::to_owned).collect();
                if hosts.len() < processes {
                    bail!("{}: it has {} and {processes} are needed", tried(), hosts.len());
                }
                if let Some(wrong) = hosts.iter().find(|host| !is_host_and_port(host)) {
                    bail!("{}: {wrong:?} is not host:port", tried());
                }
                let hosts: Vec<String> = hosts.into_iter().take(processes).collect();
                if let Some(twice) =
                    hosts.iter().enumerate().find(|(number, host)| hosts[..*number].contains(host))
                {
                    bail!("{}: {:?} is there twice", tried(), twice.1);
                }
                hosts
            }
        };
        Ok(Cluster { threads, process, addresses })
    }
}

fn is_host_and_port(text: &str) -> bool {
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port != 0);
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && is_port(port))
}

/// Flags of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeFlags {
    /// The port to listen on; 0 for any that is free.
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Serve the data alone, without the dashboard.
    #[arg(long)]
    no_dashboard: bool,
}

/// Flags of `backtest`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("input").required(true))]
pub(crate) struct BacktestFlags {
    /// JSONL files of ticks, plain, gzip or zstd; `-` is standard input. Each is a partition of its own.
    #[arg(long, group = "input", num_args = 1.., value_name = "FILE")]
    pub(crate) from: Vec<PathBuf>,
    /// A topic of Kafka, read instead of files. Whoever reads it live does not notice.
    #[arg(long, group = "input", value_name = "NAME")]
    pub(crate) topic: Option<String>,
    /// Where to start in the topic: beginning, a time (RFC 3339 or milliseconds), or offset:N for every partition.
    #[arg(
        long,
        requires = "topic",
        conflicts_with = "from",
        default_value = "beginning",
        value_name = "WHERE"
    )]
    pub(crate) start: Bound,
    /// Where to stop: likewise, or end, which is where the topic ends now.
    #[arg(long, requires = "topic", conflicts_with = "from", default_value = "end", value_name = "WHERE")]
    pub(crate) end: Bound,
    /// Brokers to start from: host:port, separated by commas.
    #[arg(long, requires = "topic", conflicts_with = "from", value_name = "BROKERS")]
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
        let (name, from): (_, &[PathBuf]) = match &cli.command {
            None | Some(Command::Up(_)) => return Ok(cli),
            Some(Command::Backtest(flags)) => ("backtest", &flags.from),
            Some(Command::Launch(_)) => ("launch", &[]),
            Some(Command::Migrate) => ("migrate", &[]),
            Some(Command::Produce(flags)) => ("produce", &flags.from),
            Some(Command::Run(_)) => ("run", &[]),
            Some(Command::Serve(_)) => ("serve", &[]),
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
    ///
    /// # Errors
    /// When flags can't be, or the file that one names.
    pub(crate) fn apply(self, config: &mut Config) -> anyhow::Result<Command> {
        let passed_on = self.global.as_arguments();
        override_with(&mut config.logging.level, self.global.log_level);
        override_with(&mut config.logging.format, self.global.log_format);
        self.up.clone().apply(config);
        let from_scratch = self.up.from_scratch;
        let mut command = self.command.unwrap_or(Command::Up(self.up));
        match &mut command {
            Command::Up(flags) => {
                flags.from_scratch |= from_scratch;
                flags.clone().apply(config);
            }
            Command::Run(flags) => {
                override_with(&mut config.dataflow.workers, flags.workers);
                override_with(&mut config.run.listen, flags.listen);
                flags.cluster = Some(flags.cluster(config.dataflow.workers)?);
            }
            Command::Launch(flags) => {
                override_with(&mut config.dataflow.workers, flags.workers);
                override_with(&mut config.run.listen, flags.listen);
                flags.passed_on = passed_on;
            }
            Command::Serve(flags) => {
                if let Some(port) = flags.port {
                    config.server.listen.set_port(port);
                }
                config.server.serving.dashboard &= !flags.no_dashboard;
            }
            Command::Backtest(flags) => {
                check_range(flags.start, flags.end)?;
                override_with(&mut config.dataflow.workers, flags.workers);
                override_with(&mut config.dataflow.batch_records, flags.batch_records);
                override_with(&mut config.kafka.bootstrap_servers, flags.bootstrap.clone());
            }
            Command::Migrate => {}
            Command::Produce(flags) => flags.apply(config),
        }
        Ok(command)
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
        config.server.serving.dashboard &= !self.no_dashboard;
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
