//! Settings of Kafka: brokers, options, and the names of the topics.

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;
use serde::{Deserialize, Serialize};
use tallow_model::error::Error;
use tallow_model::secret::Secret;
use tallow_model::setting::{Bounded, UNBOUNDED};

/// The section `[kafka]` of the settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaConfig {
    /// Brokers to start from: `host:port`, separated by commas.
    pub bootstrap_servers: String,
    /// Name of the topic of ticks.
    pub topic: String,
    /// Name of the topic of alerts.
    pub alerts_topic: String,
    /// Name of the topic of rejected records.
    pub dead_letters_topic: String,
    /// Number of partitions that a new topic of ticks gets.
    #[serde(with = "Bounded::<1, UNBOUNDED>")]
    pub partitions: u32,
    /// Replication factor of a new topic.
    #[serde(with = "Bounded::<1, UNBOUNDED>")]
    pub replication_factor: u32,
    /// Consumer group whose committed offsets show the lag to other tools.
    pub group: String,
    /// Further properties of librdkafka, `name=value`. Some of them are secrets.
    pub options: Vec<Secret>,
}

impl Default for KafkaConfig {
    /// Returns the settings of a local broker, with the topic names of the contract.
    fn default() -> KafkaConfig {
        KafkaConfig {
            bootstrap_servers: "localhost:9092".to_owned(),
            topic: "crypto-prices".to_owned(),
            alerts_topic: "crypto-alerts".to_owned(),
            dead_letters_topic: "crypto-dead-letters".to_owned(),
            partitions: 3,
            replication_factor: 1,
            group: "tallow".to_owned(),
            options: Vec::new(),
        }
    }
}

/// Properties that the promises of this module rest on.
const OWN: [&str; 27] = [
    "acks",
    "allow.auto.create.topics",
    "auto.commit.enable",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "check.crcs",
    "client.id",
    "delivery.report.only.error",
    "delivery.timeout.ms",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "enable.partition.eof",
    "fetch.queue.backoff.ms",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "isolation.level",
    "log.queue",
    "message.timeout.ms",
    "partitioner",
    "request.required.acks",
    "statistics.interval.ms",
    "test.mock.num.brokers",
    "transaction.timeout.ms",
    "transactional.id",
];

impl KafkaConfig {
    /// Returns the base of every client: the brokers and the options.
    ///
    /// # Errors
    /// When an option is malformed, is not a property of librdkafka or not one that may be set, or
    /// needs TLS in a build without it. The text names the property, never its value.
    pub fn client(&self) -> Result<ClientConfig, Error> {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.bootstrap_servers);
        for (i, option) in self.options.iter().enumerate() {
            let (name, value) = split(option.expose()).ok_or_else(|| {
                Error::Invalid(format!("kafka.options: number {} is not name=value", i + 1))
            })?;
            refuse_own(name)?;
            refuse_tls(name, value, cfg!(feature = "tls"))?;
            client.set(name, value);
        }
        client.set_log_level(if tracing::enabled!(tracing::Level::DEBUG) {
            RDKafkaLogLevel::Debug
        } else {
            RDKafkaLogLevel::Info
        });
        client.create_native_config().map_err(unusable)?;
        Ok(client)
    }
}

fn split(option: &str) -> Option<(&str, &str)> {
    let (name, value) = option.split_once('=')?;
    let name = name.trim();
    // A text that happens to contain `=` must not be taken for a name and shown.
    let sane = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_');
    (!name.is_empty() && name.chars().all(sane)).then_some((name, value.trim()))
}

fn refuse_own(name: &str) -> Result<(), Error> {
    let why = match name {
        "bootstrap.servers" | "metadata.broker.list" => "stands in kafka.bootstrap_servers",
        name if OWN.contains(&name) => "is Tallow's own and can't be set",
        _ => return Ok(()),
    };
    Err(Error::Invalid(format!("kafka.options: {name} {why}")))
}

/// Refuses TLS settings in a build without TLS; librdkafka's own error is less clear, if there is
/// one.
fn refuse_tls(name: &str, value: &str, built_with_tls: bool) -> Result<(), Error> {
    let value = value.to_ascii_lowercase();
    let needs_tls = match name {
        "security.protocol" => value.contains("ssl"),
        "sasl.mechanism" | "sasl.mechanisms" => value.starts_with("scram") || value == "oauthbearer",
        name => name.starts_with("ssl.") || name.starts_with("sasl.oauthbearer."),
    };
    if needs_tls && !built_with_tls {
        return Err(Error::Invalid(format!(
            "kafka.options: {name} needs TLS, which this build does not have: build with --features tls"
        )));
    }
    Ok(())
}

/// Returns the error of a property, without its value.
pub(super) fn unusable(error: KafkaError) -> Error {
    let problem = match error {
        KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, _, name, _) => {
            format!("{name} is no property of librdkafka")
        }
        KafkaError::ClientConfig(_, _, name, _) => format!("{name} does not take the value given"),
        KafkaError::Nul(_) => "there is a zero byte in a value".to_owned(),
        // This text names the properties that contradict each other.
        error => error.to_string(),
    };
    Error::Invalid(format!("kafka.options: {problem}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    fn config(options: &[&str]) -> KafkaConfig {
        KafkaConfig {
            bootstrap_servers: "localhost:9092".to_owned(),
            topic: "ticks".to_owned(),
            alerts_topic: "alerts".to_owned(),
            dead_letters_topic: "dead".to_owned(),
            partitions: 3,
            replication_factor: 1,
            group: "tallow".to_owned(),
            options: options.iter().map(|option| Secret::from((*option).to_owned())).collect(),
        }
    }

    #[test]
    fn options_are_passed_through() {
        let options = [" socket.timeout.ms = 7000", "sasl.mechanism=PLAIN", "sasl.password=a=b c"];
        let client = config(&options).client().unwrap();
        assert_eq!(client.get("bootstrap.servers"), Some("localhost:9092"));
        assert_eq!(client.get("socket.timeout.ms"), Some("7000"));
        assert_eq!(client.get("sasl.password"), Some("a=b c"));
    }

    #[test]
    fn an_option_that_cannot_be_is_named_and_its_value_is_not() {
        for (option, expected) in [
            ("hunter2", "number 1 is not name=value"),
            ("Hunter2, or =so", "number 1 is not name=value"),
            ("=hunter2", "number 1 is not name=value"),
            ("sasl.pasword=hunter2", "sasl.pasword is no property of librdkafka"),
            ("socket.timeout.ms=hunter2", "socket.timeout.ms does not take the value given"),
            ("security.protocol=hunter2", "security.protocol does not take the value given"),
            ("group.id=hunter2", "group.id is Tallow's own and can't be set"),
            ("acks=hunter2", "acks is Tallow's own and can't be set"),
            ("bootstrap.servers=hunter2", "bootstrap.servers stands in kafka.bootstrap_servers"),
            ("sasl.password=hunter2\0", "there is a zero byte in a value"),
        ] {
            let error = config(&[option]).client().expect_err(option);
            assert_eq!(error.to_string(), format!("kafka.options: {expected}"));
        }
    }

    #[test]
    fn options_that_contradict_each_other_are_found_without_a_broker() {
        config(&[
            "security.protocol=SASL_PLAINTEXT",
            "sasl.mechanism=PLAIN",
            "sasl.username=me",
            "sasl.password=x",
        ])
        .check()
        .unwrap();
        for (options, expected) in [
            (
                &["security.protocol=SASL_PLAINTEXT", "sasl.mechanism=PLAIN", "sasl.password=hunter2"],
                "sasl.username",
            ),
            (&["socket.timeout.ms=7000", "max.in.flight=9", "sasl.password=hunter2"], "max.in.flight"),
        ] {
            let refused = config(options).check().expect_err(expected).to_string();
            assert!(refused.starts_with("kafka.options: ") && refused.contains(expected), "{refused}");
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }

    #[test]
    fn what_needs_tls_says_so_in_a_build_without() {
        for (name, value) in [
            ("security.protocol", "SASL_SSL"),
            ("security.protocol", "ssl"),
            ("ssl.ca.location", "ca.pem"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
        ] {
            let error = refuse_tls(name, value, false).expect_err(name);
            assert_eq!(
                error.to_string(),
                format!(
                    "kafka.options: {name} needs TLS, which this build does not have: build with --features tls"
                )
            );
            refuse_tls(name, value, true).unwrap();
        }
        refuse_tls("security.protocol", "SASL_PLAINTEXT", false).unwrap();
        refuse_tls("sasl.mechanism", "PLAIN", false).unwrap();
    }

    #[test]
    fn every_property_of_our_own_is_one() {
        for name in OWN {
            let known = match ClientConfig::new().set(name, "").create_native_config() {
                Err(KafkaError::ClientConfig(result, ..)) => result != RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN,
                _ => true,
            };
            assert!(known, "{name}");
        }
    }
}
