//! Whom to trust, and the handshake.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio_rustls::TlsConnector;
use wardroom_core::capability::net::HttpTarget;

use super::{BoxConnection, WireConfigError, WireError};

/// Trust, built when first needed: reading the well-known roots costs more than
/// most runs that never speak TLS.
pub(super) struct Tls {
    extra: Vec<CertificateDer<'static>>,
    config: OnceLock<Result<Arc<ClientConfig>, rustls::Error>>,
}

impl Tls {
    /// Reads the extra roots, so that a wrong one is the operator's error now
    /// and not a guest's error later.
    pub(super) fn new(pems: &[Vec<u8>]) -> Result<Self, WireConfigError> {
        let mut extra = Vec::new();
        let mut trial = RootCertStore::empty();
        for (index, pem) in pems.iter().enumerate() {
            let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
            let certificates = read.ok().filter(|list| !list.is_empty());
            for certificate in certificates.ok_or(WireConfigError::NoCertificate { index })? {
                trial.add(certificate.clone()).map_err(|source| WireConfigError::Certificate { index, source })?;
                extra.push(certificate);
            }
        }
        Ok(Self { extra, config: OnceLock::new() })
    }

    /// Speaks TLS on `raw`, with the host of `target` as the name to prove.
    pub(super) async fn handshake(&self, raw: BoxConnection, target: &HttpTarget) -> Result<BoxConnection, WireError> {
        let failed = |source: io::Error| failure(target, source);
        let config = self.config().map_err(|error| failed(io::Error::other(error)))?;
        let name = server_name(target).map_err(|error| failed(io::Error::other(error)))?;
        let stream = TlsConnector::from(config).connect(name, raw).await.map_err(failed)?;
        Ok(Box::new(stream))
    }

    fn config(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        self.config.get_or_init(|| build(&self.extra)).clone()
    }
}

fn build(extra: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in extra {
        roots.add(certificate.clone())?;
    }
    // The provider is handed over rather than installed: a process-wide default
    // is a race between libraries.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed session would let a server recognise one run in the next.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

fn server_name(target: &HttpTarget) -> Result<ServerName<'static>, rustls_pki_types::InvalidDnsNameError> {
    match (target.host_address(), target.host_name()) {
        (Some(address), _) => Ok(ServerName::from(address)),
        (None, name) => ServerName::try_from(name.unwrap_or_default().to_owned()),
    }
}

fn failure(target: &HttpTarget, source: io::Error) -> WireError {
    let endpoint = target.endpoint();
    let inner = source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(_)) => WireError::Certificate { endpoint, source },
        _ => WireError::Tls { endpoint, source },
    }
}
