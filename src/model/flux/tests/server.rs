//! A laboratory: one cluster's controllers, an API server of a few lines, a clock that jumps.

use crate::calls::{ContentId, Kind, ObjectId, Verb};
use crate::ids::AddonId;
use crate::model::flux::render::{Form, Pen};
use crate::model::flux::spec::Spec;
use crate::model::flux::{
    Agent, Build, Catalogue, Change, Controllers, Document, Event, Meta, Op, Place, Reply, Slot, Step, View, World,
    Write, default_settings,
};
use crate::scenario::{Addon, Delivery, Mode, Objects, Selector, VersionRange};
use crate::seed::Seed;
use crate::units::{Span, Time};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An add-on with so many ConfigMaps and Deployments.
pub(crate) fn addon(config_maps: u32, deployments: u32) -> Addon {
    Addon {
        name: "web".into(),
        weight: 1,
        delivery: Delivery::Git,
        repo_url: "https://example.org/fleet.git".into(),
        path: "deploy".into(),
        chart: String::new(),
        versions: vec!["main".into(), "next".into()],
        namespace: "web".into(),
        mode: Mode::AutoCreate,
        flux_subsystem: true,
        objects: Objects {
            deployments,
            replicas: 0,
            config_maps,
            config_map_bytes: 16,
            service_accounts: 0,
            services: 0,
        },
        selector: Selector::default(),
        depends_on: vec![],
        kubernetes: VersionRange { min: 0, max: 99 },
        values: BTreeMap::new(),
        interval: None,
        wait: true,
        drift_detection: false,
        automated: true,
        self_heal: false,
        cascade_delete: false,
    }
}

impl Addon {
    /// The same from a Helm repository.
    pub(crate) fn helm(self) -> Self {
        let versions = vec!["1.0.0".into(), "1.1.0".into()];
        Self {
            delivery: Delivery::Helm,
            repo_url: "https://example.org/charts".into(),
            chart: "demo".into(),
            path: String::new(),
            versions,
            ..self
        }
    }
}

pub(in crate::model::flux) struct Lab {
    pub(in crate::model::flux) world: World,
    pub(in crate::model::flux) controllers: Controllers,
    pub(in crate::model::flux) now: Time,
    /// Calls since [`Lab::fresh`], in the form of the recordings.
    pub(in crate::model::flux) calls: Vec<String>,
    /// Bodies of all calls.
    pub(in crate::model::flux) bodies: Vec<(Op, Form, String)>,
    /// So many looks find the last object not current.
    pub(in crate::model::flux) missed_looks: u32,
    /// The next conditions patches that conflict.
    pub(in crate::model::flux) conflicts: u32,
    stored: BTreeMap<ObjectId, ContentId>,
    version: u64,
    specs: BTreeMap<&'static str, serde_json::Value>,
}

impl Lab {
    pub(in crate::model::flux) fn new(addon: Addon) -> Self {
        let mut settings = default_settings();
        settings.jitter_ppm = 50_000;
        let world = World {
            catalogue: Catalogue::new(&[
                addon.clone(),
                Addon { name: "other".into(), chart: "other".into(), path: "other".into(), ..addon },
            ]),
            settings,
            seed: Seed::new(7),
        };
        let controllers = Controllers::new(&world, 0);
        Self {
            world,
            controllers,
            now: Time(0),
            calls: vec![],
            bodies: vec![],
            missed_looks: 0,
            conflicts: 0,
            stored: BTreeMap::new(),
            version: 100,
            specs: BTreeMap::new(),
        }
    }

    pub(in crate::model::flux) fn fresh(&mut self) -> &mut Self {
        self.calls.clear();
        self.now += Span::from_secs(1);
        self
    }

    fn put(&mut self, kind: Kind, spec: serde_json::Value, change: Change) -> &mut Self {
        self.specs.insert(kind.info().kind, spec.clone());
        let namespace: Arc<str> = "web".into();
        let read = Spec::read(kind, &namespace, &spec, &self.world.catalogue);
        self.version += 1;
        let known = self.controllers.find(kind, "web", "web").and_then(|slot| self.controllers.object(slot));
        let meta = match known {
            Some(object) => {
                Meta { version: self.version, generation: object.meta.generation + 1, ..object.meta.clone() }
            }
            None => Meta { namespace, name: "web".into(), version: self.version, generation: 1, ..Meta::default() },
        };
        self.controllers.on_event(Event { kind, change, meta, spec: Some(read) });
        self
    }

    pub(in crate::model::flux) fn git(&mut self, interval: &str) -> &mut Self {
        self.git_as(interval, Change::Added)
    }

    pub(in crate::model::flux) fn git_as(&mut self, interval: &str, change: Change) -> &mut Self {
        let url = "https://example.org/fleet.git";
        self.put(
            Kind::GIT_REPOSITORY,
            serde_json::json!({"interval": interval, "url": url, "ref": {"branch": "main"}}),
            change,
        )
    }

    pub(in crate::model::flux) fn helm_repository(&mut self) -> &mut Self {
        let spec = serde_json::json!({"interval": "1h", "url": "https://example.org/charts"});
        self.put(Kind::HELM_REPOSITORY, spec, Change::Added)
    }

    pub(in crate::model::flux) fn kustomization(&mut self, interval: &str, wait: bool, prune: bool) -> &mut Self {
        let source = serde_json::json!({"kind": "GitRepository", "name": "web"});
        let spec = serde_json::json!({"interval": interval, "path": "./deploy", "wait": wait, "prune": prune,
            "sourceRef": source, "timeout": "2m"});
        self.put(Kind::KUSTOMIZATION, spec, Change::Added)
    }

    pub(in crate::model::flux) fn release(&mut self, interval: &str, values: &str, drift: bool) -> &mut Self {
        let source = serde_json::json!({"kind": "HelmRepository", "name": "web"});
        let chart = serde_json::json!({"chart": "demo", "version": "1.0.0", "sourceRef": source, "interval": "1h"});
        let mode = if drift { "enabled" } else { "disabled" };
        let values: serde_json::Value = serde_json::from_str(values).unwrap();
        let spec = serde_json::json!({"interval": interval, "chart": {"spec": chart}, "values": values,
            "driftDetection": {"mode": mode}});
        self.put(Kind::HELM_RELEASE, spec, Change::Added)
    }

    /// Other values for the HelmRelease, then until all is quiet.
    pub(in crate::model::flux) fn values(&mut self, values: &str) {
        let mut spec = self.specs["HelmRelease"].clone();
        spec["values"] = serde_json::from_str(values).unwrap();
        self.put(Kind::HELM_RELEASE, spec, Change::Modified).run(Span::from_secs(20));
    }

    /// The second version of the chart.
    pub(in crate::model::flux) fn upgrade(&mut self) {
        let mut spec = self.specs["HelmRelease"].clone();
        spec["chart"]["spec"]["version"] = "1.1.0".into();
        self.put(Kind::HELM_RELEASE, spec, Change::Modified).run(Span::from_secs(20));
    }

    pub(in crate::model::flux) fn suspend(&mut self, kind: Kind, suspend: bool) -> &mut Self {
        let mut spec = self.specs[kind.info().kind].clone();
        spec["suspend"] = suspend.into();
        self.put(kind, spec, Change::Modified)
    }

    pub(in crate::model::flux) fn commit(&mut self) -> &mut Self {
        self.world.catalogue.commit(AddonId(0));
        self
    }

    /// Something else changes in the same repository.
    pub(in crate::model::flux) fn commit_elsewhere(&mut self) -> &mut Self {
        self.world.catalogue.commit(AddonId(1));
        self
    }

    /// Somebody deletes an installed object.
    pub(in crate::model::flux) fn drift(&mut self, n: u16) -> &mut Self {
        self.stored.remove(&Place::Item(AddonId(0), n).id());
        self
    }

    /// `requestedAt` changes; then until all is quiet.
    pub(in crate::model::flux) fn request(&mut self, kind: Kind) {
        let asked = format!("t{}", self.version);
        self.touch(kind, |meta| meta.requested = Some(asked.as_str().into()));
        self.run(Span::from_secs(20));
    }

    pub(in crate::model::flux) fn delete(&mut self, kind: Kind) {
        self.touch(kind, |meta| {
            meta.deleting = true;
            meta.generation += 1;
        });
        self.run(Span::from_secs(20));
    }

    /// Somebody takes it away, finalizers or not.
    pub(in crate::model::flux) fn gone(&mut self, kind: Kind) -> &mut Self {
        let slot = self.controllers.find(kind, "web", "web").expect("the object exists");
        let meta = self.controllers.object(slot).expect("the slot is taken").meta.clone();
        self.controllers.on_event(Event { kind, change: Change::Deleted, meta, spec: None });
        self
    }

    fn touch(&mut self, kind: Kind, change: impl FnOnce(&mut Meta)) {
        let slot = self.controllers.find(kind, "web", "web").expect("the object exists");
        self.touch_slot(slot, change);
    }

    fn touch_slot(&mut self, slot: Slot, change: impl FnOnce(&mut Meta)) {
        let Some(object) = self.controllers.object(slot) else { return };
        let (kind, mut meta) = (object.kind, object.meta.clone());
        self.version += 1;
        meta.version = self.version;
        change(&mut meta);
        let gone = meta.deleting && !meta.finalizer;
        let change = if gone { Change::Deleted } else { Change::Modified };
        self.controllers.on_event(Event { kind, change, meta, spec: None });
    }

    /// Runs until nothing happens for the span.
    pub(in crate::model::flux) fn run(&mut self, horizon: Span) {
        let end = self.now + horizon;
        loop {
            while let Some(pass) = self.controllers.runnable(&self.world, self.now) {
                let mut replies = vec![];
                while self.controllers.step(&self.world, pass, &replies, self.now) == Step::Call {
                    let ops = self.controllers.asked(pass).to_vec();
                    replies = ops.iter().map(|op| self.handle(op)).collect();
                }
            }
            match self.controllers.next_deadline(&self.world) {
                Some(at) if at <= end => self.now = self.now.max(at),
                _ => return,
            }
        }
    }

    fn handle(&mut self, op: &Op) -> Reply {
        self.write(op);
        let (code, view) = self.answer(op);
        self.calls.push(line(op, code));
        Reply { code, object: view }
    }

    fn write(&mut self, op: &Op) {
        let Some(object) = self.controllers.object(op.body.slot) else { return };
        let pen = Pen { catalogue: &self.world.catalogue, epoch: Span::from_secs(1_700_000_000) };
        let mut text = String::new();
        let form = pen.body(&mut text, object, op.body, op.kind, op.object);
        if form != Form::None {
            self.bodies.push((op.clone(), form, text));
        }
    }

    fn answer(&mut self, op: &Op) -> (u16, Option<View>) {
        let place = Place::of(op.object);
        match (op.verb, place) {
            (Verb::Discover | Verb::List, _) => (200, None),
            (Verb::Patch, Place::Flux(slot)) => self.patch(op, slot),
            (Verb::Apply | Verb::Create | Verb::Patch, Place::Item(_, n)) => {
                let content = content(op, n);
                let code = if self.stored.contains_key(&op.object) { 200 } else { 201 };
                if !op.dry_run {
                    self.stored.insert(op.object, content);
                }
                (code, Some(View { content, ..View::default() }))
            }
            (Verb::Apply, Place::Chart(slot)) => self.chart(op, slot),
            (Verb::Get, Place::Item(_, n)) => {
                let Some(content) = self.stored.get(&op.object) else { return (404, None) };
                let last = usize::from(n) + 1 == self.world.catalogue.items(AddonId(0)).len();
                let current = !last || op.body.agent == Agent::HelmSdk || self.missed_looks == 0;
                if !current {
                    self.missed_looks -= 1;
                }
                (200, Some(View { content: *content, current, ..View::default() }))
            }
            (Verb::Get, Place::Chart(_)) => self
                .stored
                .get(&op.object)
                .map_or((404, None), |c| (200, Some(View { content: *c, ..View::default() }))),
            (Verb::Delete, Place::Chart(_)) => {
                self.stored.remove(&op.object);
                if let Some(slot) = self.controllers.find(Kind::HELM_CHART, "web", "web-web") {
                    self.touch_slot(slot, |meta| {
                        meta.deleting = true;
                        meta.generation += 1;
                    });
                }
                (200, None)
            }
            (Verb::Delete, Place::Release(..)) => (200, None),
            (Verb::Delete, _) => (self.stored.remove(&op.object).map_or(404, |_| 200), None),
            (Verb::Create, _) => (201, None),
            _ => (200, None),
        }
    }

    fn patch(&mut self, op: &Op, slot: Slot) -> (u16, Option<View>) {
        let Some(object) = self.controllers.object(slot) else { return (404, None) };
        if self.controllers.find(object.kind, &object.meta.namespace, &object.meta.name) != Some(slot) {
            return (404, None);
        }
        match op.body.write {
            Write::Conditions if self.conflicts > 0 => {
                self.conflicts -= 1;
                (409, None)
            }
            Write::Finalizer { on } => {
                self.touch_slot(slot, |meta| meta.finalizer = on);
                (200, Some(View { version: self.version, ..View::default() }))
            }
            _ => (200, Some(View { version: self.version, ..View::default() })),
        }
    }

    fn chart(&mut self, op: &Op, slot: Slot) -> (u16, Option<View>) {
        let release = self.controllers.object(slot).expect("the release exists");
        let Spec::Release(spec) = &release.spec else { panic!("a HelmRelease") };
        let chart = spec.chart.clone().expect("a chart template");
        let content = ContentId(Seed::new(0).child(&chart.version).bits(0));
        let code = if self.stored.contains_key(&op.object) { 200 } else { 201 };
        if !op.dry_run {
            self.stored.insert(op.object, content);
            self.version += 1;
            let known = self.controllers.find(Kind::HELM_CHART, "web", "web-web");
            let known = known.and_then(|slot| self.controllers.object(slot)).map(|o| o.meta.clone());
            let new = Meta { namespace: "web".into(), name: "web-web".into(), ..Meta::default() };
            let old = known.unwrap_or(new);
            let meta = Meta { version: self.version, generation: old.generation + 1, ..old };
            let event =
                Event { kind: Kind::HELM_CHART, change: Change::Added, meta, spec: Some(Spec::Chart(Arc::new(chart))) };
            self.controllers.on_event(event);
        }
        (code, Some(View { content, ..View::default() }))
    }
}

/// A commit changes the first object alone.
fn content(op: &Op, n: u16) -> ContentId {
    let Write::Manifest { build: Build { version, commits, .. }, .. } = op.body.write else { panic!("{op:?}") };
    ContentId(u64::from(version) << 32 | if n == 0 { u64::from(commits) + 1 } else { 0 })
}

fn line(op: &Op, code: u16) -> String {
    let agent = match op.body.agent {
        Agent::Source => "source",
        Agent::Kustomize => "kustomize",
        Agent::Helm => "helm",
        Agent::HelmSdk => "sdk",
    };
    let verb = match op.verb {
        Verb::Get | Verb::Discover => "get",
        Verb::List => "list",
        Verb::Create => "create",
        Verb::Update => "update",
        Verb::Patch => "patch",
        Verb::Apply => "apply",
        Verb::Delete => "delete",
        Verb::Watch => "watch",
    };
    let mut out = format!("{agent} {verb} ");
    match op.body.write {
        Write::Document(document) => out.push_str(&path(document)),
        _ => out.push_str(op.kind.info().plural),
    }
    if op.status {
        out.push_str("/status");
    }
    if let (Place::Item(_, n), true) = (Place::of(op.object), op.verb != Verb::List) {
        let n = if op.kind == Kind::DEPLOYMENT { 0 } else { n };
        out.push_str(&format!(" {n}"));
    }
    if op.dry_run {
        out.push_str(" dry");
    }
    let force = matches!(op.body.write, Write::Chart | Write::Manifest { force: true, .. });
    if force && op.verb == Verb::Apply {
        out.push_str(" force");
    }
    // The write that comes after the object is gone is recorded without its body.
    if op.body.write == Write::Empty && code != 404 {
        out.push_str(" {}");
    }
    out + &format!(" {code}")
}

fn path(document: Document) -> String {
    match document {
        Document::Version => "/version".into(),
        Document::Api => "/api".into(),
        Document::Apis => "/apis".into(),
        Document::OpenApi => "/openapi/v3".into(),
        Document::OpenApiOf(kind) if kind.info().group.is_empty() => format!("/openapi/v3/api/{}", kind.info().version),
        Document::OpenApiOf(kind) => format!("/openapi/v3/apis/{}/{}", kind.info().group, kind.info().version),
    }
}
