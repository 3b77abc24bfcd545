//! Rows in pieces, which a checkpoint can share without copying them.

use std::sync::Arc;

/// Rows in pieces. A piece that a checkpoint shares is copied before it changes.
#[derive(Debug)]
pub(super) struct Pieces<T>(Vec<Arc<Vec<T>>>);

/// Number of rows in a piece. Copying a shared piece takes some ten microseconds.
const PIECE: usize = 256;

impl<T: Clone> Pieces<T> {
    /// Appends a row and returns its index.
    pub(super) fn push(&mut self, row: T) -> usize {
        match self.0.last_mut().filter(|piece| piece.len() < PIECE) {
            Some(piece) => Arc::make_mut(piece).push(row),
            None => self.0.push(Arc::new(vec![row])),
        }
        self.len() - 1
    }

    fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * PIECE + last.len())
    }

    pub(super) fn get(&self, index: u32) -> Option<&T> {
        self.0.get(index as usize / PIECE)?.get(index as usize % PIECE)
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        Arc::make_mut(self.0.get_mut(index as usize / PIECE)?).get_mut(index as usize % PIECE)
    }

    /// Returns the pieces, shared.
    pub(super) fn share(&self) -> impl Iterator<Item = Arc<Vec<T>>> {
        self.0.iter().cloned()
    }

    /// Takes the pieces apart, to be consumed in portions.
    pub(super) fn into_rest(self) -> Rest<T> {
        self.0.into_iter()
    }
}

impl<T> Default for Pieces<T> {
    fn default() -> Pieces<T> {
        Pieces(Vec::new())
    }
}

/// The pieces that are still to be consumed.
pub(super) type Rest<T> = std::vec::IntoIter<Arc<Vec<T>>>;

/// Returns the rows of a piece, copied only if a checkpoint still shares the piece.
pub(super) fn unshared<T: Clone>(piece: Arc<Vec<T>>) -> Vec<T> {
    Arc::unwrap_or_clone(piece)
}
