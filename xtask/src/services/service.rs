//! The services, by their names.

use clap::ValueEnum;

/// One of the services, in the order in which they are listed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    Postgres,
    Redis,
    Kafka,
}

impl Service {
    pub(crate) const ALL: [Service; 3] = [Service::Postgres, Service::Redis, Service::Kafka];

    /// The service's name on the command line, and the stem of its files.
    pub(super) fn name(self) -> &'static str {
        match self {
            Service::Postgres => "postgres",
            Service::Redis => "redis",
            Service::Kafka => "kafka",
        }
    }
}

/// Tells the user on standard error: standard output belongs to the export lines.
pub(super) fn say(text: &str) {
    eprintln!("services: {text}");
}
