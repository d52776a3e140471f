//! The hub's API server: Applications as headers, by the rules of an object's life.
//!
//! In: writes of the harness and of managers. Out: codes, and whether an Application was committed or is gone. What the
//! watches make of it is the simulation's business.

use super::event::AppNews;
use super::ground::Ground;
use crate::apiserver::life::{self, Deletion};
use crate::apiserver::object::Meta as Header;
use crate::calls::Kind;
use crate::fleet::Target;
use crate::reconcile::render::FINALIZER;
use crate::reconcile::{Body, Status};
use crate::units::Time;

/// An Application as the server has it.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(super) struct Application {
    /// It is there.
    pub(super) exists: bool,
    /// What it asks for.
    pub(super) target: Target,
    /// `metadata.generation`.
    pub(super) generation: u32,
    /// `metadata.deletionTimestamp` is set.
    pub(super) deleting: bool,
    /// Argo CD's finalizer is set.
    finalizer: bool,
    /// `operation` is set.
    pub(super) operation: bool,
    /// What a manager reported.
    pub(super) status: Status,
}

/// What a write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) code: u16,
    /// The Application was stored anew; it may be gone.
    pub(super) committed: bool,
}

const ABSENT: Written = Written { code: 404, committed: false };
const OK: Written = Written { code: 200, committed: true };

impl Application {
    /// POST.
    pub(super) fn create(&mut self, ground: &Ground<'_>, target: Target, cascade: bool) -> Written {
        if self.exists {
            return Written { code: 409, committed: false };
        }
        let generation = u32::try_from(ground.first_generation(Kind::APPLICATION)).unwrap_or(1);
        *self = Self { exists: true, target, generation, finalizer: cascade, ..Self::default() };
        Written { code: 201, committed: true }
    }

    /// PATCH of what it asks for.
    pub(super) fn retarget(&mut self, ground: &Ground<'_>, target: Target) -> Written {
        if !self.exists {
            return ABSENT;
        }
        self.target = target;
        self.grow(ground.next_generation(Kind::APPLICATION, u64::from(self.generation)));
        OK
    }

    /// DELETE.
    pub(super) fn delete(&mut self, now: Time) -> Written {
        if !self.exists {
            return ABSENT;
        }
        let mut header = Header {
            generation: u64::from(self.generation),
            deleted: self.deleting.then_some(0),
            grace: self.deleting.then_some(0),
            ..Header::default()
        };
        header.set_finalizers(self.finalizer.then_some(FINALIZER));
        match life::delete(&header, None, 0, false, false, now.0 / 1_000_000_000) {
            Deletion::Remove => *self = Self::default(),
            Deletion::Pending => return Written { code: 200, committed: false },
            Deletion::Mark(header) => {
                self.deleting = true;
                self.grow(header.generation);
            }
        }
        OK
    }

    /// A manager's PATCH or PUT.
    pub(super) fn write(&mut self, ground: &Ground<'_>, body: &Body) -> Written {
        if !self.exists {
            return ABSENT;
        }
        match body {
            Body::Status { status, .. } => {
                self.status = *status;
                self.operation = false;
                self.grow(ground.generation_of_status(Kind::APPLICATION, u64::from(self.generation)));
            }
            Body::NoFinalizer => {
                self.finalizer = false;
                if self.is_finished() {
                    *self = Self::default();
                }
            }
            Body::Operation => {
                self.operation = true;
                self.grow(ground.next_generation(Kind::APPLICATION, u64::from(self.generation)));
            }
            Body::OperationState(_) | Body::History => {
                self.operation = false;
                self.grow(ground.generation_of_status(Kind::APPLICATION, u64::from(self.generation)));
            }
            Body::Nothing | Body::Document(_) | Body::Namespace | Body::Event(_) => {
                return Written { code: 200, committed: false };
            }
        }
        OK
    }

    fn is_finished(&self) -> bool {
        let mut header = Header { deleted: self.deleting.then_some(0), grace: Some(0), ..Header::default() };
        header.set_finalizers(self.finalizer.then_some(FINALIZER));
        life::finished(&header, false)
    }

    fn grow(&mut self, generation: u64) {
        self.generation = u32::try_from(generation).unwrap_or(u32::MAX);
    }

    /// What a watch says of it.
    pub(super) const fn news(&self) -> AppNews {
        let Self { target, generation, deleting, operation, exists, .. } = *self;
        AppNews { target, generation, deleting, operation, cascade: self.finalizer, gone: !exists }
    }
}
