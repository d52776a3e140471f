//! Flux's controllers as values: command lines. They work from the hub, with a kubeconfig for each cluster.
//!
//! Everything is as it is shipped but for what the scenario sets and what a process outside of a cluster needs. There is no
//! notification-controller, and nobody is elected, which is for replicas.

use super::{Found, Ground};
use crate::backend::programs::Program;
use crate::scenario::Scenario;

/// Its programs.
pub(super) const PROGRAMS: [&str; 3] = ["source-controller", "kustomize-controller", "helm-controller"];
/// What they write to.
pub(super) const FOLDERS: [&str; 2] = ["storage", "tmp"];

/// Where its parts listen: artifacts, then metrics and health of each controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    pub(super) artifacts: u16,
    pub(super) metrics: [u16; 3],
    pub(super) health: [u16; 3],
}

/// The three controllers.
pub(super) fn controllers(found: &Found, scenario: &Scenario, place: &Ground<'_>, ports: Ports) -> Vec<Program> {
    let local = |port: u16| format!("127.0.0.1:{port}");
    let flux = &scenario.run.flux;
    let controller = |(nth, name): (usize, &'static str)| {
        let mut arguments = vec![
            format!("--metrics-addr={}", local(ports.metrics[nth])),
            format!("--health-addr={}", local(ports.health[nth])),
            format!("--concurrent={}", flux.concurrency),
            format!("--interval-jitter-percentage={}", flux.jitter_ppm / 10_000),
            format!("--min-retry-delay={}ms", flux.backoff_base.0 / 1_000_000),
            format!("--max-retry-delay={}ms", flux.backoff_max.0 / 1_000_000),
        ];
        if nth == 0 {
            arguments.push(format!("--storage-path={}", place.folder.join("storage").display()));
            arguments.push(format!("--storage-addr={}", local(ports.artifacts)));
            arguments.push(format!("--storage-adv-addr={}", local(ports.artifacts)));
        } else {
            arguments.push(format!("--requeue-dependency={}ms", flux.dependency_poll.0 / 1_000_000));
        }
        let environment = vec![
            ("RUNTIME_NAMESPACE", crate::fleet::FLUX_NAMESPACE.to_owned()),
            ("KUBECONFIG", place.kubeconfig.display().to_string()),
            ("HOME", place.folder.join("tmp").display().to_string()),
            ("TMPDIR", place.folder.join("tmp").display().to_string()),
        ];
        Program { name, path: found.path(name), arguments, environment }
    };
    PROGRAMS.into_iter().enumerate().map(controller).collect()
}
