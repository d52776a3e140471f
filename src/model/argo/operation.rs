//! One pass of an operation processor: a sync, or the deletion of an Application with its finalizer.
//!
//! A sync reads the Application (GET), says Running (PATCH), compares with the repository's head, asks the destination for
//! its kinds and schemas, dry-runs all objects in the client, applies them kind by kind, and says what came of it (PATCH
//! history, PATCH Succeeded). Calls by verb and order are those that were recorded; that each kind's objects go out
//! together is the sync engine's rule.

use super::app::{App, Asked, Level};
use super::refresh::read;
use super::{Answer, Call, Calls, Client, Effect, Live, Settings, Step};
use crate::calls::{Kind, Verb};
use crate::units::{Span, Time};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begin,
    Running,
    Render,
    Think,
    Look,
    Discover,
    Schemas,
    Validate,
    /// Dry run of the group that begins at the `n`-th target; their namespaces; the same for real; the writes.
    DryRun(u16),
    DryRunNamespaces(u16),
    Apply(u16),
    ApplyNamespaces(u16),
    Schema2(u16),
    Write(u16),
    Return,
    History,
    Succeeded,
    Tell,
    /// Deletion.
    Remove,
    Removed,
    Told,
    Release,
    Gone,
    End,
}

/// See the module head.
#[derive(Clone, Debug)]
pub struct Operation {
    stage: Stage,
    began: Time,
    asked: Option<Asked>,
    /// The app's objects in the order of application.
    kinds: Arc<[Kind]>,
    flux: Option<bool>,
    revision: u64,
    /// What is to be applied: the place among the app's objects.
    targets: SmallVec<[u16; 4]>,
    live: SmallVec<[Live; 4]>,
    /// Which objects the last reads did not find.
    absent: SmallVec<[bool; 4]>,
    patched: bool,
    permits: u16,
}

impl Operation {
    /// A pass that begins. `flux` says of a loopback app whether the leaf has its objects.
    #[must_use]
    pub fn new(now: Time, app: &App, kinds: Arc<[Kind]>, flux: Option<bool>) -> Self {
        Self {
            stage: Stage::Begin,
            began: now,
            asked: app.operation,
            kinds,
            flux,
            revision: 0,
            targets: SmallVec::new(),
            live: SmallVec::new(),
            absent: SmallVec::new(),
            patched: false,
            permits: 0,
        }
    }

    /// When it began.
    #[must_use]
    pub const fn began(&self) -> Time {
        self.began
    }

    /// The revision that it synced.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// The refresh that follows a sync; `None` for a deletion.
    #[must_use]
    pub const fn follow_up(&self) -> Option<Level> {
        match self.asked {
            Some(Asked { by_hand: true, .. }) => Some(Level::Force),
            Some(_) => Some(Level::Latest),
            None => None,
        }
    }

    /// What was asked for; `None` for a deletion.
    #[must_use]
    pub const fn asked(&self) -> Option<Asked> {
        self.asked
    }

    /// What is next.
    pub fn next(&mut self, answer: Answer<'_>, settings: &Settings) -> Step {
        loop {
            let (stage, step) = self.stage(answer, settings);
            self.stage = stage;
            if let Some(step) = step {
                return step;
            }
        }
    }

    fn stage(&mut self, answer: Answer<'_>, settings: &Settings) -> (Stage, Option<Step>) {
        let costs = &settings.costs;
        match self.stage {
            Stage::Begin => {
                let next = if self.asked.is_some() { Stage::Running } else { Stage::Remove };
                (next, one(Call::app(Verb::Get, Effect::None)))
            }
            Stage::Running => (Stage::Render, one(Call::app(Verb::Patch, Effect::Running))),
            Stage::Render => {
                let step = match self.flux {
                    None => Some(Step::Render(Level::Force)),
                    Some(true) => Some(Step::Call(read([self.kinds[0], self.kinds[1]]))),
                    Some(false) => None,
                };
                (Stage::Think, step)
            }
            Stage::Think => {
                if let Answer::Revision(revision) = answer {
                    self.revision = revision;
                }
                (Stage::Look, Some(Step::Think(costs.refresh)))
            }
            Stage::Look => (Stage::Discover, Some(Step::Look)),
            Stage::Discover => {
                self.plan(answer);
                (Stage::Schemas, self.discover())
            }
            Stage::Schemas => {
                self.permits = u16::try_from(self.targets.len()).unwrap_or(u16::MAX);
                (Stage::Validate, Some(Step::Permits(self.permits)))
            }
            Stage::Validate => (Stage::DryRun(u16::MAX), one(Call::discover())),
            Stage::DryRun(u16::MAX) => {
                let custom = self.kinds.iter().all(|kind| kind.info().group.ends_with(".io"));
                (Stage::DryRun(0), Some(Step::Think(if custom { costs.validate_custom } else { costs.validate })))
            }
            Stage::DryRun(from) if self.is_end(from) => (Stage::Apply(0), None),
            Stage::DryRun(from) => (Stage::DryRunNamespaces(from), self.read_group(from)),
            Stage::DryRunNamespaces(from) => {
                self.found(answer);
                (Stage::DryRun(self.group_end(from)), self.read_namespaces())
            }
            Stage::Apply(from) if self.is_end(from) => (Stage::Return, None),
            Stage::Apply(from) => (Stage::ApplyNamespaces(from), self.read_group(from)),
            Stage::ApplyNamespaces(from) => {
                self.found(answer);
                (Stage::Schema2(from), self.read_namespaces())
            }
            Stage::Schema2(from) => {
                let patches = self.group(from).any(|n| self.live[usize::from(n)] == Live::Differs);
                if patches && !std::mem::replace(&mut self.patched, true) {
                    return (Stage::Schema2(from), one(Call::discover()));
                }
                let cost = if patches { costs.strategic } else { Span::ZERO };
                (Stage::Write(from), (cost > Span::ZERO).then_some(Step::Think(cost)))
            }
            Stage::Write(from) => (Stage::Apply(self.group_end(from)), self.writes(from)),
            Stage::Return => (Stage::History, Some(Step::Return(self.permits))),
            Stage::History => (Stage::Succeeded, one(Call::app(Verb::Patch, Effect::History))),
            Stage::Succeeded => (Stage::Tell, one(Call::app(Verb::Patch, Effect::Succeeded))),
            Stage::Tell => (Stage::End, Some(Step::Events(1))),
            Stage::Remove => (Stage::Removed, Some(Step::Look)),
            Stage::Removed => self.remove(answer),
            Stage::Told => (Stage::Release, Some(Step::Events(1))),
            Stage::Release => (Stage::End, one(Call::app(Verb::Patch, Effect::History))),
            Stage::Gone => (Stage::End, Some(Step::Events(2))),
            Stage::End => (Stage::End, Some(Step::Done)),
        }
    }

    /// What is applied: everything, or what differs.
    fn plan(&mut self, answer: Answer<'_>) {
        let Answer::Compared(_, live) = answer else { return };
        self.live = live.into();
        let partial = self.asked.is_some_and(|asked| asked.partial);
        let wanted = |n: &usize| !partial || live[*n] != Live::Same;
        self.targets = (0..live.len()).filter(wanted).map(|n| u16::try_from(n).unwrap_or(u16::MAX)).collect();
    }

    /// One document per group-version of what is applied.
    fn discover(&self) -> Option<Step> {
        let mut groups: SmallVec<[(&str, &str); 4]> = SmallVec::new();
        for n in &self.targets {
            let info = self.kinds[usize::from(*n)].info();
            if !groups.contains(&(info.group, info.version)) {
                groups.push((info.group, info.version));
            }
        }
        let calls: Calls = groups.iter().map(|_| Call::discover()).collect();
        (!calls.is_empty()).then_some(Step::Call(calls))
    }

    fn is_end(&self, at: u16) -> bool {
        usize::from(at) >= self.targets.len()
    }

    /// Where the group of one kind that begins here ends.
    fn group_end(&self, from: u16) -> u16 {
        let kind = |at: usize| self.kinds[usize::from(self.targets[at])];
        let (first, mut end) = (usize::from(from), usize::from(from) + 1);
        while end < self.targets.len() && kind(end) == kind(first) {
            end += 1;
        }
        u16::try_from(end).unwrap_or(u16::MAX)
    }

    fn group(&self, from: u16) -> impl Iterator<Item = u16> + '_ {
        let end = self.group_end(from);
        self.targets[usize::from(from)..usize::from(end)].iter().copied()
    }

    fn read_group(&self, from: u16) -> Option<Step> {
        let get = |n: u16| Call::object(Verb::Get, self.kinds[usize::from(n)], n, Effect::None);
        Some(Step::Call(self.group(from).map(get).collect()))
    }

    fn found(&mut self, answer: Answer<'_>) {
        if let Answer::Codes(codes) = answer {
            self.absent = codes.iter().map(|code| *code == 404).collect();
        }
    }

    /// kubectl looks for the namespace of what it would create.
    fn read_namespaces(&self) -> Option<Step> {
        let namespace = Call::new(Client::Destination, Verb::Get, Kind::NAMESPACE, Effect::None);
        let calls: Calls = self.absent.iter().filter(|absent| **absent).map(|_| namespace).collect();
        (!calls.is_empty()).then_some(Step::Call(calls))
    }

    fn writes(&self, from: u16) -> Option<Step> {
        let mut calls = Calls::new();
        for (n, absent) in self.group(from).zip(&self.absent) {
            let kind = self.kinds[usize::from(n)];
            if *absent {
                calls.push(Call::object(Verb::Create, kind, n, Effect::Object(n)));
            } else if self.live[usize::from(n)] != Live::Same {
                calls.push(Call::object(Verb::Patch, kind, n, Effect::Object(n)));
            }
        }
        (!calls.is_empty()).then_some(Step::Call(calls))
    }

    /// Everything that is left goes at once; when nothing is left the finalizer does.
    fn remove(&mut self, answer: Answer<'_>) -> (Stage, Option<Step>) {
        if self.targets.is_empty() {
            let Answer::Compared(_, live) = answer else { return (Stage::End, None) };
            let left = (0..live.len()).filter(|n| live[*n] != Live::Absent);
            self.targets = left.map(|n| u16::try_from(n).unwrap_or(u16::MAX)).collect();
            if self.targets.is_empty() {
                return (Stage::Gone, one(Call::app(Verb::Patch, Effect::Release)));
            }
            let each = self.targets.iter().map(|_| Call::discover()).collect();
            return (Stage::Removed, Some(Step::Call(each)));
        }
        let delete = |n: &u16| Call::object(Verb::Delete, self.kinds[usize::from(*n)], *n, Effect::Remove(*n));
        (Stage::Told, Some(Step::Call(self.targets.iter().map(delete).collect())))
    }
}

fn one(call: Call) -> Option<Step> {
    Some(Step::Call(smallvec![call]))
}
