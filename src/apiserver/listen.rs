//! The listening socket and the number of files this process may open.
//!
//! In: the address a user named, or none. Out: a bound socket that serves all of `127.0.0.0/8`, so that every cluster
//! has an address of its own without configuring any. Connections that come in elsewhere are refused by the caller with
//! [`Listen::serves`] before a byte is read.

use super::endpoint;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait for `accept`; Linux caps it at `net.core.somaxconn`, 4096 by default.
const BACKLOG: u32 = 4096;
/// Files that a process of ours asks for; the default of `fs.nr_open` on Linux.
const FILES: u64 = 1_048_576;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else has the port.
    #[error("port {} is in use: stop the other process, choose another port with --listen, or leave --listen out for a free one", .0.port())]
    InUse(SocketAddr),
    /// The system refused otherwise.
    #[error("listening on {0}: {1}; choose another address with --listen")]
    Refused(SocketAddr, std::io::Error),
}

/// Where to listen, and which local addresses count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    named: Option<SocketAddr>,
}

impl Listen {
    /// All of loopback at a free port, or at `named`. A named address outside of loopback is served beside it.
    #[must_use]
    pub const fn new(named: Option<SocketAddr>) -> Self {
        Self { named }
    }

    /// The address to bind: always the unspecified one of the family, because one socket serves every cluster.
    const fn bind_address(self) -> SocketAddr {
        match self.named {
            Some(SocketAddr::V6(v6)) => SocketAddr::V6(v6),
            Some(SocketAddr::V4(v4)) => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), v4.port()),
            None => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        }
    }

    /// Whether a connection whose local end is `local` may be served.
    #[must_use]
    pub fn serves(self, local: SocketAddr) -> bool {
        let local = endpoint::plain(local);
        let loopback = matches!(local, IpAddr::V4(v4) if v4.is_loopback());
        loopback
            || self.named.is_some_and(|named| {
                let named = endpoint::plain(named);
                named.is_unspecified() || named == local
            })
    }

    /// The host that clients elsewhere reach, if the user named one that is no loopback address.
    #[must_use]
    pub fn host(self) -> Option<IpAddr> {
        let named = endpoint::plain(self.named?);
        (!named.is_loopback() && !named.is_unspecified()).then_some(named)
    }

    /// The URL of a cluster at the shared endpoint, where one HTTP/2 connection carries watches of many clusters.
    #[must_use]
    pub fn shared_url(self, name: &str, port: u16) -> String {
        let host = self.host().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        format!("https://{}{}{name}", SocketAddr::new(host, port), endpoint::PREFIX)
    }

    /// The URL of a cluster for clients elsewhere: an address of its own on loopback, a prefix at the named address.
    #[must_use]
    pub fn url(self, cluster: u32, name: &str, port: u16) -> String {
        match self.host() {
            Some(_) => self.shared_url(name, port),
            None => format!("https://{}:{port}", endpoint::address(cluster)),
        }
    }

    /// Binds.
    ///
    /// # Errors
    /// When the port is taken or the address is not ours.
    pub fn bind(self) -> Result<TcpListener, ListenError> {
        let address = self.bind_address();
        let refused = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::AddrInUse => ListenError::InUse(address),
            _ => ListenError::Refused(self.named.unwrap_or(address), error),
        };
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let socket = socket.map_err(refused)?;
        socket.set_reuseaddr(true).map_err(refused)?;
        socket.bind(address).map_err(refused)?;
        socket.listen(BACKLOG).map_err(refused)
    }
}

/// Raises the number of files this process may open as far as the system lets it, and tells how many that is.
#[must_use]
pub fn raise_file_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let hard = now.maximum.unwrap_or(FILES);
    // Only a privileged process may raise the hard limit; anybody may raise the soft one up to it.
    for limit in [FILES.max(hard), hard] {
        let wanted = Rlimit { current: Some(limit), maximum: Some(limit) };
        if setrlimit(Resource::Nofile, wanted).is_ok() {
            return limit;
        }
    }
    now.current.unwrap_or(FILES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_the_named_address_are_served() {
        for (named, local, served) in [
            (None, "127.0.0.1:1", true),
            (None, "127.3.2.1:1", true),
            (None, "10.0.0.1:1", false),
            (Some("10.0.0.1:1"), "10.0.0.1:1", true),
            (Some("10.0.0.1:1"), "10.0.0.2:1", false),
            (Some("10.0.0.1:1"), "127.0.0.1:1", true),
            (Some("127.0.0.1:1"), "10.0.0.1:1", false),
            (Some("0.0.0.0:1"), "10.0.0.1:1", true),
        ] {
            let listen = Listen::new(named.map(|text| text.parse().unwrap()));
            assert_eq!(listen.serves(local.parse().unwrap()), served, "{named:?} {local}");
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_told_with_the_next_step() {
        let first = Listen::new(None).bind().unwrap();
        let taken = first.local_addr().unwrap();
        let error = Listen::new(Some(taken)).bind().unwrap_err();
        assert!(error.to_string().contains("in use") && error.to_string().contains("--listen"), "{error}");
    }
}
