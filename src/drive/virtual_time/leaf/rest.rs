//! A leaf at rest: what its next pass depends on, and what one leaves behind that finds everything as it was.

use super::Leaf;
use super::object::Head;
use crate::drive::virtual_time::ground::Ground;
use crate::drive::virtual_time::manager::Managed;
use crate::model::flux::spec::Spec;
use crate::model::flux::{Rest, Slot};
use crate::units::Time;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// What a resting pass leaves behind on its leaf.
#[derive(Clone, Debug)]
pub(in crate::drive::virtual_time) struct LeafRest {
    pub(in crate::drive::virtual_time) slot: Slot,
    rest: Rest,
    /// By how much the server's version grew, and where in between its object's is.
    grown: u64,
    version: Option<u64>,
}

impl Leaf {
    /// Nobody does anything and nothing is in line: only timers of Flux objects will go on.
    pub(in crate::drive::virtual_time) fn is_resting(&self) -> bool {
        self.controllers.is_resting() && self.workloads.next_deadline().is_none()
    }

    /// How many versions its server gave.
    pub(in crate::drive::virtual_time) const fn version(&self) -> u64 {
        self.version
    }

    /// Everything that a pass depends on but times, versions and draws.
    pub(in crate::drive::virtual_time) fn fingerprint(&self, hash: &mut impl Hasher) {
        for (n, head) in self.heads.iter().enumerate() {
            let Some(head) = head else { continue };
            (n, head.slot, head.addon, head.kind, head.generation, head.finalizer, head.deleting).hash(hash);
            (head.content, head.status).hash(hash);
        }
        (&self.slots, &self.items, &self.deployments, &self.sets, &self.releases).hash(hash);
        self.controllers.fingerprint(hash);
    }

    /// What a pass that was played from `begin` on left behind; `None` if it cannot be told.
    pub(in crate::drive::virtual_time) fn rest_of(
        &self,
        ground: &Ground<'_>,
        slot: Slot,
        begin: Time,
        (draws, version): (u64, u64),
    ) -> Option<LeafRest> {
        let rest = self.controllers.rest_of(&ground.flux, slot, begin, draws, version)?;
        let head = self.heads.get(slot.0 as usize)?.as_ref()?;
        let moved = head.version.checked_sub(version).filter(|moved| *moved > 0);
        Some(LeafRest { slot, rest, grown: self.version - version, version: moved })
    }

    /// The same pass from `begin` on; false, and nothing happened, if it would be another.
    pub(in crate::drive::virtual_time) fn rest(&mut self, ground: &Ground<'_>, rest: &LeafRest, begin: Time) -> bool {
        if !self.controllers.rest(&ground.flux, rest.slot, &rest.rest, begin, self.version) {
            return false;
        }
        if let (Some(moved), Some(Some(head))) = (rest.version, self.heads.get_mut(rest.slot.0 as usize)) {
            head.version = self.version + moved;
        }
        self.version += rest.grown;
        true
    }

    /// Its number among all leaves, as the digest's entities carry it.
    pub(in crate::drive::virtual_time) const fn number(&self) -> u64 {
        self.id << 24
    }

    /// A leaf that came to rest at `now` as this one did, with intervals of its own; `None` if it cannot be told which. `apps`
    /// are its apps, by add-on.
    pub(in crate::drive::virtual_time) fn begun(
        &self,
        ground: &Ground<'_>,
        id: u64,
        apps: &[Managed],
        now: Time,
    ) -> Option<Self> {
        let named = |slot: Slot| named(ground, self.heads.get(slot.0 as usize)?.as_ref()?, apps);
        Some(Self {
            controllers: self.controllers.begun(&ground.flux, id, named, now)?,
            workloads: self.workloads.of_another(ground.flux.seed.entity(id)),
            id,
            first_app: self.first_app,
            heads: self.heads.clone(),
            slots: self.slots.clone(),
            items: self.items.clone(),
            deployments: self.deployments.clone(),
            sets: self.sets.clone(),
            releases: self.releases.clone(),
            version: self.version,
            armed: None,
        })
    }
}

/// What a Flux object of one of these apps is called, and its spec.
pub(super) fn named(ground: &Ground<'_>, head: &Head, apps: &[Managed]) -> Option<(Arc<str>, Spec)> {
    let app = apps.get(usize::from(head.addon))?;
    let (name, shape) = (&app.name, app.shape.as_ref()?);
    if let Some(slot) = head.slot {
        return Some((Arc::clone(name), shape.spec(slot, name)));
    }
    let Spec::Release(release) = shape.spec(crate::reconcile::Slot::Workload, name) else { return None };
    let chart = release.chart.clone()?;
    let namespace = &ground.namespaces[usize::from(head.addon)];
    Some((format!("{namespace}-{name}").into(), Spec::Chart(Arc::new(chart))))
}
