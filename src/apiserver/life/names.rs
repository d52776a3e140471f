//! What an object may be called.

use crate::apiserver::schema::Resource;

/// Characters of generated names (`k8s.io/apimachinery/pkg/util/rand`).
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// `prefix` cut to 58 characters and five drawn ones (`k8s.io/apiserver/pkg/storage/names`).
#[must_use]
pub fn generate_name(prefix: &str, draw: u64) -> String {
    let mut name: String = prefix.chars().take(58).collect();
    let mut rest = draw;
    for _ in 0..5 {
        name.push(char::from(ALPHABET[(rest % 27) as usize]));
        rest /= 27;
    }
    name
}

/// Checks a name against the rule of its kind (O-06). `None` if it is fine, else the text of the error.
#[must_use]
pub fn check_name(resource: &Resource, name: &str) -> Option<&'static str> {
    let rbac = resource.group == "rbac.authorization.k8s.io";
    let fine = match resource.plural.as_str() {
        _ if rbac => is_path_segment(name),
        "namespaces" if resource.group.is_empty() => is_label(name),
        "services" if resource.group.is_empty() => is_label(name) && !name.starts_with(|c: char| c.is_ascii_digit()),
        // These take whatever fits a path: their own rules are stricter than needed here.
        "apiservices"
        | "flowschemas"
        | "prioritylevelconfigurations"
        | "ipaddresses"
        | "componentstatuses"
        | "certificatesigningrequests" => is_path_segment(name),
        _ => is_subdomain(name),
    };
    if fine {
        return None;
    }
    Some(match resource.plural.as_str() {
        _ if rbac => "may not be '.', '..' or contain '/' or '%'",
        "namespaces" if resource.group.is_empty() => LABEL,
        "services" if resource.group.is_empty() => SERVICE,
        _ => SUBDOMAIN,
    })
}

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SERVICE: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

fn is_path_segment(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '%'])
}

fn is_label(name: &str) -> bool {
    name.len() <= 63 && is_subdomain(name) && !name.contains('.')
}

fn is_subdomain(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|part| {
            let b = part.as_bytes();
            !b.is_empty()
                && b[0] != b'-'
                && b[b.len() - 1] != b'-'
                && b.iter().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_keep_their_prefix_and_fit_a_label() {
        let name = generate_name(&"x".repeat(80), 12_345_678);
        assert_eq!(name.len(), 63);
        assert_ne!(generate_name("a-", 1), generate_name("a-", 2));
        assert!(is_label(&generate_name("a-", u64::MAX)));
    }

    #[test]
    fn subdomains_are_what_dns_allows() {
        for (name, fine) in
            [("a", true), ("a.b-c.9", true), ("", false), ("A", false), ("a..b", false), ("-a", false), ("a_b", false)]
        {
            assert_eq!(is_subdomain(name), fine, "{name}");
        }
    }
}
