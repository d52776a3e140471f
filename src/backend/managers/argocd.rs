//! Argo CD's processes as values: command lines, and what they read from the hub.
//!
//! Everything is as it is shipped but for what the scenario sets and what a process outside of a cluster needs: loopback
//! addresses, no TLS among themselves, folders of the run in place of those of a container image. There is no
//! argocd-server, for nobody logs in, and no controller of ApplicationSets.

use super::{Found, Ground};
use crate::backend::programs::Program;
use crate::fleet::ARGOCD_NAMESPACE;
use crate::scenario::{Argo, Scenario, Scheme};
use serde_json::{Value, json};

const CONTROLLER: &str = "argocd-application-controller";
const REPO_SERVER: &str = "argocd-repo-server";
const REDIS: &str = "redis-server";
/// Its programs: one binary, which is the component that its own name says.
pub(super) const PROGRAMS: [&str; 2] = [CONTROLLER, REPO_SERVER];
/// What they need from the machine.
pub(super) const BESIDE: [&str; 2] = [REDIS, "git"];
/// The folders of its image.
pub(super) const FOLDERS: [&str; 7] = ["redis", "tls", "ssh", "gpg", "gnupg", "plugins", "tmp"];

/// In nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// Where its parts listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    pub(super) redis: u16,
    pub(super) repo: u16,
    pub(super) repo_metrics: u16,
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// Redis and the repo-server, which controllers need.
pub(super) fn ground(found: &Found, scenario: &Scenario, place: &Ground<'_>, ports: Ports) -> [Program; 2] {
    let Ports { redis, repo, repo_metrics } = ports;
    let folder = place.folder.join("redis");
    let arguments = [
        format!("--port {redis} --bind 127.0.0.1 --appendonly no --dir").split(' ').map(str::to_owned).collect(),
        vec![folder.display().to_string(), "--save".to_owned(), String::new()],
    ];
    let store =
        Program { name: REDIS, path: found.path(REDIS), arguments: arguments.concat(), environment: Vec::new() };
    let arguments = vec![
        "--address=127.0.0.1".to_owned(),
        format!("--port={repo}"),
        "--metrics-address=127.0.0.1".to_owned(),
        format!("--metrics-port={repo_metrics}"),
        "--disable-tls".to_owned(),
        format!("--redis={}", local(redis)),
    ];
    let environment = environment(scenario, place);
    [store, Program { name: REPO_SERVER, path: found.path(REPO_SERVER), arguments, environment }]
}

/// The application-controllers, each with the port of its metrics.
pub(super) fn controllers(
    found: &Found,
    (scenario, argo): (&Scenario, Argo),
    place: &Ground<'_>,
    (ports, metrics): (Ports, &[u16]),
) -> Vec<Program> {
    let manager = &scenario.manager;
    let common = vec![
        format!("--kubeconfig={}", place.kubeconfig.display()),
        format!("--namespace={ARGOCD_NAMESPACE}"),
        format!("--repo-server={}", local(ports.repo)),
        "--repo-server-plaintext".to_owned(),
        format!("--redis={}", local(ports.redis)),
        format!("--status-processors={}", manager.concurrency),
        format!("--operation-processors={}", argo.operations),
        format!("--kubectl-parallelism-limit={}", argo.kubectl),
        format!("--app-resync={}", manager.resync.0 / SECOND),
        format!("--app-resync-jitter={}", manager.resync_jitter.0 / SECOND),
        format!("--sharding-method={}", method(scenario.topology.scheme)),
    ];
    let controller = |(shard, port): (usize, &u16)| {
        let mut environment = environment(scenario, place);
        environment.push(("ARGOCD_CONTROLLER_REPLICAS", metrics.len().to_string()));
        environment.push(("ARGOCD_CONTROLLER_SHARD", shard.to_string()));
        let arguments = [common.as_slice(), &[format!("--metrics-port={port}")]].concat();
        Program { name: CONTROLLER, path: found.path(CONTROLLER), arguments, environment }
    };
    metrics.iter().enumerate().map(controller).collect()
}

/// Argo CD's name of a scheme; the scenario has no other.
const fn method(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::RoundRobin => "round-robin",
        Scheme::ConsistentHashing => "consistent-hashing",
        _ => "legacy",
    }
}

fn environment(scenario: &Scenario, place: &Ground<'_>) -> Vec<(&'static str, String)> {
    let below = |name: &str| place.folder.join(name).display().to_string();
    let manager = &scenario.manager;
    vec![
        ("ARGOCD_FAKE_IN_CLUSTER", "true".to_owned()),
        ("ARGOCD_GPG_ENABLED", "false".to_owned()),
        ("ARGOCD_TLS_DATA_PATH", below("tls")),
        ("ARGOCD_SSH_DATA_PATH", below("ssh")),
        ("ARGOCD_GPG_DATA_PATH", below("gpg")),
        ("ARGOCD_GNUPGHOME", below("gnupg")),
        ("ARGOCD_PLUGINSOCKFILEPATH", below("plugins")),
        ("ARGOCD_K8S_CLIENT_QPS", (manager.hub_qps_milli / 1_000).to_string()),
        ("ARGOCD_K8S_CLIENT_BURST", manager.hub_burst.to_string()),
        ("KUBECONFIG", place.kubeconfig.display().to_string()),
        // Where it keeps what kubectl discovers.
        ("HOME", below("tmp")),
        ("TMPDIR", below("tmp")),
    ]
}

/// What it expects to find beside its project and clusters: settings, all of them at their defaults.
pub(super) fn objects() -> Vec<Value> {
    let metadata = |name: &str| {
        let labels = json!({ "app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "argocd" });
        json!({ "name": name, "namespace": ARGOCD_NAMESPACE, "labels": labels })
    };
    let config = |name: &str| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(name) });
    let names = ["cm", "cmd-params-cm", "rbac-cm", "tls-certs-cm", "ssh-known-hosts-cm", "gpg-keys-cm"];
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": metadata("argocd-secret"), "type": "Opaque",
        // Nobody logs in: the word is `none`.
        "data": { "server.secretkey": "bm9uZQ==" },
    });
    names.iter().map(|name| config(&format!("argocd-{name}"))).chain([secret]).collect()
}
