//! What a management cluster does with one Application of `hub-and-spoke`: its copy on the leaf says what the hub's says,
//! and the hub's status says what the copy's says. As argocd-agent's managed mode does it.
//!
//! In: what both sides show, as fingerprints. Out: the next [`Step`]. Pure: whoever makes the call tells what became of it.
//!
//! A deletion goes down first and up last: the Application on the hub keeps its finalizer until its copy is gone, and
//! that one goes when its own manager has removed what it installed.

use crate::calls::ContentId;

/// The annotation of a copy: `metadata.generation` of the Application on the hub that it says the same as.
pub const GENERATION: &str = "flamboyance.dev/generation";

/// The Application on the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Everything but its status.
    pub content: ContentId,
    /// It is marked for deletion.
    pub deleting: bool,
    /// A finalizer holds it.
    pub held: bool,
}

/// The copy on the leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its status; the default if it has none.
    pub status: ContentId,
    /// It is marked for deletion.
    pub deleting: bool,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write the copy.
    Apply,
    /// Delete the copy.
    Remove,
    /// Take the finalizer from the hub's.
    Release,
    /// Write the copy's status to the hub's.
    Report,
}

/// One Application and its copy.
#[derive(Clone, Copy, Debug, Default)]
pub struct Relay {
    asked: Option<Asked>,
    found: Option<Found>,
    /// The content that was written to the copy last.
    applied: ContentId,
    /// The status that was written to the hub last.
    reported: ContentId,
}

impl Relay {
    /// The hub shows this; `None`: it is gone.
    pub fn hub_shows(&mut self, asked: Option<Asked>) {
        self.asked = asked;
        if asked.is_none() {
            // A successor of the same name starts anew.
            self.reported = ContentId::default();
        }
    }

    /// The leaf shows this; `None`: it is gone.
    pub fn leaf_shows(&mut self, found: Option<Found>) {
        self.found = found;
        if found.is_none() {
            self.applied = ContentId::default();
            self.reported = ContentId::default();
        }
    }

    /// What to do now, if anything.
    #[must_use]
    pub fn next(&self) -> Option<Step> {
        match (self.asked, self.found) {
            // One that is on its way out is written again when it is gone.
            (Some(Asked { deleting: false, .. }), Some(Found { deleting: true, .. })) => None,
            (Some(asked), _) if !asked.deleting && asked.content != self.applied => Some(Step::Apply),
            (Some(asked), Some(found)) if !asked.deleting => {
                (found.status != ContentId::default() && found.status != self.reported).then_some(Step::Report)
            }
            (_, Some(found)) => (!found.deleting).then_some(Step::Remove),
            (Some(asked), None) => (asked.deleting && asked.held).then_some(Step::Release),
            (None, None) => None,
        }
    }

    /// The copy was written with this content.
    pub fn applied(&mut self, content: ContentId) {
        self.applied = content;
        self.found.get_or_insert(Found { status: ContentId::default(), deleting: false });
    }

    /// The copy's deletion was asked for; whether it is gone already.
    pub const fn removed(&mut self, gone: bool) {
        match &mut self.found {
            Some(found) if !gone => found.deleting = true,
            found => *found = None,
        }
    }

    /// The finalizer was taken.
    pub const fn released(&mut self) {
        if let Some(asked) = &mut self.asked {
            asked.held = false;
        }
    }

    /// This status was written to the hub.
    pub const fn reported(&mut self, status: ContentId) {
        self.reported = status;
    }

    /// Whether there is no copy, as far as is known.
    #[must_use]
    pub const fn is_fresh(&self) -> bool {
        self.found.is_none()
    }

    /// Whether the copy was written with this content.
    #[must_use]
    pub fn has(&self, content: ContentId) -> bool {
        self.applied == content
    }

    /// Neither side has it: it can be forgotten.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.asked.is_none() && self.found.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn asked(content: u64) -> Option<Asked> {
        Some(Asked { content: ContentId(content), deleting: false, held: true })
    }

    const fn found(status: u64) -> Option<Found> {
        Some(Found { status: ContentId(status), deleting: false })
    }

    const DELETED: Option<Asked> = Some(Asked { content: ContentId(1), deleting: true, held: true });

    #[test]
    fn what_is_asked_goes_down_and_its_status_comes_up() {
        let mut relay = Relay::default();
        assert_eq!(relay.next(), None);
        relay.hub_shows(asked(1));
        assert_eq!(relay.next(), Some(Step::Apply));
        relay.applied(ContentId(1));
        assert_eq!(relay.next(), None);
        relay.leaf_shows(found(7));
        assert_eq!(relay.next(), Some(Step::Report));
        relay.reported(ContentId(7));
        assert_eq!(relay.next(), None);
        // What changes meanwhile goes down before anything comes up.
        relay.hub_shows(asked(2));
        relay.leaf_shows(found(8));
        assert_eq!(relay.next(), Some(Step::Apply));
    }

    #[test]
    fn a_copy_that_somebody_deleted_is_written_again() {
        let mut relay = Relay::default();
        relay.hub_shows(asked(1));
        relay.applied(ContentId(1));
        relay.leaf_shows(Some(Found { status: ContentId(1), deleting: true }));
        assert_eq!(relay.next(), None);
        relay.leaf_shows(None);
        assert_eq!(relay.next(), Some(Step::Apply));
    }

    #[test]
    fn a_deletion_goes_down_first_and_up_last() {
        let mut relay = Relay::default();
        relay.hub_shows(asked(1));
        relay.applied(ContentId(1));
        relay.hub_shows(DELETED);
        assert_eq!(relay.next(), Some(Step::Remove));
        relay.removed(false);
        assert_eq!(relay.next(), None, "the leaf's manager has work to do");
        relay.leaf_shows(None);
        assert_eq!(relay.next(), Some(Step::Release));
        relay.released();
        assert_eq!(relay.next(), None);
        relay.hub_shows(None);
        assert!(relay.is_over());
    }

    #[test]
    fn one_that_vanished_from_the_hub_goes_from_the_leaf() {
        let mut relay = Relay::default();
        relay.leaf_shows(found(1));
        assert_eq!(relay.next(), Some(Step::Remove));
        relay.removed(true);
        assert!(relay.is_over());
    }
}
