//! The command line: commands and flags. A flag overrides the setting that it stands for.

use crate::config::layers::Layers;
use crate::config::{FeedKind, LogFormat, Speed};
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

/// The port of the first process without a host file: timely's default.
const FIRST_PORT: usize = 2101;

/// Candles and anomaly alerts from a log of crypto market ticks, live and replayed.
///
/// Without a command, `up` runs; its flags may stand here too.
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

/// The commands of the program.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in one process: a simulated market, its log, the graph, the store and the
    /// server.
    Up(UpFlags),
    /// Run one process of the pipeline: it reads Kafka, and writes to PostgreSQL, Redis and Kafka.
    Run(RunFlags),
    /// Run several processes of the pipeline on this machine. When one ends, all are restarted from
    /// the newest checkpoint.
    Launch(LaunchFlags),
    /// Serve the API and the dashboard from PostgreSQL and Redis.
    Serve(ServeFlags),
    /// Replay files of ticks, or a range of a topic, at full speed, and write candles, alerts and
    /// rejects to a folder.
    Backtest(BacktestFlags),
    /// Create the topics and migrate the database to the schema of this program. Idempotent.
    Migrate,
    /// Produce ticks to Kafka: quotes of CoinGecko, a simulated market, or files.
    Produce(ProduceFlags),
}

/// Flags of every command.
#[derive(Debug, Args)]
struct GlobalFlags {
    /// The file of settings that override the defaults.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The log level: error, warn, info, debug or trace; or directives as in
    /// "info,tallow_server=debug".
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
    /// The format of log lines.
    #[arg(long, global = true, value_name = "FORMAT", value_parser = log_format())]
    log_format: Option<LogFormat>,
}

impl GlobalFlags {
    /// The arguments that pass these flags to another process of this program.
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
    /// The folder of the log and the store.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The port to listen on; 0 for any free port.
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// The seed of the simulated market; the same seed gives the same market.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The symbols of the simulated market.
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    symbols: Option<Vec<Symbol>>,
    /// Start without simulated history.
    #[arg(long)]
    no_backfill: bool,
    /// Serve the API without the dashboard.
    #[arg(long)]
    no_dashboard: bool,
    /// The number of threads that run the graph.
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Remove all checkpoints and read the log from its beginning.
    #[arg(long)]
    pub(crate) from_scratch: bool,
}

/// Flags of `run`: the first four are timely's own.
#[derive(Debug, Args)]
pub(crate) struct RunFlags {
    /// The number of threads that run the graph in each process.
    #[arg(short = 'w', long, visible_alias = "threads", value_name = "N")]
    workers: Option<usize>,
    /// The number of processes that share the work.
    #[arg(short = 'n', long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    processes: u16,
    /// The index of this process, from 0.
    #[arg(short = 'p', long, default_value_t = 0, value_name = "I")]
    process: u16,
    /// The addresses on which the processes listen for each other, as host:port, one a line; the
    /// same file for all. Without it the processes are on this machine, from port 2101 on. These
    /// ports have no password and no encryption: keep them on a private network.
    #[arg(long, value_name = "FILE")]
    hostfile: Option<PathBuf>,
    /// Remove all checkpoints and read the topic from its beginning.
    #[arg(long)]
    pub(crate) from_scratch: bool,
    /// The address of the status server: /health, /ready, /metrics and /api/v1/stats.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,
    /// Stop when the standard input ends. `tallow launch` sets this flag.
    #[arg(long, hide = true)]
    pub(crate) until_input_ends: bool,
    /// The cluster that the flags describe.
    #[arg(skip)]
    pub(crate) cluster: Option<Cluster>,
}

/// Flags of `launch`.
#[derive(Debug, Args)]
pub(crate) struct LaunchFlags {
    /// The number of processes that share the work.
    #[arg(short = 'n', long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) processes: u16,
    /// The number of threads that run the graph in each process.
    #[arg(short = 'w', long, visible_alias = "threads", value_name = "N")]
    workers: Option<usize>,
    /// Remove all checkpoints and read the topic from its beginning.
    #[arg(long)]
    pub(crate) from_scratch: bool,
    /// The address of the first process's status server; the other processes use the ports after
    /// it.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,
    /// The global flags, which each process is given.
    #[arg(skip)]
    pub(crate) passed_on: Vec<OsString>,
}

impl RunFlags {
    /// Returns the cluster that the flags describe.
    ///
    /// # Errors
    /// If the index is out of range, or the host file lacks an address.
    fn cluster(&self, threads: usize) -> anyhow::Result<Cluster> {
        let (process, processes) = (usize::from(self.process), usize::from(self.processes));
        if process >= processes {
            bail!("process {process} is out of range: the {processes} processes are numbered from 0");
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
                    bail!("{}: the file has {} hosts, {processes} are needed", tried(), hosts.len());
                }
                if let Some(wrong) = hosts.iter().find(|host| !is_host_and_port(host)) {
                    bail!("{}: {wrong:?} is not host:port", tried());
                }
                let hosts: Vec<String> = hosts.into_iter().take(processes).collect();
                if let Some(twice) =
                    hosts.iter().enumerate().find(|(number, host)| hosts[..*number].contains(host))
                {
                    bail!("{}: {:?} is listed twice", tried(), twice.1);
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
    /// The port to listen on; 0 for any free port.
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Serve the API without the dashboard.
    #[arg(long)]
    no_dashboard: bool,
}

/// Flags of `backtest`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("input").required(true))]
pub(crate) struct BacktestFlags {
    /// JSONL files of ticks, plain, gzip or zstd; `-` is standard input. Each file is one
    /// partition.
    #[arg(long, group = "input", num_args = 1.., value_name = "FILE")]
    pub(crate) from: Vec<PathBuf>,
    /// The Kafka topic to replay instead of files. Its live consumers are not affected.
    #[arg(long, group = "input", value_name = "NAME")]
    pub(crate) topic: Option<String>,
    /// The start of the range: beginning, a time (RFC 3339 or milliseconds), or offset:N in every
    /// partition.
    #[arg(
        long,
        requires = "topic",
        conflicts_with = "from",
        default_value = "beginning",
        value_name = "WHERE"
    )]
    pub(crate) start: Bound,
    /// The end of the range: as --start; or end, the present end of the topic.
    #[arg(long, requires = "topic", conflicts_with = "from", default_value = "end", value_name = "WHERE")]
    pub(crate) end: Bound,
    /// The brokers to connect to first: host:port, separated by commas.
    #[arg(long, requires = "topic", conflicts_with = "from", value_name = "BROKERS")]
    bootstrap: Option<String>,
    /// The folder of the results. It is created if missing; existing result files are replaced.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The file format of candles and alerts.
    #[arg(long, default_value = Format::Csv.name(), value_parser = export_format())]
    pub(crate) format: Format,
    /// The number of threads that run the graph.
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// The number of records that are read from a partition at a time.
    #[arg(long, value_name = "N")]
    batch_records: Option<usize>,
}

/// Flags of `produce`.
#[derive(Debug, Args)]
pub(crate) struct ProduceFlags {
    /// The source of the ticks.
    #[arg(long, value_name = "FEED", value_parser = feed_kind())]
    feed: Option<FeedKind>,
    /// The speed of event time relative to the clock, for sim and file: a factor, or max.
    #[arg(long, value_name = "N|max")]
    pub(crate) speed: Option<Speed>,
    /// JSONL files, plain, gzip or zstd; `-` is standard input. Lines are sent unchanged; several
    /// files are merged by time.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub(crate) from: Vec<PathBuf>,
    /// The seed of the simulated market; the same seed gives the same market.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// The symbols of the simulated market.
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    pub(crate) symbols: Option<Vec<Symbol>>,
    /// The mean number of trades per second and symbol.
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<f64>,
    /// The opening time of the simulated market (RFC 3339). The default is now; at a speed other
    /// than 1, now minus --duration.
    #[arg(long, value_name = "TIME", value_parser = event_time)]
    pub(crate) start: Option<EventTime>,
    /// The length of the simulation in event time: 60m, 1h30m, 20s. The default is no end.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// Deliver some trades out of order, and a few of them late.
    #[arg(long)]
    pub(crate) disorder: bool,
    /// The topic to produce to.
    #[arg(long, value_name = "NAME")]
    topic: Option<String>,
    /// The brokers to connect to first: host:port, separated by commas.
    #[arg(long, value_name = "BROKERS")]
    bootstrap: Option<String>,
}

impl Cli {
    /// Parses the arguments of the process.
    ///
    /// # Errors
    /// If the arguments are wrong, or ask for the help or the version.
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
            return refused(&format!("flags of 'up' are given before '{name}'"));
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

    /// Overrides the settings with the flags. Returns the command with the flags that are no
    /// settings.
    ///
    /// # Errors
    /// If flags contradict each other, a value is out of bounds or the host file can't be used.
    pub(crate) fn apply(self, layers: &mut Layers) -> anyhow::Result<Command> {
        let passed_on = self.global.as_arguments();
        layers.flag("--log-level", "logging", "level", self.global.log_level)?;
        layers.flag("--log-format", "logging", "format", self.global.log_format)?;
        self.up.apply(layers)?;
        let from_scratch = self.up.from_scratch;
        let mut command = self.command.unwrap_or(Command::Up(self.up));
        match &mut command {
            Command::Up(flags) => {
                flags.from_scratch |= from_scratch;
                flags.apply(layers)?;
            }
            Command::Run(flags) => {
                layers.flag("--workers", "dataflow", "workers", flags.workers)?;
                layers.flag("--listen", "run", "listen", flags.listen)?;
                flags.cluster = Some(flags.cluster(layers.so_far().dataflow.workers)?);
            }
            Command::Launch(flags) => {
                layers.flag("--workers", "dataflow", "workers", flags.workers)?;
                layers.flag("--listen", "run", "listen", flags.listen)?;
                flags.passed_on = passed_on;
            }
            Command::Serve(flags) => apply_server(layers, flags.port, flags.no_dashboard)?,
            Command::Backtest(flags) => {
                check_range(flags.start, flags.end)?;
                layers.flag("--workers", "dataflow", "workers", flags.workers)?;
                layers.flag("--batch-records", "dataflow", "batch_records", flags.batch_records)?;
                layers.flag("--bootstrap", "kafka", "bootstrap_servers", flags.bootstrap.as_ref())?;
            }
            Command::Migrate => {}
            Command::Produce(flags) => flags.apply(layers)?,
        }
        Ok(command)
    }
}

impl UpFlags {
    fn apply(&self, layers: &mut Layers) -> anyhow::Result<()> {
        layers.flag("--data", "up", "data", self.data.as_ref())?;
        layers.flag("--seed", "up", "seed", self.seed)?;
        layers.flag("--symbols", "up", "symbols", self.symbols.as_ref())?;
        layers.flag("--workers", "dataflow", "workers", self.workers)?;
        layers.flag("--no-backfill", "up", "backfill_hours", self.no_backfill.then_some(0.0))?;
        apply_server(layers, self.port, self.no_dashboard)
    }
}

impl ProduceFlags {
    fn apply(&self, layers: &mut Layers) -> anyhow::Result<()> {
        layers.flag("--feed", "produce", "feed", self.feed)?;
        layers.flag("--speed", "produce", "speed", self.speed)?;
        layers.flag("--seed", "produce", "seed", self.seed)?;
        layers.flag("--symbols", "produce", "symbols", self.symbols.as_ref())?;
        layers.flag("--rate", "produce", "trades_per_second", self.rate)?;
        layers.flag("--topic", "kafka", "topic", self.topic.as_ref())?;
        layers.flag("--bootstrap", "kafka", "bootstrap_servers", self.bootstrap.as_ref())
    }
}

fn apply_server(layers: &mut Layers, port: Option<u16>, no_dashboard: bool) -> anyhow::Result<()> {
    let ip = layers.so_far().server.listen.ip();
    layers.flag("--port", "server", "listen", port.map(|port| SocketAddr::new(ip, port)))?;
    layers.flag("--no-dashboard", "server", "dashboard", no_dashboard.then_some(false))
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

/// Formats an error in the arguments as one line.
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
