//! How API servers are reached: a kubeconfig for the hub, Argo CD cluster Secrets for the leaves.
//!
//! In: both texts. Out: [`Route`]s over shared pools. Plug-ins that fetch credentials (exec, cloud providers) are refused
//! with a word on what to do instead.

use super::wire::{Pool, Route, Traffic};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderValue;
use kube::Config;
use kube::client::ConfigExt;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use rustc_hash::{FxHashMap, FxHasher};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};

/// Why an API server cannot be reached at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    /// The kubeconfig.
    #[error("cannot use kubeconfig {path}: {reason}")]
    Kubeconfig {
        /// Its file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The address.
    #[error("`{url}` is not the address of an API server: write https://host:port")]
    Url {
        /// As written.
        url: String,
    },
    /// The credentials.
    #[error("credentials of {url}: {reason}")]
    Credentials {
        /// Which server.
        url: String,
        /// What is wrong and what to do.
        reason: String,
    },
}

/// Reads a context of a kubeconfig file.
///
/// # Errors
/// When the file cannot be read or has no such context.
pub(crate) async fn from_kubeconfig(path: &Path, context: Option<&str>) -> Result<Config, AccessError> {
    let bad = |reason: String| AccessError::Kubeconfig { path: path.to_owned(), reason };
    let file = Kubeconfig::read_from(path).map_err(|e| bad(e.to_string()))?;
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(file, &options).await.map_err(|e| bad(e.to_string()))
}

/// The access of a bearer token; `ca_pem` is empty to trust what the system trusts.
///
/// # Errors
/// When the address or the authority is malformed.
pub(crate) fn from_token(url: &str, ca_pem: &str, token: &str) -> Result<Config, AccessError> {
    let mut config = Config::new(url.parse().map_err(|_| AccessError::Url { url: url.to_owned() })?);
    config.root_cert = certificates(url, ca_pem.as_bytes())?;
    config.auth_info.token = Some(token.to_owned().into());
    Ok(config)
}

fn certificates(url: &str, pem: &[u8]) -> Result<Option<Vec<Vec<u8>>>, AccessError> {
    if pem.is_empty() {
        return Ok(None);
    }
    let bad = || AccessError::Credentials { url: url.to_owned(), reason: "the authority is not PEM".to_owned() };
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).map(|c| c.map(|c| c.to_vec())).collect();
    all.ok().filter(|all| !all.is_empty()).map(Some).ok_or_else(bad)
}

/// `config` of an Argo CD cluster Secret.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ClusterConfig {
    username: String,
    password: String,
    bearer_token: String,
    tls_client_config: TlsClientConfig,
    aws_auth_config: Option<serde_json::Value>,
    exec_provider_config: Option<serde_json::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TlsClientConfig {
    insecure: bool,
    server_name: String,
    ca_data: String,
    cert_data: String,
    key_data: String,
}

/// The access of an Argo CD cluster Secret.
///
/// # Errors
/// When its address or credentials cannot be used.
pub(crate) fn from_cluster_secret(server: &str, config: &[u8]) -> Result<Config, AccessError> {
    let bad = |reason: String| AccessError::Credentials { url: server.to_owned(), reason };
    let written: ClusterConfig = if config.is_empty() {
        ClusterConfig::default()
    } else {
        serde_json::from_slice(config).map_err(|e| bad(format!("the Secret's config is not JSON: {e}")))?
    };
    if written.aws_auth_config.is_some() || written.exec_provider_config.is_some() {
        return Err(bad("credential plug-ins are not supported: use bearerToken".to_owned()));
    }
    let tls = written.tls_client_config;
    let ca = BASE64.decode(&tls.ca_data).map_err(|e| bad(format!("caData is not base64: {e}")))?;
    let mut access = Config::new(server.parse().map_err(|_| AccessError::Url { url: server.to_owned() })?);
    access.root_cert = certificates(server, &ca)?;
    access.accept_invalid_certs = tls.insecure;
    access.tls_server_name = Some(tls.server_name).filter(|name| !name.is_empty());
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    access.auth_info = AuthInfo {
        username: some(written.username),
        password: some(written.password).map(Into::into),
        token: some(written.bearer_token).map(Into::into),
        client_certificate_data: some(tls.cert_data),
        client_key_data: some(tls.key_data).map(Into::into),
        ..AuthInfo::default()
    };
    Ok(access)
}

/// What an access trusts and is trusted by, as a cluster Secret has it; files that it names are read.
///
/// # Errors
/// When it needs what a Secret cannot say.
pub(crate) fn credentials(config: &Config) -> Result<String, AccessError> {
    let bad = |reason: String| AccessError::Credentials { url: config.cluster_url.to_string(), reason };
    let auth = &config.auth_info;
    if auth.exec.is_some() || auth.auth_provider.is_some() {
        return Err(bad("credential plug-ins are not supported: use a token or a client certificate".to_owned()));
    }
    let reveal = |secret: &Option<SecretString>| secret.as_ref().map(|it| it.expose_secret().to_owned());
    let read = |path: &Option<String>| {
        let read =
            path.as_ref().map(|path| std::fs::read(path).map_err(|e| bad(format!("{path} cannot be read: {e}"))));
        read.transpose()
    };
    let data = |data: Option<String>, path: &Option<String>| match data {
        Some(data) => Ok(Some(data)),
        None => read(path).map(|bytes| bytes.map(|bytes| BASE64.encode(bytes))),
    };
    let token = match reveal(&auth.token) {
        Some(token) => Some(token),
        None => read(&auth.token_file)?.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()),
    };
    let pem =
        |der: &Vec<u8>| format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64.encode(der));
    let authority: String = config.root_cert.iter().flatten().map(pem).collect();
    Ok(serde_json::json!({
        "username": auth.username.clone().unwrap_or_default(),
        "password": reveal(&auth.password).unwrap_or_default(),
        "bearerToken": token.unwrap_or_default(),
        "tlsClientConfig": {
            "insecure": config.accept_invalid_certs,
            "serverName": config.tls_server_name.clone().unwrap_or_default(),
            "caData": BASE64.encode(authority),
            "certData": data(auth.client_certificate_data.clone(), &auth.client_certificate)?.unwrap_or_default(),
            "keyData": data(reveal(&auth.client_key_data), &auth.client_key)?.unwrap_or_default(),
        },
    })
    .to_string())
}

/// All pools: servers behind one address with one TLS identity share one.
#[derive(Debug)]
pub(crate) struct Pools {
    size: u32,
    traffic: Arc<Traffic>,
    pools: FxHashMap<u64, Pool>,
}

impl Pools {
    /// No pools yet; each will have `size` connections.
    pub(crate) fn new(size: u32, traffic: Arc<Traffic>) -> Self {
        Self { size, traffic, pools: FxHashMap::default() }
    }

    /// The route to the API server of `config`.
    ///
    /// # Errors
    /// When the address or the credentials cannot be used.
    pub(crate) fn route(&mut self, config: &Config) -> Result<Route, AccessError> {
        let url = config.cluster_url.to_string();
        let bad_url = || AccessError::Url { url: url.clone() };
        let authority = config.cluster_url.authority().ok_or_else(bad_url)?;
        let secure = match config.cluster_url.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad_url()),
        };
        let authorization = authorization(config)?;
        let key = identity(config);
        let pool = match self.pools.entry(key) {
            std::collections::hash_map::Entry::Occupied(pool) => pool.into_mut(),
            std::collections::hash_map::Entry::Vacant(vacant) => {
                let tls = if secure { Some(tls(config)?) } else { None };
                vacant.insert(Pool::new(authority, tls, self.size, &self.traffic))
            }
        };
        let mut hash = FxHasher::default();
        hash.write(url.as_bytes());
        Ok(pool.route(config.cluster_url.path(), authorization, hash.finish() >> 7))
    }
}

/// What makes two servers share connections: everything but path and token.
fn identity(config: &Config) -> u64 {
    let mut hash = FxHasher::default();
    let auth = &config.auth_info;
    let texts = [
        config.cluster_url.scheme_str(),
        config.cluster_url.authority().map(http::uri::Authority::as_str),
        config.tls_server_name.as_deref(),
        auth.client_certificate.as_deref(),
        auth.client_certificate_data.as_deref(),
    ];
    for text in texts {
        hash.write(text.unwrap_or_default().as_bytes());
        hash.write_u8(0xff);
    }
    for der in config.root_cert.iter().flatten() {
        hash.write(der);
    }
    hash.write_u8(config.accept_invalid_certs.into());
    hash.finish()
}

fn authorization(config: &Config) -> Result<Option<HeaderValue>, AccessError> {
    let bad =
        |reason: &str| AccessError::Credentials { url: config.cluster_url.to_string(), reason: reason.to_owned() };
    let auth = &config.auth_info;
    if auth.exec.is_some() || auth.auth_provider.is_some() {
        return Err(bad("credential plug-ins are not supported: use a token or a client certificate"));
    }
    let read = auth.token_file.as_ref().map(std::fs::read_to_string).transpose();
    let from_file = read.map_err(|e| bad(&format!("the token file cannot be read: {e}")))?;
    let reveal = |secret: &SecretString| secret.expose_secret().to_owned();
    let text = match (from_file, &auth.token, &auth.username) {
        (Some(token), _, _) => format!("Bearer {}", token.trim()),
        (None, Some(token), _) => format!("Bearer {}", reveal(token)),
        (None, None, Some(user)) => {
            let password = auth.password.as_ref().map(reveal).unwrap_or_default();
            format!("Basic {}", BASE64.encode(format!("{user}:{password}")))
        }
        (None, None, None) => return Ok(None),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| bad("the token holds characters that no header may"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn tls(config: &Config) -> Result<(Arc<ClientConfig>, ServerName<'static>), AccessError> {
    let bad = |reason: String| AccessError::Credentials { url: config.cluster_url.to_string(), reason };
    let mut tls = config.rustls_client_config().map_err(|e| bad(e.to_string()))?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let host = config.cluster_url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let name = config.tls_server_name.clone().unwrap_or_else(|| host.to_owned());
    let name = ServerName::try_from(name).map_err(|e| bad(e.to_string()))?;
    Ok((Arc::new(tls), name))
}
