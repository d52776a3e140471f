//! Calls per event, for both behaviours, as tables.
//!
//! A round is played against a tiny leaf; its calls are written as text: `+` joins one batch, `;` separates batches.

use super::*;

const READY: View = View {
    applied: ContentId(1),
    covers: true,
    health: Some(Health::Healthy),
    message: ContentId(7),
    revision: ContentId(9),
    deleting: false,
    source: SourceRef::Object(Kind::GIT_REPOSITORY),
};
const FRESH: View = View { health: Some(Health::Progressing), revision: ContentId(0), ..READY };
const DRIFTED: View = View { covers: false, ..READY };
/// Written by us, but from an older document.
const OUTDATED: View = View { covers: false, applied: ContentId(5), ..READY };

fn app(mode: Mode) -> App {
    App {
        ids: Ids { app: ObjectId(1), workload: ObjectId(2), source: ObjectId(3), namespace: ObjectId(4) },
        mode,
        kinds: [Kind::KUSTOMIZATION, Kind::GIT_REPOSITORY],
        desired: [ContentId(1); 2],
        source: ContentId(11),
        problem: None,
        automated: true,
        self_heal: false,
        create_namespace: false,
        deleting: false,
        cascade: true,
        refresh: false,
        operation: false,
        status: Status::default(),
        detail_since: None,
        synced_at: None,
    }
}

/// An app whose status says what follows from `seen`.
fn settled(mode: Mode, view: View) -> App {
    let mut app = app(mode);
    app.status.phase = (mode == Mode::AutoCreate).then_some(Phase::Succeeded);
    app.status = app.assess([Seen::Present(view); 2], None);
    app.status.revision = view.revision;
    app
}

/// The leaf: which objects it has, and codes that it answers instead, in order, to writes.
struct Leaf {
    objects: [Option<View>; 2],
    refusals: Vec<u16>,
    hub: Vec<u16>,
}

impl Leaf {
    fn with(view: Option<View>) -> Self {
        Self { objects: [view; 2], refusals: Vec::new(), hub: Vec::new() }
    }

    fn answer(&mut self, op: &Op<Body>) -> Reply<View> {
        let ok = |code| Reply { code, object: None };
        if op.target == Target::Hub {
            return ok(if self.hub.is_empty() { 200 } else { self.hub.remove(0) });
        }
        let slot = if op.object == ObjectId(2) { 0 } else { 1 };
        match op.verb {
            Verb::Discover => ok(200),
            Verb::Get => match self.objects[slot] {
                Some(view) => Reply { code: 200, object: Some(view) },
                None => ok(404),
            },
            _ if !self.refusals.is_empty() => ok(self.refusals.remove(0)),
            Verb::Delete => ok(200),
            _ if op.kind == Kind::NAMESPACE => ok(201),
            _ => {
                let view = View { health: Some(Health::Progressing), ..READY };
                self.objects[slot] = Some(view);
                Reply { code: 200, object: Some(view) }
            }
        }
    }
}

fn written(op: &Op<Body>) -> String {
    let side = if op.target == Target::Hub { "hub" } else { "leaf" };
    let what = match op.body {
        Body::Status { status, synced } => {
            let health = status.health.map_or("-", Health::word);
            format!("({}/{}{})", status.sync.word(), health, if synced { ", synced" } else { "" })
        }
        Body::NoFinalizer => "(finalizer)".to_owned(),
        Body::OperationState(phase) => format!("({})", phase.word()),
        Body::History => "(history)".to_owned(),
        Body::Event(_) => String::new(),
        Body::Nothing | Body::Document(_) | Body::Namespace | Body::Operation => String::new(),
    };
    let kind = match op.kind {
        Kind::APPLICATION => "app",
        Kind::KUSTOMIZATION => "ks",
        Kind::GIT_REPOSITORY => "git",
        Kind::EVENT => "event",
        _ => "namespace",
    };
    format!("{side} {} {kind}{what}", format!("{:?}", op.verb).to_lowercase())
}

fn play(app: App, seen: [Seen; 2], why: Why, rules: Rules, leaf: &mut Leaf, now: Time) -> (String, Outcome) {
    let mut round = Reconcile::new(app, seen, why, rules);
    let (mut replies, mut batches) = (Vec::new(), Vec::new());
    loop {
        match round.step(&replies, now) {
            Next::Call(ops) => {
                assert!(!ops.is_empty() && batches.len() < 40, "a batch has calls and a round ends");
                batches.push(ops.iter().map(written).collect::<Vec<_>>().join(" + "));
                replies = ops.iter().map(|op| leaf.answer(op)).collect();
            }
            Next::Done(outcome) => return (batches.join("; "), outcome),
        }
    }
}

const CACHED: Rules = Rules { behaviour: Behaviour::Fixed, client_cache: true };
const UNCACHED: Rules = Rules { behaviour: Behaviour::Fixed, client_cache: false };
const FAITHFUL: Rules = Rules { behaviour: Behaviour::Faithful, client_cache: true };
const NOW: Time = Time(1_000_000_000_000);

#[track_caller]
fn check(rules: Rules, app: App, live: Option<View>, why: Why, calls: &str, verdict: Verdict) {
    let seen = match (rules.client_cache, live) {
        (false, _) => Seen::Unknown,
        (true, None) => Seen::Absent,
        (true, Some(view)) => Seen::Present(view),
    };
    let (got, outcome) = play(app, [seen; 2], why, rules, &mut Leaf::with(live), NOW);
    assert_eq!(got, calls.split_whitespace().collect::<Vec<_>>().join(" "));
    assert_eq!(outcome.verdict, verdict);
}

#[test]
fn fixed_auto_create_makes_two_applies_and_one_patch_then_one_patch_more() {
    let fresh = app(Mode::AutoCreate);
    let sync = "leaf apply ks + leaf apply git; hub patch app(Synced/Progressing, synced)";
    check(CACHED, fresh, None, Why::App, sync, Verdict::Synced);
    let waiting = settled(Mode::AutoCreate, FRESH);
    check(CACHED, waiting, Some(FRESH), Why::Leaf, "", Verdict::Unchanged);
    check(CACHED, waiting, Some(READY), Why::Leaf, "hub patch app(Synced/Healthy)", Verdict::Reported);
    let healthy = settled(Mode::AutoCreate, READY);
    check(CACHED, healthy, Some(READY), Why::Time, "", Verdict::Unchanged);
    let refresh = App { refresh: true, ..healthy };
    check(CACHED, refresh, Some(READY), Why::App, "hub patch app(Synced/Healthy)", Verdict::Reported);
    let asked = App { operation: true, ..healthy };
    check(CACHED, asked, Some(READY), Why::App, "hub patch app(Synced/Healthy, synced)", Verdict::Synced);
    let uncached = "leaf get ks + leaf get git; ".to_owned() + sync;
    check(UNCACHED, fresh, None, Why::App, &uncached, Verdict::Synced);
    check(UNCACHED, healthy, Some(READY), Why::Time, "leaf get ks + leaf get git", Verdict::Unchanged);
}

#[test]
fn fixed_syncs_what_the_application_changed_and_heals_only_if_told() {
    let healthy = settled(Mode::AutoCreate, READY);
    let sync = "leaf apply ks + leaf apply git; hub patch app(Synced/Progressing, synced)";
    check(CACHED, healthy, Some(OUTDATED), Why::App, sync, Verdict::Synced);
    check(CACHED, healthy, Some(DRIFTED), Why::Leaf, "hub patch app(OutOfSync/Healthy)", Verdict::Reported);
    check(CACHED, healthy, None, Why::Leaf, "hub patch app(OutOfSync/Missing)", Verdict::Reported);
    let heals = App { self_heal: true, ..healthy };
    check(CACHED, heals, Some(DRIFTED), Why::Leaf, sync, Verdict::Synced);
    check(CACHED, heals, None, Why::Leaf, sync, Verdict::Synced);
    let leaving = View { deleting: true, ..DRIFTED };
    check(CACHED, heals, Some(leaving), Why::Leaf, "hub patch app(OutOfSync/Healthy)", Verdict::Reported);
    let manual = App { automated: false, ..app(Mode::AutoCreate) };
    check(CACHED, manual, None, Why::App, "hub patch app(OutOfSync/Missing)", Verdict::Reported);
    check(CACHED, App { operation: true, ..manual }, None, Why::App, sync, Verdict::Synced);
    // One of two objects differs: one apply.
    let mut leaf = Leaf::with(Some(READY));
    let seen = [Seen::Present(READY), Seen::Present(OUTDATED)];
    let (calls, _) = play(healthy, seen, Why::App, CACHED, &mut leaf, NOW);
    assert_eq!(calls, "leaf apply git; hub patch app(Synced/Progressing, synced)");
}

#[test]
fn fixed_lets_details_and_flicker_wait_for_the_next_write() {
    let healthy = settled(Mode::AutoCreate, READY);
    let flicker = View { health: Some(Health::Progressing), message: ContentId(8), ..READY };
    let seen = [Seen::Present(flicker); 2];
    let (calls, outcome) = play(healthy, seen, Why::Leaf, CACHED, &mut Leaf::with(None), NOW);
    assert_eq!((calls.as_str(), outcome.again, outcome.detail_since), ("", Some(DETAIL_DELAY), Some(NOW)));
    let waited = App { detail_since: Some(NOW), ..healthy };
    let later = NOW + DETAIL_DELAY;
    let (calls, outcome) = play(waited, seen, Why::Time, CACHED, &mut Leaf::with(None), later);
    assert_eq!((calls.as_str(), outcome.detail_since), ("hub patch app(Synced/Progressing)", None));
    // Back before the delay is over: nothing is left to write.
    let (calls, outcome) = play(waited, [Seen::Present(READY); 2], Why::Leaf, CACHED, &mut Leaf::with(None), later);
    assert_eq!((calls.as_str(), outcome.detail_since, outcome.again), ("", None, None));
    let failed = View { health: Some(Health::Degraded), ..READY };
    check(CACHED, healthy, Some(failed), Why::Leaf, "hub patch app(Synced/Degraded)", Verdict::Reported);
    let newer = View { revision: ContentId(10), ..READY };
    check(CACHED, healthy, Some(newer), Why::Leaf, "hub patch app(Synced/Healthy)", Verdict::Reported);
}

#[test]
fn fixed_reference_mode_reads_and_reports_what_is_missing() {
    let fresh = app(Mode::Reference);
    check(CACHED, fresh, Some(READY), Why::App, "hub patch app(Synced/Healthy)", Verdict::Reported);
    check(CACHED, fresh, None, Why::App, "hub patch app(OutOfSync/Missing)", Verdict::Reported);
    let gets = "leaf get ks; leaf get git; hub patch app(Synced/Healthy)";
    check(UNCACHED, fresh, Some(READY), Why::App, gets, Verdict::Reported);
    check(UNCACHED, fresh, None, Why::App, "leaf get ks; hub patch app(OutOfSync/Missing)", Verdict::Reported);
    check(CACHED, settled(Mode::Reference, READY), Some(READY), Why::Time, "", Verdict::Unchanged);
    let leaving = App { deleting: true, ..fresh };
    check(CACHED, leaving, Some(READY), Why::App, "hub patch app(finalizer)", Verdict::Gone);
}

#[test]
fn fixed_deletion_removes_the_generated_objects_before_the_application() {
    let leaving = App { deleting: true, ..settled(Mode::AutoCreate, READY) };
    check(CACHED, leaving, Some(READY), Why::App, "leaf delete ks + leaf delete git", Verdict::Deleting);
    let on_its_way = View { deleting: true, ..READY };
    check(CACHED, leaving, Some(on_its_way), Why::Leaf, "", Verdict::Deleting);
    check(CACHED, leaving, None, Why::Leaf, "hub patch app(finalizer)", Verdict::Gone);
    check(CACHED, App { cascade: false, ..leaving }, Some(READY), Why::App, "", Verdict::Ignored);
    let lost = App { problem: Some(Problem::Unreachable), ..leaving };
    check(CACHED, lost, None, Why::App, "", Verdict::Failed);
}

#[test]
fn ordinary_applications_are_left_alone() {
    for rules in [CACHED, UNCACHED, FAITHFUL] {
        check(rules, app(Mode::Ordinary), None, Why::App, "", Verdict::Ignored);
        check(rules, App { deleting: true, ..app(Mode::Ordinary) }, None, Why::App, "", Verdict::Ignored);
    }
}

#[test]
fn fixed_reports_problems_and_tries_again_when_that_may_help() {
    for (problem, verdict) in [
        (Problem::Unreachable, Verdict::Failed),
        (Problem::Refused(401), Verdict::Failed),
        (Problem::NoCluster, Verdict::Reported),
        (Problem::Translation(ContentId(3)), Verdict::Reported),
    ] {
        let bad = App { problem: Some(problem), ..app(Mode::AutoCreate) };
        check(CACHED, bad, None, Why::App, "hub patch app(Unknown/Unknown)", verdict);
        let told = App { status: bad.failed(problem), ..bad };
        let again = if verdict == Verdict::Failed { verdict } else { Verdict::Unchanged };
        check(CACHED, told, None, Why::Time, "", again);
    }
    let mut full = Leaf { refusals: vec![429, 200], ..Leaf::with(None) };
    let (calls, outcome) = play(app(Mode::AutoCreate), [Seen::Absent; 2], Why::App, CACHED, &mut full, NOW);
    assert_eq!(calls, "leaf apply ks + leaf apply git; hub patch app(Unknown/Unknown, synced)");
    assert_eq!((outcome.verdict, outcome.status.problem), (Verdict::Failed, Some(Problem::Refused(429))));
}

#[test]
fn a_missing_namespace_is_created_if_the_application_says_so() {
    let create = App { create_namespace: true, ..app(Mode::AutoCreate) };
    let mut leaf = Leaf { refusals: vec![404, 404], ..Leaf::with(None) };
    let (calls, outcome) = play(create, [Seen::Absent; 2], Why::App, CACHED, &mut leaf, NOW);
    let applies = "leaf apply ks + leaf apply git";
    let want = format!("{applies}; leaf create namespace; {applies}; hub patch app(Synced/Progressing, synced)");
    assert_eq!((calls, outcome.verdict), (want, Verdict::Synced));
    let mut leaf = Leaf { refusals: vec![404, 404], ..Leaf::with(None) };
    let (calls, outcome) = play(app(Mode::AutoCreate), [Seen::Absent; 2], Why::App, CACHED, &mut leaf, NOW);
    assert_eq!(calls, format!("{applies}; hub patch app(OutOfSync/Missing, synced)"));
    assert_eq!((outcome.status.problem, outcome.verdict), (Some(Problem::NoNamespace), Verdict::Failed));
    // It is tried again, and said once.
    let told = App { status: outcome.status, ..app(Mode::AutoCreate) };
    let mut leaf = Leaf { refusals: vec![404, 404], ..Leaf::with(None) };
    let (calls, outcome) = play(told, [Seen::Absent; 2], Why::Time, CACHED, &mut leaf, NOW);
    assert_eq!((calls.as_str(), outcome.verdict), (applies, Verdict::Failed));
}

#[test]
fn a_write_that_the_hub_refuses_is_tried_again_and_nothing_is_taken_for_said() {
    for (code, verdict) in [(409, Verdict::Failed), (500, Verdict::Failed), (0, Verdict::Failed), (404, Verdict::Gone)]
    {
        for rules in [CACHED, FAITHFUL] {
            let mut leaf = Leaf { hub: vec![200; 0], ..Leaf::with(Some(READY)) };
            leaf.hub = if rules == FAITHFUL { vec![200, 200, code] } else { vec![code] };
            let fresh = app(Mode::AutoCreate);
            let (_, outcome) = play(fresh, [Seen::Present(READY); 2], Why::App, rules, &mut leaf, NOW);
            assert_eq!((outcome.verdict, outcome.status), (verdict, fresh.status), "{code} {rules:?}");
        }
    }
}

/// The original's table of calls.
#[test]
fn faithful_refreshes_cost_what_the_original_pays() {
    let discover = "leaf discover ks + leaf discover git; leaf get ks + leaf get git";
    let healthy = settled(Mode::AutoCreate, View { revision: ContentId(0), ..READY });
    let patch = "; hub patch app(Synced/Healthy)";
    check(FAITHFUL, healthy, Some(READY), Why::Time, &(discover.to_owned() + patch), Verdict::Reported);
    // Neither the Flux objects nor the Application's labels trigger a refresh.
    check(FAITHFUL, healthy, Some(FRESH), Why::Leaf, "", Verdict::Ignored);
    check(FAITHFUL, healthy, Some(OUTDATED), Why::App, "", Verdict::Ignored);
    let reference = settled(Mode::Reference, View { revision: ContentId(0), ..READY });
    let targets = "leaf discover ks; leaf get ks; leaf discover git; leaf get git; ";
    let calls = targets.to_owned() + discover + patch;
    check(FAITHFUL, reference, Some(READY), Why::Time, &calls, Verdict::Reported);
    // The defect: a missing workload is Synced and Healthy.
    let missing = "leaf discover ks; leaf get ks; hub patch app(Synced/Healthy)";
    check(FAITHFUL, reference, None, Why::Time, missing, Verdict::Reported);
    // Missing objects of a watched kind cost the leaf nothing.
    let manual = App { automated: false, ..app(Mode::AutoCreate) };
    let calls = "hub create event + hub create event; hub patch app(OutOfSync/Missing)";
    check(FAITHFUL, manual, None, Why::App, calls, Verdict::Reported);
}

#[test]
fn a_faithful_sync_costs_what_the_original_pays() {
    let live = "leaf discover ks + leaf discover git; leaf get ks + leaf get git; ";
    let start = "hub get app; hub update app; hub create event; ";
    let engine = "leaf discover ks + leaf discover git; leaf get ks + leaf get git; leaf get ks + leaf get git; ";
    let end = "; hub patch app(history); hub patch app(Succeeded); hub create event; ";
    let first = start.to_owned()
        + "hub create event + hub create event; hub patch app(OutOfSync/Missing); hub get app; hub patch app(Running); "
        + engine
        + "leaf create ks + leaf create git"
        + end
        + live
        + "hub create event + hub create event; hub patch app(Synced/Progressing, synced)";
    check(FAITHFUL, app(Mode::AutoCreate), None, Why::App, &first, Verdict::Synced);
    let changed = App { source: ContentId(12), ..settled(Mode::AutoCreate, READY) };
    let update = live.to_owned()
        + start
        + "hub create event; hub patch app(OutOfSync/Healthy); hub get app; hub patch app(Running); "
        + live
        + engine
        + "leaf patch ks + leaf patch git"
        + end
        + live
        + "hub create event + hub create event; hub patch app(Synced/Progressing, synced)";
    check(FAITHFUL, changed, Some(OUTDATED), Why::App, &update, Verdict::Synced);
}

#[test]
fn faithful_self_heal_waits_and_deletion_leaves_the_objects() {
    let drifted = App { self_heal: true, synced_at: Some(NOW), ..settled(Mode::AutoCreate, READY) };
    let seen = [Seen::Present(DRIFTED); 2];
    let mut leaf = Leaf::with(Some(DRIFTED));
    let (_, outcome) = play(drifted, seen, Why::Time, FAITHFUL, &mut leaf, NOW + Span::from_secs(2));
    assert_eq!((outcome.synced, outcome.again), (false, Some(Span::from_secs(3))));
    let (_, outcome) = play(drifted, seen, Why::Time, FAITHFUL, &mut leaf, NOW + Span::from_secs(5));
    assert!(outcome.synced);
    let leaving = App { deleting: true, ..settled(Mode::AutoCreate, READY) };
    check(FAITHFUL, leaving, Some(READY), Why::App, "hub get app; hub patch app(finalizer)", Verdict::Gone);
    let crashes = App { problem: Some(Problem::Crash), ..app(Mode::AutoCreate) };
    check(FAITHFUL, crashes, None, Why::Time, "", Verdict::Ignored);
}
