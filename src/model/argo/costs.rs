//! What Argo CD costs: CPU per decision, memory per thing held. Each constant says who measured it.
//!
//! CPU that a worker waits for and CPU that runs beside it (the collector, informers, metrics, Redis) are kept apart: the
//! first makes a pass longer, both use the machine up.

use crate::model::prices::{Constant, Known};
use crate::units::{Bytes, Span};

/// CPU of a control plane with Argo CD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// Gate of a refresh: two deep copies.
    pub gate: Span,
    /// A refresh, beside its calls.
    pub refresh: Span,
    /// What a refresh costs the controller beside its worker.
    pub beside: Span,
    /// OpenAPI v3 of core/v1, parsed once per operation for client-side validation.
    pub validate: Span,
    /// The same for custom resources, whose documents are small.
    pub validate_custom: Span,
    /// OpenAPI v2, decoded and parsed once per operation that patches.
    pub strategic: Span,
    /// What an operation costs the controller beside its worker.
    pub operation_beside: Span,
    /// repo-server: manifests of a revision.
    pub render: Span,
    /// repo-server: the same from its cache.
    pub render_cached: Span,
    /// Asking a Git server for its head: time, not CPU.
    pub resolve: Span,
    /// A call: the API server's CPU, its watches and etcd's included.
    pub call: Span,
    /// Start of a cluster cache, beside its calls.
    pub cluster: Span,
    /// One list of a cluster cache, decoded.
    pub list: Span,
    /// One cluster in one recompute of consistent hashing, per thousand points of the ring.
    pub ring: Span,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            gate: Span::from_micros(100),
            refresh: Span::from_micros(4_500),
            beside: Span::from_micros(9_000),
            validate: Span::from_millis(88),
            validate_custom: Span::from_millis(9),
            strategic: Span::from_millis(57),
            operation_beside: Span::from_millis(5),
            render: Span::from_millis(5),
            render_cached: Span::from_millis(2),
            resolve: Span::from_millis(15),
            call: Span::from_micros(4_400),
            cluster: Span::from_millis(300),
            list: Span::from_micros(1_000),
            ring: Span::from_micros(1_700),
        }
    }
}

/// Memory of an application-controller without Applications and clusters.
pub const CONTROLLER_BYTES: u64 = 99 << 20;
/// Per Application at rest: (214 - 99 - one cluster) / 600 = 0.12 to 0.15 MiB.
pub const APP_BYTES: u64 = 138_000;
/// Per Application of a burst, with garbage: 0.25 MiB.
pub const BUSY_APP_BYTES: u64 = 262_000;
/// Per cluster that holds little beside system objects: (7.00 - 3.61) GiB for 400 clusters more.
pub const CLUSTER_BYTES: u64 = 9_100_000;
/// Per operation processor at work: a parsed OpenAPI document.
pub const OPERATION_BYTES: u64 = 5 << 20;

const MEASURED: &str = "Argo CD 3.2.0 application-controller, 300 Applications on 2 cores";

impl Costs {
    /// All of them, as the record lists them.
    #[must_use]
    pub fn constants(&self) -> Vec<Constant> {
        let cpu = |id: &str, value: Span, source, known| Constant {
            id: id.to_owned(),
            value: value.to_string(),
            unit: "CPU time",
            source,
            known,
        };
        let measured = |id: &str, value| cpu(id, value, MEASURED, Known::Measured);
        let assumed = |id: &str, value| cpu(id, value, "nobody", Known::Assumed);
        let memory = |id: &str, value, source, known| Constant {
            id: id.to_owned(),
            value: Bytes(value).to_string(),
            unit: "bytes",
            source,
            known,
        };
        vec![
            measured("model.argo.gate", self.gate),
            measured("model.argo.refresh", self.refresh),
            measured("model.argo.beside", self.beside),
            measured("model.argo.validate", self.validate),
            measured("model.argo.validateCustom", self.validate_custom),
            measured("model.argo.strategic", self.strategic),
            assumed("model.argo.operationBeside", self.operation_beside),
            measured("model.argo.render", self.render),
            measured("model.argo.renderCached", self.render_cached),
            assumed("model.argo.resolve", self.resolve),
            measured("model.argo.call", self.call),
            assumed("model.argo.cluster", self.cluster),
            assumed("model.argo.list", self.list),
            cpu("model.argo.ring", self.ring, "consistent hashing of Argo CD 3.2.0, 11 and 20 shards", Known::Measured),
            memory("model.argo.controllerBytes", CONTROLLER_BYTES, MEASURED, Known::Measured),
            memory("model.argo.appBytes", APP_BYTES, MEASURED, Known::Measured),
            memory("model.argo.busyAppBytes", BUSY_APP_BYTES, MEASURED, Known::Measured),
            memory(
                "model.argo.clusterBytes",
                CLUSTER_BYTES,
                "10 controllers of 10,000 apps, 100 and 500 clusters",
                Known::Published,
            ),
            memory("model.argo.operationBytes", OPERATION_BYTES, MEASURED, Known::Measured),
        ]
    }
}
