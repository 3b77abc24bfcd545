//! Making the topics.

use tallow_connectors::logs::kafka::{KafkaConfig, TopicState, ensure_topics};
use tallow_model::error::Action;
use tallow_testing::kafka_log::config;
use tallow_testing::services;
use tallow_testing::topic::Topic;

/// Deletes the topics of the settings when dropped.
fn owned(config: &KafkaConfig) -> [Topic; 3] {
    [&config.topic, &config.alerts_topic, &config.dead_letters_topic]
        .map(|name| Topic::adopt(&config.bootstrap_servers, name.clone(), 1))
}

#[test]
fn topics_are_made_once_also_by_two_at_a_time_and_what_differs_is_told() {
    let Some(brokers) = services::kafka() else { return };
    let mut config = config(&brokers, &services::unique("topics"));
    let _owned = owned(&config);
    let (one, other) = std::thread::scope(|scope| {
        let other = scope.spawn(|| ensure_topics(&config).unwrap());
        (ensure_topics(&config).unwrap(), other.join().unwrap())
    });
    let shape = |states: &[TopicState]| {
        states.iter().map(|it| (it.name.clone(), it.partitions, it.difference.clone())).collect::<Vec<_>>()
    };
    let expected = [(&config.topic, 3), (&config.alerts_topic, 1), (&config.dead_letters_topic, 1)]
        .map(|(name, partitions)| (name.clone(), partitions, None));
    assert_eq!(shape(&one), expected);
    assert_eq!(shape(&other), expected);
    for (one, other) in one.iter().zip(&other) {
        assert!(one.made != other.made, "{} is made by one of them", one.name);
    }
    config.partitions = 5;
    let again = ensure_topics(&config).unwrap();
    assert!(again.iter().all(|state| !state.made));
    assert_eq!(
        again[0].difference.as_deref(),
        Some(&*format!("topic {} has 3 partitions where the settings say 5", config.topic))
    );
    assert_eq!(again[1].difference, None);
}

#[test]
fn what_the_brokers_refuse_is_said() {
    let Some(brokers) = services::kafka() else { return };
    let mut config = config(&brokers, &services::unique("refused"));
    config.replication_factor = 9;
    let refused = ensure_topics(&config).unwrap_err();
    assert_eq!(refused.action(), Action::Stop);
    let text = tallow_model::error::chain(&refused);
    assert!(text.starts_with(&format!("make topic {} at {brokers}: ", config.topic)), "{text}");
    assert!(text.contains("Invalid replication factor"), "{text}");
}
