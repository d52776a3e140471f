//! What a server counts: connections, watches, bytes on the wire.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Counts of one server since its start, readable at any time.
#[derive(Debug, Default)]
pub struct Counters {
    connections: AtomicU64,
    connections_open: AtomicU64,
    connections_max: AtomicU64,
    watches: AtomicU64,
    watches_open: AtomicU64,
    watches_max: AtomicU64,
    requests: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

/// One reading of [`Counters`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Connections accepted so far.
    pub connections: u64,
    /// Connections open now.
    pub connections_open: u64,
    /// Most connections open at once.
    pub connections_max: u64,
    /// Watches started so far.
    pub watches: u64,
    /// Watches open now.
    pub watches_open: u64,
    /// Most watches open at once.
    pub watches_max: u64,
    /// Requests answered so far, refused ones included.
    pub requests: u64,
    /// Bytes read from sockets, TLS included.
    pub bytes_in: u64,
    /// Bytes written to sockets, TLS included.
    pub bytes_out: u64,
}

impl Counters {
    /// Reads all counts; they belong to nearly the same instant.
    #[must_use]
    pub fn read(&self) -> Reading {
        Reading {
            connections: self.connections.load(Relaxed),
            connections_open: self.connections_open.load(Relaxed),
            connections_max: self.connections_max.load(Relaxed),
            watches: self.watches.load(Relaxed),
            watches_open: self.watches_open.load(Relaxed),
            watches_max: self.watches_max.load(Relaxed),
            requests: self.requests.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
        }
    }

    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }
}

/// An open watch, until dropped.
pub(super) struct OpenWatch(Arc<Counters>);

impl OpenWatch {
    pub(super) fn new(counters: &Arc<Counters>) -> Self {
        counters.watches.fetch_add(1, Relaxed);
        let open = counters.watches_open.fetch_add(1, Relaxed) + 1;
        counters.watches_max.fetch_max(open, Relaxed);
        Self(Arc::clone(counters))
    }
}

impl Drop for OpenWatch {
    fn drop(&mut self) {
        self.0.watches_open.fetch_sub(1, Relaxed);
    }
}

/// A socket that counts its bytes and that it is open.
pub(super) struct Counted<S> {
    socket: S,
    counters: Arc<Counters>,
}

impl<S> Counted<S> {
    pub(super) fn new(socket: S, counters: &Arc<Counters>) -> Self {
        counters.connections.fetch_add(1, Relaxed);
        let open = counters.connections_open.fetch_add(1, Relaxed) + 1;
        counters.connections_max.fetch_max(open, Relaxed);
        Self { socket, counters: Arc::clone(counters) }
    }
}

impl<S> Drop for Counted<S> {
    fn drop(&mut self) {
        self.counters.connections_open.fetch_sub(1, Relaxed);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.socket).poll_read(cx, buf);
        self.counters.bytes_in.fetch_add((buf.filled().len() - before) as u64, Relaxed);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.count(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.count(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

impl<S> Counted<S> {
    fn count(&self, polled: Poll<std::io::Result<usize>>) -> Poll<std::io::Result<usize>> {
        if let Poll::Ready(Ok(written)) = &polled {
            self.counters.bytes_out.fetch_add(*written as u64, Relaxed);
        }
        polled
    }
}
