//! The rules of an object's life, on its header and on what changed: generation, no-op writes, deletion, finalizers.
//!
//! In: headers, change flags, options of a call. Out: decisions. Never: payloads, stores, clocks. A byte store and a
//! compact store of a simulation can both ask here.

mod names;

pub use names::generate_name;

use super::object::Meta;
use super::request::Propagation;
use super::schema::Resource;

/// Finalizer of a foreground deletion.
pub const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer of a deletion that leaves dependents alone.
pub const ORPHAN: &str = "orphan";

/// Which parts of an object differ between two versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// `spec`
    pub spec: bool,
    /// `status`
    pub status: bool,
    /// Any other top-level field but metadata.
    pub rest: bool,
    /// Metadata other than managedFields and what the server sets.
    pub meta: bool,
    /// managedFields other than their times.
    pub managers: bool,
    /// Labels, which are in `meta` as well.
    pub labels: bool,
    /// Annotations, which are in `meta` as well.
    pub annotations: bool,
}

impl Changes {
    /// Whether a write is a no-op: nothing differs but times of managed fields (O-02).
    #[must_use]
    pub const fn none(self) -> bool {
        !(self.spec || self.status || self.rest || self.meta || self.managers)
    }

    /// Compares two headers; the payload flags stay as they are.
    #[must_use]
    pub fn with_meta(mut self, old: &Meta, new: &Meta) -> Self {
        self.labels = old.labels != new.labels;
        self.annotations = old.annotations != new.annotations;
        self.meta = self.labels
            || self.annotations
            || old.owners != new.owners
            || old.finalizers != new.finalizers
            || old.generate_name != new.generate_name
            || old.deleted != new.deleted
            || old.grace != new.grace;
        self.managers = !same_managers(old, new);
        self
    }
}

/// Equal but for times and the order that times give.
fn same_managers(old: &Meta, new: &Meta) -> bool {
    let (old, new) = (old.managers.as_deref().unwrap_or_default(), new.managers.as_deref().unwrap_or_default());
    old.len() == new.len()
        && new.iter().all(|n| {
            old.iter().any(|o| {
                o.manager == n.manager
                    && o.apply == n.apply
                    && o.api_version == n.api_version
                    && o.subresource == n.subresource
                    && o.fields == n.fields
            })
        })
}

/// The generation after a change (O-07): intent counts, metadata and status do not, but for a few kinds whose strategies
/// say otherwise. Custom resources without a status subresource count their status as intent.
#[must_use]
pub fn next_generation(resource: &Resource, generation: u64, changes: Changes) -> u64 {
    let status_counts = resource.custom && !resource.has_status;
    let intent = changes.spec || changes.rest || status_counts && changes.status;
    let counts = match (resource.custom, resource.plural.as_str()) {
        (false, "endpointslices") => intent || changes.labels,
        // The controller writes the revision through the status, where annotations do not count.
        (false, "deployments") => intent || changes.annotations && !changes.status,
        // Upstream gives it one at first and never another; and none at first, and then one.
        (false, "priorityclasses") => false,
        (false, "csidrivers") => intent,
        _ => intent && resource.tracks_generation,
    };
    generation + u64::from(counts)
}

/// What a delete does to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// It goes now.
    Remove,
    /// It stays with a deletion timestamp: this is its new header (finalizers, generation, timestamp, grace set).
    Mark(Box<Meta>),
    /// It is marked already and nothing changes.
    Pending,
}

/// Decides a delete. `grace` is what the kind waits by itself (pods), `finalize` whether something outside the metadata
/// holds the object (the namespace's own finalizer), `orphan_by_default` the kind's default policy, `now` seconds since
/// 1970 (G-01, G-02).
#[must_use]
pub fn delete(
    meta: &Meta,
    propagation: Option<Propagation>,
    grace: i64,
    held: bool,
    orphan_by_default: bool,
    now: u64,
) -> Deletion {
    let mut next = meta.clone();
    let keep: Vec<&str> = meta.finalizers().filter(|f| *f != FOREGROUND && *f != ORPHAN).collect();
    let policy = match propagation {
        None if orphan_by_default && meta.deleted.is_none() => Some(Propagation::Orphan),
        other => other,
    };
    match policy {
        Some(Propagation::Foreground) => next.set_finalizers(keep.into_iter().chain([FOREGROUND])),
        Some(Propagation::Orphan) => next.set_finalizers(keep.into_iter().chain([ORPHAN])),
        Some(Propagation::Background) => next.set_finalizers(keep),
        None => {}
    }
    let waits = next.finalizers.is_some() || held || grace > 0;
    if !waits {
        return Deletion::Remove;
    }
    if meta.deleted.is_some() {
        let shorter = meta.grace.is_some_and(|old| grace < old);
        if shorter {
            (next.deleted, next.grace) = (Some(now + grace.unsigned_abs()), Some(grace));
        }
        let same = next.finalizers == meta.finalizers && !shorter;
        return if same { Deletion::Pending } else { Deletion::Mark(Box::new(next)) };
    }
    mark(&mut next, grace, now);
    Deletion::Mark(Box::new(next))
}

/// Says of an object that it is being deleted: in `grace` seconds from `now` on it may be gone. Counts as a change of intent
/// where those are counted.
pub fn mark(meta: &mut Meta, grace: i64, now: u64) {
    (meta.deleted, meta.grace) = (Some(now + grace.unsigned_abs()), Some(grace));
    meta.generation += u64::from(meta.generation > 0);
}

/// Whether a write removes the object: it was marked, and nothing holds it any more (V-03).
#[must_use]
pub fn finished(new: &Meta, held: bool) -> bool {
    new.deleted.is_some() && new.finalizers.is_none() && !held && new.grace.unwrap_or(0) == 0
}

#[cfg(test)]
mod tests;
