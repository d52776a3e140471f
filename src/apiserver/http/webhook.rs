//! Calls to admission webhooks: HTTP/1.1 over TLS to whoever a configuration names.
//!
//! In: addresses, authorities, bodies, time limits. Out: the text of each answer, or why there is none, in the words of
//! Go's HTTP client. All calls of one batch are under way at once. There is no pool: a hook is asked seldom enough that
//! a handshake (1 ms on loopback) does not count.

use crate::units::Span;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle, RuntimeFlavor};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    self, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

/// Largest answer that is read: as much as a request may send.
const ANSWER_MAX: usize = 3 << 20;

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Post {
    /// `https://host:port/path`, as errors show it.
    pub(super) url: String,
    /// Where the connection goes, if not to the host of the URL.
    pub(super) to: Option<SocketAddr>,
    /// PEM of who may sign the hook's certificate.
    pub(super) authorities: Vec<u8>,
    pub(super) timeout_secs: u64,
    /// What the call that it is about has left.
    pub(super) left: Option<Span>,
    pub(super) body: Vec<u8>,
}

/// What came back over HTTP.
struct Back {
    code: StatusCode,
    /// Whether it is text for people.
    text: bool,
    body: Vec<u8>,
}

/// Makes all calls at once and waits for them, without holding up what else the caller's runtime does.
pub(super) fn post_all(posts: Vec<Post>) -> Vec<Result<Vec<u8>, String>> {
    let several = matches!(Handle::try_current().map(|handle| handle.runtime_flavor()), Ok(RuntimeFlavor::MultiThread));
    if several {
        return tokio::task::block_in_place(|| Handle::current().block_on(all(posts)));
    }
    // A runtime of one thread cannot wait for itself; the calls get a runtime of their own.
    let run = || match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(all(posts)),
        Err(_) => Vec::new(),
    };
    std::thread::scope(|scope| scope.spawn(run).join().unwrap_or_default())
}

async fn all(posts: Vec<Post>) -> Vec<Result<Vec<u8>, String>> {
    let mut answers: Vec<Result<Vec<u8>, String>> = vec![Err("the call broke off".to_owned()); posts.len()];
    let mut calls = JoinSet::new();
    for (at, post) in posts.into_iter().enumerate() {
        calls.spawn(async move { (at, post.send().await) });
    }
    while let Some(done) = calls.join_next().await {
        if let Ok((at, answer)) = done {
            answers[at] = answer;
        }
    }
    answers
}

impl Post {
    /// The body of a good answer; everything else is told as client-go tells it.
    async fn send(&self) -> Result<Vec<u8>, String> {
        let failed = |why: String| format!("failed to call webhook: {why}");
        let joint = if self.url.contains('?') { '&' } else { '?' };
        let shown = format!("{}{joint}timeout={}s", self.url, self.timeout_secs);
        let posted = |why: String| failed(format!("Post {shown:?}: {why}"));
        let uri: Uri = shown.parse().map_err(|error| failed(format!("Unparsable URL: {error}")))?;
        let own = Duration::from_secs(self.timeout_secs);
        let limit = self.left.map_or(own, |left| own.min(left.to_std()));
        let back = match tokio::time::timeout(limit, self.exchange(&uri)).await {
            Ok(answer) => answer.map_err(posted)?,
            Err(_) => return Err(posted("context deadline exceeded".to_owned())),
        };
        if back.code.is_success() { Ok(back.body) } else { Err(failed(unsuccessful(&back))) }
    }

    async fn exchange(&self, uri: &Uri) -> Result<Back, String> {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(443);
        let socket = self.connect(host, port).await?;
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let config = client(&self.authorities)?;
        let tls = TlsConnector::from(config).connect(name, socket).await.map_err(|error| tls_words(&error, host))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(tls)).await.map_err(|error| error.to_string())?;
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let request = Request::post(path)
            .header("host", authority)
            .header("user-agent", "kube-apiserver-admission")
            .header("accept", "application/json, */*")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(self.body.clone())))
            .map_err(|error| error.to_string())?;
        let answer = async {
            let answer = sender.send_request(request).await.map_err(|_| "EOF".to_owned())?;
            let (code, kind) = (answer.status(), answer.headers().get(CONTENT_TYPE));
            let text = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/"));
            let body =
                Limited::new(answer.into_body(), ANSWER_MAX).collect().await.map_err(|error| error.to_string())?;
            Ok(Back { code, text, body: body.to_bytes().to_vec() })
        };
        let mut answer = std::pin::pin!(answer);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            done = answer.as_mut() => done,
            // The connection may end first: what it brought is with the answer by then.
            _ = connection.as_mut() => answer.await,
        }
    }

    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, String> {
        let addresses: Vec<SocketAddr> = match self.to {
            Some(address) => vec![address],
            None => tokio::net::lookup_host((host, port))
                .await
                .map_err(|_| format!("dial tcp: lookup {host}: no such host"))?
                .collect(),
        };
        let mut why = format!("dial tcp: lookup {host}: no such host");
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(socket) => return Ok(socket),
                Err(error) => why = format!("dial tcp {address}: connect: {}", dial_words(&error)),
            }
        }
        Err(why)
    }
}

fn client(authorities: &[u8]) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let trusted: Vec<_> = CertificateDer::pem_slice_iter(authorities).flatten().collect();
    for certificate in &trusted {
        // Whatever cannot vouch for others may still vouch for itself.
        let _ = roots.add(certificate.clone());
    }
    let provider = Arc::new(ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().ok();
    let verifier = Arc::new(Verifier { trusted, chains, algorithms });
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.map_err(|error| error.to_string())?.dangerous().with_custom_certificate_verifier(verifier);
    Ok(Arc::new(config.with_no_client_auth()))
}

/// Trusts what a bundle vouches for, and the certificates of the bundle themselves, as Go does: many hooks show a
/// certificate that signed itself, or are configured with their own instead of its authority's.
#[derive(Debug)]
struct Verifier {
    trusted: Vec<CertificateDer<'static>>,
    /// None if the bundle holds no authority.
    chains: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// A certificate that is in the bundle needs a fitting name and time only.
    fn verify_known(
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let bad = |why| rustls::Error::InvalidCertificate(why);
        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        let (_, parsed) =
            x509_parser::parse_x509_certificate(certificate).map_err(|_| bad(CertificateError::BadEncoding))?;
        let (from, to) = (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if (from..=to).contains(&now) { Ok(()) } else { Err(bad(CertificateError::Expired)) }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.trusted.iter().any(|known| known == certificate) {
            return Self::verify_known(certificate, name, now).map(|()| ServerCertVerified::assertion());
        }
        match &self.chains {
            Some(chains) => chains.verify_server_cert(certificate, between, name, ocsp, now),
            None => Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn dial_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        std::io::ErrorKind::HostUnreachable => "no route to host".to_owned(),
        std::io::ErrorKind::NetworkUnreachable => "network is unreachable".to_owned(),
        _ => error.to_string(),
    }
}

/// A failed handshake in the words of Go's `crypto/tls` and `crypto/x509`.
fn tls_words(error: &std::io::Error, host: &str) -> String {
    let verify = |why: String| format!("tls: failed to verify certificate: x509: {why}");
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => match why {
            CertificateError::UnknownIssuer => verify("certificate signed by unknown authority".to_owned()),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                verify("certificate has expired or is not yet valid".to_owned())
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                verify(format!("certificate is not valid for any names, but wanted to match {host}"))
            }
            other => verify(other.to_string()),
        },
        Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)) => {
            "http: server gave HTTP response to HTTPS client".to_owned()
        }
        _ if error.kind() == std::io::ErrorKind::UnexpectedEof => "EOF".to_owned(),
        _ => error.to_string(),
    }
}

/// An answer that is no success (`apierrors.NewGenericServerResponse`).
fn unsuccessful(back: &Back) -> String {
    let text = String::from_utf8_lossy(&back.body);
    let told = if back.text && !text.is_empty() { text.trim() } else { "unknown" };
    match back.code.as_u16() {
        404 => "the server could not find the requested resource".to_owned(),
        400 => "the server rejected our request for an unknown reason".to_owned(),
        401 => "the server has asked for the client to provide credentials".to_owned(),
        403 => told.to_owned(),
        405 => "the server does not allow this method on the requested resource".to_owned(),
        413 => format!("Request entity too large: {told}"),
        429 => "the server has received too many requests and has asked us to try again later".to_owned(),
        503 => "the server is currently unable to handle the request".to_owned(),
        504 => {
            "the server was unable to return a response in the time allotted, but may still be processing the request"
                .to_owned()
        }
        500.. => format!("an error on the server ({told:?}) has prevented the request from succeeding"),
        other => format!("the server responded with the status code {other} but did not return more information"),
    }
}
