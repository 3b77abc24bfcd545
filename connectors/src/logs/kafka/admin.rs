//! Creation of missing topics.
//!
//! - The topic of ticks gets the configured number of partitions: workers share them.
//! - The topics of alerts and of dead letters get one each: both carry little, and with one
//!   partition a reader sees everything in the order of writing.
//!
//! An existing topic stays as it is. A difference from the settings is reported, not changed: more
//! partitions would move symbols to other ones, and fewer are impossible.

use super::KafkaConfig;
use super::errors::kafka;
use super::listener::Listener;
use super::topic::{Topic, client};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use std::time::{Duration, Instant};
use tallow_model::error::Error;

/// Time limit for all of it.
const CREATE_TIMEOUT: Duration = Duration::from_secs(30);
/// Time limit of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The state of a topic afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicState {
    /// Name of the topic.
    pub name: String,
    /// Whether the topic was created now.
    pub made: bool,
    /// Number of its partitions.
    pub partitions: u32,
    /// Difference from the settings, if there is one.
    pub difference: Option<String>,
}

/// Creates the missing ones of the three topics; returns the state of each. Safe to repeat, and to
/// run in several processes at a time. It blocks: do not call it from asynchronous code.
///
/// # Errors
/// When the brokers can't be reached, refuse, or don't have a topic ready in time.
pub fn ensure_topics(config: &KafkaConfig) -> Result<Vec<TopicState>, Error> {
    let deadline = Instant::now() + CREATE_TIMEOUT;
    let admin: AdminClient<Listener> = client(config, &config.group)?
        .create_with_context(Listener::default())
        .map_err(kafka("make an admin client for", &config.bootstrap_servers))?;
    [(&config.topic, config.partitions), (&config.alerts_topic, 1), (&config.dead_letters_topic, 1)]
        .into_iter()
        .map(|(name, partitions)| ensure(config, &admin, name, partitions, deadline))
        .collect()
}

fn ensure(
    config: &KafkaConfig,
    admin: &AdminClient<Listener>,
    name: &str,
    wanted: u32,
    deadline: Instant,
) -> Result<TopicState, Error> {
    let topic = Topic::new(config, name, &config.group)?;
    // Whoever finds the topic missing creates it: the brokers let only one of many succeed.
    let made = topic.wait_for_partitions(deadline)?.is_none() && make(config, admin, name, wanted)?;
    // A new topic is not known to every broker at once.
    let partitions = loop {
        match topic.partitions(REQUEST_TIMEOUT) {
            Ok(Some(partitions)) => break partitions,
            Err(error) if Instant::now() >= deadline => return Err(error),
            Ok(None) if Instant::now() >= deadline => {
                return Err(Error::Invalid(format!("topic {} was made and is not there", topic.label())));
            }
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let difference = (partitions != wanted)
        .then(|| format!("topic {name} has {partitions} partitions where the settings say {wanted}"));
    Ok(TopicState { name: name.to_owned(), made, partitions, difference })
}

/// Creates the topic; returns false if somebody else just did.
fn make(
    config: &KafkaConfig,
    admin: &AdminClient<Listener>,
    name: &str,
    partitions: u32,
) -> Result<bool, Error> {
    let failed = |source| kafka("make topic", format!("{name} at {}", config.bootstrap_servers))(source);
    let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let replication = TopicReplication::Fixed(number(config.replication_factor));
    let new = NewTopic::new(name, number(partitions), replication);
    let options =
        AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT)).operation_timeout(Some(REQUEST_TIMEOUT));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|source| Error::Thread { name: "kafka-admin".to_owned(), source })?;
    let results = runtime.block_on(admin.create_topics([&new], &options)).map_err(failed)?;
    match results.into_iter().next() {
        Some(Ok(_)) => Ok(true),
        Some(Err((_, Code::TopicAlreadyExists))) => Ok(false),
        Some(Err((_, code))) => Err(failed(KafkaError::AdminOp(code))),
        None => Err(failed(KafkaError::AdminOp(Code::Unknown))),
    }
}
