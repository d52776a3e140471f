//! The machines on a store: whole lives of a leaf, without threads; nothing here waits.

use super::*;
use crate::apiserver::clusters::{Base, Cluster, Clusters, Settings};
use crate::apiserver::request::{Body, PatchType, Request, Response, Verb};
use crate::apiserver::schema::flux_crds;
use crate::calls::Kind;
use crate::model::flux::{Catalogue, default_settings};
use crate::scenario::Addon;
use crate::seed::Seed;
use crate::units::Span;
use serde_json::{Value, json};

struct Lab {
    thread: Thread,
    store: Arc<Cluster>,
    clusters: Arc<Clusters>,
    signals: Arc<Mutex<Vec<Signal>>>,
}

impl Lab {
    fn new(addon: Addon, ready: Delay) -> Self {
        let inbox = Inbox::new(1, true);
        let settings = Settings { housekeeping: true, ..Settings::default() };
        let mut clusters = Clusters::new(settings, vec![inbox.observer()]);
        let base = Base::new(flux_crds(), &[]).unwrap();
        let store = clusters.add(&base, Now::read());
        let mut flux = default_settings();
        flux.backoff_base = Span::ZERO;
        let world = World { catalogue: Catalogue::new(&[addon]), settings: flux, seed: Seed::new(1) };
        let signals: Arc<Mutex<Vec<Signal>>> = Arc::default();
        let heard = signals.clone();
        let clusters = Arc::new(clusters);
        let setup = Setup {
            stores: Stores::Here(Arc::clone(&clusters)),
            settle: Span::ZERO,
            world: Arc::new(world),
            workload_ready: ready,
            app: Arc::new(|_, name| (name == "web").then_some(AppId(0))),
            tell: Arc::new(move |signal| heard.lock().push(signal)),
        };
        let thread = Thread::new(0, inbox, setup, Arc::default(), Documents::default());
        let lab = Self { thread, store, clusters, signals };
        lab.write(Verb::Create, Kind::NAMESPACE, "", "web", json!({"metadata": {"name": "web"}}));
        lab
    }

    fn request(&self, verb: Verb, kind: Kind, namespace: &str, name: &str, body: Body<'_>) -> Response {
        let info = kind.info();
        let catalog = self.store.catalog();
        let resource = catalog.find(info.group, info.version, info.plural).expect("the kind is served");
        let request = Request { body, ..Request::new(verb, resource, "test/1").on(namespace, name) };
        self.store.handle(&request, Now::read())
    }

    fn write(&self, verb: Verb, kind: Kind, namespace: &str, name: &str, mut value: Value) {
        let info = kind.info();
        let slash = if info.group.is_empty() { "" } else { "/" };
        value["apiVersion"] = format!("{}{slash}{}", info.group, info.version).into();
        value["kind"] = info.kind.into();
        let named = if verb == Verb::Create { "" } else { name };
        let response = self.request(verb, kind, namespace, named, Body::Value(&value));
        assert!(response.code() < 300, "{verb:?} {kind:?}: {response:?}");
    }

    fn create(&self, kind: Kind, spec: Value) {
        let body = json!({"metadata": {"name": "web", "namespace": "web"}, "spec": spec});
        self.write(Verb::Create, kind, "web", "web", body);
    }

    fn merge(&self, kind: Kind, patch: Value) {
        let text = patch.to_string();
        let response = self.request(Verb::Patch, kind, "web", "web", Body::Patch(PatchType::Merge, text.as_bytes()));
        assert_eq!(response.code(), 200, "{response:?}");
    }

    fn get(&self, kind: Kind, name: &str) -> Option<Value> {
        let object = self.request(Verb::Get, kind, "web", name, Body::None).into_object().ok()?;
        Some(object.to_value(&object.resource))
    }

    /// Until the machines wait for a time.
    fn settle(&mut self) {
        while self.thread.turn(Now::read()) || !self.thread.idle() {}
    }

    /// Calls so far by the first word of the caller's name; documents included.
    fn calls(&self, agent: &str) -> u64 {
        let stored = self.clusters.calls().read();
        let stored: u64 = stored.iter().filter(|(k, _)| k.user_agent.starts_with(agent)).map(|(_, c)| c.count).sum();
        let documents = self.thread.documents.lock();
        stored + documents.iter().filter(|((a, _), _)| a.user_agent().starts_with(agent)).map(|(_, n)| n).sum::<u64>()
    }

    fn ready(&self, kind: Kind, name: &str) -> String {
        let object = self.get(kind, name).unwrap_or_default();
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.iter().find(|c| c["type"] == "Ready").cloned().unwrap_or_default();
        format!("{} {}", ready["status"].as_str().unwrap_or("-"), ready["message"].as_str().unwrap_or("-"))
    }
}

impl Thread {
    fn idle(&mut self) -> bool {
        self.inbox.take(self.queue, &mut self.seen);
        let due = self.timers.peek().is_some_and(|Reverse((at, _))| *at <= Now::read().monotonic);
        let idle = self.seen.is_empty() && self.runnable.is_empty() && !due;
        for event in std::mem::take(&mut self.seen) {
            self.informed(event);
        }
        idle
    }
}

fn git() -> Addon {
    crate::model::flux::laboratory_addon(3, 1)
}

fn helm() -> Addon {
    crate::model::flux::laboratory_addon(3, 1).helm()
}

fn kustomize(lab: &mut Lab) {
    let url = "https://example.org/fleet.git";
    lab.create(Kind::GIT_REPOSITORY, json!({"interval": "10m", "url": url, "ref": {"branch": "main"}}));
    lab.settle();
    lab.create(
        Kind::KUSTOMIZATION,
        json!({"interval": "10m", "path": "./deploy", "prune": true, "wait": true,
            "sourceRef": {"kind": "GitRepository", "name": "web"}, "postBuild": {"substitute": {"size": "large"}}}),
    );
}

#[test]
fn a_kustomization_becomes_ready_on_the_store_with_the_measured_calls() {
    let mut lab = Lab::new(git(), Delay::Fixed(Span::ZERO));
    kustomize(&mut lab);
    let source = lab.calls("source-controller");
    assert_eq!(source, 10);
    lab.settle();
    assert_eq!(lab.calls("kustomize-controller"), 4 * 4 + 2 + 16);
    assert!(lab.ready(Kind::KUSTOMIZATION, "web").starts_with("True Applied revision: main@sha1:"));
    assert_eq!(lab.calls("kube-controller-manager"), 4);
    let web = lab.get(Kind::DEPLOYMENT, "web").unwrap();
    assert_eq!(web["status"]["conditions"][0]["type"], "Available", "{web}");
    assert_eq!(lab.get(Kind::CONFIG_MAP, "web-0").unwrap()["data"]["values.size"], "large");
    assert_eq!(lab.ready(Kind::GIT_REPOSITORY, "web").split(' ').next(), Some("True"));
}

#[test]
fn a_first_look_that_comes_too_early_holds_the_worker_until_the_next_poll() {
    let mut lab = Lab::new(git(), Delay::Fixed(Span::from_secs(1)));
    kustomize(&mut lab);
    lab.settle();
    assert!(lab.ready(Kind::KUSTOMIZATION, "web").starts_with("Unknown Running health checks"));
    let leaf = lab.thread.leaves.get(&0).unwrap();
    let next = leaf.next_deadline(&lab.thread.setup.world).unwrap();
    assert!(next.since(Now::read().monotonic) <= Span::from_secs(1), "the pods come before the next look");
}

#[test]
fn without_wait_it_is_ready_at_once_follows_commits_and_prunes() {
    let mut lab = Lab::new(git(), Delay::Fixed(Span::ZERO));
    kustomize(&mut lab);
    lab.merge(Kind::KUSTOMIZATION, json!({"spec": {"wait": false}}));
    lab.settle();
    assert!(lab.ready(Kind::KUSTOMIZATION, "web").starts_with("True Applied revision: main@sha1:"));
    assert_eq!(lab.calls("kustomize-controller"), 3 * 4 + 11);

    let before = lab.calls("kustomize-controller");
    lab.merge(Kind::KUSTOMIZATION, json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}}));
    lab.settle();
    assert_eq!(lab.calls("kustomize-controller") - before, 2 * 4 + 9, "nothing drifted");
    assert_eq!(lab.get(Kind::KUSTOMIZATION, "web").unwrap()["status"]["lastHandledReconcileAt"], "now");

    let before = lab.calls("kustomize-controller");
    lab.thread.setup.world.catalogue.commit(AddonId(0));
    lab.merge(Kind::GIT_REPOSITORY, json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}}));
    lab.settle();
    assert_eq!(lab.calls("kustomize-controller") - before, 2 * 4 + 9 + 2, "one of four changed");
    assert_eq!(lab.get(Kind::CONFIG_MAP, "web-0").unwrap()["data"]["commits"], "1");

    lab.request(Verb::Delete, Kind::CONFIG_MAP, "web", "web-1", Body::None);
    lab.merge(Kind::KUSTOMIZATION, json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "again"}}}));
    lab.settle();
    assert!(lab.get(Kind::CONFIG_MAP, "web-1").is_some(), "drift is corrected");

    let before = lab.calls("kustomize-controller");
    lab.request(Verb::Delete, Kind::KUSTOMIZATION, "web", "web", Body::None);
    lab.settle();
    assert_eq!(lab.calls("kustomize-controller") - before, 2 * 4 + 4);
    for (kind, name) in [(Kind::KUSTOMIZATION, "web"), (Kind::DEPLOYMENT, "web"), (Kind::CONFIG_MAP, "web-0")] {
        assert!(lab.get(kind, name).is_none(), "{kind:?}");
    }
    lab.request(Verb::Delete, Kind::GIT_REPOSITORY, "web", "web", Body::None);
    lab.settle();
    assert!(lab.get(Kind::GIT_REPOSITORY, "web").is_none());
    assert!(lab.thread.leaves.is_empty(), "an empty cluster costs nothing");
}

#[test]
fn a_helm_release_installs_upgrades_and_uninstalls_on_the_store() {
    let mut lab = Lab::new(helm(), Delay::Fixed(Span::ZERO));
    lab.create(Kind::HELM_REPOSITORY, json!({"interval": "10m", "url": "https://example.org/charts"}));
    lab.settle();
    let chart = json!({"chart": "demo", "version": "1.0.0", "sourceRef": {"kind": "HelmRepository", "name": "web"}});
    let quick = json!({"disableWait": true});
    lab.create(
        Kind::HELM_RELEASE,
        json!({"interval": "10m", "chart": {"spec": chart}, "values": {"a": "1"}, "install": quick, "upgrade": quick}),
    );
    lab.settle();
    assert!(
        lab.ready(Kind::HELM_RELEASE, "web").starts_with("True Helm install succeeded"),
        "{}",
        lab.ready(Kind::HELM_RELEASE, "web")
    );
    // 42 less the look of six calls.
    assert_eq!((lab.calls("helm-controller"), lab.calls("Go-http-client")), (36, 8));
    assert!(lab.get(Kind::SECRET, "sh.helm.release.v1.web.v1").is_some());
    lab.merge(Kind::HELM_RELEASE, json!({"spec": {"values": {"a": "2"}}}));
    lab.settle();
    assert_eq!(lab.get(Kind::CONFIG_MAP, "web-0").unwrap()["data"]["values.a"], "2");
    assert_eq!(lab.get(Kind::HELM_RELEASE, "web").unwrap()["status"]["history"][0]["version"], 2);
    lab.request(Verb::Delete, Kind::HELM_RELEASE, "web", "web", Body::None);
    lab.settle();
    assert!(lab.get(Kind::DEPLOYMENT, "web").is_none() && lab.get(Kind::HELM_CHART, "web-web").is_none());
}

#[test]
fn signals_name_the_app_and_come_in_the_order_of_the_hops() {
    let mut lab = Lab::new(git(), Delay::Fixed(Span::ZERO));
    kustomize(&mut lab);
    lab.merge(Kind::KUSTOMIZATION, json!({"spec": {"wait": false}}));
    lab.settle();
    let signals = lab.signals.lock();
    let kinds: Vec<u8> = signals
        .iter()
        .map(|s| match s {
            Signal::Fetched { app: AppId(0), .. } => 0,
            Signal::Applied { app: AppId(0), revision, .. } if *revision != 0 => 1,
            Signal::FluxReady { app: AppId(0), ready: true, .. } => 2,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, [0, 1, 2]);
}
