//! How the run goes and what must hold at its end.

use crate::units::{Bytes, Share, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the run goes: seed, limits, the other controllers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Run {
    /// Seed of everything drawn. At most 2^53 - 1, so that every JSON reader keeps it.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_u64))]
    pub(crate) seed: u64,
    /// The run is given up after so long (exit code 4).
    pub(crate) timeout: Span,
    /// The run goes on until then, however early everything is settled; 0s: it ends as soon as it is.
    pub(crate) duration: Span,
    /// Applications that the harness creates or changes at the same time.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) driver_concurrency: u32,
    /// TLS between the processes.
    pub(crate) tls: bool,
    /// The Flux controllers of each leaf.
    pub(crate) flux: Flux,
    /// Until the pods of a Deployment are available.
    pub(crate) workload_ready: Delay,
    /// Old versions that all API servers of one process keep for watches and pages together.
    pub(crate) history: Bytes,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            seed: 1,
            timeout: Span::from_secs(300),
            duration: Span::ZERO,
            driver_concurrency: 32,
            tls: true,
            flux: Flux::default(),
            workload_ready: Delay::default(),
            history: Bytes(512 << 20),
        }
    }
}

/// The Flux controllers of each leaf. The defaults are Flux's own; delays are zero.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Flux {
    /// Reconciles at the same time in each controller (`--concurrent`).
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) concurrency: u32,
    /// Jitter of intervals, each way (`--interval-jitter-percentage`).
    pub(crate) jitter: Share,
    /// Poll of unready dependencies (`--requeue-dependency`).
    pub(crate) dependency_poll: Span,
    /// Poll of health while a Kustomization waits; it holds its worker.
    pub(crate) health_poll: Span,
    /// Wait after a first failed reconcile; doubles with each further one (`--min-retry-delay`).
    pub(crate) backoff_base: Span,
    /// The longest wait after a failed reconcile (`--max-retry-delay`).
    pub(crate) backoff_max: Span,
    /// Time to fetch an artifact.
    pub(crate) fetch: Delay,
    /// Time to build or render the manifests.
    pub(crate) build: Delay,
}

impl Default for Flux {
    fn default() -> Self {
        Self {
            concurrency: 4,
            jitter: Share { ppm: 50_000 },
            dependency_poll: Span::from_secs(30),
            health_poll: Span::from_secs(5),
            backoff_base: Span::from_millis(750),
            backoff_max: Span::from_secs(900),
            fetch: Delay::default(),
            build: Delay::default(),
        }
    }
}

/// A length of time, drawn per event.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(crate) enum Delay {
    /// Always the same; 0s is none.
    Fixed(Span),
    /// Uniform between two bounds.
    Uniform {
        /// The shortest.
        min: Span,
        /// The longest.
        max: Span,
    },
    /// Exponential.
    Exponential {
        /// The mean.
        mean: Span,
    },
}

impl Default for Delay {
    fn default() -> Self {
        Self::Fixed(Span::ZERO)
    }
}

/// What is measured.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Measure {
    /// Width of a window of the time series.
    pub(crate) window: Span,
}

impl Default for Measure {
    fn default() -> Self {
        Self { window: Span::from_secs(1) }
    }
}

/// What must hold at the end.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Expect {
    /// All apps are healthy within so long of the first change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) all_healthy: Option<Span>,
    /// The 99th percentile of `end_to_end` over all changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) end_to_end_p99: Option<Span>,
}
