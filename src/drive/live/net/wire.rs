//! Requests over a few shared connections.
//!
//! In: requests with a path, and a [`Route`] that says where it leads. Out: responses as they stream in. API servers
//! behind one address and one authority share a pool of HTTP/2 lines, and each server always uses the same one of them.
//! A line is one connection, and one more whenever the server's limit of streams is reached: watches never end, so they
//! must not starve calls. A server without HTTP/2 gets HTTP/1.1 and as many connections as it has requests at once.
//!
//! Arithmetic: 10,000 leaves x 4 watches are 40,000 streams; at 2.5 KiB each that is 100 MB in one process and two
//! connections instead of 40,000. All of them together may be unread for 16 MiB before one stalls the others.

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use kube::client::Body;
use parking_lot::RwLock;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

/// Unread bytes of all streams of a connection (measured: smaller ones stall under 20,000 watches).
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Unread bytes of one stream: an initial list arrives in one.
const STREAM_WINDOW: u32 = 1 << 20;
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A silent peer is probed after so long, and given up as long again (client-go: 30 s and 15 s).
const PROBE: Duration = Duration::from_secs(30);
/// Who we say we are, unless the request says it.
pub(crate) const USER_AGENT: &str = concat!("flamboyance-manager/", env!("CARGO_PKG_VERSION"));

/// Why there is no response.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The server cannot be reached.
    #[error("cannot connect to {authority}: {reason}")]
    Connect {
        /// Host and port.
        authority: Authority,
        /// What the system or TLS said.
        reason: String,
    },
    /// No server is known for the path.
    #[error("the cluster is no longer registered")]
    Unrouted,
    /// The connection broke.
    #[error("the connection to {authority} broke: {reason}")]
    Broken {
        /// Host and port.
        authority: Authority,
        /// What the protocol said.
        reason: String,
    },
}

/// What went over all sockets.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Bytes read.
    pub(crate) bytes_in: AtomicU64,
    /// Bytes written.
    pub(crate) bytes_out: AtomicU64,
    /// Connections open now.
    pub(crate) connections: AtomicU64,
    /// The most ever.
    pub(crate) connections_max: AtomicU64,
}

/// The connections to one address under one TLS identity.
#[derive(Debug)]
pub(crate) struct Pool {
    lines: Vec<Arc<Line>>,
}

/// Where an API server is: a connection, the path before its own, its token.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    line: Arc<Line>,
    prefix: String,
    authorization: Option<HeaderValue>,
}

/// Connections to one address, made when needed and made anew when they break.
#[derive(Debug)]
struct Line {
    address: Address,
    open: RwLock<Vec<Speaks>>,
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct Address {
    scheme: Scheme,
    authority: Authority,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    traffic: Arc<Traffic>,
}

#[derive(Clone, Debug)]
enum Speaks {
    Http2(http2::SendRequest<Body>, Arc<Streams>),
    Http1(Box<legacy::Client<Address, Body>>),
}

/// The streams of one connection.
#[derive(Debug)]
struct Streams {
    used: AtomicUsize,
    /// How many the server allows, as far as it has said so.
    limit: AtomicUsize,
}

/// A stream in use, given back when it is dropped.
#[derive(Debug)]
struct Slot(Arc<Streams>);

impl Slot {
    /// Takes a stream if there is one left.
    fn take(streams: &Arc<Streams>) -> Option<Self> {
        let room = streams.used.fetch_add(1, Ordering::Relaxed) < streams.limit.load(Ordering::Relaxed);
        // Without room the slot is dropped at once, which gives the stream back.
        let slot = Self(streams.clone());
        room.then_some(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.used.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of a response; its stream is in use until it is dropped.
#[derive(Debug)]
pub(crate) struct Answer {
    body: Incoming,
    _slot: Option<Slot>,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

impl Pool {
    /// A pool of `size` connections, none of them open yet. `tls` is absent for plain HTTP.
    pub(crate) fn new(
        authority: &Authority,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
        size: u32,
        traffic: &Arc<Traffic>,
    ) -> Self {
        let address = Address {
            scheme: if tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP },
            authority: authority.clone(),
            tls,
            traffic: traffic.clone(),
        };
        let line = |_| {
            let connecting = tokio::sync::Mutex::new(());
            Arc::new(Line { address: address.clone(), open: RwLock::new(Vec::new()), connecting })
        };
        Self { lines: (0..size.max(1)).map(line).collect() }
    }

    /// The route of an API server below `prefix` (empty or `/clusters/a`). `hash` chooses its connection.
    pub(crate) fn route(&self, prefix: &str, authorization: Option<HeaderValue>, hash: u64) -> Route {
        let line = self.lines[usize::try_from(hash % self.lines.len() as u64).unwrap_or(0)].clone();
        Route { line, prefix: prefix.trim_end_matches('/').to_owned(), authorization }
    }
}

impl Route {
    /// Sends a request whose URI is a path; its prefix, token and names are added.
    pub(crate) async fn send(&self, mut request: Request<Body>) -> Result<Response<Answer>, WireError> {
        let address = &self.line.address;
        let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
        let full: Bytes = if self.prefix.is_empty() {
            Bytes::copy_from_slice(path.as_bytes())
        } else {
            Bytes::from([self.prefix.as_str(), path].concat())
        };
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(address.scheme.clone());
        parts.authority = Some(address.authority.clone());
        parts.path_and_query = PathAndQuery::from_maybe_shared(full).ok();
        *request.uri_mut() = Uri::from_parts(parts).map_err(|e| address.broken(&e))?;
        let headers = request.headers_mut();
        headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        let (response, slot) = match self.line.speaks().await? {
            (Speaks::Http2(mut sender, _), slot) => {
                (sender.send_request(request).await.map_err(|e| address.broken(&e))?, slot)
            }
            (Speaks::Http1(client), _) => (client.request(request).await.map_err(|e| address.broken(&e))?, None),
        };
        Ok(response.map(|body| Answer { body, _slot: slot }))
    }
}

impl Line {
    /// An open connection with room for one more stream, which is taken.
    fn with_room(&self) -> Option<(Speaks, Option<Slot>)> {
        self.open.read().iter().find_map(|open| match open {
            Speaks::Http1(_) => Some((open.clone(), None)),
            Speaks::Http2(sender, _) if sender.is_closed() => None,
            Speaks::Http2(_, streams) => Slot::take(streams).map(|slot| (open.clone(), Some(slot))),
        })
    }

    async fn speaks(&self) -> Result<(Speaks, Option<Slot>), WireError> {
        if let Some(open) = self.with_room() {
            return Ok(open);
        }
        let _one_at_a_time = self.connecting.lock().await;
        if let Some(open) = self.with_room() {
            return Ok(open);
        }
        let speaks = self.address.connect().await?;
        let slot = match &speaks {
            Speaks::Http1(_) => None,
            Speaks::Http2(_, streams) => Slot::take(streams),
        };
        let mut open = self.open.write();
        open.retain(|old| !matches!(old, Speaks::Http2(sender, _) if sender.is_closed()));
        open.push(speaks.clone());
        Ok((speaks, slot))
    }
}

impl Address {
    fn broken(&self, error: &dyn std::error::Error) -> WireError {
        WireError::Broken { authority: self.authority.clone(), reason: chain(error) }
    }

    /// Connects and finds out what the server speaks.
    async fn connect(&self) -> Result<Speaks, WireError> {
        let failed = |reason: String| WireError::Connect { authority: self.authority.clone(), reason };
        let stream = self.dial().await.map_err(|e| failed(chain(&e)))?;
        let negotiated = match &stream {
            Stream::Plain(_) => None,
            Stream::Tls(stream) => Some(stream.get_ref().1.alpn_protocol() == Some(b"h2")),
        };
        if negotiated != Some(false) {
            let (mut sender, streams) = shake_hands(stream).await.map_err(|e| failed(chain(&e)))?;
            // Without TLS nothing is negotiated: whether the server speaks HTTP/2 shows when it is asked something.
            if negotiated == Some(true) || self.answers(&mut sender).await {
                return Ok(Speaks::Http2(sender, streams));
            }
        }
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new());
        Ok(Speaks::Http1(Box::new(builder.build(self.clone()))))
    }

    async fn answers(&self, sender: &mut http2::SendRequest<Body>) -> bool {
        let uri =
            Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone()).path_and_query("/version");
        let Ok(request) = uri.build().map(|uri| {
            let mut request = Request::new(Body::empty());
            *request.uri_mut() = uri;
            request
        }) else {
            return false;
        };
        matches!(tokio::time::timeout(CONNECT_TIMEOUT, sender.send_request(request)).await, Ok(Ok(_)))
    }

    async fn dial(&self) -> io::Result<Stream> {
        let connecting = async {
            let default_port = if self.tls.is_some() { 443 } else { 80 };
            let host = self.authority.host().trim_start_matches('[').trim_end_matches(']');
            let tcp = TcpStream::connect((host, self.authority.port_u16().unwrap_or(default_port))).await?;
            tcp.set_nodelay(true)?;
            let metered = Metered::new(tcp, self.traffic.clone());
            match &self.tls {
                Some((config, name)) => {
                    let connector = TlsConnector::from(config.clone());
                    Ok(Stream::Tls(Box::new(connector.connect(name.clone(), metered).await?)))
                }
                None => Ok(Stream::Plain(metered)),
            }
        };
        tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

async fn shake_hands(stream: Stream) -> hyper::Result<(http2::SendRequest<Body>, Arc<Streams>)> {
    let (sender, mut connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(STREAM_WINDOW)
        .keep_alive_interval(PROBE)
        .keep_alive_timeout(PROBE)
        .handshake(TokioIo::new(stream))
        .await?;
    let limit = AtomicUsize::new(connection.current_max_send_streams());
    let streams = Arc::new(Streams { used: AtomicUsize::new(0), limit });
    let told = streams.clone();
    // Its end shows as `is_closed`; why it ended, every request on it is told.
    tokio::spawn(std::future::poll_fn(move |cx| {
        let polled = Pin::new(&mut connection).poll(cx);
        told.limit.store(connection.current_max_send_streams(), Ordering::Relaxed);
        polled
    }));
    Ok((sender, streams))
}

/// The error and all its causes: hyper keeps the interesting part inside.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The connector of the HTTP/1.1 client.
impl tower::Service<Uri> for Address {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Stream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let address = self.clone();
        Box::pin(async move { address.dial().await.map(TokioIo::new) })
    }
}

/// A socket, with or without TLS.
#[derive(Debug)]
enum Stream {
    Plain(Metered),
    Tls(Box<TlsStream<Metered>>),
}

impl legacy::connect::Connection for Stream {
    fn connected(&self) -> legacy::connect::Connected {
        legacy::connect::Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// A TCP connection that counts its bytes.
#[derive(Debug)]
struct Metered {
    stream: TcpStream,
    traffic: Arc<Traffic>,
}

impl Metered {
    fn new(stream: TcpStream, traffic: Arc<Traffic>) -> Self {
        let open = traffic.connections.fetch_add(1, Ordering::Relaxed) + 1;
        traffic.connections_max.fetch_max(open, Ordering::Relaxed);
        Self { stream, traffic }
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        self.traffic.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsyncRead for Metered {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.traffic.bytes_in.fetch_add((buf.filled().len() - before) as u64, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = polled {
            self.traffic.bytes_out.fetch_add(written as u64, Ordering::Relaxed);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A text as part of a query (RFC 3986: unreserved bytes stay).
pub(in crate::drive::live) fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = std::fmt::Write::write_fmt(&mut out, format_args!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests;
