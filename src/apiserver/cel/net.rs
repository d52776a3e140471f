//! URLs, addresses and ranges of addresses, and versions (`k8s.io/apiserver/pkg/cel/library`).

use super::library::text;
use super::value::{Outcome, Semver, Stop, Url, Val, error};
use crate::apiserver::text::block;
use core::net::IpAddr;
use std::cmp::Ordering;
use std::rc::Rc;

pub(super) fn call<'a>(name: &str, given: &[Val<'a>]) -> Option<Outcome<'a>> {
    urls(name, given).or_else(|| addresses(name, given)).or_else(|| versions(name, given))
}

fn urls<'a>(name: &str, given: &[Val<'a>]) -> Option<Outcome<'a>> {
    let part = |url: &Url| match name {
        "getScheme" => Some(url.scheme.clone()),
        "getHost" => Some(url.host.clone()),
        "getHostname" => Some(host(&url.host).0),
        "getPort" => Some(host(&url.host).1),
        "getEscapedPath" => Some(url.path.clone()),
        _ => None,
    };
    Some(match (name, given) {
        ("url", [value]) => match parse_url(text(value)?) {
            Some(url) => Ok(Val::Url(Rc::new(url))),
            None => {
                let told = text(value)?;
                error(format!("URL parse error during conversion from string: parse {told:?}: invalid URI for request"))
            }
        },
        ("isURL", [value]) => Ok(Val::Bool(parse_url(text(value)?).is_some())),
        ("getQuery", [Val::Url(url)]) => Ok(query(&url.query)),
        (_, [Val::Url(url)]) => Ok(part(url)?.into()),
        _ => return None,
    })
}

/// A URL as Go's `url.ParseRequestURI` takes it: absolute, or a path from the root.
fn parse_url(text: &str) -> Option<Url> {
    if text.is_empty() || text.chars().any(|one| one.is_control() || one == ' ') {
        return None;
    }
    let (scheme, rest) = match text.split_once(':') {
        Some((scheme, rest)) if !text.starts_with('/') => {
            let first = scheme.chars().next()?.is_ascii_alphabetic();
            let others = scheme.chars().all(|one| one.is_ascii_alphanumeric() || "+-.".contains(one));
            (first && others).then_some((scheme.to_ascii_lowercase(), rest))?
        }
        _ => (String::new(), text),
    };
    if scheme.is_empty() && !rest.starts_with('/') {
        return None;
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.find('/').map_or((rest, ""), |at| rest.split_at(at)),
        None => ("", rest),
    };
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let port = host.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or("", |(_, port)| port);
    let bracketed = host.starts_with('[') == host.contains(']');
    if !port.chars().all(|one| one.is_ascii_digit()) || !bracketed {
        return None;
    }
    Some(Url { scheme, host: host.to_owned(), path: path.to_owned(), query: query.to_owned() })
}

fn host(host: &str) -> (String, String) {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (host, ""),
    };
    (name.trim_matches(['[', ']']).to_owned(), port.to_owned())
}

fn query<'a>(query: &str) -> Val<'a> {
    let mut found: Vec<(String, Vec<Val<'a>>)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (unescaped(key), Val::from(unescaped(value)));
        match found.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) => values.push(value),
            None => found.push((key, vec![value])),
        }
    }
    Val::Map(Rc::new(found.into_iter().map(|(key, values)| (key.into(), Val::List(Rc::new(values)))).collect()))
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let code = rest.clone().take(2).map(char::from).collect::<String>();
        match (byte, u8::from_str_radix(&code, 16)) {
            (b'%', Ok(code)) => {
                bytes.push(code);
                rest.nth(1);
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether an address of version 6 stands for one of version 4.
fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some())
}

fn ip(text: &str) -> Result<IpAddr, Stop> {
    match text.parse::<IpAddr>() {
        Ok(address) if is_mapped(address) => error(format!("IPv4-mapped IPv6 address {text:?} is not allowed")),
        Ok(address) => Ok(address),
        Err(_) => error(format!(
            "IP Address {text:?} parse error during conversion from string: ParseAddr({text:?}): unable to parse IP"
        )),
    }
}

fn cidr(text: &str) -> Result<(IpAddr, u8), Stop> {
    block(text).filter(|(address, _)| !is_mapped(*address)).map_or_else(
        || {
            error(format!(
                "network address parse error during conversion from string: network address {text:?} is not valid"
            ))
        },
        Ok,
    )
}

fn number(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    }
}

/// The first bits of an address as a number.
fn network(address: IpAddr, bits: u8) -> u128 {
    let (number, _) = number(address);
    if bits == 0 { 0 } else { number >> (128 - u32::from(bits)) }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    let number = if bits == 0 { 0 } else { network(address, bits) << (128 - u32::from(bits)) };
    match address {
        IpAddr::V4(_) => IpAddr::V4(u32::try_from(number >> 96).unwrap_or(0).into()),
        IpAddr::V6(_) => IpAddr::V6(number.into()),
    }
}

fn contains((address, bits): (IpAddr, u8), inner: (IpAddr, u8)) -> bool {
    address.is_ipv4() == inner.0.is_ipv4() && bits <= inner.1 && network(address, bits) == network(inner.0, bits)
}

fn whole(address: IpAddr) -> (IpAddr, u8) {
    (address, number(address).1)
}

fn addresses<'a>(name: &str, given: &[Val<'a>]) -> Option<Outcome<'a>> {
    use Val::{Bool, Cidr, Int, Ip};
    Some(match (name, given) {
        ("ip", [Cidr(address, _)]) => Ok(Ip(*address)),
        ("ip", [value]) => ip(text(value)?).map(Ip),
        ("isIP", [value]) => Ok(Bool(ip(text(value)?).is_ok())),
        ("ip.isCanonical", [value]) => ip(text(value)?).map(|address| Bool(text(value) == Some(&address.to_string()))),
        ("cidr", [value]) => cidr(text(value)?).map(|(address, bits)| Cidr(address, bits)),
        ("isCIDR", [value]) => Ok(Bool(cidr(text(value)?).is_ok())),
        ("family", [Ip(address)]) => Ok(Int(if address.is_ipv4() { 4 } else { 6 })),
        (_, [Ip(address)]) => Ok(Bool(property(name, *address)?)),
        ("prefixLength", [Cidr(_, bits)]) => Ok(Int(i64::from(*bits))),
        ("masked", [Cidr(address, bits)]) => Ok(Cidr(masked(*address, *bits), *bits)),
        ("containsIP", [Cidr(address, bits), Ip(other)]) => Ok(Bool(contains((*address, *bits), whole(*other)))),
        ("containsIP", [Cidr(address, bits), value]) => {
            ip(text(value)?).map(|other| Bool(contains((*address, *bits), whole(other))))
        }
        ("containsCIDR", [Cidr(address, bits), Cidr(other, theirs)]) => {
            Ok(Bool(contains((*address, *bits), (*other, *theirs))))
        }
        ("containsCIDR", [Cidr(address, bits), value]) => {
            cidr(text(value)?).map(|other| Bool(contains((*address, *bits), other)))
        }
        _ => return None,
    })
}

fn property(name: &str, address: IpAddr) -> Option<bool> {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.segments()[0] & 0xffc0 == 0xfe80,
    };
    let link_multicast = match address {
        IpAddr::V4(address) => address.octets()[..3] == [224, 0, 0],
        IpAddr::V6(address) => address.segments()[0] & 0xff0f == 0xff02,
    };
    Some(match name {
        "isUnspecified" => address.is_unspecified(),
        "isLoopback" => address.is_loopback(),
        "isLinkLocalMulticast" => link_multicast,
        "isLinkLocalUnicast" => link_local,
        "isGlobalUnicast" => {
            let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
            !broadcast && !address.is_unspecified() && !address.is_loopback() && !address.is_multicast() && !link_local
        }
        _ => return None,
    })
}

fn semver(text: &str, loose: bool) -> Option<Semver> {
    let text = if loose { text.trim_start_matches('v') } else { text };
    let text = text.split_once('+').map_or(text, |(text, _)| text);
    let (numbers, pre) = text.split_once('-').unwrap_or((text, ""));
    let mut parts: Vec<&str> = numbers.split('.').collect();
    if loose {
        parts.resize(parts.len().max(3), "0");
    }
    let number = |part: &&str| {
        let plain = part.chars().all(|one| one.is_ascii_digit()) && (loose || *part == "0" || !part.starts_with('0'));
        part.parse::<u64>().ok().filter(|_| plain)
    };
    let numbers: Option<Vec<u64>> = parts.iter().map(number).collect();
    let pre = pre.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    Some(Semver { numbers: numbers?.try_into().ok()?, pre })
}

fn order(a: &Semver, b: &Semver) -> Ordering {
    let part = |a: &String, b: &String| match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        _ => a.cmp(b),
    };
    let pre = || match (a.pre.is_empty(), b.pre.is_empty()) {
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        _ => {
            let pairs = a.pre.iter().zip(&b.pre).map(|(a, b)| part(a, b)).find(|order| order.is_ne());
            pairs.unwrap_or_else(|| a.pre.len().cmp(&b.pre.len()))
        }
    };
    a.numbers.cmp(&b.numbers).then_with(pre)
}

fn versions<'a>(name: &str, given: &[Val<'a>]) -> Option<Outcome<'a>> {
    use Val::{Bool, Int, Semver as Version};
    let loose = matches!(given, [_, Bool(true)]);
    let whole = |number: u64| Ok(Int(i64::try_from(number).unwrap_or(i64::MAX)));
    Some(match (name, given) {
        ("semver", [value, ..]) => match semver(text(value)?, loose) {
            Some(version) => Ok(Version(Rc::new(version))),
            None => error("No Major.Minor.Patch elements found"),
        },
        ("isSemver", [value, ..]) => Ok(Bool(semver(text(value)?, loose).is_some())),
        ("major", [Version(version)]) => whole(version.numbers[0]),
        ("minor", [Version(version)]) => whole(version.numbers[1]),
        ("patch", [Version(version)]) => whole(version.numbers[2]),
        ("isLessThan", [Version(a), Version(b)]) => Ok(Bool(order(a, b).is_lt())),
        ("isGreaterThan", [Version(a), Version(b)]) => Ok(Bool(order(a, b).is_gt())),
        ("compareTo", [Version(a), Version(b)]) => Ok(Int(order(a, b) as i64)),
        _ => return None,
    })
}
