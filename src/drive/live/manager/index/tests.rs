use super::app::Start;
use super::*;
use crate::drive::live::manager::object::Object;
use crate::drive::live::net;
use crate::reconcile::{
    Backoff, Health, Mode, Outcome, Phase, Problem, Seen, Slot, Status, Sync, TokenBucket, Verdict,
};
use crate::scenario::Behaviour;
use crate::seed::Seed;
use crate::units::Span;
use serde_json::{Value, json};

const NOW: Time = Time(100_000_000_000);

/// An index that knows one Application, `web`.
pub(in crate::drive::live::manager) fn fixture(behaviour: Behaviour) -> Index {
    let mut index = behaving(Share::All, behaviour);
    let mut app = application("web", "a", &AUTO_CREATE);
    app["metadata"]["finalizers"] = json!(["example.org/other", crate::reconcile::render::FINALIZER]);
    apply(&mut index, &app);
    index
}

fn index(share: Share) -> Index {
    behaving(share, Behaviour::Fixed)
}

fn behaving(share: Share, behaviour: Behaviour) -> Index {
    let rules = Rules { behaviour, client_cache: true };
    let api = FluxApi { source: "v1".into(), kustomize: "v1".into(), helm: "v2".into() };
    let queue = Queue::new(Backoff { base: Span::from_millis(5), max: Span::from_secs(1) });
    let resync = Resync { period: Span::ZERO, jitter: Span::ZERO, seed: Seed::new(1) };
    let mut index = Index::new(rules, api, queue, resync, share, true, 0);
    register(&mut index, "a");
    index.clusters_settled(NOW);
    index
}

fn register(index: &mut Index, name: &str) {
    register_for(index, name, None);
}

fn register_for(index: &mut Index, name: &str, pin: Option<u32>) {
    let server = format!("http://{name}:80");
    let config = net::from_cluster_secret(&server, b"{}").unwrap();
    let traffic = std::sync::Arc::default();
    let route = net::Pools::new(1, traffic).route(&config).unwrap();
    let uid = format!("uid-{name}").into();
    let bucket = TokenBucket::new(0, 1);
    let registered = Registered { name: name.into(), server: server.into(), uid, pin, route: Ok(route), bucket };
    index.cluster_applied(registered, NOW);
}

fn object(json: &Value) -> Object {
    serde_json::from_str(&json.to_string()).unwrap()
}

fn application(name: &str, cluster: &str, options: &[&str]) -> Value {
    json!({
        "metadata": { "name": name, "namespace": "argocd", "resourceVersion": "1", "generation": 1, "managedFields": [{}] },
        "spec": {
            "source": { "repoURL": "https://example.org/r.git", "path": ".", "targetRevision": "main" },
            "destination": { "server": format!("http://{cluster}:80"), "namespace": "team" },
            "syncPolicy": { "automated": {}, "syncOptions": options },
        },
    })
}

const AUTO_CREATE: [&str; 2] = ["FluxSubsystem=true", "AutoCreateFluxResources=true"];

fn apply(index: &mut Index, app: &Value) -> bool {
    index.app_applied(&object(app), None, NOW)
}

/// The next app of the queue with what it starts from; `None` in place of that if it has to wait.
fn next(index: &mut Index) -> Option<(u32, Option<Start>)> {
    let (key, _) = index.queue.take(NOW)?;
    let start = index.begin(key, NOW);
    if start.is_none() {
        index.queue.done(key);
    }
    Some((key, start))
}

/// Ends the round of an app with this status.
fn end(index: &mut Index, key: u32, status: Status) {
    let outcome = Outcome { verdict: Verdict::Reported, status, detail_since: None, again: None, synced: false };
    index.end(key, &outcome, NOW);
}

fn list_all(index: &mut Index) {
    for wish in std::mem::take(&mut index.wishes) {
        if let Wish::Watch(cluster, collection) = wish {
            index.watch_synced(cluster, collection.kind, NOW);
        }
    }
}

/// An index with one synced app whose objects exist as they were written.
fn settled() -> (Index, u32, [Value; 2]) {
    let mut index = index(Share::All);
    assert!(apply(&mut index, &application("web", "a", &AUTO_CREATE)));
    assert!(matches!(next(&mut index), Some((_, None))), "its watches are opened first");
    list_all(&mut index);
    let (key, start) = next(&mut index).unwrap();
    let start = start.unwrap();
    assert_eq!(start.seen, [Seen::Absent; 2]);
    let objects = Slot::BOTH.map(|slot| {
        let mut document: Value = serde_json::from_str(index.apps[key as usize].document(slot).unwrap()).unwrap();
        document["metadata"]["resourceVersion"] = "10".into();
        document["metadata"]["generation"] = 1.into();
        show(&mut index, key, slot, &document, Shown::Written);
        document
    });
    let status = Status { sync: Sync::Synced, health: Some(Health::Progressing), ..Status::default() };
    end(&mut index, key, status);
    // What was written during the round is looked at once more.
    let (_, start) = next(&mut index).unwrap();
    assert!(start.unwrap().seen.iter().all(|seen| matches!(seen, Seen::Present(view) if view.covers)));
    end(&mut index, key, status);
    assert!(next(&mut index).is_none());
    (index, key, objects)
}

fn show(index: &mut Index, key: u32, slot: Slot, document: &Value, how: Shown) {
    let app = *index.apps[key as usize].snapshot();
    index.live_applied(app.ids.flux(slot), app.kinds[slot.index()], &object(document), how, NOW);
}

fn with_ready(document: &Value, rv: &str, status: &str, message: &str) -> Value {
    let mut document = document.clone();
    document["metadata"]["resourceVersion"] = rv.into();
    document["status"] = json!({
        "observedGeneration": 1, "lastAppliedRevision": "main@sha1:1",
        "conditions": [{ "type": "Ready", "status": status, "reason": "X", "message": message }],
    });
    document
}

#[test]
fn only_significant_changes_of_a_flux_object_put_the_app_in_line() {
    let (mut index, key, [workload, _]) = settled();
    let mut check = |status: &str, message: &str, rv: &str, wakes: bool| {
        show(&mut index, key, Slot::Workload, &with_ready(&workload, rv, status, message), Shown::Seen);
        let woken = next(&mut index);
        assert_eq!(woken.is_some(), wakes, "{status} {message}");
        if woken.is_some() {
            end(&mut index, key, Status::default());
        }
    };
    check("Unknown", "fetching", "11", true);
    check("Unknown", "building", "12", false);
    check("True", "applied", "13", true);
    check("True", "applied", "13", false);
    check("Unknown", "an older version that comes late", "12", false);
    check("False", "broken", "14", true);
    check("False", "broken otherwise", "15", true);
}

#[test]
fn drift_is_seen_and_an_unrendered_field_is_not_drift() {
    let (mut index, key, [workload, _]) = settled();
    let mut defaulted = with_ready(&workload, "11", "True", "applied");
    defaulted["spec"]["timeout"] = "1m".into();
    show(&mut index, key, Slot::Workload, &defaulted, Shown::Seen);
    let covers = |index: &mut Index| {
        let (_, start) = next(index).unwrap();
        end(index, key, Status::default());
        matches!(start.unwrap().seen[0], Seen::Present(view) if view.covers)
    };
    assert!(covers(&mut index));
    let mut drifted = defaulted.clone();
    drifted["spec"]["path"] = "./elsewhere".into();
    drifted["metadata"]["resourceVersion"] = "12".into();
    show(&mut index, key, Slot::Workload, &drifted, Shown::Seen);
    assert!(!covers(&mut index));
    defaulted["metadata"]["resourceVersion"] = "13".into();
    show(&mut index, key, Slot::Workload, &defaulted, Shown::Seen);
    assert!(covers(&mut index));
}

#[test]
fn our_own_status_coming_back_is_no_news_but_a_lost_one_is() {
    let (mut index, key, _) = settled();
    let mut echo = application("web", "a", &AUTO_CREATE);
    echo["status"] = json!({ "health": { "status": "Progressing" } });
    echo["metadata"]["resourceVersion"] = "20".into();
    assert!(apply(&mut index, &echo));
    assert!(next(&mut index).is_none());
    echo["status"] = Value::Null;
    apply(&mut index, &echo);
    let (_, start) = next(&mut index).unwrap();
    assert_eq!(start.unwrap().app.status, Status::default());
    end(&mut index, key, Status::default());
    echo["spec"]["source"]["targetRevision"] = "v2".into();
    apply(&mut index, &echo);
    let (_, start) = next(&mut index).unwrap();
    let start = start.unwrap();
    assert!(start.seen.iter().any(|seen| matches!(seen, Seen::Present(view) if !view.covers)));
}

#[test]
fn a_new_manager_reads_what_the_old_one_wrote() {
    let mut index = index(Share::All);
    let mut app = application("web", "a", &AUTO_CREATE);
    app["status"] = json!({
        "sync": {
            "status": "Synced", "revision": "main@sha1:1",
            "comparedTo": { "source": app["spec"]["source"], "destination": app["spec"]["destination"] },
        },
        "health": { "status": "Healthy" }, "operationState": { "phase": "Succeeded" },
        "resources": [{
            "group": "kustomize.toolkit.fluxcd.io", "kind": "Kustomization", "status": "Synced",
            "health": { "status": "Healthy", "message": "applied" },
        }],
    });
    apply(&mut index, &app);
    let snapshot = *index.apps[0].snapshot();
    let status = snapshot.status;
    assert_eq!(
        (status.sync, status.health, status.phase),
        (Sync::Synced, Some(Health::Healthy), Some(Phase::Succeeded))
    );
    assert_eq!(status.compared_to, snapshot.source);
    assert_eq!(status.resources[0].map(|r| (r.kind, r.health)), Some((Kind::KUSTOMIZATION, Some(Health::Healthy))));
}

#[test]
fn in_reference_mode_the_workload_says_which_source_is_looked_at() {
    let mut index = index(Share::All);
    apply(&mut index, &application("web", "a", &["FluxSubsystem=true"]));
    next(&mut index);
    list_all(&mut index);
    let workload = json!({
        "metadata": { "name": "web", "namespace": "team", "resourceVersion": "5" },
        "spec": { "sourceRef": { "kind": "Bucket", "name": "shared", "namespace": "flux-system" } },
    });
    show(&mut index, 0, Slot::Workload, &workload, Shown::Seen);
    assert!(matches!(next(&mut index), Some((_, None))), "buckets are not watched yet");
    assert!(matches!(&index.wishes[..], [Wish::Watch(0, c)] if c.kind == Kind::BUCKET));
    list_all(&mut index);
    let bucket = object_id(0, Kind::BUCKET, "flux-system", "shared");
    let (_, start) = next(&mut index).unwrap();
    let start = start.unwrap();
    assert_eq!((start.app.mode, start.app.ids.source, start.app.kinds[1]), (Mode::Reference, bucket, Kind::BUCKET));
    assert_eq!(start.seen[1], Seen::Absent);
}

#[test]
fn an_app_without_a_cluster_waits_a_moment_then_says_so_and_moves_in_when_there_is_one() {
    let mut index = index(Share::All);
    apply(&mut index, &application("web", "b", &AUTO_CREATE));
    assert!(matches!(next(&mut index), Some((_, None))));
    let later = NOW + Span::from_secs(2);
    let (key, _) = index.queue.take(later).unwrap();
    let start = index.begin(key, later).unwrap();
    assert_eq!((start.app.problem, start.cluster), (Some(Problem::NoCluster), None));
    end(&mut index, key, Status::default());
    register(&mut index, "b");
    index.clusters_settled(NOW);
    assert!(matches!(next(&mut index), Some((_, None))));
    assert_eq!(index.wishes.len(), 2, "watches of both kinds, and no new list of Applications");
    index.cluster_deleted("http://b:80", NOW);
    let (key, _) = index.queue.take(later).unwrap();
    assert_eq!(index.begin(key, later).unwrap().app.problem, Some(Problem::NoCluster));
}

#[test]
fn a_cluster_that_refuses_makes_its_apps_say_so_until_it_answers() {
    let mut index = index(Share::All);
    apply(&mut index, &application("web", "a", &AUTO_CREATE));
    next(&mut index);
    index.watch_failed(0, Kind::KUSTOMIZATION, 401, NOW);
    let (key, start) = next(&mut index).unwrap();
    assert_eq!(start.unwrap().app.problem, Some(Problem::Refused(401)));
    end(&mut index, key, Status::default());
    index.watch_synced(0, Kind::KUSTOMIZATION, NOW);
    index.watch_synced(0, Kind::GIT_REPOSITORY, NOW);
    let (_, start) = next(&mut index).unwrap();
    assert_eq!(start.unwrap().app.problem, None);
}

#[test]
fn every_scheme_gives_every_cluster_to_one_of_two_managers_and_a_choice_wins() {
    use crate::scenario::Scheme;
    for scheme in Scheme::ALL {
        let mut both =
            [0, 1].map(|shard| behaving(Share::Scheme { scheme, shard, shards: 2, label: None }, Behaviour::Fixed));
        for index in &mut both {
            for cluster in 0..20 {
                register_for(index, &format!("c{cluster}"), (cluster < 5).then_some(1));
            }
            index.clusters_settled(NOW);
        }
        for cluster in 0..20_u32 {
            let at = |index: &Index| index.at(&format!("http://c{cluster}:80")).unwrap();
            let owners = both.each_ref().map(|index| index.is_mine(at(index)));
            assert_ne!(owners[0], owners[1], "{scheme:?}: c{cluster}");
            assert!(cluster >= 5 || owners[1], "{scheme:?}: c{cluster} was given to 1");
        }
    }
}

#[test]
fn apps_of_other_managers_and_ordinary_ones_are_not_kept() {
    let mut index = index(Share::Named(Arc::new(|_| Box::new(|name| name == "b"))));
    register(&mut index, "b");
    index.clusters_settled(NOW);
    assert!(!apply(&mut index, &application("other", "a", &AUTO_CREATE)));
    assert!(!apply(&mut index, &application("ordinary", "b", &[])));
    assert!(apply(&mut index, &application("ours", "b", &AUTO_CREATE)));
    assert!(matches!(next(&mut index), Some((1, None))));
    assert!(next(&mut index).is_none());
    index.app_deleted("argocd", "ours");
    list_all(&mut index);
    assert!(next(&mut index).is_none());
}
