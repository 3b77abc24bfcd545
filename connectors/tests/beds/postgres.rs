//! A migrated database of the real PostgreSQL server, which goes with the bed.

use super::{Bed, StoreBed};
use crate::services;
use crate::services::database::Database;
use std::sync::Arc;
use tallow_connectors::stores::postgres::{PostgresConfig, PostgresHistory, PostgresSink, Share, migrate};
use tallow_model::store::{History, Sink};
use tokio::task::block_in_place;

pub(crate) struct PostgresBed(Database);

impl PostgresBed {
    fn config(&self) -> PostgresConfig {
        PostgresConfig { url: self.0.url().into(), pool_size: 4, ..PostgresConfig::default() }
    }
}

impl Bed for PostgresBed {
    fn is_there() -> bool {
        services::postgres().is_some()
    }
}

impl StoreBed for PostgresBed {
    fn fresh() -> PostgresBed {
        block_in_place(|| {
            let bed = PostgresBed(Database::create().expect("a database"));
            migrate(&bed.config()).expect("migrated");
            bed
        })
    }

    fn sink(&self, workers: usize) -> Box<dyn Sink> {
        let open = || PostgresSink::open(&self.config(), Share::whole(workers)).expect("a sink");
        Box::new(block_in_place(open))
    }

    fn history(&self) -> Arc<dyn History> {
        Arc::new(PostgresHistory::open(&self.config()).expect("a history"))
    }
}
