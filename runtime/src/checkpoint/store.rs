//! The checkpoints in a bucket: which exist, which one a start resumes from, and which are removed.

use super::bucket::{self, CheckpointBucket};
use super::config::CheckpointConfig;
use super::format::{EncodedPart, StoredPart};
use super::found::Found;
use super::names::{self, ListedParts};
use super::origin::Origin;
use futures_util::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tallow_dataflow::CheckpointId;
use tallow_model::error::{Error, chain};

/// The number of parts that are read at a time.
const MAX_READS: usize = 4;
/// The fewest checkpoints that are kept, whatever the settings say.
const MIN_KEPT: usize = 3;

/// The checkpoints of one pipeline in one bucket. Clones share the store.
///
/// The methods block. They must not be called on a thread that runs a tokio runtime.
#[derive(Clone, Debug)]
pub struct CheckpointStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bucket: CheckpointBucket,
    origin: Origin,
    /// Checkpoints found to be damaged: they do not count among those kept.
    damaged: Mutex<BTreeSet<CheckpointId>>,
}

impl CheckpointStore {
    /// Opens the bucket that the settings name: `file:PATH` (relative to the working directory,
    /// created if missing), `file:///PATH`, `s3://BUCKET/PREFIX`, `gs://…`, `az://…` with the usual
    /// environment variables of each, or `memory:///`, which is gone with the store. Makes no
    /// network request.
    ///
    /// # Errors
    /// If the URL names no usable place, or the folder can't be created.
    pub fn open(config: &CheckpointConfig, origin: Origin) -> Result<CheckpointStore, Error> {
        CheckpointStore::open_with(config, origin, &bucket::variables())
    }

    /// Opens the bucket like [`CheckpointStore::open`], with these variables (`AWS_ENDPOINT`, …)
    /// instead of the environment's.
    ///
    /// # Errors
    /// The errors of [`CheckpointStore::open`].
    pub fn open_with(
        config: &CheckpointConfig,
        origin: Origin,
        variables: &[(String, String)],
    ) -> Result<CheckpointStore, Error> {
        Ok(CheckpointStore::of(CheckpointBucket::open(&config.url, variables)?, origin))
    }

    /// Keeps checkpoints in an existing object store; `place` is its name in messages.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn on(store: Arc<dyn ObjectStore>, place: &str, origin: Origin) -> Result<CheckpointStore, Error> {
        Ok(CheckpointStore::of(CheckpointBucket::on(store, place.to_owned())?, origin))
    }

    fn of(bucket: CheckpointBucket, origin: Origin) -> CheckpointStore {
        let damaged = Mutex::new(BTreeSet::new());
        CheckpointStore { inner: Arc::new(Inner { bucket, origin, damaged }) }
    }

    /// Returns the bucket's name in messages.
    pub fn place(&self) -> &str {
        self.inner.bucket.place()
    }

    /// Returns the origin of the checkpoints.
    pub fn origin(&self) -> &Origin {
        &self.inner.origin
    }

    pub(super) fn bucket(&self) -> &CheckpointBucket {
        &self.inner.bucket
    }

    /// Returns the newest checkpoint that can be resumed from; `None` if none was ever completed. A
    /// checkpoint with a missing or damaged part is passed over, and logged.
    ///
    /// # Errors
    /// If there are complete checkpoints and none of them can be read; if the newest readable one
    /// has another source or was taken under other settings; if the store does not answer.
    pub fn newest(&self) -> Result<Option<Found>, Error> {
        self.bucket().wait(self.find_newest())
    }

    async fn find_newest(&self) -> Result<Option<Found>, Error> {
        let listed = self.bucket().list(None).await?;
        let mut unreadable = Vec::new();
        let mut incomplete = 0;
        for (id, parts) in names::checkpoints(&listed).into_iter().rev() {
            let checkpoint = names::folder(id);
            let sizes = match parts.complete() {
                Ok(sizes) => sizes,
                Err(problem) => {
                    incomplete += 1;
                    tracing::warn!(
                        checkpoint,
                        problem,
                        "checkpoint is not complete, looking for an older one"
                    );
                    continue;
                }
            };
            match self.read(id, &sizes).await {
                Ok(found) => {
                    self.check_origin(&found)?;
                    return Ok(Some(found));
                }
                Err(error) => {
                    let problem = chain(&error);
                    tracing::warn!(checkpoint, problem, "checkpoint can't be used, looking for an older one");
                    self.lock_damaged().insert(id);
                    unreadable.push(problem);
                }
            }
        }
        let place = self.place();
        if !unreadable.is_empty() {
            return Err(Error::Invalid(format!(
                "no checkpoint in {place} can be used: {}; repair them, name another checkpoint.url, or start with \
                 --from-scratch to read the log from its beginning",
                unreadable.join("; ")
            )));
        }
        if incomplete > 0 {
            tracing::warn!(place, incomplete, "no checkpoint has been completed, starting without one");
        }
        Ok(None)
    }

    /// Reads all parts of a checkpoint.
    async fn read(&self, id: CheckpointId, sizes: &[u64]) -> Result<Found, Error> {
        let workers = sizes.len();
        let reads = sizes.iter().enumerate().map(|(worker, size)| self.read_part(id, worker, workers, *size));
        let parts = futures_util::stream::iter(reads).buffered(MAX_READS).try_collect().await?;
        Found::new(id, parts)
    }

    async fn read_part(
        &self,
        id: CheckpointId,
        worker: usize,
        workers: usize,
        size: u64,
    ) -> Result<StoredPart, Error> {
        let name = names::part(id, worker, workers);
        let damaged = |detail: &str| Error::Damaged { what: name.clone(), detail: detail.to_owned() };
        let bytes = self.bucket().get(&name, size).await?.ok_or_else(|| damaged("it is gone"))?;
        let part = StoredPart::read(&name, bytes)?;
        let head = &part.head;
        if (head.id, head.worker, head.workers) != (id, worker, workers) {
            return Err(damaged("it is another part than its name says"));
        }
        Ok(part)
    }

    fn check_origin(&self, found: &Found) -> Result<(), Error> {
        let differences = found.differences(self.origin());
        if differences.is_empty() {
            return Ok(());
        }
        Err(Error::Invalid(format!(
            "checkpoint {} in {} can't be taken up, because it was taken under other settings: {}; set them back, name \
             another checkpoint.url, or start with --from-scratch to read the log from its beginning",
            names::folder(found.id),
            self.place(),
            differences.join(", ")
        )))
    }

    /// Removes all checkpoints, incomplete ones included. Returns their number.
    ///
    /// # Errors
    /// If the store does not answer, or refuses the removal. Some checkpoints may be gone then.
    pub fn discard_all(&self) -> Result<usize, Error> {
        self.bucket().wait(async {
            let listed = self.bucket().list(None).await?;
            let mut found: BTreeSet<CheckpointId> = names::checkpoints(&listed).into_keys().collect();
            found.extend(self.bucket().folders()?.iter().filter_map(|folder| names::id_of(folder)));
            self.remove(&found).await?;
            Ok(found.len())
        })
    }

    /// Writes a part and reads it back.
    ///
    /// # Errors
    /// If it could not be written. [`Error::Damaged`] if it read back differently: then it has been
    /// removed again.
    pub(super) async fn put(&self, part: &EncodedPart) -> Result<(), Error> {
        let bucket = self.bucket();
        let head = &part.head;
        let name = names::part(head.id, head.worker, head.workers);
        // An existing object is left over from an attempt without a response, or from one that was
        // never finished.
        bucket.create(&name, part.content()).await?;
        match bucket.get(&name, part.size()).await? {
            Some(bytes) if part.is_same(&bytes) => Ok(()),
            Some(_) => {
                bucket.remove(vec![name.clone()]).await?;
                Err(Error::Damaged {
                    what: name,
                    detail: "it did not read back as it was written".to_owned(),
                })
            }
            None => Err(Error::Damaged { what: name, detail: "it was gone after it was written".to_owned() }),
        }
    }

    /// Removes the checkpoints that are older than the newest `keep` complete ones. Returns their
    /// number.
    ///
    /// # Errors
    /// If the store does not answer, or refuses the removal. Some checkpoints may be gone then.
    pub(super) async fn collect(&self, keep: usize) -> Result<usize, Error> {
        let listed = self.bucket().list(None).await?;
        let checkpoints = names::checkpoints(&listed);
        let complete = |(id, parts): &(&CheckpointId, &ListedParts)| {
            parts.complete().is_ok() && !self.lock_damaged().contains(*id)
        };
        let kept = checkpoints.iter().rev().filter(complete).nth(keep.max(MIN_KEPT) - 1);
        let Some((&oldest_kept, _)) = kept else { return Ok(0) };
        let mut old: BTreeSet<CheckpointId> = checkpoints.into_keys().collect();
        old.extend(self.bucket().folders()?.iter().filter_map(|folder| names::id_of(folder)));
        old.retain(|id| *id < oldest_kept);
        self.remove(&old).await?;
        Ok(old.len())
    }

    /// Removes checkpoints, the oldest first.
    async fn remove(&self, ids: &BTreeSet<CheckpointId>) -> Result<(), Error> {
        for id in ids {
            let folder = names::folder(*id);
            let objects = self.bucket().list(Some(&folder)).await?;
            self.bucket().remove(objects.into_iter().map(|object| object.name).collect()).await?;
            self.bucket().remove_folder(&folder)?;
        }
        Ok(())
    }

    fn lock_damaged(&self) -> std::sync::MutexGuard<'_, BTreeSet<CheckpointId>> {
        self.inner.damaged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
