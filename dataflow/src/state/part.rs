//! One worker's part of a checkpoint as it leaves the graph.
//!
//! A part shares its rows with the worker: taking it copies no row and takes microseconds. The
//! worker copies a shared piece only before it changes that piece.

use crate::state::checkpoint::{CheckpointId, ResumePoint, State};
use crate::state::log_return::LogReturn;
use crate::state::minute::Minute;
use crate::state::versions::{self, Versions};
use std::sync::Arc;
use tallow_model::Symbol;

/// One worker's part of a checkpoint.
#[derive(Clone, Debug)]
pub struct CheckpointPart {
    /// The checkpoint that the part belongs to.
    pub id: CheckpointId,
    /// Index of the worker, counted over all processes.
    pub worker: usize,
    /// Number of workers, and so of parts.
    pub workers: usize,
    /// Resume points of the worker's partitions.
    pub partitions: Vec<ResumePoint>,
    pub(crate) state: SharedState,
}

impl CheckpointPart {
    /// Copies the state of the worker's symbols out piece by piece: each call of `take` gets some
    /// of the rows, and no more than one piece is in memory at a time.
    ///
    /// # Errors
    /// Returns the first error of `take`, which is not called again.
    pub fn for_each_piece<E>(&self, mut take: impl FnMut(State) -> Result<(), E>) -> Result<(), E> {
        let SharedState { minutes, returns, rollups } = &self.state;
        for piece in minutes {
            let minutes = piece.iter().map(Minute::retained).collect();
            take(State { minutes, ..State::default() })?;
        }
        for piece in returns {
            let returns = piece.iter().map(|(symbol, log_return)| log_return.retained(*symbol)).collect();
            take(State { returns, ..State::default() })?;
        }
        for piece in rollups {
            take(State { rollups: versions::retained(piece).collect(), ..State::default() })?;
        }
        Ok(())
    }

    /// Number of rows: minutes, returns and roll-ups together.
    pub fn rows(&self) -> usize {
        let SharedState { minutes, returns, rollups } = &self.state;
        let minutes: usize = minutes.iter().map(|piece| piece.len()).sum();
        let returns: usize = returns.iter().map(|piece| piece.len()).sum();
        minutes + returns + rollups.iter().map(|piece| piece.len()).sum::<usize>()
    }
}

/// Rows that a part shares with the operators that keep them: minutes and returns with `minutes`,
/// roll-ups with `settle`.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedState {
    pub(crate) minutes: Vec<Arc<Vec<Minute>>>,
    pub(crate) returns: Vec<Arc<Vec<(Symbol, LogReturn)>>>,
    pub(crate) rollups: Vec<Arc<Versions>>,
}
