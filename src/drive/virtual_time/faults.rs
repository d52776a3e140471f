//! Faults of the timeline: who stands still, who is killed and comes back, what does not get through.
//!
//! In: the scenario's faults, at their times. Out: events that wait, calls without an answer, managers that begin anew.
//! What is wrong is `model::trouble`'s to say; here is what it means for those it hits:
//!
//! ```text
//! pause      whatever the process would do waits for the end       kill      a manager forgets everything, then lists all
//! partition  calls wait for the end, 30s at most; watch events do  throttle  a call comes back after Retry-After
//! slow       every way takes longer                                expire    a watch lists anew
//! restart    calls are refused, watches list anew at the end
//! ```

use super::event::{Event, KeeperStep, Stage};
use super::sim::Simulation;
use crate::calls::{Kind, Op, Target, Verb};
use crate::fleet::{ChangeKind, World};
use crate::ids::ClusterId;
use crate::model::hardware::{Direction, Site};
use crate::model::trouble::{Actor, Cut, Hit};
use crate::reconcile::Body;
use crate::scenario::{Action, Fault, Place, Scenario, Selector, Trouble, Victim};
use crate::seed::Seed;
use crate::units::{Span, Time};

/// How long a call of a manager may take in all: that of live runs.
const CALL_TIMEOUT: Span = Span::from_secs(30);
/// Kinds of watches on a leaf.
const KINDS: u8 = 5;

impl Simulation<'_> {
    /// Puts the faults of the timeline into the queue.
    pub(super) fn schedule_faults(&mut self) {
        let timeline = &self.ground.scenario.timeline;
        for (n, step) in (0_u32..).zip(timeline) {
            let (Action::Fault { duration, .. } | Action::Trouble { duration, .. }) = step.action else { continue };
            if let Action::Fault { victim: Victim::Manager(manager), .. } = step.action
                && self.manager_here(manager).is_none()
            {
                continue;
            }
            let begin = Time(0) + step.at;
            self.queue.push(begin, Event::Fault { n, begins: true });
            self.queue.push(begin + duration, Event::Fault { n, begins: false });
            self.faults += 1;
        }
    }

    /// A fault begins or ends.
    pub(super) fn fault(&mut self, n: u32, begins: bool) {
        let scenario = self.ground.scenario;
        let Some(step) = scenario.timeline.get(n as usize) else { return };
        self.faults -= u32::from(!begins);
        match &step.action {
            Action::Fault { victim: Victim::Manager(shard), fault: Fault::Kill, .. } => {
                let Some(shard) = self.manager_here(*shard) else { return };
                if begins { self.kill(shard) } else { self.start_again(shard) }
            }
            Action::Fault { victim, duration, .. } if begins => {
                let actor = match victim {
                    Victim::Manager(shard) => Actor::Manager(self.manager_here(*shard).unwrap_or(*shard)),
                    Victim::Leaves => Actor::Leaves,
                    Victim::Hub => Actor::Hub,
                };
                self.troubles.stand_still(actor, self.now + *duration);
            }
            Action::Trouble { place, trouble, duration } => {
                let hit = hit(scenario, self.ground.world, self.part.clusters, place, n);
                match (trouble, begins) {
                    (Trouble::Expire, true) => self.expire(&hit, *duration, n),
                    (Trouble::Expire, false) => {}
                    (_, true) => self.troubles.begin(n, hit, *trouble, self.now + *duration),
                    (_, false) => {
                        self.troubles.end(n, self.now);
                        if *trouble == Trouble::Restart {
                            self.expire(&hit, Span::ZERO, n);
                        }
                    }
                }
            }
            _ => self.troubles.end(n, self.now),
        }
    }

    /// Until when an event must wait because whoever it happens to stands still.
    pub(super) fn held(&mut self, event: &Event) -> Option<Time> {
        if self.troubles.is_over() {
            return None;
        }
        let actor = match event {
            Event::AppSeen { app, .. } | Event::FluxSeen { app, .. } => Actor::Manager(self.apps[*app as usize].shard),
            Event::WatchOpened { leaf, .. } => Actor::Manager(self.owner(*leaf)),
            Event::ManagerTurn { shard } | Event::ManagerListed { shard } => Actor::Manager(*shard),
            Event::RoundReplies { round } => Actor::Manager(self.rounds.get_mut(*round)?.shard),
            Event::Keeper { step: KeeperStep::Arrives(_), .. } => Actor::Hub,
            Event::Keeper { shard, .. } => Actor::Manager(*shard),
            Event::Shift { nth: 0, .. } => return None,
            Event::Shift { .. } => Actor::Hub,
            Event::CallLost { .. } => return None,
            Event::CallArrives { round, nth } => {
                let round = self.rounds.get_mut(*round)?;
                if round.batch[usize::from(*nth)].target == Target::Hub { Actor::Hub } else { Actor::Leaves }
            }
            Event::Write { index, stage, .. } => {
                let drift = matches!(self.change_of(*index).kind, ChangeKind::Drift { .. });
                if *stage == Stage::Main && !drift { Actor::Hub } else { Actor::Leaves }
            }
            Event::LeafTurn { .. } | Event::PassCalls { .. } | Event::Relist { .. } => Actor::Leaves,
            Event::RelistHub { .. } => Actor::Hub,
            Event::Change | Event::Commit { .. } | Event::Reported { .. } | Event::Fault { .. } => return None,
        };
        self.troubles.still(actor, self.now)
    }

    /// Puts an event off, and the timer that it was with it.
    pub(super) fn hold(&mut self, event: Event, until: Time) {
        let timer = match event {
            Event::LeafTurn { leaf } => Some(&mut self.leaves[leaf as usize].armed),
            Event::ManagerTurn { shard } => Some(&mut self.managers[shard as usize].armed),
            Event::Keeper { shard, step: KeeperStep::Turn, .. } => {
                self.crew.as_mut().map(|crew| &mut crew.keepers[shard as usize].alarm)
            }
            _ => None,
        };
        if let Some(armed) = timer.filter(|armed| **armed == Some(self.now)) {
            *armed = Some(until);
        }
        self.queue.push(until, event);
    }

    /// When something on its way between a manager and an API server arrives.
    pub(super) fn travel(&mut self, site: Site, direction: Direction, at: Time, bytes: u32) -> Time {
        if self.on_leaves() {
            return at + self.way();
        }
        let arrives = self.hardware.travel(site, direction, at, bytes);
        if self.troubles.is_over() {
            return arrives;
        }
        let arrives = arrives + self.troubles.delay(site);
        match (direction, self.troubles.cut(site)) {
            (Direction::Back, Some(Cut::Silent(until) | Cut::Refused(until))) => arrives.max(until),
            _ => arrives,
        }
    }

    /// When a watch event that leaves at `sent` is heard: events of one API server never overtake each other.
    pub(super) fn heard(&mut self, site: Site, sent: Time, bytes: u32) -> Time {
        let at = self.travel(site, Direction::Back, sent, bytes);
        let stream = match site {
            Site::Leaf(leaf) => leaf as usize,
            Site::Hub => self.leaves.len(),
        };
        let Some(last) = self.heard.get_mut(stream) else { return at };
        *last = at.max(*last);
        *last
    }

    /// Whether a call that arrives does not get through; then it is taken care of.
    pub(super) fn is_lost(&mut self, id: u32, nth: u8, site: Site, op: &Op<Body>) -> bool {
        if self.troubles.is_over() {
            return false;
        }
        match self.troubles.cut(site) {
            Some(Cut::Silent(until)) => {
                let (mut at, mut event) = (until, Event::CallArrives { round: id, nth });
                if until > self.now + CALL_TIMEOUT {
                    (at, event) = (self.now + CALL_TIMEOUT, Event::CallLost { round: id, nth });
                }
                self.queue.push(at, event);
                true
            }
            Some(Cut::Refused(_)) => {
                self.call_lost(id, nth);
                true
            }
            None => match self.troubles.turned_away(site) {
                Some(pause) => {
                    self.pushed_back(id, nth, op, pause);
                    true
                }
                None => false,
            },
        }
    }

    /// A call has no answer: once it is repeated, as in a live run.
    pub(super) fn call_lost(&mut self, id: u32, nth: u8) {
        let Some(round) = self.rounds.get_mut(id) else { return };
        let (app, shard, op) = (round.app, round.shard, round.batch[usize::from(nth)].clone());
        let again = round.lost & 1 << nth == 0;
        round.lost |= 1 << nth;
        let leaf = self.apps[app as usize].leaf;
        let row = self.managers[shard as usize].row;
        self.sums.rows[row as usize].counts.add(&op, 0);
        if again {
            let site = if op.target == Target::Hub { Site::Hub } else { Site::Leaf(leaf) };
            let at = self.travel(site, Direction::There, self.now, 0);
            self.queue.push(at, Event::CallArrives { round: id, nth });
        } else {
            self.answered(id, nth, (0, None), self.now);
        }
    }

    /// A watch of a site must list anew.
    pub(super) fn relist(&mut self, shard: u32, site: Site, kind: Kind, objects: u64) {
        let target = if site == Site::Hub { Target::Hub } else { Target::Leaf };
        let Some(manager) = self.managers.get(shard as usize).filter(|manager| !manager.down) else { return };
        let row = manager.row;
        self.sums.rows[row as usize].counts.add_key(target, Verb::Watch, kind, (false, false), 200);
        self.list(site, kind, objects);
        let hear = self.ground.scenario.model.manager.hear;
        self.hardware.think(shard, self.now, hear.scaled(objects, 1));
    }

    /// All watches of these API servers end, at moments of a span.
    fn expire(&mut self, hit: &Hit, within: Span, n: u32) {
        let seed = Seed::new(self.ground.scenario.run.seed).child("expire").entity(u64::from(n));
        let at = |entity: u64| self.now + seed.entity(entity).span(0, Span::ZERO, within);
        let mut events = Vec::new();
        match hit {
            Hit::Hub => {
                for shard in 0..self.managers.len() {
                    let shard = u32::try_from(shard).unwrap_or(u32::MAX);
                    events.push((at(u64::from(shard)), Event::RelistHub { shard }));
                }
            }
            Hit::Leaves(all) => {
                for (leaf, watches) in (0_u32..).zip(&self.watches).filter(|(leaf, _)| all[*leaf as usize]) {
                    for kind in (0..KINDS).filter(|kind| watches.is_open(*kind)) {
                        let entity = u64::from(leaf) << 8 | u64::from(kind);
                        events.push((at(entity), Event::Relist { leaf, kind }));
                    }
                }
            }
        }
        events.into_iter().for_each(|(at, event)| self.queue.push(at, event));
    }

    /// The manager of a leaf.
    pub(super) fn owner(&self, leaf: u32) -> u32 {
        self.part.apps_of(leaf).next().map_or(0, |app| self.apps[app as usize].shard)
    }

    /// A manager is gone with all that it knew. Calls on their way arrive; nobody hears the answers.
    fn kill(&mut self, shard: u32) {
        for leaf in 0..u32::try_from(self.watches.len()).unwrap_or(u32::MAX) {
            if self.owner(leaf) == shard {
                self.forget_leaf(shard, leaf);
            }
        }
        self.begin_anew(shard);
        self.rounds.each_mut(|round| round.dead |= round.shard == shard);
        self.keeper_dies(shard);
    }

    /// A manager is as one that has never run, and down.
    pub(super) fn begin_anew(&mut self, shard: u32) {
        let fresh = self.fresh_manager(shard);
        let old = std::mem::replace(&mut self.managers[shard as usize], fresh);
        let manager = &mut self.managers[shard as usize];
        (manager.watch_events, manager.woken, manager.down) = (old.watch_events, old.woken, true);
    }

    /// It starts again and lists all Applications and cluster Secrets.
    fn start_again(&mut self, shard: u32) {
        if let Some(crew) = &self.crew {
            // Whoever was sent home meanwhile stays there.
            return if shard < crew.wanted {
                self.start_keeper(shard)
            };
        }
        let (home, row) = (self.home(), self.managers[shard as usize].row);
        // The hub of a manager on a leaf is that leaf.
        let site = if home == Target::Leaf { Site::Leaf(0) } else { Site::Hub };
        let counts = &mut self.sums.rows[row as usize].counts;
        for kind in [Kind::APPLICATION, Kind::SECRET] {
            counts.add_key(home, Verb::Watch, kind, (false, false), 200);
        }
        let secrets = self.part.clusters.len() as u64;
        self.list(site, Kind::SECRET, secrets);
        let applications = self.hub.iter().filter(|application| application.exists).count();
        let listed = self.list(site, Kind::APPLICATION, applications as u64);
        self.queue.push(listed, Event::ManagerListed { shard });
    }

    /// The list is there: every app is looked at.
    pub(super) fn manager_listed(&mut self, shard: u32) {
        self.managers[shard as usize].down = false;
        self.read_applications(shard);
    }

    /// A manager reads all Applications of its leaves.
    pub(super) fn read_applications(&mut self, shard: u32) {
        for app in 0..self.apps.len() {
            if self.apps[app].shard == shard && self.hub[app].exists {
                let news = self.hub[app].news();
                self.app_seen(u32::try_from(app).unwrap_or(u32::MAX), news);
            }
        }
    }
}

/// Who is hit, drawn by the number of the step.
fn hit(scenario: &Scenario, world: &World, here: &[ClusterId], place: &Place, n: u32) -> Hit {
    let Place::Leaves(selector) = place else { return Hit::Hub };
    let seed = Seed::new(scenario.run.seed).child("fault").entity(u64::from(n));
    let clusters = world.clusters();
    Hit::Leaves(here.iter().map(|id| is_hit(selector, seed, id.0, || clusters.labels(*id))).collect())
}

fn is_hit(
    selector: &Selector,
    seed: Seed,
    cluster: u32,
    labels: impl FnOnce() -> std::collections::BTreeMap<String, String>,
) -> bool {
    if seed.entity(u64::from(cluster)).below(0, 1_000_000) >= u64::from(selector.share_ppm) {
        return false;
    }
    if selector.labels.is_empty() {
        return true;
    }
    let labels = labels();
    selector.labels.iter().all(|(key, values)| labels.get(key).is_some_and(|value| values.contains(value)))
}
