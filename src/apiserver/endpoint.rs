//! Where each cluster of a server is reached: a loopback address of its own, and a path prefix at every address.
//!
//! In: the index of a cluster, or the local address of an accepted socket and the path of a request. Out: the other
//! way round. Pure arithmetic on addresses; no socket is touched.
//!
//! Cluster `i` has the address `127.1.0.1 + i` (the hub is cluster 0). `127.0.0.1` is the address of the server itself:
//! path prefixes are meant for it, and a path without a prefix goes to the hub there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The address of cluster 0.
const FIRST: u32 = u32::from_be_bytes([127, 1, 0, 1]);
/// The last usable address; `127.255.255.255` is the broadcast address of the loopback network.
const LAST: u32 = u32::from_be_bytes([127, 255, 255, 254]);

/// How many clusters one server can hold at addresses of their own.
pub const MAX_CLUSTERS: u32 = LAST - FIRST + 1;

/// What stands before a cluster's name in a path.
pub const PREFIX: &str = "/clusters/";

/// The loopback address of a cluster.
///
/// # Panics
/// Never for indices below [`MAX_CLUSTERS`]; above it the address wraps.
#[must_use]
pub const fn address(cluster: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(FIRST.wrapping_add(cluster))
}

/// The cluster whose own address this is.
#[must_use]
pub const fn cluster_at(address: IpAddr) -> Option<u32> {
    match address {
        IpAddr::V4(v4) => {
            let bits = v4.to_bits();
            if bits >= FIRST && bits <= LAST { Some(bits - FIRST) } else { None }
        }
        IpAddr::V6(_) => None,
    }
}

/// The address of a socket with an IPv4 address in IPv6 clothes taken out of them.
#[must_use]
pub const fn plain(address: SocketAddr) -> IpAddr {
    match address.ip() {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(v6),
        },
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Splits a path into the cluster named by its prefix, if any, and the path inside that cluster.
///
/// ```
/// use flamboyance::apiserver::endpoint::split;
/// assert_eq!(split("/clusters/east-1/api/v1"), (Some("east-1"), "/api/v1"));
/// assert_eq!(split("/clusters/east-1"), (Some("east-1"), "/"));
/// assert_eq!(split("/api/v1"), (None, "/api/v1"));
/// ```
#[must_use]
pub fn split(path: &str) -> (Option<&str>, &str) {
    let Some(rest) = path.strip_prefix(PREFIX) else {
        return (None, path);
    };
    match rest.find('/') {
        Some(end) => (Some(&rest[..end]), &rest[end..]),
        None => (Some(rest), "/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cluster_has_one_address_and_every_address_one_cluster() {
        for (cluster, text) in
            [(0, "127.1.0.1"), (254, "127.1.0.255"), (255, "127.1.1.0"), (MAX_CLUSTERS - 1, "127.255.255.254")]
        {
            assert_eq!(address(cluster).to_string(), text);
            assert_eq!(cluster_at(address(cluster).into()), Some(cluster));
        }
        for other in ["127.0.0.1", "127.255.255.255", "10.0.0.1", "::1"] {
            assert_eq!(cluster_at(other.parse().unwrap()), None, "{other}");
        }
    }

    #[test]
    fn a_mapped_address_is_the_address_it_maps() {
        assert_eq!(plain("[::ffff:127.1.0.7]:6443".parse().unwrap()), IpAddr::from([127, 1, 0, 7]));
        assert_eq!(plain("[::1]:6443".parse().unwrap()), "::1".parse::<IpAddr>().unwrap());
    }
}
