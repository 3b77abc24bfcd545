//! TLS: the server's certificate and key, and the handshake with each caller.

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// The only protocol that the server offers over TLS.
const PROTOCOL: &[u8] = b"http/1.1";

/// A certificate with its key, for TLS 1.2 or 1.3. Callers need no certificate of their own.
#[derive(Clone)]
pub struct Tls(Arc<ServerConfig>);

/// A certificate or its key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read, or does not hold the expected content in PEM.
    #[error("read {what} from {}", path.display())]
    Read {
        /// The expected content.
        what: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: pem::Error,
    },
    /// The key does not belong to the certificate, or TLS allows neither.
    #[error("use the certificate {} with the key {}", certificate.display(), key.display())]
    Use {
        /// File of the certificate.
        certificate: PathBuf,
        /// File of the key.
        key: PathBuf,
        /// The reason.
        #[source]
        source: rustls::Error,
    },
}

impl Tls {
    /// Reads the certificate, followed by those that lead from it to its issuer, and its key (PKCS
    /// #8, PKCS #1 or SEC 1), both as PEM. A certificate that is renewed is read at the next start.
    ///
    /// # Errors
    /// If a file is missing or of another kind, or the key does not belong to the certificate.
    pub fn read(certificate: &Path, key: &Path) -> Result<Tls, TlsError> {
        let unread = |what, path: &Path| {
            let path = path.to_owned();
            move |source| TlsError::Read { what, path, source }
        };
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) })
            .map_err(unread("a certificate", certificate))?;
        let secret = PrivateKeyDer::from_pem_file(key).map_err(unread("a private key", key))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret));
        let mut config = config.map_err(|source| TlsError::Use {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            source,
        })?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Tls(Arc::new(config)))
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.0.clone().into()
    }
}

impl fmt::Debug for Tls {
    /// Writes nothing of the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}
