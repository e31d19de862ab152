//! TLS: who must vouch for the server, and what this client shows of itself.

use ::redis::{Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, TlsCertificates};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::error::{configuration, from_redis};
use crate::error::{Error, ErrorKind, Result};

/// What the builder was told, in PEM.
#[derive(Clone, Default)]
pub(super) struct Tls {
    ca: Option<Vec<u8>>,
    client: Option<Identity>,
}

#[derive(Clone)]
struct Identity {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Tls {
    pub(super) fn trust(&mut self, ca: Vec<u8>) {
        self.ca = Some(ca);
    }

    pub(super) fn identify(&mut self, certificate: Vec<u8>, key: Vec<u8>) {
        self.client = Some(Identity { certificate, key });
    }

    pub(super) fn is_set(&self) -> bool {
        self.ca.is_some() || self.client.is_some()
    }

    /// How to reach a server with these certificates; a plain address stays as it is.
    pub(super) fn secure(&self, info: ConnectionInfo) -> Result<ConnectionInfo> {
        if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            return Ok(info);
        }
        choose_crypto();
        self.check()?;
        let client = Client::build_with_tls(info, self.certificates()).map_err(from_redis)?;
        Ok(client.get_connection_info().clone())
    }

    /// Finds what the first connection would fail at.
    fn check(&self) -> Result<()> {
        let roots = self
            .ca
            .as_deref()
            .map_or_else(|| Ok(RootCertStore::empty()), roots)?;
        let config = ClientConfig::builder().with_root_certificates(roots);
        let Some(identity) = &self.client else {
            return Ok(());
        };
        let chain = certificates(&identity.certificate, "tls_client")?;
        let key = PrivateKeyDer::from_pem_slice(&identity.key)
            .map_err(|error| broken("tls_client: there is no private key in the PEM", error))?;
        config
            .with_client_auth_cert(chain, key)
            .map_err(|error| broken("tls_client: certificate and key do not fit", error))?;
        Ok(())
    }

    fn certificates(&self) -> TlsCertificates {
        let identity = |identity: Identity| ClientTlsConfig {
            client_cert: identity.certificate,
            client_key: identity.key,
        };
        TlsCertificates {
            client_tls: self.client.clone().map(identity),
            root_cert: self.ca.clone(),
        }
    }
}

/// The process has one implementation of cryptography. Where the application has chosen none, and
/// its features leave a choice, rustls would panic.
fn choose_crypto() {
    if CryptoProvider::get_default().is_none() {
        // Somebody else may have been quicker, and that is as good.
        let _ = ring::default_provider().install_default();
    }
}

fn roots(pem: &[u8]) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, "tls_ca")? {
        roots
            .add(certificate)
            .map_err(|error| broken("tls_ca: a certificate cannot be used", error))?;
    }
    Ok(roots)
}

fn certificates(pem: &[u8], option: &str) -> Result<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| broken(&format!("{option}: the PEM is damaged"), error))?;
    if found.is_empty() {
        return Err(configuration(format!(
            "{option}: there is no certificate in the PEM"
        )));
    }
    Ok(found)
}

/// The errors of rustls quote neither certificates nor keys.
fn broken(message: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Configuration, message).with_source(error)
}
