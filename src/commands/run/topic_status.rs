//! The status of the topic of ticks, for the status board.

use std::collections::BTreeMap;
use std::sync::Arc;
use tallow_connectors::logs::kafka::KafkaLog;
use tallow_model::store::SinkStatus;
use tallow_runtime::pipeline::{LogStatus, Partitions};

/// The status of the topic, of which this process reads its partitions.
pub(super) struct TopicStatus(pub(super) Arc<KafkaLog>);

impl LogStatus for TopicStatus {
    fn service(&self) -> SinkStatus {
        let problem = self.0.status().problem;
        SinkStatus { name: "kafka".to_owned(), problem, ..SinkStatus::default() }
    }

    fn is_read(&self, _: &Partitions) -> bool {
        let end = |partition: u32| self.0.ends().get(partition as usize).copied().unwrap_or_default();
        self.0.status().partitions.iter().all(|lag| lag.position >= end(lag.partition))
    }

    fn pending(&self) -> BTreeMap<u32, u64> {
        self.0.status().partitions.iter().map(|lag| (lag.partition, lag.pending())).collect()
    }
}
