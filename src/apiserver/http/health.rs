//! `/healthz`, `/livez`, `/readyz` and the single checks below them.
//!
//! In: the endpoint, the check, the query. Out: the text of `k8s.io/apiserver/pkg/server/healthz`. A mock that answers
//! is healthy, so every check passes.

use super::query::Query;
use std::fmt::Write as _;

/// The checks that all endpoints end with, in the order of kube-apiserver 1.36.3.
const HOOKS: [&str; 30] = [
    "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/generic-apiserver-start-informers",
    "poststarthook/priority-and-fairness-config-consumer",
    "poststarthook/priority-and-fairness-filter",
    "poststarthook/storage-object-count-tracker-hook",
    "poststarthook/start-apiextensions-informers",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
    "poststarthook/start-system-namespaces-controller",
    "poststarthook/peer-endpoint-reconciler-controller",
    "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/start-kube-apiserver-identity-lease-controller",
    "poststarthook/start-kube-apiserver-identity-lease-garbage-collector",
    "poststarthook/storage-readiness",
    "poststarthook/start-legacy-token-tracking-controller",
    "poststarthook/start-service-ip-repair-controllers",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/priority-and-fairness-config-producer",
    "poststarthook/bootstrap-controller",
    "poststarthook/start-kubernetes-service-cidr-controller",
    "poststarthook/start-kube-aggregator-informers",
    "poststarthook/apiservice-status-local-available-controller",
    "poststarthook/apiservice-status-remote-available-controller",
    "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-discovery-controller",
    "poststarthook/kube-apiserver-autoregistration",
    "autoregister-completion",
    "poststarthook/apiservice-openapi-controller",
    "poststarthook/apiservice-openapiv3-controller",
];
const LIVE: [&str; 4] = ["ping", "log", "loopback-serving-certificate", "etcd"];
const READY: [&str; 5] = ["ping", "log", "etcd", "etcd-readiness", "informer-sync"];

/// The checks of an endpoint, in their order.
fn checks(endpoint: &str) -> impl Iterator<Item = &'static str> + Clone {
    let (first, last): (&[&str], &[&str]) = if endpoint == "readyz" { (&READY, &["shutdown"]) } else { (&LIVE, &[]) };
    first.iter().chain(&HOOKS).chain(last).copied()
}

/// The text to answer, or `None` if there is no such check.
pub(crate) fn text(endpoint: &str, check: &str, query: &Query<'_>) -> Option<String> {
    let mut checks = checks(endpoint);
    if !check.is_empty() {
        return checks.any(|known| known == check).then(|| "ok".to_owned());
    }
    if query.get("verbose").is_none() {
        return Some("ok".to_owned());
    }
    let mut out = String::new();
    let excluded: Vec<&str> = query.all("exclude").collect();
    // Writing to a String cannot fail.
    for name in checks.clone() {
        let _ = match excluded.contains(&name) {
            true => writeln!(out, "[+]{name} excluded: ok"),
            false => writeln!(out, "[+]{name} ok"),
        };
    }
    let unknown: Vec<String> = excluded
        .iter()
        .filter(|name| !checks.clone().any(|known| known == **name))
        .map(|name| format!("{name:?}"))
        .collect();
    if !unknown.is_empty() {
        let _ = writeln!(out, "warn: some health checks cannot be excluded: no matches for {}", unknown.join(", "));
    }
    let _ = writeln!(out, "{endpoint} check passed");
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(endpoint: &str, name: &str, query: &str) -> Option<String> {
        text(endpoint, name, &Query::read(Some(query)))
    }

    #[test]
    fn health_is_ok_and_tells_its_checks_when_asked() {
        assert_eq!(check("livez", "", "").as_deref(), Some("ok"));
        assert_eq!(check("livez", "ping", "").as_deref(), Some("ok"));
        assert_eq!(check("livez", "nothing", ""), None);
        let verbose = check("readyz", "", "verbose&exclude=etcd&exclude=moon").unwrap();
        assert!(verbose.starts_with("[+]ping ok\n"), "{verbose}");
        assert!(verbose.contains("[+]etcd excluded: ok\n"));
        assert!(verbose.contains("no matches for \"moon\"\n"));
        assert!(verbose.ends_with("readyz check passed\n"));
    }
}
