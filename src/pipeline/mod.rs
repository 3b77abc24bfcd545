//! What a program that runs the graph and shows its results is made of, whatever its log and its stores are: the
//! threads of the graph, the outlet that each worker writes to, the board that says where everything stands, and the
//! threads of the server.

mod board;
mod graph;
mod outlet;
mod web;

pub(crate) use board::{Board, BoardSettings, LogStatus, Partitions};
pub(crate) use graph::Graph;
pub(crate) use outlet::{Destinations, Store, WorkerOutlet};
pub(crate) use web::{Web, listen};

use anyhow::anyhow;
use tallow_connectors::Error;
use tallow_connectors::error::chain;

/// The error with its causes, each said once.
pub(crate) fn told(error: Error) -> anyhow::Error {
    anyhow!(chain(&error))
}
