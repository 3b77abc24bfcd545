//! The object store that a URL names, and how to wait for it from threads that have no runtime of their own.

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

/// How long a store may take for anything small.
const PATIENCE: Duration = Duration::from_secs(30);
/// The slowest line that an object may take, in bytes a second.
const SLOWEST: u64 = 1 << 20;
/// How long the client of a remote store tries by itself again. Not long: whoever waits tries again too, and can say so.
const CLIENT_RETRIES: Duration = Duration::from_secs(10);
/// The client's own limit to a request; [`Objects`] has a tighter one, by size.
const CLIENT_TIMEOUT: &str = "3600 seconds";

/// An object in a listing.
#[derive(Debug)]
pub(super) struct Listed {
    /// Its name, below the place that the URL names.
    pub(super) name: String,
    /// In bytes.
    pub(super) size: u64,
    /// When it was written, by the store's clock, in milliseconds.
    pub(super) written_ms: i64,
}

/// Objects below the place that a URL names. Nothing is ever written in place.
#[derive(Debug)]
pub(super) struct Objects {
    /// There until it is dropped.
    runtime: Option<Runtime>,
    store: Arc<dyn ObjectStore>,
    /// How messages call the place; no secret in it.
    place: String,
    /// Where it is, if it is a folder.
    folder: Option<PathBuf>,
}

impl Objects {
    /// Those at a URL. A folder is made; what lies behind a network is not asked yet.
    /// The variables are those of the environment that a store's client knows.
    pub(super) fn open(url: &str, variables: &[(String, String)]) -> Result<Objects, Error> {
        if let Some(folder) = folder_of(url)? {
            let failed = |source| Error::file("create folder", &folder, source);
            std::fs::create_dir_all(&folder).map_err(failed)?;
            let folder = std::fs::canonicalize(&folder).map_err(failed)?;
            let place = folder.display().to_string();
            let local =
                LocalFileSystem::new_with_prefix(&folder).map_err(|source| unusable(&place, &source))?;
            let mut objects = Objects::on(Arc::new(local.with_fsync(true)), place)?;
            objects.folder = Some(folder);
            return Ok(objects);
        }
        let url = remote(url)?;
        let place = url.to_string();
        let (store, prefix) = connect(&url, variables).map_err(|source| unusable(&place, &source))?;
        Objects::on(Arc::new(PrefixStore::new(store, prefix)), place)
    }

    /// Those in a store that is there already.
    pub(super) fn on(store: Arc<dyn ObjectStore>, place: String) -> Result<Objects, Error> {
        let started = Builder::new_current_thread().enable_all().build();
        let runtime =
            started.map_err(|source| Error::Thread { name: "of checkpoints".to_owned(), source })?;
        Ok(Objects { runtime: Some(runtime), store, place, folder: None })
    }

    /// How messages call the place.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Blocks until it is done. Not to be called on a thread that runs a runtime.
    pub(super) fn wait<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(work),
            None => Err(Error::Invalid(format!("{} is being closed", self.place))),
        }
    }

    /// Writes a new object; false when there is one of that name, which stays as it is.
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

    /// The bytes of an object of about that size; none when there is no such object.
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

    /// All objects, or those in the folder `under`.
    pub(super) async fn list(&self, under: Option<&str>) -> Result<Vec<Listed>, Error> {
        let prefix = under.map(Path::from);
        let found = self.store.list(prefix.as_ref()).map_ok(|meta| Listed {
            name: meta.location.to_string(),
            size: meta.size,
            written_ms: meta.last_modified.timestamp_millis(),
        });
        self.within(PATIENCE, "list", under.unwrap_or_default(), found.try_collect()).await
    }

    /// Removes objects; one that is not there is no error.
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
        self.within(PATIENCE, "remove", &first, removed).await
    }

    /// The folders, where the place is one. A writer that was killed leaves folders there that list no object.
    pub(super) fn folders(&self) -> Result<Vec<String>, Error> {
        let Some(folder) = &self.folder else { return Ok(Vec::new()) };
        let failed = |source| Error::file("list", &folder, source);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            names.extend(entry.map_err(failed)?.file_name().into_string());
        }
        Ok(names)
    }

    /// Removes a folder and whatever is left in it, where the place is a folder.
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

impl Drop for Objects {
    /// Without waiting for a disk or a server that hangs.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Whether it may pass by itself.
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
    PATIENCE + Duration::from_secs(size / SLOWEST)
}

fn unusable(place: &str, source: &object_store::Error) -> Error {
    Error::Invalid(format!("checkpoint.url names {place}, which can't be used: {source}"))
}

/// The variables of the environment, among which those of an object store may be.
pub(super) fn variables() -> Vec<(String, String)> {
    let readable =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(readable).collect()
}

/// Whether a URL names a folder or a place in an object store; makes nothing and asks nobody.
pub(super) fn check(url: &str, variables: &[(String, String)]) -> Result<(), Error> {
    if folder_of(url)?.is_some() {
        return Ok(());
    }
    let url = remote(url)?;
    connect(&url, variables).map(drop).map_err(|source| unusable(url.as_str(), &source))
}

/// The folder that a `file:` URL names: an absolute one as `file:///PATH`, or any path after `file:` as it stands.
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

/// The URL of anything but a folder. What may hold a secret is refused, and not repeated.
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

/// The store, with credentials and options from its usual variables, and the place in it.
fn connect(
    url: &Url,
    variables: &[(String, String)],
) -> Result<(Box<dyn ObjectStore>, Path), object_store::Error> {
    let (scheme, prefix) = ObjectStoreScheme::parse(url)?;
    let retry = RetryConfig { max_retries: 3, retry_timeout: CLIENT_RETRIES, ..RetryConfig::default() };
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

/// The options among the variables with this prefix; the others are of other programs.
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
        chain(&Objects::open(url, &[]).expect_err(url))
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
