//! `record.json`: its fields, their units, their meaning. Scripts, CI and other versions of this program read it, so a
//! field is added, never renamed or given another meaning; what a run cannot know is null.

use crate::measure::host::Host;
use crate::measure::limit::Limit;
use crate::measure::warning::Severity;
use crate::measure::{CallCount, Quantiles, Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the format that this program writes. It reads this one and all before.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything that is known about one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// Version of this format.
    pub schema_version: u32,
    /// Names this run: scenario, start and a fingerprint.
    pub run_id: String,
    /// When it started, RFC 3339, UTC.
    pub started_at: String,
    /// The program that ran it.
    pub build: Build,
    /// Version of the models of other systems; numbers of different versions do not compare.
    pub model_version: String,
    /// What was run.
    pub scenario: ScenarioId,
    /// Seed of everything drawn.
    pub seed: u64,
    /// Which clock.
    pub clock: Clock,
    /// Who managed what.
    pub topology: TopologyRecord,
    /// How the managers behaved.
    pub manager: ManagerKind,
    /// Where objects lived.
    pub backend: String,
    /// How the harness learned what happened.
    pub observer: Observer,
    /// Whether the run can be used.
    pub status: Status,
    /// Why it is not complete.
    pub reason: Option<Reason>,
    /// Digest of all state transitions; virtual runs only.
    pub digest: Option<String>,
    /// How the numbers of this record were come by, where they do not say otherwise.
    pub provenance: Provenance,
    /// Counts.
    pub counts: Counts,
    /// Times.
    pub time: Times,
    /// Latency of all changes, by hop: `seen`, `written`, `fetched`, `applied`, `ready`, `reported`, `end_to_end`.
    pub latency: BTreeMap<String, Latency>,
    /// The same by kind of change: `install`, `upgrade`, `commit`, `scale`, `decommission`, `drift`.
    pub latency_by: BTreeMap<String, BTreeMap<String, Latency>>,
    /// How late the harness sent its changes.
    pub generator_lag: Latency,
    /// Processes, and threads that are another role's work.
    pub processes: Vec<ProcessRecord>,
    /// Managers.
    pub managers: Vec<ManagerRecord>,
    /// Who owned the clusters while managers came and went; null where each has its own for ever.
    #[serde(default)]
    pub ownership: Option<OwnershipRecord>,
    /// Who was the limit.
    pub limit: Option<Limit>,
    /// What was assumed.
    pub assumptions: Vec<Assumption>,
    /// What the times of the run would be if a constant that nobody measured were another, if that was asked: one at a time,
    /// the largest effect first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sensitivity: Vec<SensitivityRecord>,
    /// The machine.
    pub host: Host,
    /// What a reader must know before trusting the numbers.
    pub warnings: Vec<WarningRecord>,
    /// The files beside this one.
    pub files: Vec<FileRecord>,
}

/// The program that ran it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Build {
    /// Its version.
    pub version: String,
    /// The commit it was built from.
    pub commit: String,
    /// With changes that the commit does not have.
    pub dirty: bool,
    /// `release` or `debug`.
    pub profile: String,
}

impl Build {
    /// This program.
    #[must_use]
    pub fn this() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("FLAMBOYANCE_COMMIT").unwrap_or("unknown").to_owned(),
            dirty: option_env!("FLAMBOYANCE_DIRTY") == Some("true"),
            profile: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
        }
    }
}

/// What was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioId {
    /// `metadata.name`.
    pub name: String,
    /// SHA-256 of the effective scenario.
    pub hash: String,
    /// `--set` overrides, in order.
    pub set: Vec<String>,
}

/// Which clock a run ran on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// Sockets and processes.
    Real,
    /// Simulated time.
    Virtual,
}

/// Who managed what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TopologyRecord {
    /// The shape.
    pub kind: String,
    /// Managers, or cells.
    pub shards: u32,
    /// How clusters were assigned.
    pub scheme: String,
}

/// How the managers behaved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ManagerKind {
    /// `loopback`.
    pub kind: String,
    /// `fixed` or `faithful`.
    pub behaviour: String,
}

/// How the harness learned what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Observer {
    /// From the processes themselves, without an API call.
    CommitLog,
    /// By watches of its own.
    Watch,
}

/// Whether a run can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It reached its end.
    Complete,
    /// It ended before; what is recorded is true as far as it goes.
    Partial,
    /// It must not be used.
    Invalid,
}

/// Why a run is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// By the user, or it is still running, or it was killed.
    Interrupted,
    /// `run.timeout` passed.
    TimedOut,
    /// A process of the run ended by itself.
    ChildDied,
    /// No room for the results.
    DiskFull,
    /// Measuring records were lost.
    RecordsDropped,
    /// A process could not be started, or did not answer.
    SetupFailed,
    /// Nothing was left to happen that would help, and yet something was awaited; virtual runs only.
    Stuck,
    /// Changes came faster than they were done, and it got worse all the time; virtual runs only.
    BacklogGrows,
}

/// How a number was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Provenance {
    /// Read from clocks, counters and the operating system.
    Measured,
    /// Computed by a model, or the time that a model let pass.
    Modelled,
    /// Taken for granted.
    Assumed,
}

/// Counts of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Managed clusters.
    pub clusters: u64,
    /// Managers.
    pub managers: u64,
    /// Applications on the hub at the end.
    pub apps: u64,
    /// Of those, healthy and synced.
    pub apps_healthy: u64,
    /// Changes intended.
    pub changes: u64,
    /// Of those, overtaken by a younger one of the same app.
    pub superseded: u64,
    /// Rounds of all managers.
    pub rounds: u64,
    /// API calls that managers, Flux controllers and the harness made.
    pub calls: u64,
    /// Virtual: events of the engine. Live: signals of all processes.
    pub events: u64,
    /// Changes that never ended or never could be written.
    pub failed: u64,
    /// Rounds that were put back to wait, failed ones included.
    pub retries: u64,
    /// Rounds that met somebody else's write.
    pub conflicts: u64,
    /// Rounds that an API server told to slow down.
    pub throttled: u64,
    /// Objects in all stores, at their most.
    pub objects: u64,
    /// Watch events that servers sent.
    pub watch_events: u64,
    /// Times that an app's round ran on another manager than the one before.
    pub moved: u64,
    /// Apps that two managers worked on at the same time.
    pub double_owned: u64,
    /// Measuring records that were lost.
    pub dropped_records: u64,
}

/// Times of a run, seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Times {
    /// From the first change intended to the end of the last.
    pub wall_s: f64,
    /// Simulated time of the same; null in live runs.
    pub simulated_s: Option<f64>,
    /// Until everything was ready for the first change.
    pub setup_s: f64,
    /// Warm-up before the first change.
    pub warmup_s: f64,
    /// From the end of the last change until every process was gone.
    pub shutdown_s: f64,
    /// From the first change intended to the first moment when every app of the install was healthy; null if never.
    pub all_healthy_s: Option<f64>,
}

/// A distribution of times. Values are null when there are no samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// What the samples say.
    #[serde(flatten)]
    pub quantiles: Quantiles,
    /// How the times were come by.
    pub provenance: Provenance,
}

impl Latency {
    /// What a histogram says.
    #[must_use]
    pub const fn new(quantiles: Quantiles, provenance: Provenance) -> Self {
        Self { quantiles, provenance }
    }
}

impl std::ops::Deref for Latency {
    type Target = Quantiles;

    fn deref(&self) -> &Quantiles {
        &self.quantiles
    }
}

/// What a process cost and did. Null where it cannot be known: threads of another process have no memory of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessRecord {
    /// Its name.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// How these numbers were come by.
    pub provenance: Provenance,
    /// CPU in all, seconds.
    pub cpu_s: f64,
    /// CPU in user mode, seconds.
    pub user_s: f64,
    /// CPU in the kernel, seconds.
    pub sys_s: f64,
    /// Most resident memory, bytes. Null for threads of another process, whose memory it is: `flux-model` runs inside
    /// `leaves`.
    pub rss_max_bytes: Option<u64>,
    /// Resident memory at the end, bytes; null as `rss_max_bytes` is.
    pub rss_end_bytes: Option<u64>,
    /// Most open descriptors.
    pub fds_max: Option<u64>,
    /// Most threads.
    pub threads_max: u64,
    /// Most connections at the same time.
    pub connections_max: Option<u64>,
    /// Most watches at the same time: served by servers, held by clients.
    pub watches_max: Option<u64>,
    /// Most objects at the same time: in the stores of a server, in the caches of a client.
    pub cached_objects_max: Option<u64>,
    /// Bytes read from sockets.
    pub bytes_in: Option<u64>,
    /// Bytes written to sockets.
    pub bytes_out: Option<u64>,
    /// Calls: made by clients, served by servers.
    pub calls: Vec<CallCount>,
}

impl ProcessRecord {
    /// All calls.
    #[must_use]
    pub fn total_calls(&self) -> u64 {
        self.calls.iter().map(|call| call.count).sum()
    }

    /// It makes calls, instead of serving them.
    #[must_use]
    pub const fn is_client(&self) -> bool {
        matches!(self.role, Role::Harness | Role::FluxModel | Role::Manager)
    }
}

/// One manager's share and queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ManagerRecord {
    /// Its name, that of its process.
    pub name: String,
    /// Clusters it owned at the start.
    pub clusters: u64,
    /// Apps on those.
    pub apps: u64,
    /// The longest queue.
    pub queue_depth_max: u64,
    /// From the queue's `add` until a worker took the app.
    pub queue_wait: Latency,
}

/// Who owned the clusters, from the moment when all had an owner for the first time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OwnershipRecord {
    /// Times that a cluster came to another manager.
    pub clusters_moved: u64,
    /// Time without an owner, summed up over clusters, seconds.
    pub orphaned_cluster_s: f64,
    /// The longest time in which some cluster had no owner, seconds.
    pub gap_max_s: f64,
    /// Times in which some had none.
    pub gaps: Vec<GapRecord>,
    /// Rounds of apps that came to another manager and had nothing to do.
    #[serde(default)]
    pub rounds_repeated: u64,
    /// Calls of those rounds.
    #[serde(default)]
    pub calls_repeated: u64,
    /// What of the timeline made clusters move, in order.
    #[serde(default)]
    pub shifts: Vec<ShiftRecord>,
}

/// A step of the timeline after which clusters came to other managers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShiftRecord {
    /// When it was meant to happen, seconds from the first change.
    pub at_s: f64,
    /// What it was.
    pub what: String,
    /// Clusters that came to another manager from then until the next such step.
    pub clusters_moved: u64,
    /// Until the last of them had its new manager, seconds; null if none moved.
    pub settled_s: Option<f64>,
}

/// A time in which some clusters had no owner.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GapRecord {
    /// When it began, seconds from the first change.
    pub at_s: f64,
    /// How long it lasted, seconds; up to the end of the run if it never ended.
    pub lasted_s: f64,
    /// The most clusters without an owner.
    pub clusters: u64,
    /// All had an owner again.
    pub closed: bool,
}

/// Something that was taken for granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Assumption {
    /// Its name: the path in the scenario.
    pub id: String,
    /// Its value, with unit.
    pub value: String,
    /// The unit.
    pub unit: String,
    /// Who says so.
    pub source: String,
    /// How they know.
    pub kind: AssumptionKind,
}

/// A simulated run with one constant another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SensitivityRecord {
    /// The constant's path in the scenario.
    pub id: String,
    /// Its value.
    pub value: String,
    /// The other one.
    pub other: String,
    /// Time until all were healthy, over that of the run as it is; null where one of them never was.
    pub all_healthy: Option<f64>,
    /// The same of the 99th percentile of all changes, end to end.
    pub end_to_end_p99: Option<f64>,
}

/// How an assumption is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AssumptionKind {
    /// Somebody measured it.
    Measured,
    /// Somebody published it.
    Published,
    /// Nobody knows.
    Assumed,
}

/// What a reader must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WarningRecord {
    /// Its name, stable.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub message: String,
    /// What to do about it.
    pub advice: String,
}

/// A file beside the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileRecord {
    /// Relative to the folder.
    pub path: String,
    /// What it is.
    pub kind: FileKind,
    /// SHA-256, 64 hex digits.
    pub sha256: String,
}

/// What a file of a result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// HDR histograms as an interval log, microseconds, tagged `KIND.HOP`.
    Histograms,
    /// Windows of the run, CSV.
    TimeSeries,
    /// Readings of each process, CSV.
    Processes,
    /// The effective scenario, YAML.
    Scenario,
    /// All objects of all API servers at the end, JSON: lists by cluster.
    Objects,
    /// The report for people, HTML.
    Report,
    /// The end of what a program of others said, text.
    Log,
}
