//! What stands in for kube-apiserver: one cluster of ours behind the certificates that it is given.

use super::super::Failure;
use super::flags::Flags;
use crate::apiserver::clusters::{Base, Clusters, Settings};
use crate::apiserver::http::{Serving, Setup, Site};
use crate::apiserver::listen::{Listen, raise_file_limit};
use crate::apiserver::rbac::Authorization;
use crate::apiserver::request::Now;
use crate::apiserver::tls::{Authority, Certificates};
use crate::units::Span;
use miette::{Context, IntoDiagnostic};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

const KNOWN: &str = include_str!("kube-apiserver.txt");
const EFFECTIVE: &[&str] = &[
    "authorization-mode",
    "bind-address",
    "cert-dir",
    "client-ca-file",
    "secure-port",
    "tls-cert-file",
    "tls-private-key-file",
];
const ABOUT: &str =
    "Stands in for kube-apiserver: flamboyance's API server with one cluster, kept in memory. No etcd is asked.";
/// Defaults of the original.
const PORT: u16 = 6443;
const CERTIFICATES: &str = "/var/run/kubernetes";
/// What calls get to finish after SIGTERM.
const GRACE: Span = Span::from_millis(200);

#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum FlagError {
    #[error("--{name} {text:?}: {why}")]
    Value { name: &'static str, text: String, why: String },
    #[error("--tls-cert-file and --tls-private-key-file belong together")]
    Half,
}

pub(super) fn run() -> Result<ExitCode, Failure> {
    let flags = Flags::read("kube-apiserver", ABOUT, KNOWN, EFFECTIVE);
    let _ = raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serve(&flags));
    runtime.shutdown_background();
    served
}

async fn serve(flags: &Flags) -> Result<ExitCode, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let address: IpAddr = parsed(flags, "bind-address")?.unwrap_or(IpAddr::from([0, 0, 0, 0]));
    let port = parsed(flags, "secure-port")?.unwrap_or(PORT);
    let certificates = certificates(flags)?;
    let listen = Listen::new(Some(SocketAddr::new(address, port)));
    let listener = listen.bind().into_diagnostic().map_err(Failure::environment)?;
    let mut clusters = Clusters::new(Settings::default(), Vec::new());
    let base = Base::new(&[], &[]).into_diagnostic().map_err(Failure::environment)?;
    // Nobody knows its administrator's token: here clients prove who they are by certificates.
    let secret = Authority::generate().into_diagnostic().map_err(Failure::environment)?.secret("cluster");
    let site = Site {
        name: "cluster".to_owned(),
        token: secret,
        cluster: clusters.add(&base, Now::read()),
        kubernetes: "".into(),
        authorization: authorization(flags.last("authorization-mode").unwrap_or("AlwaysAllow")),
    };
    let setup = Setup { sites: vec![site], certificates, listen, gzip: false };
    let serving = Serving::start_with(setup, listener, Arc::new(clusters))?;
    tokio::select! {
        _ = terminate.recv() => (),
        _ = interrupt.recv() => (),
    }
    serving.stop(GRACE).await;
    Ok(ExitCode::SUCCESS)
}

/// `AlwaysAllow` anywhere in the list allows everything; otherwise the roles decide.
fn authorization(modes: &str) -> Authorization {
    let open = modes.split(',').any(|mode| mode.trim() == "AlwaysAllow");
    if open { Authorization::Everyone } else { Authorization::Rbac }
}

fn parsed<T>(flags: &Flags, name: &'static str) -> Result<Option<T>, Failure>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let Some(text) = flags.last(name) else { return Ok(None) };
    let bad = |why: T::Err| FlagError::Value { name, text: text.to_owned(), why: why.to_string() };
    text.parse().map(Some).map_err(|why| Failure::input(bad(why)))
}

/// The pair that the flags name, else the pair in the folder, else one of our own whose authority is left there.
fn certificates(flags: &Flags) -> Result<Certificates, Failure> {
    let folder = PathBuf::from(flags.last("cert-dir").unwrap_or(CERTIFICATES));
    let (certificate, key) = match (flags.last("tls-cert-file"), flags.last("tls-private-key-file")) {
        (Some(certificate), Some(key)) => (PathBuf::from(certificate), PathBuf::from(key)),
        (None, None) => (folder.join("apiserver.crt"), folder.join("apiserver.key")),
        _ => return Err(Failure::input(FlagError::Half)),
    };
    let client_ca = flags.last("client-ca-file").map(|path| read(Path::new(path))).transpose()?;
    if flags.last("tls-cert-file").is_none() && !certificate.exists() {
        let authority = Authority::generate().into_diagnostic().map_err(Failure::environment)?;
        std::fs::create_dir_all(&folder)?;
        std::fs::write(&certificate, authority.pem())?;
        return Ok(Certificates::Ours(Arc::new(authority)));
    }
    let (certificate, key) = (read(&certificate)?, read(&key)?);
    Certificates::given(&certificate, &key, client_ca.as_deref()).into_diagnostic().map_err(Failure::input)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).into_diagnostic().wrap_err_with(|| path.display().to_string()).map_err(Failure::input)
}
