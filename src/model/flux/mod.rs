//! The Flux controllers of one cluster: source, kustomize, helm.
//!
//! In: what their informers would see ([`Event`]), replies to calls, the time. Out: calls in the order in which the real
//! controllers were recorded, and deadlines. Never an answer that no call gave: every GET, dry run, `{}` patch and event
//! of a reconcile is an [`Op`].
//!
//! Behaviour: source-controller 1.9, kustomize-controller 1.9.5, helm-controller 1.6, recorded against kube-apiserver
//! 1.36 (`tests/data/flux` holds the sequences, `tests.rs` beside this file compares).
//!
//! Arithmetic: an app needs about 45 calls until Ready, 40,000 apps 1.9 M calls. A step of a pass costs well below 1 us,
//! an object about 500 bytes: 90,000 objects 45 MB.

pub mod catalogue;
mod controllers;
mod course;
mod helm;
mod kustomize;
mod object;
mod pass;
mod queue;
pub mod render;
mod rest;
mod source;
pub mod spec;
mod status;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::server::addon as laboratory_addon;

pub use catalogue::{Build, Catalogue, Image, Item, Revision};
pub use controllers::{Controllers, PassId};
pub use course::{Before, Course};
pub use object::{Meta, Object};
pub use pass::{Progress, Step};
pub use render::Form;
pub use rest::Rest;
pub use status::{Artifact, Condition, ConditionType, Conditions, Fields, Reason, Snapshot, Status, Text, Truth};

use crate::calls::{self, ContentId, Kind, ObjectId};
use crate::ids::AddonId;
use crate::scenario::{Flux as FluxSettings, Scenario};
use crate::seed::Seed;
use crate::units::Span;

/// The kinds that Flux reconciles: each has a controller and a queue of its own, in this order.
pub const KINDS: [Kind; 6] = [
    Kind::GIT_REPOSITORY,
    Kind::OCI_REPOSITORY,
    Kind::HELM_REPOSITORY,
    Kind::HELM_CHART,
    Kind::KUSTOMIZATION,
    Kind::HELM_RELEASE,
];

/// The kinds that add-ons consist of, in the order in which Flux applies them (fluxcd/pkg ssa, sort).
pub const INSTALLED: [Kind; 4] = [Kind::SERVICE_ACCOUNT, Kind::CONFIG_MAP, Kind::SERVICE, Kind::DEPLOYMENT];

/// A call of a Flux controller.
pub type Op = calls::Op<Body>;
/// The answer to one.
pub type Reply = calls::Reply<View>;

/// What all clusters' controllers share.
#[derive(Debug)]
pub struct World {
    /// What the sources contain.
    pub catalogue: Catalogue,
    /// Intervals, polls, back-offs, delays.
    pub settings: FluxSettings,
    /// Root of the draws of these controllers.
    pub seed: Seed,
}

impl World {
    /// The world of a scenario.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        Self {
            catalogue: Catalogue::new(&scenario.addons),
            settings: scenario.run.flux.clone(),
            seed: Seed::new(scenario.run.seed).child("flux"),
        }
    }
}

/// A Flux object of one cluster: its place in the table of [`Controllers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

/// Under which name a call is made; fixes its User-Agent and field manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Agent {
    /// source-controller.
    Source,
    /// kustomize-controller.
    Kustomize,
    /// helm-controller.
    Helm,
    /// The Helm SDK inside helm-controller, which makes clients of its own.
    HelmSdk,
}

impl Agent {
    /// The User-Agent header as recorded.
    #[must_use]
    pub const fn user_agent(self) -> &'static str {
        match self {
            Self::Source => "source-controller/v0.0.0 (linux/amd64) kubernetes/$Format",
            Self::Kustomize => "kustomize-controller/v0.0.0 (linux/amd64) kubernetes/$Format",
            Self::Helm => "helm-controller/v0.0.0 (linux/amd64) kubernetes/$Format",
            Self::HelmSdk => "Go-http-client/2.0",
        }
    }

    /// The program, as events name it.
    #[must_use]
    pub const fn component(self) -> &'static str {
        match self {
            Self::Source => "source-controller",
            Self::Kustomize => "kustomize-controller",
            Self::Helm | Self::HelmSdk => "helm-controller",
        }
    }

    /// The controller that reconciles a kind.
    #[must_use]
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::KUSTOMIZATION => Self::Kustomize,
            Kind::HELM_RELEASE => Self::Helm,
            _ => Self::Source,
        }
    }
}

/// What a call writes, or what it asks for when it reads. Bytes are made by `render`, at the time of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Body {
    /// Who calls.
    pub agent: Agent,
    /// For which Flux object.
    pub slot: Slot,
    /// What.
    pub write: Write,
}

/// The content of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Write {
    /// Nothing: a read or a delete.
    None,
    /// The Flux finalizer goes on (or off).
    Finalizer {
        /// On.
        on: bool,
    },
    /// A merge patch of the status that holds nothing.
    Empty,
    /// `status.conditions`, under the resourceVersion of the cached object.
    Conditions,
    /// The named other fields of the status.
    Status(Fields),
    /// A Kubernetes Event about the Flux object.
    Event(Notice),
    /// One manifest of a build.
    Manifest {
        /// Which build.
        build: Build,
        /// Conflicts are overridden.
        force: bool,
    },
    /// The HelmChart of a HelmRelease.
    Chart,
    /// The storage Secret of a Helm release.
    Release {
        /// Its revision, from 1.
        revision: u32,
        /// Its state.
        state: ReleaseState,
    },
    /// A list by labels.
    Select(Selection),
    /// A document that is no object.
    Document(Document),
}

/// A Kubernetes Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Notice {
    /// Why.
    pub reason: Reason,
    /// What happened.
    pub text: Text,
    /// `Warning` instead of `Normal`.
    pub warning: bool,
    /// Number in the name of the Event; equal for repetitions.
    pub stamp: u64,
    /// How often so far, this time included.
    pub count: u32,
}

/// The state of a Helm release, as its storage spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReleaseState {
    /// Being installed.
    PendingInstall,
    /// Being upgraded.
    PendingUpgrade,
    /// In force.
    Deployed,
    /// Replaced by a later one.
    Superseded,
    /// Did not become ready.
    Failed,
    /// Being removed.
    Uninstalling,
}

/// What a list selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Selection {
    /// ReplicaSets of a Deployment.
    ReplicaSets,
    /// Pods of the ReplicaSet that the previous list returned.
    Pods,
    /// Storage Secrets of the release.
    Releases,
}

/// Documents of an API server that are no objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Document {
    /// `/version`.
    Version,
    /// `/api`.
    Api,
    /// `/apis`.
    Apis,
    /// `/openapi/v3`.
    OpenApi,
    /// `/openapi/v3/api/v1` or `/openapi/v3/apis/GROUP/VERSION` of a kind.
    OpenApiOf(Kind),
}

/// What a controller sees of an object in a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct View {
    /// `metadata.resourceVersion`; 0 for what was not stored.
    pub version: u64,
    /// `metadata.generation`.
    pub generation: u32,
    /// Everything but status and server-set metadata.
    pub content: ContentId,
    /// Current in the sense of kstatus: for a Deployment rolled out and Available, for others that it exists.
    pub current: bool,
}

/// What a call is about, packed into an [`ObjectId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A Flux object.
    Flux(Slot),
    /// The `n`-th object of an add-on.
    Item(AddonId, u16),
    /// The HelmChart that a HelmRelease creates.
    Chart(Slot),
    /// Storage Secret of a HelmRelease at a revision.
    Release(Slot, u32),
    /// An Event about a Flux object.
    Event(Slot),
    /// No object: discovery.
    Server,
}

impl Place {
    /// The packed form.
    #[must_use]
    pub const fn id(self) -> ObjectId {
        let (tag, payload) = match self {
            Self::Flux(slot) => (0_u64, slot.0 as u64),
            Self::Item(addon, n) => (1, (addon.0 as u64) << 16 | n as u64),
            Self::Chart(slot) => (2, slot.0 as u64),
            Self::Release(slot, revision) => (3, (revision as u64 & 0x0fff_ffff) << 32 | slot.0 as u64),
            Self::Event(slot) => (4, slot.0 as u64),
            Self::Server => (5, 0),
        };
        ObjectId(tag << 60 | payload)
    }

    /// What a packed form means.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the fields were packed from these widths")]
    pub const fn of(id: ObjectId) -> Self {
        let slot = Slot(id.0 as u32);
        match id.0 >> 60 {
            0 => Self::Flux(slot),
            1 => Self::Item(AddonId((id.0 >> 16) as u32), id.0 as u16),
            2 => Self::Chart(slot),
            3 => Self::Release(slot, (id.0 >> 32) as u32 & 0x0fff_ffff),
            4 => Self::Event(slot),
            _ => Self::Server,
        }
    }
}

/// How an object changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// It was there when the informer started: low priority.
    Listed,
    /// It appeared.
    Added,
    /// It changed.
    Modified,
    /// It is gone.
    Deleted,
}

/// What an informer of a Flux controller sees.
#[derive(Clone, Debug)]
pub struct Event {
    /// The kind; others than Flux's are ignored.
    pub kind: Kind,
    /// How it changed.
    pub change: Change,
    /// Its metadata.
    pub meta: Meta,
    /// Its spec; `None` when it is that of the previous event.
    pub spec: Option<spec::Spec>,
}

/// The Flux defaults, for worlds without a scenario (`flux install` 2.9).
#[must_use]
pub const fn default_settings() -> FluxSettings {
    use crate::scenario::Delay;
    FluxSettings {
        concurrency: 4,
        jitter_ppm: 50_000,
        dependency_poll: Span::from_secs(30),
        health_poll: Span::from_secs(5),
        backoff_base: Span::from_millis(750),
        backoff_max: Span::from_secs(900),
        fetch: Delay::Fixed(Span::ZERO),
        build: Delay::Fixed(Span::ZERO),
    }
}
