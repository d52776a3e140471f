//! A leaf between two moments of rest that differ: what was changed on it, and the same on another leaf.

use super::object::{Head, Item};
use super::rest::named;
use super::{FluxSlot, Leaf};
use crate::drive::virtual_time::ground::Ground;
use crate::drive::virtual_time::manager::Managed;
use crate::model::flux::{Before, Course};
use crate::model::workload::Rollouts;
use crate::units::Time;
use std::collections::BTreeSet;
use std::hash::Hasher;

/// What a leaf was before.
#[derive(Debug)]
pub(in crate::drive::virtual_time) struct LeafBefore {
    flux: Before,
    draws: Vec<u64>,
    version: u64,
    slots: Vec<[Option<FluxSlot>; 2]>,
}

/// What was changed on a leaf. Objects are those of the leaf that played it; times and versions count from its begin.
#[derive(Debug)]
pub(in crate::drive::virtual_time) struct LeafCourse {
    flux: Course,
    rollouts: Rollouts,
    /// Heads that were written, and by how much their versions are above that of the begin.
    heads: Vec<(usize, Head, u64)>,
    items: Vec<Item>,
    deployments: Vec<u32>,
    sets: BTreeSet<(u32, u32)>,
    releases: BTreeSet<(u16, u32)>,
    grown: u64,
}

impl Leaf {
    /// Everything that a change depends on beside what a resting pass does.
    pub(in crate::drive::virtual_time) fn fingerprint_workloads(&self, hash: &mut impl Hasher) {
        self.workloads.fingerprint(hash);
    }

    /// What is changed from now on is to be known.
    pub(in crate::drive::virtual_time) fn listen(&mut self) -> LeafBefore {
        LeafBefore {
            flux: self.controllers.listen(),
            draws: self.workloads.draws(),
            version: self.version,
            slots: self.slots.clone(),
        }
    }

    /// What was changed since; `None` if that cannot be done to another leaf. See [`crate::model::flux::Controllers::course`].
    pub(in crate::drive::virtual_time) fn course(
        &mut self,
        ground: &Ground<'_>,
        before: &LeafBefore,
        (begin, idle): (Time, Time),
    ) -> Option<LeafCourse> {
        let flux = self.controllers.course(&ground.flux, &before.flux, (begin, idle), before.version)?;
        let written = |(n, head): (usize, &Option<Head>)| {
            let head = (*head)?;
            Some((n, head, head.version.checked_sub(before.version).filter(|moved| *moved > 0)?))
        };
        (self.slots == before.slots).then_some(())?;
        Some(LeafCourse {
            flux,
            rollouts: self.workloads.course(&before.draws, begin)?,
            heads: self.heads.iter().enumerate().filter_map(written).collect(),
            items: self.items.clone(),
            deployments: self.deployments.clone(),
            sets: self.sets.clone(),
            releases: self.releases.clone(),
            grown: self.version - before.version,
        })
    }

    /// The same is changed here, from `begin` on; false, and nothing happened, if it would be something else. `apps` are its apps
    /// as they are afterwards, by add-on.
    pub(in crate::drive::virtual_time) fn take(
        &mut self,
        ground: &Ground<'_>,
        course: &LeafCourse,
        begin: Time,
        apps: &[Managed],
    ) -> bool {
        let heads = &self.heads;
        let named = |slot: FluxSlot| named(ground, heads.get(slot.0 as usize)?.as_ref()?, apps);
        if !self.controllers.take(&ground.flux, &course.flux, (begin, self.version), named) {
            return false;
        }
        for (n, head, moved) in &course.heads {
            self.heads[*n] = Some(Head { version: self.version + moved, ..*head });
        }
        self.workloads.take(&course.rollouts, begin);
        self.items.clone_from(&course.items);
        self.deployments.clone_from(&course.deployments);
        if self.sets != course.sets {
            self.sets.clone_from(&course.sets);
        }
        if self.releases != course.releases {
            self.releases.clone_from(&course.releases);
        }
        self.version += course.grown;
        true
    }
}
