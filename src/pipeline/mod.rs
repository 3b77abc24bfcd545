//! What a program that runs the graph and shows its results is made of, whatever its log and its stores are: the
//! threads of the graph, the outlet that each worker writes to, the board that says where everything stands, and the
//! threads of the server.

mod board;
mod checkpoints;
pub(crate) mod files;
mod graph;
mod outlet;
mod web;

pub(crate) use board::{Board, BoardSettings, LogStatus, Partitions};
pub(crate) use checkpoints::{Checkpoints, Past};
pub(crate) use graph::Graph;
pub(crate) use outlet::{Destinations, Store, WorkerOutlet};
pub(crate) use web::{Web, listen};

use anyhow::{anyhow, bail};
use std::sync::{Mutex, PoisonError};
use tallow_connectors::Error;
use tallow_connectors::error::chain;

/// Whether the threads of the graph and of the server still run.
///
/// # Errors
/// When one has ended, with what it had to say.
pub(crate) fn still_runs(graph: &mut Option<Graph>, web: &mut Option<Web>) -> anyhow::Result<()> {
    if let Some(graph) = graph.take_if(|graph| graph.has_ended()) {
        graph.stop()?;
        bail!("the dataflow has ended");
    }
    if let Some(web) = web.take_if(|web| web.has_stopped()) {
        web.join()?;
        bail!("the server has stopped");
    }
    Ok(())
}

/// Lays something ready for one worker.
pub(crate) fn lay<T>(it: T) -> Mutex<Option<T>> {
    Mutex::new(Some(it))
}

/// What was laid ready for one worker, which takes it once.
pub(crate) fn take<T>(ready: &Mutex<Option<T>>) -> Option<T> {
    ready.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The error with its causes, each said once.
pub(crate) fn told(error: Error) -> anyhow::Error {
    anyhow!(chain(&error))
}
