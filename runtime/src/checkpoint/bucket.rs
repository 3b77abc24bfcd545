//! The bucket of checkpoints: an object store that a URL names, with blocking access for threads
//! without a runtime.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    ClientConfigKey, ObjectStore, ObjectStoreExt, ObjectStoreScheme, PutMode, PutPayload, RetryConfig,
};
use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tallow_model::error::{Action, Error};
use tokio::runtime::{Builder, Runtime};
use url::Url;

/// The time that a store may take for a small request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The slowest transfer rate that is tolerated, in bytes a second.
const MIN_BYTES_PER_SECOND: u64 = 1 << 20;
/// The time for which the client of a remote store retries by itself. It is short: the caller
/// retries too, and reports it.
const CLIENT_RETRY_TIMEOUT: Duration = Duration::from_secs(10);
/// The client's own limit to a request; [`CheckpointBucket`] has a tighter one, by size.
const CLIENT_TIMEOUT: &str = "3600 seconds";

/// An object in a listing.
#[derive(Debug)]
pub(super) struct ListedObject {
    /// The name, below the bucket's URL.
    pub(super) name: String,
    /// The size in bytes.
    pub(super) size: u64,
    /// The time of writing, by the store's clock, in milliseconds.
    pub(super) written_ms: i64,
}

/// The objects below a URL. No object is ever overwritten.
#[derive(Debug)]
pub(super) struct CheckpointBucket {
    /// Present until the bucket is dropped.
    runtime: Option<Runtime>,
    store: Arc<dyn ObjectStore>,
    /// The bucket's name in messages, without secrets.
    place: String,
    /// The path, if the bucket is a folder.
    folder: Option<PathBuf>,
}

impl CheckpointBucket {
    /// Opens the bucket at `url`. Creates a local folder; makes no network request. `variables` are
    /// the environment variables that a store's client reads.
    pub(super) fn open(url: &str, variables: &[(String, String)]) -> Result<CheckpointBucket, Error> {
        if let Some(folder) = folder_of(url)? {
            let failed = |source| Error::file("create folder", &folder, source);
            std::fs::create_dir_all(&folder).map_err(failed)?;
            let folder = std::fs::canonicalize(&folder).map_err(failed)?;
            let place = folder.display().to_string();
            let local =
                LocalFileSystem::new_with_prefix(&folder).map_err(|source| unusable(&place, &source))?;
            let mut bucket = CheckpointBucket::on(Arc::new(local.with_fsync(true)), place)?;
            bucket.folder = Some(folder);
            return Ok(bucket);
        }
        let url = remote(url)?;
        let place = url.to_string();
        let (store, prefix) = connect(&url, variables).map_err(|source| unusable(&place, &source))?;
        CheckpointBucket::on(Arc::new(PrefixStore::new(store, prefix)), place)
    }

    /// Opens a bucket on an existing store.
    pub(super) fn on(store: Arc<dyn ObjectStore>, place: String) -> Result<CheckpointBucket, Error> {
        let started = Builder::new_current_thread().enable_all().build();
        let runtime =
            started.map_err(|source| Error::Thread { name: "of checkpoints".to_owned(), source })?;
        Ok(CheckpointBucket { runtime: Some(runtime), store, place, folder: None })
    }

    /// Returns the bucket's name in messages.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Blocks until the work is done. Must not be called on a thread that runs a runtime.
    pub(super) fn wait<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(work),
            None => Err(Error::Invalid(format!("{} is being closed", self.place))),
        }
    }

    /// Creates an object. Returns false if there is one of that name, which stays unchanged.
    pub(super) async fn create(&self, name: &str, content: PutPayload) -> Result<bool, Error> {
        let limit = limit(content.content_length() as u64);
        let mode = PutMode::Create.into();
        let at = Path::from(name);
        let put = async {
            match self.store.put_opts(&at, content, mode).await {
                Ok(_) => Ok(true),
                Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
                Err(source) => Err(source),
            }
        };
        self.within(limit, "write", name, put).await
    }

    /// Reads an object of about that size; `None` if there is none.
    pub(super) async fn get(&self, name: &str, size: u64) -> Result<Option<Bytes>, Error> {
        let at = Path::from(name);
        let get = async {
            match self.store.get(&at).await {
                Ok(found) => found.bytes().await.map(Some),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(source) => Err(source),
            }
        };
        self.within(limit(size), "read", name, get).await
    }

    /// Lists all objects, or those in the folder `under`.
    pub(super) async fn list(&self, under: Option<&str>) -> Result<Vec<ListedObject>, Error> {
        let prefix = under.map(Path::from);
        let found = self.store.list(prefix.as_ref()).map_ok(|meta| ListedObject {
            name: meta.location.to_string(),
            size: meta.size,
            written_ms: meta.last_modified.timestamp_millis(),
        });
        self.within(REQUEST_TIMEOUT, "list", under.unwrap_or_default(), found.try_collect()).await
    }

    /// Removes objects. A missing object is no error.
    pub(super) async fn remove(&self, names: Vec<String>) -> Result<(), Error> {
        let Some(first) = names.first().cloned() else { return Ok(()) };
        let paths = names.into_iter().map(|name| Ok(Path::from(name)));
        let mut removed = self.store.delete_stream(futures_util::stream::iter(paths).boxed());
        let removed = async {
            while let Some(one) = removed.next().await {
                match one {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(source) => return Err(source),
                }
            }
            Ok(())
        };
        self.within(REQUEST_TIMEOUT, "remove", &first, removed).await
    }

    /// Lists the folders, if the bucket is one. A writer that was killed leaves folders behind that
    /// list no object.
    pub(super) fn folders(&self) -> Result<Vec<String>, Error> {
        let Some(folder) = &self.folder else { return Ok(Vec::new()) };
        let failed = |source| Error::file("list", folder, source);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            names.extend(entry.map_err(failed)?.file_name().into_string());
        }
        Ok(names)
    }

    /// Removes a folder and its content, if the bucket is a folder.
    pub(super) fn remove_folder(&self, name: &str) -> Result<(), Error> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let path = folder.join(name);
        match std::fs::remove_dir_all(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::file("remove folder", &path, source))
            }
            _ => Ok(()),
        }
    }

    async fn within<T>(
        &self,
        limit: Duration,
        action: &'static str,
        name: &str,
        answer: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, Error> {
        let on = || [self.place.trim_end_matches('/'), name].join("/").trim_end_matches('/').to_owned();
        match tokio::time::timeout(limit, answer).await {
            Ok(answer) => answer.map_err(|source| Error::External {
                tried: action,
                on: on(),
                action: self::action(&source),
                source: source.into(),
            }),
            Err(_) => Err(Error::Timeout { tried: action, on: on(), limit }),
        }
    }
}

impl Drop for CheckpointBucket {
    /// Does not wait for a disk or a server that hangs.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Returns whether the failure may pass: the classification of the store's errors.
fn action(error: &object_store::Error) -> Action {
    use object_store::Error as Kind;
    match error {
        Kind::NotFound { .. }
        | Kind::InvalidPath { .. }
        | Kind::NotSupported { .. }
        | Kind::NotImplemented { .. }
        | Kind::PermissionDenied { .. }
        | Kind::Unauthenticated { .. }
        | Kind::UnknownConfigurationKey { .. } => Action::Stop,
        _ => Action::Retry,
    }
}

fn limit(size: u64) -> Duration {
    REQUEST_TIMEOUT + Duration::from_secs(size / MIN_BYTES_PER_SECOND)
}

fn unusable(place: &str, source: &object_store::Error) -> Error {
    Error::Invalid(format!("checkpoint.url names {place}, which can't be used: {source}"))
}

/// Returns the environment variables that an object store may read.
pub(super) fn variables() -> Vec<(String, String)> {
    let readable =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(readable).collect()
}

/// Checks that a URL names a folder or a place in an object store. Creates nothing and makes no
/// request.
pub(super) fn check(url: &str, variables: &[(String, String)]) -> Result<(), Error> {
    if folder_of(url)?.is_some() {
        return Ok(());
    }
    let url = remote(url)?;
    connect(&url, variables).map(drop).map_err(|source| unusable(url.as_str(), &source))
}

/// Returns the folder that a `file:` URL names: an absolute one as `file:///PATH`, or any path
/// after `file:`.
fn folder_of(url: &str) -> Result<Option<PathBuf>, Error> {
    let Some(path) = url.strip_prefix("file:") else { return Ok(None) };
    if path.starts_with("//") {
        let parsed = Url::parse(url).ok().and_then(|url| url.to_file_path().ok());
        return parsed.map(Some).ok_or_else(|| {
            let text = "checkpoint.url names no folder of this machine: write file:PATH or file:///PATH";
            Error::Invalid(text.to_owned())
        });
    }
    if path.is_empty() {
        return Err(Error::Invalid("checkpoint.url names no folder: write file:PATH".to_owned()));
    }
    Ok(Some(PathBuf::from(path)))
}

/// Parses the URL of a remote store. A URL with a secret in it is refused, and not repeated.
fn remote(text: &str) -> Result<Url, Error> {
    let refused = |why: &str| Error::Invalid(format!("checkpoint.url {why}"));
    let url = Url::parse(text).map_err(|error| {
        refused(&format!("is no URL ({error}): write file:PATH, s3://BUCKET/PREFIX, gs://… or az://…"))
    })?;
    // The container before the @ of an Azure URL is no user.
    let user =
        !url.username().is_empty() && !matches!(url.scheme(), "abfs" | "abfss" | "az" | "azure" | "adl");
    if user || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(refused(
            "has more than a place in it: credentials and options come from the environment variables of the object \
             store (AWS_ACCESS_KEY_ID, AWS_ENDPOINT, …)",
        ));
    }
    Ok(url)
}

/// Connects to the store, with credentials and options from its usual variables. Returns the store
/// and the path in it.
fn connect(
    url: &Url,
    variables: &[(String, String)],
) -> Result<(Box<dyn ObjectStore>, Path), object_store::Error> {
    let (scheme, prefix) = ObjectStoreScheme::parse(url)?;
    let retry = RetryConfig { max_retries: 3, retry_timeout: CLIENT_RETRY_TIMEOUT, ..RetryConfig::default() };
    let timeout = ClientConfigKey::Timeout;
    let store: Box<dyn ObjectStore> = match scheme {
        ObjectStoreScheme::Memory => Box::new(InMemory::new()),
        ObjectStoreScheme::AmazonS3 => {
            let mut builder = AmazonS3Builder::new().with_retry(retry);
            for (key, value) in of("AWS_", variables) {
                builder = builder.with_config(key, value);
            }
            builder = builder.with_config(AmazonS3ConfigKey::Client(timeout), CLIENT_TIMEOUT);
            Box::new(builder.with_url(url.as_str()).build()?)
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            let mut builder = GoogleCloudStorageBuilder::new().with_retry(retry);
            for (key, value) in of("GOOGLE_", variables) {
                builder = builder.with_config(key, value);
            }
            builder = builder.with_config(GoogleConfigKey::Client(timeout), CLIENT_TIMEOUT);
            Box::new(builder.with_url(url.as_str()).build()?)
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let mut builder = MicrosoftAzureBuilder::new().with_retry(retry);
            for (key, value) in of("AZURE_", variables) {
                builder = builder.with_config(key, value);
            }
            builder = builder.with_config(AzureConfigKey::Client(timeout), CLIENT_TIMEOUT);
            Box::new(builder.with_url(url.as_str()).build()?)
        }
        _ => {
            let text = "it is neither a folder nor S3, Google Cloud Storage or Azure Blob Storage";
            return Err(object_store::Error::NotSupported { source: text.into() });
        }
    };
    Ok((store, prefix))
}

/// Returns the options among the variables with this prefix; the others belong to other programs.
fn of<'a, K: FromStr>(
    prefix: &'a str,
    variables: &'a [(String, String)],
) -> impl Iterator<Item = (K, &'a str)> {
    let ours = variables.iter().filter(move |(name, _)| name.starts_with(prefix));
    ours.filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tallow_model::error::chain;

    fn refusal(url: &str) -> String {
        chain(&CheckpointBucket::open(url, &[]).expect_err(url))
    }

    #[test]
    fn a_file_url_names_a_folder_relative_or_absolute() {
        let folder = |url| folder_of(url).expect(url).expect(url);
        assert_eq!(folder("file:tallow-checkpoints"), PathBuf::from("tallow-checkpoints"));
        assert_eq!(folder("file:../a b"), PathBuf::from("../a b"));
        assert_eq!(folder("file:/srv/checkpoints"), PathBuf::from("/srv/checkpoints"));
        assert_eq!(folder("file:///srv/a%20b"), PathBuf::from("/srv/a b"));
        assert!(folder_of("s3://bucket").expect("not a folder").is_none());
    }

    #[test]
    fn a_url_that_can_not_be_used_is_refused_with_the_reason() {
        assert!(refusal("tallow").contains("is no URL"), "{}", refusal("tallow"));
        assert!(refusal("file:").contains("names no folder"));
        assert!(refusal("file://elsewhere/folder").contains("no folder of this machine"));
        for other in ["https://example.org/checkpoints", "ftp://example.org/checkpoints"] {
            assert!(refusal(other).contains("can't be used"), "{}", refusal(other));
        }
    }

    #[test]
    fn a_url_with_a_secret_is_refused_and_not_repeated() {
        for url in
            ["s3://key:hunter2@bucket/x", "s3://hunter2@bucket/x", "az://c/x?sig=hunter2", "gs://b/x#hunter2"]
        {
            let refusal = refusal(url);
            assert!(refusal.contains("environment") && !refusal.contains("hunter2"), "{refusal}");
        }
    }
}
