//! Managers that share a hub: which of them there are, and whose every leaf is.
//!
//! In: what the timeline does to managers and clusters, and what managers may do by their leases (`lease`). Out: leaves that
//! are let go of and taken over, told to whoever measures. All decisions are `topology`'s, as in live runs: a manager gives up
//! at once what is no longer its own, and takes over what is when all have let go, or at once where there are no leases.
//!
//! Managers are there before the timeline begins and have found each other; live runs find each other while it begins.

use super::event::{Event, KeeperStep};
use super::lease::Keeper;
use super::manager::Watches;
use super::sim::{Simulation, Slab};
use crate::calls::{Kind, Target, Verb};
use crate::fleet::World;
use crate::ids::ShardId;
use crate::measure::Signal;
use crate::model::hardware::{Direction, Site};
use crate::model::prices::Call;
use crate::model::trouble::Actor;
use crate::scenario::{Action, Scenario, Shift, TopologyKind};
use crate::topology::{Member, Rules, Standing, distribute_among, members};
use crate::units::{Span, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Nobody's number.
pub(super) const NOBODY: u32 = u32::MAX;
/// After a change of a cluster's Secret a manager waits for more of them (that of live runs).
pub(super) const SETTLE: Span = Span::from_millis(200);
/// The tag of leaves that change hands, in the digest.
const HANDS: u64 = 3 << 60;

/// See the module head.
#[derive(Debug)]
pub(super) struct Crew {
    /// How long leases are, if managers come and go.
    pub(super) length: Option<Span>,
    /// The manager of each leaf.
    pub(super) owners: Vec<u32>,
    pub(super) keepers: Vec<Keeper>,
    /// Leases as the hub has them: what changes with every write, and the view.
    pub(super) leases: BTreeMap<u32, (u64, Rc<str>)>,
    pub(super) stamp: u64,
    /// What watches of leases are about to tell: whose, and what it says.
    pub(super) letters: Slab<Letter>,
    /// The clusters as schemes see them; none where nothing ever moves.
    members: Vec<Member>,
    /// What was chosen by hand, in the order of the hub: a cluster's number and its manager.
    pub(super) chosen: Vec<(u32, u32)>,
    /// Who owns what among so many who are there, by so many choices.
    plans: BTreeMap<(Vec<u32>, usize), Rc<[ShardId]>>,
    /// Managers that shall be there: the first so many.
    pub(super) wanted: u32,
    /// Steps of the timeline that are not over.
    steps: u32,
    /// Every leaf is whose it shall be.
    in_place: bool,
}

/// Whose lease, and what it says; `None` if it is gone.
pub(super) type Letter = (u32, Option<(u64, Rc<str>)>);

impl Crew {
    /// The managers of a hub; none where clusters are nobody else's anyway.
    pub(super) fn new(scenario: &Scenario, world: &World, owners: Vec<u32>, most: u32) -> Option<Box<Self>> {
        if scenario.topology.kind != TopologyKind::Sharded {
            return None;
        }
        let (length, wanted) = (scenario.topology.lease, scenario.topology.shards);
        let steps = scenario.timeline.iter().filter(|step| matches!(step.action, Action::Shift(_))).count();
        let moves = length.is_some() || steps > 0;
        let mut crew = Self {
            length,
            owners,
            keepers: (0..most).map(|shard| Keeper::new(scenario, shard, shard < wanted)).collect(),
            leases: BTreeMap::new(),
            stamp: 0,
            letters: Slab::new(),
            members: if moves { members(world, &scenario.topology) } else { Vec::new() },
            chosen: Vec::new(),
            plans: BTreeMap::new(),
            wanted,
            steps: u32::try_from(steps).unwrap_or(u32::MAX),
            in_place: true,
        };
        if length.is_some() {
            crew.acquaint(scenario);
        }
        Some(Box::new(crew))
    }

    /// Who owns what among those who are there.
    fn plan(&mut self, rules: Rules<'_>, present: &[u32], chosen: usize) -> Rc<[ShardId]> {
        let key = (present.to_vec(), chosen);
        if let Some(plan) = self.plans.get(&key) {
            return Rc::clone(plan);
        }
        let mut members = self.members.clone();
        for (cluster, to) in self.chosen.iter().take(chosen) {
            if let Some(member) = members.get_mut(*cluster as usize) {
                member.pin = Some(*to);
            }
        }
        let plan: Rc<[ShardId]> = distribute_among(&members, rules, present).into();
        self.plans.insert(key, Rc::clone(&plan));
        plan
    }

    /// Whether a manager may begin a call for a leaf.
    pub(super) fn may_act(&self, shard: u32, leaf: u32, now: Time) -> bool {
        self.length.is_none() || self.owners[leaf as usize] == shard && now < self.keepers[shard as usize].fence
    }
}

impl Simulation<'_> {
    /// The managers are there, and clusters change hands at the times of the timeline.
    pub(super) fn muster(&mut self) {
        let Some(crew) = &self.crew else { return };
        let (there, leased) = (crew.wanted, crew.length.is_some());
        for (n, step) in (0_u32..).zip(&self.ground.scenario.timeline) {
            if matches!(step.action, Action::Shift(_)) {
                self.queue.push(Time(0) + step.at, Event::Shift { n, nth: 0 });
            }
        }
        for shard in 0..there {
            self.tell_owned(shard);
            if leased {
                self.set_alarm(shard);
            }
        }
        for manager in self.managers.iter_mut().skip(there as usize) {
            (manager.down, manager.watches) = (true, 0);
        }
    }

    /// Whether every step of the timeline is over, every manager is there that shall be, and every leaf is whose it shall be.
    pub(super) fn is_in_place(&self) -> bool {
        let Some(crew) = &self.crew else { return true };
        let mut wanted = self.managers.iter().take(crew.wanted as usize);
        crew.steps == 0 && crew.in_place && wanted.all(|manager| !manager.down)
    }

    /// A step of the timeline begins (`nth` is 0), or the write for one of its clusters arrives.
    pub(super) fn shift(&mut self, n: u32, nth: u32) {
        let scenario = self.ground.scenario;
        let Some(Action::Shift(shift)) = scenario.timeline.get(n as usize).map(|step| &step.action) else { return };
        match shift {
            Shift::Managers { delta } => {
                self.managers_come(*delta);
                self.step_is_over();
            }
            Shift::Move { clusters, to } => {
                if let Some(at) = nth.checked_sub(1) {
                    let cluster = clusters.get(at as usize).and_then(|name| self.ground.world.clusters().find(name));
                    if let Some(cluster) = cluster {
                        self.choose(cluster.0, *to);
                    }
                }
                if nth as usize == clusters.len() {
                    return self.step_is_over();
                }
                // One after the other, each when the last is answered.
                let back = if nth > 0 { self.travel(Site::Hub, Direction::Back, self.now, 0) } else { self.now };
                let there = self.travel(Site::Hub, Direction::There, back, 0);
                self.queue.push(there, Event::Shift { n, nth: nth + 1 });
            }
            // Cells are refused before the start.
            Shift::Drain { .. } => {}
        }
    }

    fn step_is_over(&mut self) {
        if let Some(crew) = &mut self.crew {
            crew.steps -= 1;
        }
        self.look_round();
    }

    /// So many managers more, or fewer: the last ones.
    fn managers_come(&mut self, delta: i64) {
        let Some(crew) = &mut self.crew else { return };
        let before = crew.wanted;
        crew.wanted = u32::try_from(i64::from(before) + delta).unwrap_or(1).max(1);
        let after = crew.wanted;
        (before..after).for_each(|shard| self.start_keeper(shard));
        for shard in (after..before).rev() {
            // Whoever is sent home goes on first, should it stand still.
            self.troubles.go_on(Actor::Manager(shard));
            self.leave(shard);
        }
    }

    /// Somebody writes a manager into a cluster's Secret.
    fn choose(&mut self, cluster: u32, to: u32) {
        let call = Call::new(Verb::Patch, Kind::SECRET, (false, false));
        let done = self.hardware.serve_first(Site::Hub, call, self.now, self.now);
        self.sums.harness.add_key(Target::Hub, Verb::Patch, Kind::SECRET, (false, false), 200);
        let Some(crew) = &mut self.crew else { return };
        crew.chosen.push((cluster, to));
        let count = u32::try_from(crew.chosen.len()).unwrap_or(u32::MAX);
        let watchers: Vec<u32> = self.watchers().collect();
        self.sums.hub_events += watchers.len() as u64;
        let told = self.hardware.tell(Site::Hub, watchers.len() as u64, self.now, self.now).max(done);
        let bytes = Call::new(Verb::Get, Kind::SECRET, (false, false)).bytes[1];
        let at = self.heard(Site::Hub, told, bytes);
        for shard in watchers {
            self.managers[shard as usize].watch_events += 1;
            self.keeper_event(shard, at, KeeperStep::Chosen(count));
        }
    }

    /// Managers that watch the hub.
    pub(super) fn watchers(&self) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.managers).filter(|(_, manager)| !manager.down).map(|(shard, _)| shard)
    }

    /// A manager hears that so many choices were made; it waits whether there are more.
    pub(super) fn heard_choices(&mut self, shard: u32, count: u32) {
        self.hardware.think(shard, self.now, self.ground.scenario.model.manager.hear);
        let Some(crew) = &mut self.crew else { return };
        let keeper = &mut crew.keepers[shard as usize];
        keeper.chosen = keeper.chosen.max(count as usize);
        if !std::mem::replace(&mut keeper.settling, true) {
            self.keeper_event(shard, self.now + SETTLE, KeeperStep::Settle);
        }
    }

    /// A manager decides anew whose the leaves are, as far as it may.
    pub(super) fn settle(&mut self, shard: u32) {
        let scenario = self.ground.scenario;
        let Some(crew) = self.crew.as_mut().filter(|crew| !crew.members.is_empty()) else { return };
        let keeper = &crew.keepers[shard as usize];
        let chosen = keeper.chosen;
        let all = || Standing { present: (0..scenario.topology.shards).collect(), may_gain: true, chosen: 0 };
        // Without leases all are there.
        let standing = keeper.standing.clone().unwrap_or_else(all);
        let mut plan = None;
        if !standing.present.is_empty() {
            plan = Some(crew.plan(Rules::of(&scenario.topology), &standing.present, chosen));
        }
        let mut gained = false;
        for leaf in 0..ShardId::from_index(self.leaves.len()).0 {
            let Some(crew) = &self.crew else { return };
            let owner = crew.owners[leaf as usize];
            let wanted = plan.as_ref().is_some_and(|plan| plan[leaf as usize].0 == shard);
            if owner == shard && !wanted {
                self.let_go(leaf);
            } else if owner != shard && wanted && standing.may_gain {
                self.take_over(shard, leaf);
                gained = true;
            }
        }
        if gained {
            self.list_applications(shard);
        }
        self.look_round();
    }

    /// A leaf has no manager any more: what was known of it is forgotten.
    pub(super) fn let_go(&mut self, leaf: u32) {
        let Some(crew) = &mut self.crew else { return };
        let owner = std::mem::replace(&mut crew.owners[leaf as usize], NOBODY);
        crew.keepers[owner as usize].stirred = true;
        self.out.note(self.now, HANDS | u64::from(self.part.clusters[leaf as usize].0), 0);
        self.forget_leaf(owner, leaf);
        for app in self.part.apps_of(leaf) {
            self.apps[app as usize].shard = NOBODY;
        }
    }

    /// A manager knows nothing of a leaf any more, and watches nothing there.
    pub(super) fn forget_leaf(&mut self, shard: u32, leaf: u32) {
        let watches = std::mem::take(&mut self.watches[leaf as usize]);
        let manager = &mut self.managers[shard as usize];
        manager.watches -= u64::from(watches.count());
        for app in self.part.apps_of(leaf) {
            self.apps[app as usize].forget();
            manager.queue.forget(app);
            manager.queue.cancel_delay(app);
        }
    }

    fn take_over(&mut self, shard: u32, leaf: u32) {
        let Some(crew) = &self.crew else { return };
        let before = crew.owners[leaf as usize];
        if before != NOBODY {
            // It stands still and its lease is over, or there are no leases.
            let fence = crew.keepers[before as usize].fence;
            debug_assert!(crew.length.is_none() || fence <= self.now, "two managers own leaf {leaf}");
            self.let_go(leaf);
        }
        let Some(crew) = &mut self.crew else { return };
        crew.owners[leaf as usize] = shard;
        crew.keepers[shard as usize].stirred = true;
        self.out.note(self.now, HANDS | u64::from(self.part.clusters[leaf as usize].0), u64::from(shard) + 1);
        for app in self.part.apps_of(leaf) {
            self.apps[app as usize].shard = shard;
        }
    }

    /// Whoever took a leaf over lists the Applications anew.
    fn list_applications(&mut self, shard: u32) {
        self.count_of(shard, Verb::Watch, Kind::APPLICATION, 200);
        let listed = self.list(Site::Hub, Kind::APPLICATION, self.hub_objects.0);
        self.keeper_event(shard, listed, KeeperStep::Listed);
    }

    /// A call of a manager to the hub.
    pub(super) fn count_of(&mut self, shard: u32, verb: Verb, kind: Kind, code: u16) {
        let row = self.managers[shard as usize].row;
        self.sums.rows[row as usize].counts.add_key(Target::Hub, verb, kind, (false, false), code);
    }

    /// Whether every leaf is whose it shall be when all who shall be there are.
    pub(super) fn look_round(&mut self) {
        let scenario = self.ground.scenario;
        let Some(crew) = &mut self.crew else { return };
        if crew.members.is_empty() {
            return;
        }
        let present: Vec<u32> = (0..crew.wanted).collect();
        let plan = crew.plan(Rules::of(&scenario.topology), &present, crew.chosen.len());
        crew.in_place = crew.owners.iter().zip(plan.iter()).all(|(owner, wanted)| *owner == wanted.0);
    }

    /// Tells how many leaves a manager owns, if that changed.
    pub(super) fn tell_owned(&mut self, shard: u32) {
        let Some(crew) = &mut self.crew else { return };
        let keeper = &mut crew.keepers[shard as usize];
        if !std::mem::take(&mut keeper.stirred) {
            return;
        }
        let own = (0_u32..).zip(&crew.owners).filter(|(_, owner)| **owner == shard).map(|(leaf, _)| leaf);
        let owned: BTreeSet<u32> = own.collect();
        if owned == keeper.told {
            return;
        }
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let gained = count(owned.difference(&keeper.told).count());
        let clusters = count(owned.len());
        keeper.told = owned;
        let shard = self.managers[shard as usize].row;
        self.signal(Signal::Owns { shard, at: self.now, clusters, gained });
    }

    /// A manager is gone at once, with its word.
    pub(super) fn keeper_dies(&mut self, shard: u32) {
        let scenario = self.ground.scenario;
        let Some(crew) = &mut self.crew else { return };
        let leased = crew.length.is_some();
        let life = crew.keepers[shard as usize].life;
        crew.keepers[shard as usize] = Keeper::new(scenario, shard, false);
        crew.keepers[shard as usize].life = life + 1;
        if leased {
            self.let_go_of_all(shard);
        }
        let row = self.managers[shard as usize].row;
        self.signal(Signal::Owns { shard: row, at: self.now, clusters: 0, gained: 0 });
        self.look_round();
    }

    pub(super) fn let_go_of_all(&mut self, shard: u32) {
        for leaf in 0..ShardId::from_index(self.leaves.len()).0 {
            if self.crew.as_ref().is_some_and(|crew| crew.owners[leaf as usize] == shard) {
                self.let_go(leaf);
            }
        }
    }

    /// Whether rounds over leaves that are another's are still under way.
    pub(super) fn is_letting_go(&self, shard: u32) -> bool {
        let Some(crew) = &self.crew else { return false };
        let lost = |app: u32| crew.owners[self.apps[app as usize].leaf as usize] != shard;
        self.rounds.iter().any(|round| round.shard == shard && !round.dead && lost(round.app))
    }

    /// Whether a round may begin calls: its leaf is still its manager's, whose lease holds.
    pub(super) fn may_act(&self, shard: u32, app: u32) -> bool {
        let leaf = self.apps[app as usize].leaf;
        self.crew.as_ref().is_none_or(|crew| crew.may_act(shard, leaf, self.now))
    }
}

impl Watches {
    /// How many there are.
    pub(super) const fn count(self) -> u32 {
        (self.open | self.opening).count_ones()
    }
}

#[cfg(test)]
mod tests;
