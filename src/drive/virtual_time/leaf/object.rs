//! What a leaf's API server knows of objects: headers, and of a Flux object's status what a manager can see.

use crate::apiserver::life::{self, Deletion};
use crate::apiserver::object::Meta as Header;
use crate::apiserver::request::Propagation;
use crate::calls::{ContentId, Kind};
use crate::drive::virtual_time::digest::print;
use crate::drive::virtual_time::ground::Ground;
use crate::model::flux::render::FINALIZER;
use crate::model::flux::spec::Spec;
use crate::model::flux::{ConditionType, Fields, Object, Reason, Revision, Status, Text, Truth};
use crate::reconcile::{self, Facts, Health, Ready, Slot, fingerprint};
use crate::scenario::Behaviour;
use crate::units::Time;

/// A Flux object as the server has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// Which of its app's objects it is; `None` for the chart of a release.
    pub(super) slot: Option<Slot>,
    pub(super) addon: u16,
    pub(super) kind: Kind,
    pub(super) generation: u32,
    pub(super) finalizer: bool,
    pub(super) deleting: bool,
    pub(super) version: u64,
    pub(super) content: ContentId,
    pub(super) status: Stored,
}

/// What was written of a status.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(super) struct Stored {
    /// `conditions` was written.
    pub(super) conditions: bool,
    pub(super) ready: Option<(Truth, Reason, Text, u32)>,
    pub(super) observed: u32,
    pub(super) attempted: Option<Revision>,
    pub(super) applied: Option<Revision>,
    pub(super) artifact: Option<Revision>,
}

/// An installed object as the server has it.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(crate) struct Item {
    /// It exists.
    pub(crate) exists: bool,
    /// What was applied last.
    pub(crate) content: ContentId,
    /// `metadata.generation`.
    pub(crate) generation: u32,
    /// Deployments: the generation that is available, and what is asked for.
    pub(crate) available: u32,
    pub(super) replicas: u32,
    pub(super) template: u32,
}

/// What a manager sees of a Flux object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) version: u64,
    pub(crate) content: ContentId,
    pub(crate) health: Option<Health>,
    /// Stands for the text shown with the health.
    pub(crate) message: ContentId,
    /// The fingerprint of the revision's text.
    pub(crate) revision: ContentId,
    pub(crate) deleting: bool,
}

impl Stored {
    /// The controller's conditions are written.
    pub(super) fn write_conditions(&mut self, status: &Status) {
        self.conditions = true;
        self.ready = status.condition(ConditionType::Ready).map(|c| (c.truth, c.reason, c.text, c.generation));
    }

    /// Other fields are written.
    pub(super) fn write_fields(&mut self, status: &Status, fields: Fields) {
        if fields.contains(Fields::GENERATION) {
            self.observed = status.generation;
        }
        if fields.contains(Fields::ATTEMPTED) {
            self.attempted = status.attempted;
        }
        if fields.contains(Fields::APPLIED) {
            self.applied = status.applied;
        }
        if fields.contains(Fields::ARTIFACT) {
            self.artifact = status.artifact.map(|artifact| artifact.revision);
        }
    }
}

impl Head {
    /// What a manager sees of it; `object` is the same as its controller has it.
    pub(super) fn shown(&self, ground: &Ground<'_>, object: Option<&Object>, behaviour: Behaviour) -> Shown {
        let spec = object.map(|object| &object.spec);
        let ready = self.status.ready.map(|(truth, reason, _, generation)| Ready {
            status: word(truth),
            reason: reason_word(reason),
            // The text itself decides nothing; which one it is, is told by `message`.
            message: "",
            observed_generation: Some(i64::from(generation)),
        });
        let facts = Facts {
            oci_helm_repository: matches!(spec, Some(Spec::Source(source)) if source.fixed),
            suspended: spec.and_then(Spec::common).is_some_and(|common| common.suspend),
            generation: i64::from(self.generation),
            observed_generation: (self.status.observed > 0).then(|| i64::from(self.status.observed)),
            has_conditions: self.status.conditions,
            ready,
        };
        let assessed = reconcile::assess(self.kind, &facts, behaviour);
        let health = assessed.as_ref().map(|(health, _)| *health);
        let text = self.status.ready.map(|(_, _, text, _)| print(&(text, self.status.attempted)) | 1);
        let message = match assessed {
            Some((_, own)) if !own.is_empty() => fingerprint(own.as_bytes()),
            _ => ContentId(text.unwrap_or_default()),
        };
        // helm-controller's v2 has no lastAppliedRevision: what it attempted is applied once it is ready.
        let attempted = self.status.attempted.filter(|_| health == Some(Health::Healthy));
        let revision = self.status.applied.or(attempted).or(self.status.artifact);
        Shown {
            version: self.version,
            content: self.content,
            health,
            message,
            revision: ContentId(ground.revision(revision)),
            deleting: self.deleting,
        }
    }

    /// A delete of it, by the rules of the server: `None` removes it, else whether it changed.
    pub(super) fn delete(&mut self, now: Time) -> Option<bool> {
        let mut header = Header {
            generation: u64::from(self.generation),
            deleted: self.deleting.then_some(0),
            grace: self.deleting.then_some(0),
            ..Header::default()
        };
        header.set_finalizers(self.finalizer.then_some(FINALIZER));
        match life::delete(&header, Some(Propagation::Background), 0, false, false, now.0 / 1_000_000_000) {
            Deletion::Remove => None,
            Deletion::Pending => Some(false),
            Deletion::Mark(header) => {
                self.deleting = true;
                self.generation = u32::try_from(header.generation).unwrap_or(u32::MAX);
                Some(true)
            }
        }
    }

    /// Whether it goes, now that a finalizer is off.
    pub(super) fn is_finished(&self) -> bool {
        let mut header = Header { deleted: self.deleting.then_some(0), grace: Some(0), ..Header::default() };
        header.set_finalizers(self.finalizer.then_some(FINALIZER));
        life::finished(&header, false)
    }
}

const fn word(truth: Truth) -> &'static str {
    match truth {
        Truth::True => "True",
        Truth::False => "False",
        Truth::Unknown => "Unknown",
    }
}

/// The reasons that health tells apart.
const fn reason_word(reason: Reason) -> &'static str {
    match reason {
        Reason::DependencyNotReady => "DependencyNotReady",
        Reason::ArtifactFailed => "ArtifactFailed",
        _ => "",
    }
}
