//! An object store that fails as it is told.

use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use tallow_runtime::checkpoint::CheckpointStore;
use tokio::sync::Semaphore;

/// The outcomes of the next writes; once they are used up, writes succeed.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Stores nothing and says so.
    Fail(&'static str),
    /// Stores something else, and says that all is well.
    Corrupt,
    /// Stores, and says that it failed.
    LoseAnswer,
    /// Waits until the test lets it go on, then stores.
    Hang(Arc<Semaphore>),
}

/// Memory, behind the faults.
#[derive(Debug, Default)]
pub(crate) struct Faulty {
    pub(crate) memory: InMemory,
    turns: Mutex<VecDeque<Turn>>,
    /// The objects that were to be written, in that order.
    pub(crate) tried: Mutex<Vec<String>>,
}

impl Faulty {
    /// A store of checkpoints on one.
    pub(crate) fn store(turns: impl IntoIterator<Item = Turn>) -> (Arc<Faulty>, CheckpointStore) {
        let faulty = Faulty { turns: Mutex::new(turns.into_iter().collect()), ..Faulty::default() };
        let faulty = Arc::new(faulty);
        let store = CheckpointStore::on(faulty.clone(), "memory", super::fixture::origin()).unwrap();
        (faulty, store)
    }

    pub(crate) fn tried(&self) -> usize {
        self.tried.lock().unwrap().len()
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty")
    }
}

fn failed(why: &str) -> Error {
    Error::Generic { store: "faulty", source: why.into() }
}

#[async_trait::async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, to: &Path, content: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.tried.lock().unwrap().push(to.to_string());
        let turn = self.turns.lock().unwrap().pop_front();
        match turn {
            Some(Turn::Fail(why)) => Err(failed(why)),
            Some(Turn::Corrupt) => {
                let mut bytes = Vec::from(bytes::Bytes::from(content));
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                self.memory.put_opts(to, bytes.into(), options).await
            }
            Some(Turn::LoseAnswer) => {
                self.memory.put_opts(to, content, options).await?;
                Err(failed("connection reset"))
            }
            Some(Turn::Hang(go_on)) => {
                go_on.acquire().await.unwrap().forget();
                self.memory.put_opts(to, content, options).await
            }
            None => self.memory.put_opts(to, content, options).await,
        }
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.memory.put_multipart_opts(to, options).await
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        self.memory.get_opts(from, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.memory.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.memory.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.memory.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.memory.copy_opts(from, to, options).await
    }
}
