//! The `/ready` endpoints of the processes of one start.
//!
//! A process answers `/ready` after `--from-scratch` has removed the old checkpoints: with 200 if
//! it has caught up with the topic, else with 503. Both count here, because what the process has
//! read since then must not be thrown away by a second `--from-scratch`.

use anyhow::Context;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

const POLL_INTERVAL: Duration = Duration::from_millis(200);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// A poll of each process, until it answers.
pub(super) struct Readiness {
    polls: Vec<JoinHandle<()>>,
    /// Dropped last: it ends the polls.
    _runtime: Runtime,
}

impl Readiness {
    /// Starts to poll the processes that report at `addresses`.
    ///
    /// # Errors
    /// If the system has no thread to give, or no HTTP client can be made.
    pub(super) fn poll(addresses: &[SocketAddr]) -> anyhow::Result<Readiness> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("readiness")
            .enable_all()
            .build()
            .context("start a runtime")?;
        let client = reqwest::Client::builder().timeout(REQUEST_TIMEOUT).no_proxy().build();
        let client = client.context("make an HTTP client")?;
        let poll = |address| runtime.spawn(until_answered(client.clone(), format!("http://{address}/ready")));
        Ok(Readiness { polls: addresses.iter().map(poll).collect(), _runtime: runtime })
    }

    /// Whether each process has answered.
    pub(super) fn all_answered(&self) -> bool {
        self.polls.iter().all(JoinHandle::is_finished)
    }
}

async fn until_answered(client: reqwest::Client, url: String) {
    while client.get(&url).send().await.is_err() {
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
