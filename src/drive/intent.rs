//! What the changes of a timeline must bring about to count as done: the same for both clocks.
//!
//! In: a change of the world, what the sources hold at that moment. Out: the change in the words of `measure`. Pure.

use super::drifted;
use crate::fleet::{self, World};
use crate::measure::{Change, ChangeKind, fingerprint, fingerprint_json};
use crate::model::flux::Catalogue;
use crate::scenario::{Delivery, Mode};
use crate::units::Time;

/// Reads changes; see the module head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Intent<'a> {
    pub(super) world: &'a World,
    pub(super) catalogue: &'a Catalogue,
    /// When the timeline began.
    pub(super) epoch: Time,
}

impl Intent<'_> {
    /// The change as it is intended.
    pub(super) fn of(&self, change: fleet::Change) -> Change {
        let addon = self.world.addon(change.app);
        let (kind, object) = match change.kind {
            fleet::ChangeKind::Install => (ChangeKind::Install, 0),
            fleet::ChangeKind::Upgrade => (ChangeKind::Upgrade, 0),
            fleet::ChangeKind::Commit { .. } => (ChangeKind::Commit, 0),
            fleet::ChangeKind::Scale => (ChangeKind::Scale, 0),
            fleet::ChangeKind::Decommission => (ChangeKind::Decommission, 0),
            fleet::ChangeKind::Drift { object, .. } => {
                let found = drifted::object(self.world, self.catalogue, change.app, object);
                (ChangeKind::Drift, found.map_or(0, |object| object.fingerprint()))
            }
        };
        let of_spec = matches!(kind, ChangeKind::Install | ChangeKind::Upgrade | ChangeKind::Scale);
        Change {
            app: change.app,
            kind,
            intended: self.epoch + change.at,
            source: if of_spec { self.source(change) } else { 0 },
            revision: self.revision(change),
            object,
            through_flux: addon.flux_subsystem,
            // In Reference mode whoever plays the timeline writes the Flux objects, and removes them.
            cascade: addon.cascade_delete || addon.flux_subsystem && addon.mode == Mode::Reference,
        }
    }

    /// The fingerprint of the source that the Application names after the change.
    pub(super) fn source(&self, change: fleet::Change) -> u64 {
        let patch = self.world.application_patch(change.app, change.target);
        fingerprint_json(&patch["spec"]["source"])
    }

    /// The revision that the change brings, 0 where it brings none.
    fn revision(&self, change: fleet::Change) -> u64 {
        match change.kind {
            fleet::ChangeKind::Install | fleet::ChangeKind::Upgrade | fleet::ChangeKind::Commit { .. } => {
                self.head(change).map_or(0, |revision| fingerprint(&revision))
            }
            fleet::ChangeKind::Scale | fleet::ChangeKind::Drift { .. } | fleet::ChangeKind::Decommission => 0,
        }
    }

    /// What the source holds at the version that the change asks for, in Flux's form.
    fn head(&self, change: fleet::Change) -> Option<String> {
        let addon = self.world.addon(change.app);
        let version = addon.versions.get(change.target.version as usize)?;
        let repo = match addon.delivery {
            Delivery::Git => self.catalogue.git(&addon.repo_url, version),
            Delivery::Oci => self.catalogue.oci(&addon.repo_url, version),
            Delivery::Helm => self.catalogue.chart(&addon.repo_url, &addon.chart, version),
        }?;
        let mut text = String::new();
        self.catalogue.write_revision(&mut text, self.catalogue.head(repo));
        Some(text)
    }
}
