//! The machines against what was recorded of Argo CD 3.2.0 (`tests/data/argo`).
//!
//! Calls of one lane (Applications, events, the destination's documents, each of its resources) are compared in their order,
//! those of objects that are worked on together without it. Documents that a process fetches once are left out.

use super::app::{Asked, Compared, Health, Level, Phase, heal_wait};
use super::costs::Costs;
use super::*;
use crate::units::{Span, Time};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One Application, its destination, and every call so far.
struct Lab {
    app: App,
    kinds: Arc<[Kind]>,
    live: Vec<Live>,
    health: Health,
    now: Time,
    calls: Vec<String>,
}

const REVISION: u64 = 7;

impl Lab {
    fn new(config_maps: usize, deployments: usize, live: Live) -> Self {
        let kinds = [vec![Kind::CONFIG_MAP; config_maps], vec![Kind::DEPLOYMENT; deployments]].concat();
        let app = App { exists: true, automated: true, self_heal: true, source: 1, ..App::default() };
        let live = vec![live; kinds.len()];
        Self { app, live, kinds: kinds.into(), health: Health::Healthy, now: Time(5_000_000_000), calls: Vec::new() }
    }

    /// As it is after a sync at an older revision, `age` ago.
    fn synced(mut self) -> Self {
        self.app.normal = true;
        self.app.phase = Phase::Succeeded;
        self.app.synced = (1, REVISION - 1);
        self.app.status = Status {
            sync: Sync::Synced,
            health: Health::Healthy,
            compared: 1,
            revision: REVISION - 1,
            reconciled: Some(Time(0)),
        };
        self
    }

    fn settings() -> Settings {
        Settings { version: Version::V3, resync: Span::from_secs(120), costs: Costs::default() }
    }

    fn compared(&self) -> Compared {
        let out_of_sync = u16::try_from(self.live.iter().filter(|live| **live != Live::Same).count()).unwrap();
        Compared { out_of_sync, health: self.health }
    }

    fn refresh(&mut self, level: Level) -> Refresh {
        self.app.request(level);
        let mut pass = Refresh::new(self.now, None);
        let (mut answer, mut codes) = (None, Vec::new());
        loop {
            let live = self.live.clone();
            let given = match answer.take() {
                Some(Answered::Codes) => Answer::Codes(&codes),
                Some(Answered::Revision) => Answer::Revision(REVISION),
                Some(Answered::Compared) => Answer::Compared(self.compared(), &live),
                None => Answer::Go,
            };
            let step = pass.next(&mut self.app, given, self.now, &Self::settings());
            if step == Step::Done {
                return pass;
            }
            answer = self.carry_out(step, &mut codes);
        }
    }

    fn operate(&mut self) {
        let mut pass = Operation::new(self.now, &self.app, Arc::clone(&self.kinds), None);
        let (mut answer, mut codes) = (None, Vec::new());
        loop {
            let live = self.live.clone();
            let given = match answer.take() {
                Some(Answered::Codes) => Answer::Codes(&codes),
                Some(Answered::Revision) => Answer::Revision(REVISION),
                Some(Answered::Compared) => Answer::Compared(self.compared(), &live),
                None => Answer::Go,
            };
            let step = pass.next(given, &Self::settings());
            if step == Step::Done {
                break;
            }
            answer = self.carry_out(step, &mut codes);
        }
        if pass.asked().is_some() {
            self.app.synced = (1, REVISION);
            self.app.finished = self.now;
        }
    }

    fn carry_out(&mut self, step: Step, codes: &mut Vec<u16>) -> Option<Answered> {
        match step {
            Step::Call(calls) => {
                *codes = calls.iter().map(|call| self.call(call)).collect();
                return Some(Answered::Codes);
            }
            Step::Events(count) => (0..count).for_each(|_| self.calls.push("create events 201".to_owned())),
            Step::Render(_) => return Some(Answered::Revision),
            Step::Look => return Some(Answered::Compared),
            _ => {}
        }
        None
    }

    fn call(&mut self, call: &Call) -> u16 {
        let live = call.object.map(|n| self.live[usize::from(n)]);
        let mut code = if live == Some(Live::Absent) { 404 } else { 200 };
        match call.effect {
            Effect::None | Effect::History => {}
            Effect::Normalise => self.app.normal = true,
            Effect::Ask(asked) => self.app.operation = Some(asked),
            Effect::Running => {
                self.app.operation = None;
                self.app.phase = Phase::Running;
            }
            Effect::Succeeded => self.app.phase = Phase::Succeeded,
            Effect::Report(status) => (self.app.status, self.app.annotated) = (status, false),
            Effect::Object(n) => {
                code = if call.verb == Verb::Create { 201 } else { 200 };
                self.live[usize::from(n)] = Live::Same;
            }
            Effect::Remove(n) => self.live[usize::from(n)] = Live::Absent,
            Effect::Release => self.app.exists = false,
        }
        let verb = format!("{:?}", call.verb).to_lowercase();
        let info = call.kind.info();
        let resource =
            if info.group.is_empty() { info.plural.to_owned() } else { format!("{}.{}", info.plural, info.group) };
        self.calls.push(match call.verb {
            Verb::Discover => "get / 200".to_owned(),
            _ => format!("{verb} {resource} {code}"),
        });
        code
    }
}

enum Answered {
    Codes,
    Revision,
    Compared,
}

/// What was recorded, in the words of the model.
fn recorded(case: &str) -> Vec<String> {
    let path = format!("{}/tests/data/argo/{case}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect(&path);
    let word = |line: &str| {
        let resource = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let once = resource.starts_with("/openapi/v3/");
        (!once).then(|| if resource.starts_with('/') { "get / 200".to_owned() } else { line.to_owned() })
    };
    text.lines().filter_map(word).collect()
}

/// Calls by lane. What goes out together, and so overtakes itself, is sorted within its lane.
fn lanes(calls: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut lanes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for call in calls {
        let resource = call.split(' ').nth(1).unwrap_or_default();
        lanes.entry(resource.to_owned()).or_default().push(call.clone());
    }
    let together = |resource: &str| !resource.starts_with("applications") && resource != "events";
    lanes.iter_mut().filter(|(resource, _)| together(resource)).for_each(|(_, calls)| calls.sort());
    lanes
}

#[track_caller]
fn check(case: &str, lab: &Lab) {
    assert_eq!(lanes(&lab.calls), lanes(&recorded(case)), "{case}: {:#?}", lab.calls);
}

/// The same, and in the very order.
#[track_caller]
fn check_order(case: &str, lab: &Lab) {
    assert_eq!(lab.calls, recorded(case), "{case}");
}

#[test]
fn the_first_sync_of_one_object_makes_the_recorded_calls_in_their_order() {
    let mut lab = Lab::new(1, 0, Live::Absent);
    lab.refresh(Level::Force);
    lab.operate();
    lab.refresh(Level::Latest);
    check_order("n1-first", &lab);
}

#[test]
fn a_commit_that_changes_one_object_makes_the_recorded_calls_in_their_order() {
    let mut lab = Lab::new(1, 0, Live::Differs).synced();
    lab.refresh(Level::Force);
    lab.operate();
    lab.refresh(Level::Latest);
    check_order("n1-change", &lab);
}

#[test]
fn a_refresh_that_finds_nothing_writes_when_it_looked() {
    for (case, objects, live) in
        [("n1-noop", 1, Live::Same), ("n4-noop", 4, Live::Same), ("outofsync-noop", 4, Live::Differs)]
    {
        let mut lab = Lab::new(objects, 0, live).synced();
        lab.app.self_heal = live == Live::Same;
        lab.app.synced.1 = REVISION;
        lab.app.status.revision = REVISION;
        lab.app.status.sync = if live == Live::Same { Sync::Synced } else { Sync::OutOfSync };
        lab.app.annotated = true;
        lab.refresh(Level::Force);
        check_order(case, &lab);
    }
}

#[test]
fn syncs_of_many_objects_make_the_recorded_calls_in_every_lane() {
    for (case, config_maps, live, between) in [
        ("n4-first", 3, Live::Absent, 1),
        ("n10-first", 9, Live::Absent, 3),
        ("n4-change", 3, Live::Differs, 1),
        ("n10-change", 9, Live::Differs, 1),
    ] {
        let mut lab = Lab::new(config_maps, 1, live);
        lab.health = Health::Missing;
        if live == Live::Differs {
            lab = lab.synced();
            lab.live[config_maps] = Live::Same;
            lab.health = Health::Healthy;
        }
        lab.refresh(Level::Force);
        lab.operate();
        // Events of the objects while the operation runs: a refresh at level 1 each, told by what it finds.
        lab.calls.extend((0..between).map(|_| "patch applications.argoproj.io 200".to_owned()));
        lab.health = if live == Live::Absent { Health::Progressing } else { Health::Healthy };
        lab.refresh(Level::Latest);
        if live == Live::Absent {
            lab.health = Health::Healthy;
            lab.refresh(Level::Recent);
        }
        check(case, &lab);
    }
}

#[test]
fn self_heal_touches_the_one_object_that_drifted() {
    let mut lab = Lab::new(3, 1, Live::Same).synced();
    lab.app.synced.1 = REVISION;
    lab.app.status.revision = REVISION;
    lab.live[0] = Live::Differs;
    lab.refresh(Level::Recent);
    assert_eq!(lab.app.operation, Some(Asked { by_hand: false, partial: true }));
    lab.operate();
    lab.refresh(Level::Latest);
    check("n4-selfheal1", &lab);
}

#[test]
fn a_deletion_takes_the_objects_first_and_the_finalizer_after_them() {
    let mut lab = Lab::new(3, 1, Live::Same).synced();
    (lab.app.deleting, lab.app.finalizer) = (true, true);
    lab.operate();
    lab.operate();
    // The refresh that was under way finds nothing to write to any more.
    lab.calls.push("patch applications.argoproj.io 404".to_owned());
    check("n4-delete", &lab);
}

#[test]
fn a_cluster_cache_asks_for_what_was_recorded() {
    let calls = recorded("cluster-cache");
    let of = |verb: &str| u16::try_from(calls.iter().filter(|call| call.starts_with(verb)).count()).unwrap();
    assert_eq!((of("get"), of("list"), of("watch")), (cluster::DISCOVERY, cluster::KINDS, cluster::KINDS));
}

#[test]
fn the_gate_asks_its_questions_in_order() {
    let at = |seconds: u64| Time(seconds * 1_000_000_000);
    let rest = App { exists: true, source: 1, ..App::default() };
    let rest = App { status: Status { compared: 1, reconciled: Some(at(100)), ..Status::default() }, ..rest };
    for (app, now, expected) in [
        (App::default(), 0, None),
        (App { annotated: true, ..rest }, 101, Some(Level::Force)),
        (App { source: 2, ..rest }, 101, Some(Level::Force)),
        (rest, 220, None),
        (rest, 221, Some(Level::Latest)),
        (App { requested: Some(Level::Recent), ..rest }, 101, Some(Level::Recent)),
        (App { requested: Some(Level::Force), ..rest }, 221, Some(Level::Latest)),
    ] {
        let mut app = app;
        assert_eq!(app.gate(at(now), &Lab::settings()), expected, "{app:?} at {now}");
    }
    // An expired app leaves the request for the next pass.
    let mut app = App { requested: Some(Level::Force), ..rest };
    app.gate(at(221), &Lab::settings());
    assert_eq!(app.requested, Some(Level::Force));
}

#[test]
fn self_heal_waits_longer_each_time() {
    let waits: Vec<u64> = (0..9).map(|n| heal_wait(n).0 / 1_000_000_000).collect();
    assert_eq!(waits, [0, 2, 6, 18, 54, 162, 300, 300, 300]);
}
