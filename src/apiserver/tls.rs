//! The certificate authority of one server, and one serving certificate per address that clients connect to; or the one
//! certificate that a server was given.
//!
//! In: the local address of an accepted socket. Out: rustls configurations, the authority's PEM for kubeconfigs. Never
//! touches a file or a socket. All certificates share one key pair: making a certificate for a new address is one
//! P-256 signature (about 60 us, measured), done when the first client connects there.

use parking_lot::RwLock;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::Arc;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoClientAuth, NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};

/// Names that every serving certificate carries, as kube-apiserver's own (`pkg/controlplane/instance.go`).
const NAMES: [&str; 6] = [
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "*.clusters.localhost",
];

/// Why certificates cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Key or certificate generation failed.
    #[error("making a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// rustls refused the material.
    #[error("setting up TLS: {0}")]
    Rustls(#[from] rustls::Error),
    /// The client verifier refused the authority.
    #[error("setting up client certificates: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// A given certificate or key is no PEM.
    #[error("{what}: {why}")]
    Pem {
        /// Which of the given texts.
        what: &'static str,
        /// What is wrong with it.
        why: pem::Error,
    },
}

/// Where the TLS configuration of a connection comes from.
#[derive(Clone, Debug)]
pub enum Certificates {
    /// An authority of ours signs one certificate per address.
    Ours(Arc<Authority>),
    /// The same for every address.
    Given(Arc<ServerConfig>),
}

impl Certificates {
    /// What a user brings, all as PEM: the serving certificate with its chain, its key, and who signs the certificates
    /// that prove a client's name.
    ///
    /// # Errors
    /// When one of them cannot be read, or they do not belong together.
    pub fn given(certificate: &[u8], key: &[u8], client_ca: Option<&[u8]>) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let chain = certificates("the serving certificate", certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|why| TlsError::Pem { what: "the serving key", why })?;
        let clients: Arc<dyn ClientCertVerifier> = match client_ca {
            None => Arc::new(NoClientAuth),
            Some(bundle) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates("the authority of clients", bundle)? {
                    roots.add(authority)?;
                }
                verifier(roots, &provider)?
            }
        };
        serving(&provider, clients, chain, key).map(|config| Self::Given(Arc::new(config)))
    }

    /// Who clients have to trust, PEM; empty for given certificates, whose authority only their giver knows.
    #[must_use]
    pub fn authority(&self) -> String {
        match self {
            Self::Ours(authority) => authority.pem(),
            Self::Given(_) => String::new(),
        }
    }

    /// The TLS configuration for connections accepted at `address`.
    ///
    /// # Errors
    /// When the certificate cannot be made.
    pub fn config(&self, address: IpAddr) -> Result<Arc<ServerConfig>, TlsError> {
        match self {
            Self::Ours(authority) => authority.config(address),
            Self::Given(config) => Ok(Arc::clone(config)),
        }
    }
}

fn certificates(what: &'static str, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match read {
        Ok(read) if read.is_empty() => Err(TlsError::Pem { what, why: pem::Error::NoItemsFound }),
        read => read.map_err(|why| TlsError::Pem { what, why }),
    }
}

fn verifier(roots: RootCertStore, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    Ok(builder.allow_unauthenticated().build()?)
}

fn serving(
    provider: &Arc<CryptoProvider>,
    clients: Arc<dyn ClientCertVerifier>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Go clients never resume, ours keep their connections: tickets would only cost memory and two records.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// A certificate and its private key, PEM.
#[derive(Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pair").finish_non_exhaustive()
    }
}

/// The authority, the key of the serving certificates, and the configurations made so far.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    serving_key: KeyPair,
    provider: Arc<CryptoProvider>,
    clients: Arc<dyn ClientCertVerifier>,
    configs: RwLock<FxHashMap<IpAddr, Arc<ServerConfig>>>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("addresses", &self.configs.read().len()).finish_non_exhaustive()
    }
}

impl Authority {
    /// A fresh authority with keys of the operating system's randomness.
    ///
    /// # Errors
    /// When the cryptography provider cannot make keys.
    pub fn generate() -> Result<Self, TlsError> {
        let mut params = base_params("flamboyance-ca");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone())?;
        let clients = verifier(roots, &provider)?;
        Ok(Self { issuer, serving_key: KeyPair::generate()?, provider, clients, configs: RwLock::default() })
    }

    /// The authority's certificate, PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A secret text for `name`: nobody can guess it without the authority's key, and it is the same for the whole
    /// life of this authority.
    #[must_use]
    pub fn secret(&self, name: &str) -> String {
        let mut hash = Sha256::new();
        hash.update(self.issuer.key().serialized_der());
        hash.update(name.as_bytes());
        let digest = hash.finalize();
        base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, &digest[..24])
    }

    /// The TLS configuration for connections accepted at `address`.
    ///
    /// # Errors
    /// When the certificate cannot be made.
    pub fn config(&self, address: IpAddr) -> Result<Arc<ServerConfig>, TlsError> {
        if let Some(config) = self.configs.read().get(&address) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.make_config(address)?);
        self.configs.write().insert(address, Arc::clone(&config));
        Ok(config)
    }

    /// A serving certificate for `address` with its key, for a server that is not ours.
    ///
    /// # Errors
    /// When the certificate cannot be made.
    pub fn server_pair(&self, address: IpAddr) -> Result<Pair, TlsError> {
        let certificate = server_params(address)?.signed_by(&self.serving_key, &self.issuer)?.pem();
        Ok(Pair { certificate, key: self.serving_key.serialize_pem() })
    }

    /// A certificate that proves its bearer to be `user` of `group`, with a key of its own.
    ///
    /// # Errors
    /// When the certificate cannot be made.
    pub fn client_pair(&self, user: &str, group: &str) -> Result<Pair, TlsError> {
        let mut params = base_params(user);
        params.distinguished_name.push(DnType::OrganizationName, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Pair { certificate, key: key.serialize_pem() })
    }

    fn make_config(&self, address: IpAddr) -> Result<ServerConfig, TlsError> {
        let leaf = server_params(address)?.signed_by(&self.serving_key, &self.issuer)?;
        let chain: Vec<CertificateDer<'static>> = vec![leaf.der().clone(), self.issuer.der().clone()];
        let key = PrivateKeyDer::Pkcs8(self.serving_key.serialize_der().into());
        serving(&self.provider, Arc::clone(&self.clients), chain, key)
    }
}

fn server_params(address: IpAddr) -> Result<CertificateParams, TlsError> {
    let mut params = base_params("kube-apiserver");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    for name in NAMES {
        params.subject_alt_names.push(SanType::DnsName(name.try_into()?));
    }
    params.subject_alt_names.push(SanType::IpAddress(address));
    Ok(params)
}

fn base_params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    // Fixed dates: nothing here outlives its process, and a wrong clock must not make a certificate invalid.
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_configuration_and_offers_both_protocols() {
        let authority = Authority::generate().unwrap();
        let address = IpAddr::from([127, 1, 0, 9]);
        let first = authority.config(address).unwrap();
        assert!(Arc::ptr_eq(&first, &authority.config(address).unwrap()));
        assert!(!Arc::ptr_eq(&first, &authority.config(IpAddr::from([127, 1, 0, 8])).unwrap()));
        assert_eq!(first.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    }

    #[test]
    fn secrets_differ_by_name_and_by_authority() {
        let (a, b) = (Authority::generate().unwrap(), Authority::generate().unwrap());
        assert_eq!(a.secret("hub"), a.secret("hub"));
        assert_ne!(a.secret("hub"), a.secret("leaf-1"));
        assert_ne!(a.secret("hub"), b.secret("hub"));
    }
}
