//! A small HTTP client over TLS, so that the tests see bytes and not what a Kubernetes client makes of them.

use base64::Engine as _;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

enum Sender {
    H1(http1::SendRequest<Full<Bytes>>),
    H2(http2::SendRequest<Full<Bytes>>),
}

/// One connection.
pub(crate) struct Client {
    sender: Option<Sender>,
    address: std::net::SocketAddr,
    config: Arc<ClientConfig>,
    h2: bool,
    pub(crate) token: Option<String>,
}

/// One answer.
pub(crate) struct Reply {
    pub(crate) code: u16,
    headers: http::HeaderMap,
    body: Bytes,
}

/// A body that is still coming, read line by line.
pub(crate) struct Lines {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    }
}

impl Lines {
    pub(crate) async fn line(&mut self) -> Value {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return serde_json::from_slice(&line).unwrap();
            }
            let frame = self.body.frame().await.expect("the watch ended").unwrap();
            self.buffer.extend_from_slice(frame.data_ref().unwrap());
        }
    }
}

impl Client {
    pub(crate) fn new(server: &str, ca_base64: &str, token: &str, h2: bool) -> Self {
        let pem = base64::engine::general_purpose::STANDARD.decode(ca_base64).unwrap();
        let mut client = Self::with_certificate(server, std::str::from_utf8(&pem).unwrap(), None);
        let config = Arc::get_mut(&mut client.config).unwrap();
        config.alpn_protocols = vec![if h2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        Self { token: Some(token.to_owned()), h2, ..client }
    }

    /// A client that shows a certificate, PEM with its key, or none.
    pub(crate) fn with_certificate(server: &str, ca_pem: &str, shown: Option<(&str, &str)>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match shown {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
            }
        };
        let address = server.strip_prefix("https://").unwrap().parse().unwrap();
        Self { sender: None, address, config: Arc::new(config), h2: false, token: None }
    }

    async fn tls(&self) -> tokio_rustls::client::TlsStream<TcpStream> {
        let socket = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::from(self.address.ip());
        TlsConnector::from(self.config.clone()).connect(name, socket).await.unwrap()
    }

    async fn sender(&mut self) -> &mut Sender {
        if self.sender.is_none() {
            let io = TokioIo::new(self.tls().await);
            self.sender = Some(if self.h2 {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
                tokio::spawn(connection);
                Sender::H2(sender)
            } else {
                let (sender, connection) = http1::handshake(io).await.unwrap();
                tokio::spawn(connection);
                Sender::H1(sender)
            });
        }
        self.sender.as_mut().unwrap()
    }

    async fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> http::Response<Incoming> {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request
            .uri(if self.h2 { format!("https://{}{path}", self.address) } else { path.to_owned() })
            .header("host", self.address.to_string())
            .header("user-agent", "it/1")
            .body(Full::new(Bytes::copy_from_slice(body)))
            .unwrap();
        match self.sender().await {
            Sender::H1(sender) => {
                sender.ready().await.unwrap();
                sender.send_request(request).await.unwrap()
            }
            Sender::H2(sender) => sender.send_request(request).await.unwrap(),
        }
    }

    pub(crate) async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let (parts, body) = self.request(method, path, headers, body).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply { code: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.send("GET", path, &[], b"").await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &[("content-type", "application/json")], body.to_string().as_bytes()).await
    }

    pub(crate) async fn delete(&mut self, path: &str) -> Reply {
        self.send("DELETE", path, &[], b"").await
    }

    /// Whether the server sends a single byte to this client.
    pub(crate) async fn reads_anything(self) -> bool {
        let socket = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::from(self.address.ip());
        let Ok(mut tls) = TlsConnector::from(self.config).connect(name, socket).await else { return false };
        let _ = tls.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        tls.read(&mut [0; 1]).await.is_ok_and(|read| read > 0)
    }

    /// Opens a stream whose headers are there at once.
    pub(crate) async fn open(&mut self, path: &str) -> Lines {
        Lines { body: self.request("GET", path, &[], b"").await.into_body(), buffer: Vec::new() }
    }

    /// Writes bytes into a TLS connection of their own and reads until the server hangs up or has answered.
    pub(crate) async fn raw(self, bytes: &[u8]) {
        let mut tls = self.tls().await;
        let _ = tls.write_all(bytes).await;
        let _ = tls.shutdown().await;
        let _ = tls.read(&mut [0; 1024]).await;
    }
}
