//! The registered runs, for sinks that must fence the producers of earlier runs.
//!
//! Each run registers its number of workers before it produces anything. A later run, with any
//! number of workers itself, then knows up to which worker there may still be a producer that does
//! not know yet that its run has ended.

use super::bucket::ListedObject;
use super::names::run_text;
use super::store::CheckpointStore;
use serde::Serialize;
use tallow_model::error::Error;

const FOLDER: &str = "runs";
/// The number of newest registrations that are always kept.
const MIN_KEPT_RUNS: usize = 3;
/// The time for which an older registration is kept that had more workers than any since: longer
/// than any transaction may stay open.
const RETENTION_MS: i64 = 24 * 60 * 60 * 1_000;

/// The content of a registration, for human readers; its name holds the same.
#[derive(Serialize)]
struct Registration<'a> {
    run: String,
    workers: usize,
    source: &'a str,
}

/// A registration in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Registered {
    run: u128,
    workers: usize,
    written_ms: i64,
}

impl CheckpointStore {
    /// Registers a run with this many workers in all. Each of its processes may do so. Forgets the
    /// runs that no longer matter.
    ///
    /// # Errors
    /// If the store does not answer or can't be written.
    pub fn register_run(&self, run: u128, workers: usize) -> Result<(), Error> {
        let registration = Registration { run: run_text(run), workers, source: &self.origin().source };
        let content = serde_json::to_vec(&registration)
            .map_err(|error| Error::Invalid(format!("write the registration of a run: {error}")))?;
        self.bucket().wait(async {
            self.bucket().create(&name(run, workers), content.into()).await?;
            let forgotten = forgotten(self.registered().await?);
            self.bucket().remove(forgotten).await
        })
    }

    /// Returns the most workers of any registered run; 0 if none is registered.
    ///
    /// # Errors
    /// If the store does not answer.
    pub fn most_workers(&self) -> Result<usize, Error> {
        let runs = self.bucket().wait(self.registered())?;
        Ok(runs.iter().map(|run| run.workers).max().unwrap_or(0))
    }

    async fn registered(&self) -> Result<Vec<Registered>, Error> {
        Ok(self.bucket().list(Some(FOLDER)).await?.iter().filter_map(parse).collect())
    }
}

fn name(run: u128, workers: usize) -> String {
    format!("{FOLDER}/{}-{workers:05}", run_text(run))
}

fn parse(object: &ListedObject) -> Option<Registered> {
    let (run, workers) = object.name.strip_prefix(FOLDER)?.strip_prefix('/')?.split_once('-')?;
    let (run, workers) = (u128::from_str_radix(run, 16).ok()?, workers.parse().ok()?);
    (name(run, workers) == object.name).then_some(Registered { run, workers, written_ms: object.written_ms })
}

/// Returns the names of the registrations that no longer matter: a newer run has as many workers,
/// or the registration is old. Time is the store's: the newest registration was written now.
fn forgotten(mut runs: Vec<Registered>) -> Vec<String> {
    runs.sort_by_key(|run| std::cmp::Reverse(run.run));
    let now_ms = runs.iter().map(|run| run.written_ms).max().unwrap_or(0);
    let mut most = 0;
    let mut forgotten = Vec::new();
    for (age, run) in runs.into_iter().enumerate() {
        let matters = run.workers > most && now_ms.saturating_sub(run.written_ms) <= RETENTION_MS;
        if age >= MIN_KEPT_RUNS && !matters {
            forgotten.push(name(run.run, run.workers));
        }
        most = most.max(run.workers);
    }
    forgotten
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(run: u128, workers: usize, written_ms: i64) -> Registered {
        Registered { run, workers, written_ms }
    }

    #[test]
    fn an_older_run_matters_while_none_since_had_as_many_workers() {
        let runs = vec![run(1, 4, 1), run(2, 8, 2), run(3, 8, 3), run(4, 2, 4), run(5, 2, 5), run(6, 2, 6)];
        assert_eq!(forgotten(runs), [name(2, 8), name(1, 4)]);
    }

    #[test]
    fn an_older_run_does_not_matter_for_ever_but_the_newest_stay() {
        let long = RETENTION_MS + 1;
        let runs = vec![run(1, 64, 0), run(2, 8, 1), run(3, 2, 1), run(4, 2, 1), run(5, 2, long)];
        assert_eq!(forgotten(runs), [name(1, 64)]);
        assert!(forgotten(vec![run(1, 9, 0), run(2, 1, 0), run(3, 1, 9 * long)]).is_empty());
    }

    #[test]
    fn a_name_says_what_the_registration_does() {
        let listed = |name: String| ListedObject { name, size: 1, written_ms: 7 };
        assert_eq!(parse(&listed(name(u128::MAX, 16))), Some(run(u128::MAX, 16, 7)));
        for other in ["runs/x", "runs/1-1", "other/1"] {
            assert_eq!(parse(&listed(other.to_owned())), None, "{other}");
        }
    }
}
