//! One pass of a status processor.
//!
//! The gate; the cluster cache; the manifests of the revision (an ordinary app: the repo-server; one with the Flux
//! subsystem: two objects made from the Application itself, read on the leaf where they are); the comparison; auto-sync
//! (GET, PUT); the status (PATCH), at level 1 only if it says anything new.

use super::app::{AutoSync, Level, Status, Sync};
use super::{Answer, App, Call, Calls, Effect, Settings, Step};
use crate::calls::{Kind, Verb};
use crate::units::{Span, Time};
use smallvec::smallvec;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Gate,
    Judge,
    Read,
    Render,
    Think,
    Look,
    Compare,
    Normalise,
    Sync,
    Put,
    Report,
    Tell,
    End,
    Drop,
}

/// See the module head.
#[derive(Clone, Copy, Debug)]
pub struct Refresh {
    stage: Stage,
    level: Level,
    began: Time,
    /// The app's two Flux objects, if it is a loopback app, and whether they are there.
    flux: Option<([Kind; 2], bool)>,
    revision: u64,
    status: Status,
    sync: AutoSync,
    events: u8,
}

impl Refresh {
    /// A pass that begins. `flux` are the two Flux objects of a loopback app and whether the leaf has them.
    #[must_use]
    pub const fn new(now: Time, flux: Option<([Kind; 2], bool)>) -> Self {
        Self {
            stage: Stage::Gate,
            level: Level::Recent,
            began: now,
            flux,
            revision: 0,
            status: Status {
                sync: Sync::Unknown,
                health: super::Health::Unknown,
                compared: 0,
                revision: 0,
                reconciled: None,
            },
            sync: AutoSync::No,
            events: 0,
        }
    }

    /// When it began.
    #[must_use]
    pub const fn began(&self) -> Time {
        self.began
    }

    /// It was dropped at the gate.
    #[must_use]
    pub fn is_dropped(&self) -> bool {
        self.stage == Stage::Drop
    }

    /// Another refresh is wanted after so long: self-heal waits.
    #[must_use]
    pub const fn again(&self) -> Option<Span> {
        match self.sync {
            AutoSync::After(span) => Some(span),
            _ => None,
        }
    }

    /// What is next.
    pub fn next(&mut self, app: &mut App, answer: Answer<'_>, now: Time, settings: &Settings) -> Step {
        loop {
            let (stage, step) = self.stage(app, answer, now, settings);
            self.stage = stage;
            if let Some(step) = step {
                return step;
            }
        }
    }

    fn stage(&mut self, app: &mut App, answer: Answer<'_>, now: Time, settings: &Settings) -> (Stage, Option<Step>) {
        let costs = &settings.costs;
        match self.stage {
            Stage::Gate => (Stage::Judge, Some(Step::Think(costs.gate))),
            Stage::Judge => match app.gate(now, settings) {
                None => (Stage::Drop, Some(Step::Done)),
                Some(level) => {
                    self.level = level;
                    (Stage::Read, Some(Step::Cluster))
                }
            },
            Stage::Read => (Stage::Render, Some(self.desired(app))),
            Stage::Render => {
                self.revision = match answer {
                    Answer::Revision(revision) => revision,
                    // A loopback app reports no revision.
                    _ => 0,
                };
                (Stage::Think, None)
            }
            Stage::Think => (Stage::Look, Some(Step::Think(costs.refresh))),
            Stage::Look => (Stage::Compare, Some(Step::Look)),
            Stage::Compare => {
                if let Answer::Compared(compared, _) = answer {
                    let sync = if compared.out_of_sync == 0 { Sync::Synced } else { Sync::OutOfSync };
                    let reconciled = match self.level {
                        Level::Recent if app.status.reconciled.is_some() => app.status.reconciled,
                        // Stamped before the comparison, whole seconds.
                        _ => Some(Time(self.began.0 / 1_000_000_000 * 1_000_000_000)),
                    };
                    let health = compared.health;
                    self.status = Status { sync, health, compared: app.source, revision: self.revision, reconciled };
                    self.sync = app.auto_sync(compared, self.revision, now);
                }
                (Stage::Normalise, None)
            }
            Stage::Normalise if app.exists && !app.normal => (Stage::Sync, call(Verb::Patch, Effect::Normalise)),
            Stage::Normalise => (Stage::Sync, None),
            Stage::Sync => match self.sync {
                AutoSync::Now(_) => (Stage::Put, call(Verb::Get, Effect::None)),
                _ => (Stage::Report, None),
            },
            Stage::Put => match self.sync {
                AutoSync::Now(asked) => {
                    self.events += 1;
                    (Stage::Report, call(Verb::Update, Effect::Ask(asked)))
                }
                _ => (Stage::Report, None),
            },
            Stage::Report => {
                let (old, new) = (&app.status, &self.status);
                self.events += u8::from(old.sync != new.sync) + u8::from(old.health != new.health);
                if self.events > 0 { (Stage::Tell, Some(Step::Events(self.events))) } else { (Stage::Tell, None) }
            }
            Stage::Tell => {
                let news = app.status != self.status || app.annotated;
                (Stage::End, if news { call(Verb::Patch, Effect::Report(self.status)) } else { None })
            }
            Stage::End | Stage::Drop => (self.stage, Some(Step::Done)),
        }
    }

    /// Where the wanted state comes from.
    fn desired(&self, app: &App) -> Step {
        match self.flux {
            // Nothing was compared yet.
            None if app.status.revision == 0 => Step::Render(self.level.max(Level::Latest)),
            None => Step::Render(self.level),
            Some((kinds, true)) => Step::Call(read(kinds)),
            Some((_, false)) => Step::Think(Span::ZERO),
        }
    }

    /// The revision that it compares with.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }
}

/// Untracked live objects are read one by one, each after its discovery (`GetManagedLiveObjs`).
pub(super) fn read(kinds: [Kind; 2]) -> Calls {
    let mut calls = Calls::new();
    for (n, kind) in (0_u16..).zip(kinds) {
        calls.push(Call::discover());
        calls.push(Call::object(Verb::Get, kind, n, Effect::None));
    }
    calls
}

fn call(verb: Verb, effect: Effect) -> Option<Step> {
    Some(Step::Call(smallvec![Call::app(verb, effect)]))
}
