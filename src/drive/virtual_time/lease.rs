//! Leases on the simulated clock: what `manager/lease` does in live runs, call by call.
//!
//! In: times, answers of the hub, what its watch of leases tells. Out: writes of a manager's own lease, and whether it may own
//! leaves. All decisions are `topology::Members`'.
//!
//! A manager makes one such call after the other. One that takes longer than its patience counts as failed, whatever becomes
//! of it.
//!
//! Arithmetic: a lease is written three times in its length, and each write told to everybody: 4 managers with 15 s make one
//! call and four events a second.

use super::crew::Crew;
use super::event::{Event, KeeperStep};
use super::sim::Simulation;
use crate::calls::{Kind, Verb};
use crate::model::hardware::{Direction, Site};
use crate::model::prices::Call;
use crate::model::trouble::Cut;
use crate::scenario::Scenario;
use crate::seed::Seed;
use crate::topology::{Members, Standing};
use crate::units::{Span, Time};
use std::collections::BTreeSet;
use std::rc::Rc;

/// A write that failed is repeated so soon (that of live runs).
const AGAIN: Span = Span::from_millis(100);

/// What keeps a manager's lease. Without leases it knows of choices alone.
#[derive(Debug)]
pub(super) struct Keeper {
    members: Members,
    /// Counts its lives: what is on its way to an earlier one is lost.
    pub(super) life: u32,
    /// The process runs.
    there: bool,
    /// It is being sent home since then.
    leaving: Option<Time>,
    /// No call may begin from then on.
    pub(super) fence: Time,
    renew_at: Time,
    /// The alarm clock that is set.
    pub(super) alarm: Option<Time>,
    pub(super) standing: Option<Standing>,
    /// Choices by hand that it has heard of.
    pub(super) chosen: usize,
    /// It has heard of a choice and waits for more.
    pub(super) settling: bool,
    /// The call under way, and how many there were.
    asked: Option<Asked>,
    number: u32,
    /// What it owns may have changed since it was told last, and what that was.
    pub(super) stirred: bool,
    pub(super) told: BTreeSet<u32>,
}

/// A call of a keeper.
#[derive(Debug)]
enum Asked {
    /// Its lease, begun then, with this view.
    Write(Time, String),
    /// All leases, after this change of who is there; what was found.
    List(u64, Vec<(u32, u64, Rc<str>)>),
    /// The end of its lease.
    Delete,
}

impl Asked {
    fn call(&self, leases: u64) -> (Verb, Call) {
        match self {
            Self::Write(..) => (Verb::Apply, Call::new(Verb::Apply, Kind::LEASE, (false, false))),
            // Counted as live runs count it.
            Self::List(..) => (Verb::Get, Call::list(Verb::List, Kind::LEASE, leases)),
            Self::Delete => (Verb::Delete, Call::new(Verb::Delete, Kind::LEASE, (false, false))),
        }
    }
}

impl Keeper {
    pub(super) fn new(scenario: &Scenario, shard: u32, there: bool) -> Self {
        let length = scenario.topology.lease;
        Self {
            members: Members::new(shard, length.unwrap_or(Span::ZERO)),
            life: 0,
            there,
            leaving: None,
            fence: if length.is_some() { Time(0) } else { Time(u64::MAX) },
            renew_at: Time(0),
            alarm: None,
            standing: length.map(|_| Standing::default()),
            chosen: 0,
            settling: false,
            asked: None,
            number: 0,
            stirred: true,
            told: BTreeSet::new(),
        }
    }
}

impl Crew {
    /// Managers that have been there for long: each renewed its lease at some moment of the last period.
    pub(super) fn acquaint(&mut self, scenario: &Scenario) {
        let Some(length) = self.length else { return };
        // Everybody says who is there, then how often that changed, then that it was read; one more, and all agree.
        for _ in 0..4 {
            for shard in 0..self.wanted {
                let members = &mut self.keepers[shard as usize].members;
                let view = members.must_say().unwrap_or_else(|| members.said().to_owned());
                members.renewed(Time(0), view.clone());
                self.stamp += 1;
                self.leases.insert(shard, (self.stamp, view.into()));
            }
            for keeper in self.keepers.iter_mut().filter(|keeper| keeper.there) {
                for (who, (stamp, view)) in &self.leases {
                    keeper.members.heard(*who, *stamp, view, Time(0));
                }
                keeper.standing = Some(keeper.members.look(Time(0)));
                if let Some(change) = keeper.members.must_list(Time(0)) {
                    keeper.members.listed(change);
                }
            }
        }
        for (shard, keeper) in (0..).zip(self.keepers.iter_mut()).filter(|(_, keeper)| keeper.there) {
            keeper.fence = Time(0) + length;
            let seed = Seed::new(scenario.run.seed).child("lease").entity(shard);
            keeper.renew_at = Time(0) + seed.span(0, Span::ZERO, keeper.members.period());
            debug_assert!(keeper.standing.as_ref().is_some_and(|standing| standing.may_gain), "strangers");
        }
    }
}

impl Simulation<'_> {
    /// Something happens to a manager's keeper.
    pub(super) fn keeper(&mut self, (shard, life): (u32, u32), step: KeeperStep) {
        let Some(crew) = &mut self.crew else { return };
        let letter = if let KeeperStep::Heard(letter) = step { crew.letters.take(letter) } else { None };
        let keeper = &mut crew.keepers[shard as usize];
        if keeper.life != life || !keeper.there {
            return;
        }
        match step {
            KeeperStep::Turn => {
                if keeper.alarm == Some(self.now) {
                    keeper.alarm = None;
                    self.keep(shard);
                }
            }
            KeeperStep::Up => self.keeper_up(shard),
            KeeperStep::Arrives(number) if keeper.number == number => self.keeper_call(shard),
            KeeperStep::Answered(number) if keeper.number == number => self.keeper_answered(shard),
            KeeperStep::Late(number) if keeper.number == number => self.keeper_failed(shard),
            KeeperStep::Arrives(_) | KeeperStep::Answered(_) | KeeperStep::Late(_) => {}
            KeeperStep::Heard(_) => {
                match letter {
                    Some((who, Some((stamp, view)))) => keeper.members.heard(who, stamp, &view, self.now),
                    Some((who, None)) => keeper.members.left(who),
                    None => {}
                }
                self.hardware.think(shard, self.now, self.ground.scenario.model.manager.hear);
                self.keep(shard);
            }
            KeeperStep::Chosen(count) => self.heard_choices(shard, count),
            KeeperStep::Settle => {
                keeper.settling = false;
                self.stand(shard);
                self.settle(shard);
                self.tell_owned(shard);
                self.keep(shard);
            }
            KeeperStep::Listed => self.read_applications(shard),
        }
    }

    pub(super) fn keeper_event(&mut self, shard: u32, at: Time, step: KeeperStep) {
        let Some(crew) = &self.crew else { return };
        let life = crew.keepers[shard as usize].life;
        self.queue.push(at, Event::Keeper { shard, life, step });
    }

    /// A manager starts: it lists what the hub has, then writes its lease.
    pub(super) fn start_keeper(&mut self, shard: u32) {
        let Some(crew) = &mut self.crew else { return };
        let keeper = &mut crew.keepers[shard as usize];
        let life = keeper.life + 1;
        *keeper = Keeper::new(self.ground.scenario, shard, true);
        keeper.life = life;
        let leased = crew.length.is_some();
        self.begin_anew(shard);
        for kind in [Kind::SECRET, Kind::APPLICATION, Kind::LEASE].into_iter().take(if leased { 3 } else { 2 }) {
            self.count_of(shard, Verb::Watch, kind, 200);
        }
        let listed = self.list(Site::Hub, Kind::SECRET, self.part.clusters.len() as u64);
        let mut listed = listed.max(self.list(Site::Hub, Kind::APPLICATION, self.hub_objects.0));
        if leased {
            let leases = self.crew.as_ref().map_or(0, |crew| crew.leases.len() as u64);
            listed = listed.max(self.list(Site::Hub, Kind::LEASE, leases));
        }
        self.keeper_event(shard, listed, KeeperStep::Up);
    }

    fn keeper_up(&mut self, shard: u32) {
        self.managers[shard as usize].down = false;
        let Some(crew) = &mut self.crew else { return };
        let keeper = &mut crew.keepers[shard as usize];
        for (who, (stamp, view)) in &crew.leases {
            keeper.members.heard(*who, *stamp, view, self.now);
        }
        (keeper.chosen, keeper.renew_at) = (crew.chosen.len(), self.now);
        if crew.length.is_some() {
            return self.keep(shard);
        }
        self.settle(shard);
        self.read_applications(shard);
        self.tell_owned(shard);
    }

    /// A manager looks at what it may own, and at its lease.
    pub(super) fn keep(&mut self, shard: u32) {
        let Some(crew) = self.crew.as_ref().filter(|crew| crew.length.is_some()) else { return };
        let keeper = &crew.keepers[shard as usize];
        if keeper.leaving.is_some() {
            return self.go_home(shard);
        }
        if keeper.asked.is_none() && keeper.there && !self.managers[shard as usize].down {
            self.keep_on(shard, true);
        }
    }

    fn keep_on(&mut self, shard: u32, may_list: bool) {
        let busy = self.stand(shard);
        self.tell_owned(shard);
        let now = self.now;
        let Some(crew) = &mut self.crew else { return };
        let keeper = &mut crew.keepers[shard as usize];
        if let Some(change) = keeper.members.must_list(now).filter(|_| may_list) {
            return self.ask(shard, Asked::List(change, Vec::new()));
        }
        let say = keeper.members.must_say().filter(|_| !busy);
        if now >= keeper.renew_at || say.is_some() {
            let view = say.unwrap_or_else(|| keeper.members.said().to_owned());
            return self.ask(shard, Asked::Write(now, view));
        }
        self.set_alarm(shard);
    }

    /// Decides anew what a manager may own; whether work on what it lost is left.
    fn stand(&mut self, shard: u32) -> bool {
        let now = self.now;
        let Some(crew) = self.crew.as_mut().filter(|crew| crew.length.is_some()) else { return false };
        let keeper = &mut crew.keepers[shard as usize];
        let standing = if keeper.leaving.is_some() {
            Standing::default()
        } else {
            keeper.members.chosen(keeper.chosen as u64);
            keeper.members.look(now)
        };
        if keeper.standing.as_ref() != Some(&standing) {
            keeper.standing = Some(standing);
            self.settle(shard);
        }
        self.is_letting_go(shard)
    }

    /// Wakes the keeper when a lease is over or its own is to be renewed.
    pub(super) fn set_alarm(&mut self, shard: u32) {
        let now = self.now;
        let Some(crew) = &mut self.crew else { return };
        let keeper = &mut crew.keepers[shard as usize];
        let due = keeper.members.deadline(now).map_or(keeper.renew_at, |end| end.min(keeper.renew_at)).max(now);
        if keeper.alarm.is_none_or(|alarm| due != alarm) {
            keeper.alarm = Some(due);
            self.keeper_event(shard, due, KeeperStep::Turn);
        }
    }

    fn ask(&mut self, shard: u32, asked: Asked) {
        let ready = self.hardware.think(shard, self.now, self.ground.scenario.model.manager.ask);
        let Some(crew) = &mut self.crew else { return };
        let (leases, length) = (crew.leases.len() as u64, crew.length.unwrap_or_default());
        let keeper = &mut crew.keepers[shard as usize];
        let (_, call) = asked.call(leases);
        let patience = if matches!(asked, Asked::Write(..)) { length.scaled(1, 2) } else { keeper.members.period() };
        keeper.number += 1;
        let number = keeper.number;
        keeper.asked = Some(asked);
        let at = self.travel(Site::Hub, Direction::There, ready, call.bytes[0]);
        self.keeper_event(shard, at, KeeperStep::Arrives(number));
        self.keeper_event(shard, self.now + patience, KeeperStep::Late(number));
    }

    /// A call arrives at the hub.
    fn keeper_call(&mut self, shard: u32) {
        let (now, row) = (self.now, shard);
        let Some(crew) = &self.crew else { return };
        let (keeper, leases) = (&crew.keepers[shard as usize], crew.leases.len() as u64);
        let Some((number, asked)) = keeper.asked.as_ref().map(|asked| (keeper.number, asked)) else { return };
        let (verb, call) = asked.call(leases);
        match self.troubles.cut(Site::Hub) {
            Some(Cut::Silent(until)) => return self.keeper_event(shard, until, KeeperStep::Arrives(number)),
            Some(Cut::Refused(_)) => {
                self.count_of(row, verb, Kind::LEASE, 0);
                return self.keeper_failed(shard);
            }
            None => {}
        }
        let away = if self.troubles.is_over() { None } else { self.troubles.turned_away(Site::Hub) };
        let served = away.map_or_else(|| self.hardware.serve(Site::Hub, call, now, now), Err);
        self.count_of(row, verb, Kind::LEASE, if served.is_ok() { 200 } else { 429 });
        let Ok(done) = served else { return self.keeper_failed(shard) };
        self.lease_call(shard, done);
        let back = self.travel(Site::Hub, Direction::Back, done, call.bytes[1]);
        self.keeper_event(shard, back, KeeperStep::Answered(number));
    }

    /// What the hub makes of a call.
    fn lease_call(&mut self, shard: u32, done: Time) {
        let Some(crew) = &mut self.crew else { return };
        let said = match &mut crew.keepers[shard as usize].asked {
            Some(Asked::Write(_, view)) => {
                crew.stamp += 1;
                let lease = (crew.stamp, Rc::from(view.as_str()));
                crew.leases.insert(shard, lease.clone());
                Some(lease)
            }
            Some(Asked::List(_, found)) => {
                found.extend(crew.leases.iter().map(|(who, (stamp, view))| (*who, *stamp, Rc::clone(view))));
                return;
            }
            Some(Asked::Delete) => {
                crew.leases.remove(&shard);
                None
            }
            None => return,
        };
        let watchers: Vec<u32> = self.watchers().collect();
        self.sums.hub_events += watchers.len() as u64;
        let told = self.hardware.tell(Site::Hub, watchers.len() as u64, self.now, self.now).max(done);
        let bytes = Call::new(Verb::Get, Kind::LEASE, (false, false)).bytes[1];
        let at = self.heard(Site::Hub, told, bytes);
        for to in watchers {
            self.managers[to as usize].watch_events += 1;
            let Some(crew) = &mut self.crew else { return };
            let letter = crew.letters.put((shard, said.clone()));
            self.keeper_event(to, at, KeeperStep::Heard(letter));
        }
    }

    fn keeper_answered(&mut self, shard: u32) {
        let now = self.now;
        let Some(crew) = &mut self.crew else { return };
        let length = crew.length.unwrap_or_default();
        let keeper = &mut crew.keepers[shard as usize];
        match keeper.asked.take() {
            Some(Asked::Write(since, view)) => {
                keeper.fence = since + length;
                keeper.members.renewed(since, view);
                keeper.renew_at = since + keeper.members.period();
            }
            Some(Asked::List(change, found)) => {
                for (who, stamp, view) in found {
                    keeper.members.heard(who, stamp, &view, now);
                }
                keeper.members.listed(change);
            }
            Some(Asked::Delete) => return self.gone_home(shard),
            None => return,
        }
        self.keep(shard);
    }

    fn keeper_failed(&mut self, shard: u32) {
        let now = self.now;
        let Some(crew) = &mut self.crew else { return };
        let keeper = &mut crew.keepers[shard as usize];
        match keeper.asked.take() {
            Some(Asked::Write(..)) => {
                keeper.renew_at = now + AGAIN;
                self.keep(shard);
            }
            // What must be said and renewed goes before another list.
            Some(Asked::List(..)) => self.keep_on(shard, false),
            Some(Asked::Delete) => self.gone_home(shard),
            None => {}
        }
    }

    /// A manager is sent home: it lets go of everything, then gives up its lease, so that nobody waits for its end.
    pub(super) fn leave(&mut self, shard: u32) {
        let now = self.now;
        let Some(crew) = &mut self.crew else { return };
        let length = crew.length.unwrap_or_default();
        let keeper = &mut crew.keepers[shard as usize];
        if !keeper.there {
            return;
        }
        (keeper.leaving, keeper.fence, keeper.asked) = (Some(now), Time(0), None);
        keeper.alarm = Some(now + length);
        self.keeper_event(shard, now + length, KeeperStep::Turn);
        self.go_home(shard);
    }

    fn go_home(&mut self, shard: u32) {
        let busy = self.stand(shard);
        self.tell_owned(shard);
        let Some(crew) = &self.crew else { return };
        let keeper = &crew.keepers[shard as usize];
        let (since, length) = (keeper.leaving.unwrap_or(self.now), crew.length.unwrap_or_default());
        if self.now.since(since) >= length {
            // Rounds that hang are left behind, and the lease with them.
            self.gone_home(shard);
        } else if !busy && keeper.asked.is_none() {
            self.ask(shard, Asked::Delete);
        }
    }

    fn gone_home(&mut self, shard: u32) {
        self.let_go_of_all(shard);
        self.rounds.each_mut(|round| round.dead |= round.shard == shard);
        let Some(crew) = &mut self.crew else { return };
        let keeper = &mut crew.keepers[shard as usize];
        (keeper.there, keeper.asked, keeper.life) = (false, None, keeper.life + 1);
        let manager = &mut self.managers[shard as usize];
        (manager.down, manager.watches) = (true, 0);
    }
}
