//! Passes: their steps carried out.

use super::event::Event;
use super::sim::Simulation;
use crate::ids::AppId;
use crate::measure::{RoundOutcome, Signal};
use crate::model::argo::{Answer, Calls, Compared, Level, Live, Operation, Refresh, Step, Version};
use crate::units::Span;
use smallvec::SmallVec;

/// One pass under way.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) app: u32,
    pub(super) shard: u32,
    what: Option<What>,
    waited: Span,
    /// Calls in flight, and their answers.
    pub(super) calls: Calls,
    pub(super) codes: SmallVec<[u16; 4]>,
    pub(super) left: u8,
    made: u32,
    /// What it compares with, and writes.
    pub(super) revision: u64,
    live: SmallVec<[Live; 4]>,
    given: Given,
}

/// What it is.
#[derive(Debug)]
enum What {
    Refresh(Refresh),
    Operation(Box<Operation>),
}

/// What its next step is told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Given {
    #[default]
    Go,
    Codes,
    Revision(u64),
    Compared(Compared),
}

/// A slice of CPU after which others have their turn; Go's scheduler preempts after so long.
const SLICE: Span = Span::from_millis(10);
/// `AddRateLimited` of Argo CD's queues with its default settings.
const REQUEUE: Span = Span::from_millis(1);
/// An operation pass that finds nothing to do (measured).
const EMPTY: Span = Span::from_micros(70);

impl Simulation<'_> {
    /// Free workers take what waits.
    pub(super) fn pump(&mut self, shard: u32) {
        let at = shard as usize;
        while let Some((app, waited)) = self.controllers[at].refreshes.take(self.now) {
            let flux = self.flux_objects(app);
            self.start(app, shard, waited, What::Refresh(Refresh::new(self.now, flux)));
        }
        while let Some((app, waited)) = self.controllers[at].operations.take(self.now) {
            let state = &self.apps[app as usize];
            if !state.exists || state.operation.is_none() && !(state.deleting && state.finalizer) {
                self.controllers[at].operations.done(app);
                self.work(shard, EMPTY);
                continue;
            }
            let controller = &mut self.controllers[at];
            controller.used.operating_max = controller.used.operating_max.max(controller.operations.running());
            let addon = usize::from(self.places[app as usize].addon);
            let flux = self.flux_objects(app).map(|(_, there)| there);
            let operation = Operation::new(self.now, &self.apps[app as usize], self.kinds[addon].clone(), flux);
            self.start(app, shard, waited, What::Operation(Box::new(operation)));
        }
    }

    fn start(&mut self, app: u32, shard: u32, waited: Span, what: What) {
        let pass = self.passes.put(Pass {
            app,
            shard,
            what: Some(what),
            waited,
            calls: Calls::new(),
            codes: SmallVec::new(),
            left: 0,
            made: 0,
            revision: 0,
            live: SmallVec::new(),
            given: Given::Go,
        });
        self.go(pass);
    }

    /// A pass goes on with what it was given.
    pub(super) fn go(&mut self, id: u32) {
        loop {
            let Some(pass) = self.passes.get_mut(id) else { return };
            let Some(mut what) = pass.what.take() else { return };
            let (app, given) = (pass.app, std::mem::take(&mut pass.given));
            let (codes, live) = (std::mem::take(&mut pass.codes), std::mem::take(&mut pass.live));
            let answer = match given {
                Given::Go => Answer::Go,
                Given::Codes => Answer::Codes(&codes),
                Given::Revision(revision) => Answer::Revision(revision),
                Given::Compared(compared) => Answer::Compared(compared, &live),
            };
            let step = match &mut what {
                What::Refresh(refresh) => refresh.next(&mut self.apps[app as usize], answer, self.now, &self.settings),
                What::Operation(operation) => operation.next(answer, &self.settings),
            };
            if step == Step::Done {
                return self.finish(id, &what);
            }
            let revision = match &what {
                What::Refresh(refresh) => refresh.revision(),
                What::Operation(operation) => operation.revision(),
            };
            let Some(pass) = self.passes.get_mut(id) else { return };
            pass.what = Some(what);
            pass.revision = revision;
            if !self.carry_out(id, step, revision) {
                return;
            }
        }
    }

    /// Carries a step out; true if the pass may go on at once.
    fn carry_out(&mut self, id: u32, step: Step, revision: u64) -> bool {
        let Some(pass) = self.passes.get_mut(id) else { return false };
        let (app, shard) = (pass.app, pass.shard);
        match step {
            Step::Think(Span::ZERO) => return true,
            Step::Think(cost) => self.think(id, cost),
            Step::Cluster => return self.on_cluster(id, self.places[app as usize].cluster),
            Step::Render(level) => self.render(id, app, level),
            Step::Look => {
                let (compared, live) = self.look(app, revision);
                if let Some(pass) = self.passes.get_mut(id) {
                    pass.live = live;
                    pass.given = Given::Compared(compared);
                }
                return true;
            }
            Step::Call(calls) => self.call(id, shard, calls),
            Step::Events(count) => {
                for _ in 0..count {
                    let at = self.now + self.controllers[shard as usize].events.reserve(self.now);
                    let effect = crate::model::argo::Effect::None;
                    self.queue.push(at, Event::Lone { app, effect });
                }
                return true;
            }
            Step::Permits(wanted) => return self.permits(id, shard, wanted),
            Step::Return(permits) => {
                self.give_back(shard, permits);
                return true;
            }
            Step::Sleep(span) => self.queue.push(self.now + span, Event::Go { pass: id }),
            Step::Done => {}
        }
        false
    }

    /// CPU, slice by slice.
    pub(super) fn think(&mut self, id: u32, cost: Span) {
        let Some(pass) = self.passes.get_mut(id) else { return };
        let shard = pass.shard;
        let slice = cost.min(SLICE);
        let done = self.work(shard, slice);
        let left = cost.0 - slice.0;
        let next = if left == 0 { Event::Go { pass: id } } else { Event::Slice { pass: id, left } };
        self.queue.push(done, next);
    }

    /// The repo-server: which revision, and its manifests.
    fn render(&mut self, id: u32, app: u32, level: Level) {
        let costs = self.settings.costs;
        let repository = self.repository_of[usize::from(self.places[app as usize].addon)];
        let known = &mut self.repositories[repository];
        let fresh = known.asked.is_some_and(|at| self.now.since(at) < self.settings.resync);
        let (mut cost, mut wait) = (Span::ZERO, Span::ZERO);
        if level == Level::Force || level == Level::Latest && !fresh {
            known.known = known.commits;
            known.asked = Some(self.now);
            wait = costs.resolve;
        }
        let recent = self.apps[app as usize].status.revision;
        let revision = if level == Level::Recent { recent } else { self.revision(app) };
        let place = &mut self.places[app as usize];
        cost += if place.rendered == revision { costs.render_cached } else { costs.render };
        place.rendered = revision;
        self.repo_cpu += cost;
        let done = if self.shared { self.machines[0].work(self.now, cost) } else { self.now + cost };
        if let Some(pass) = self.passes.get_mut(id) {
            pass.given = Given::Revision(revision);
        }
        self.queue.push(done + wait, Event::Go { pass: id });
    }

    /// Calls leave when the limiter lets them.
    fn call(&mut self, id: u32, shard: u32, calls: Calls) {
        let way = self.way;
        let controller = &mut self.controllers[shard as usize];
        for (nth, call) in (0_u8..).zip(&calls) {
            let at = controller.admit(call.kind, self.now) + way;
            self.queue.push(at, Event::Arrive { pass: id, nth });
        }
        let Some(pass) = self.passes.get_mut(id) else { return };
        pass.left = u8::try_from(calls.len()).unwrap_or(u8::MAX);
        pass.made += u32::from(pass.left);
        pass.codes = SmallVec::from_elem(0, calls.len());
        pass.calls = calls;
    }

    /// An answer is back.
    pub(super) fn reply(&mut self, id: u32) {
        let Some(pass) = self.passes.get_mut(id) else { return };
        pass.left -= 1;
        if pass.left == 0 {
            pass.given = Given::Codes;
            self.go(id);
        }
    }

    fn permits(&mut self, id: u32, shard: u32, wanted: u16) -> bool {
        let all = self.ground.scenario.manager.kind.argo().unwrap_or_default().kubectl;
        let wanted = wanted.min(u16::try_from(all).unwrap_or(u16::MAX));
        let controller = &mut self.controllers[shard as usize];
        if controller.waiting.is_empty() && controller.permits >= wanted {
            controller.permits -= wanted;
            return true;
        }
        controller.waiting.push_back((id, wanted));
        false
    }

    fn give_back(&mut self, shard: u32, permits: u16) {
        let all = self.ground.scenario.manager.kind.argo().unwrap_or_default().kubectl;
        let all = u16::try_from(all).unwrap_or(u16::MAX);
        let controller = &mut self.controllers[shard as usize];
        controller.permits += permits.min(all);
        while let Some(&(id, wanted)) = controller.waiting.front() {
            if controller.permits < wanted {
                return;
            }
            controller.permits -= wanted;
            controller.waiting.pop_front();
            self.queue.push(self.now, Event::Go { pass: id });
        }
    }

    /// A pass is over.
    fn finish(&mut self, id: u32, what: &What) {
        let Some(pass) = self.passes.take(id) else { return };
        let shard = pass.shard;
        match what {
            What::Refresh(refresh) => self.refreshed(&pass, refresh),
            What::Operation(operation) => self.operated(&pass, operation),
        }
        self.pump(shard);
    }

    fn refreshed(&mut self, pass: &Pass, refresh: &Refresh) {
        let (app, shard) = (pass.app, pass.shard);
        let took = self.now.since(refresh.began());
        let controller = &mut self.controllers[shard as usize];
        controller.refreshes.done(app);
        controller.used.refreshing += took;
        let state = &self.apps[app as usize];
        let pending = state.exists && (state.operation.is_some() || state.deleting && state.finalizer);
        // A finished item wakes the operation queue; since 3.6 only one that has something to do there.
        if pending {
            controller.operations.add(app, self.now + REQUEUE);
        } else if self.settings.version < Version::V36 {
            self.work(shard, EMPTY);
        }
        if refresh.is_dropped() {
            self.controllers[shard as usize].used.dropped += 1;
            return;
        }
        self.controllers[shard as usize].used.passes += 1;
        self.work(shard, self.settings.costs.beside);
        if let Some(after) = refresh.again() {
            self.queue.push(self.now + after, Event::Refresh { app, level: Some(Level::Latest) });
        }
        self.round(pass, took);
    }

    fn operated(&mut self, pass: &Pass, operation: &Operation) {
        let (app, shard) = (pass.app, pass.shard);
        let took = self.now.since(operation.began());
        let controller = &mut self.controllers[shard as usize];
        controller.operations.done(app);
        controller.used.operating += took;
        controller.used.syncs += u64::from(operation.asked().is_some());
        self.work(shard, self.settings.costs.operation_beside);
        if let Some(asked) = operation.asked() {
            let revision = operation.revision();
            let state = &mut self.apps[app as usize];
            let again = asked.partial && state.synced.1 == revision;
            state.attempts = if again { state.attempts.saturating_add(1) } else { 0 };
            state.synced = (state.source, revision);
            state.finished = self.now;
            let at = self.now;
            self.ledger.take(Signal::Applied { app: AppId(app), at, generation: u64::MAX, revision });
            self.refresh(app, operation.follow_up());
        }
        self.round(pass, took);
    }

    fn round(&mut self, pass: &Pass, took: Span) {
        self.ledger.take(Signal::Round {
            app: AppId(pass.app),
            shard: pass.shard,
            at: self.now,
            queue_wait: pass.waited,
            took,
            calls: pass.made,
            outcome: RoundOutcome::Ok,
        });
    }
}
