//! Certificates for RTMPS: which one a client is shown, and new ones without a restart.
//!
//! A client says which host it wants (SNI, RFC 6066 §3); the certificate that has the name is shown to it, else the first
//! one. Files that change are read again. If they cannot be used, the old certificates stay and the log says why: a
//! renewal that goes wrong must not cut anyone off before the old certificate runs out. Keys never leave this module.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{signal::unix::Signal, time::interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::Certificate;

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// The certificates of the server, as their files last were.
pub struct Certificates {
    files: Vec<Certificate>,
    shown: Arc<Shown>,
}

impl Certificates {
    /// Reads the files. The first certificate is for clients that ask for no name, or one that no certificate has.
    pub fn load(files: &[Certificate]) -> Result<Self, CertificateError> {
        let set = Set::load(files)?;
        Ok(Self {
            files: files.to_vec(),
            shown: Arc::new(Shown(RwLock::new(Arc::new(set)))),
        })
    }

    /// What a TLS handshake needs.
    pub(super) fn server_config(&self) -> Result<ServerConfig, CertificateError> {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)
            .map_err(CertificateError::Provider)?
            .with_no_client_auth()
            .with_cert_resolver(self.shown.clone());
        Ok(config)
    }

    /// Reads files again when they change, or when `hangup` comes, until `stop`.
    pub async fn keep_fresh(self, mut hangup: Signal, stop: CancellationToken) {
        let mut seen = self.ages();
        let mut looks = interval(LOOK);
        loop {
            let is_asked = tokio::select! {
                _ = looks.tick() => false,
                Some(()) = hangup.recv() => true,
                () = stop.cancelled() => return,
            };
            let ages = self.ages();
            if !is_asked && ages == seen {
                continue;
            }
            seen = ages;
            match Set::load(&self.files) {
                Ok(set) => {
                    *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
                    info!("TLS certificates read again");
                }
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    warn!(%error, cause, "TLS certificates have changed and cannot be used; the old ones stay");
                }
            }
        }
    }

    /// When each file was last changed, and its length; `None` where there is none.
    fn ages(&self) -> Vec<Option<(SystemTime, u64)>> {
        let age = |path: &Path| {
            let file = std::fs::metadata(path).ok()?;
            Some((file.modified().ok()?, file.len()))
        };
        let paths = self.files.iter().flat_map(|file| [&file.cert, &file.key]);
        paths.map(|path| age(path)).collect()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// The set in use. The lock is held to copy or replace a pointer.
struct Shown(RwLock<Arc<Set>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let set = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        Some(set.find(hello.server_name()))
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

/// Certificates with their keys, by the names they are for.
struct Set {
    default: Arc<CertifiedKey>,
    /// Lower case; a wildcard as `*.example.com`.
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

impl Set {
    fn load(files: &[Certificate]) -> Result<Self, CertificateError> {
        let mut default = None;
        let mut by_name = HashMap::new();
        for file in files {
            let (key, names) = load(file)?;
            let key = Arc::new(key);
            for name in names {
                by_name.entry(name).or_insert_with(|| key.clone());
            }
            default.get_or_insert(key);
        }
        let default = default.ok_or(CertificateError::NoCertificate)?;
        Ok(Self { default, by_name })
    }

    /// The certificate with the very name, else one with a wildcard for its first label, else the default.
    fn find(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let found = name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            let wildcard = || Some(format!("*.{}", name.split_once('.')?.1));
            self.by_name.get(&name).or_else(|| self.by_name.get(&wildcard()?))
        });
        found.unwrap_or(&self.default).clone()
    }
}

/// One certificate with its chain and key, and the names it is for.
fn load(file: &Certificate) -> Result<(CertifiedKey, Vec<String>), CertificateError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| CertificateError::Unreadable { path, source }
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&file.cert)
        .and_then(Iterator::collect)
        .map_err(unreadable(&file.cert))?;
    let Some(own) = chain.first() else {
        return Err(unreadable(&file.cert)(pem::Error::NoItemsFound));
    };
    let own = webpki::EndEntityCert::try_from(own).map_err(|source| CertificateError::Certificate {
        path: file.cert.clone(),
        source,
    })?;
    let names = own.valid_dns_names().map(str::to_ascii_lowercase).collect();
    let key = PrivateKeyDer::from_pem_file(&file.key).map_err(unreadable(&file.key))?;
    let certified =
        CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|source| CertificateError::Key {
            path: file.key.clone(),
            cert: file.cert.clone(),
            source,
        })?;
    Ok((certified, names))
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// There is none at all.
    #[error("RTMPS needs a certificate; name one in tls.certificates")]
    NoCertificate,
    /// A file is not there, or holds no certificate or key in PEM.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// A certificate makes no sense.
    #[error("cannot use the certificate in {}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: webpki::Error,
    },
    /// A key makes no sense, or is not the certificate's.
    #[error("cannot use the key in {} for the certificate in {}", path.display(), cert.display())]
    Key {
        /// The key's file.
        path: PathBuf,
        /// The certificate's file.
        cert: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// The cryptography built in lacks what TLS needs.
    #[error("TLS cannot be set up")]
    Provider(#[source] rustls::Error),
}
