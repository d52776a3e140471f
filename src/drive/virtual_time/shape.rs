//! What Applications ask for, translated once per shape instead of once per app.
//!
//! In: an app and what it asks for. Out: its shape: fingerprints of both generated documents and the specs of both Flux
//! objects, by the same `reconcile::translate` as in live runs. Apps of one add-on whose values hold no template and that
//! depend on nothing differ by their names alone, so they share a shape; names are put in when an object is written.
//!
//! A translation takes 20 us; 4 million apps of an install would take 80 s, four shapes take nothing.

use crate::calls::{ContentId, Kind};
use crate::fleet::{Target, World};
use crate::ids::{AddonId, AppId, ClusterId};
use crate::measure::fingerprint_json;
use crate::model::flux::Catalogue;
use crate::model::flux::spec::{Chart, Kustomization, Reference, Release, Spec};
use crate::reconcile::{self, Mode, Slot, fingerprint};
use crate::scenario::{Behaviour, FluxApi};
use rustc_hash::FxHashMap;
use serde_json::Value;
use std::sync::Arc;

/// What apps of one shape ask for.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// How they are treated.
    pub(super) mode: Mode,
    /// Kinds of workload and source.
    pub(super) kinds: [Kind; 2],
    /// Fingerprints of the generated documents; none in Reference mode.
    pub(super) desired: [ContentId; 2],
    /// Fingerprints of the documents, whoever writes them.
    pub(super) contents: [ContentId; 2],
    /// [`fingerprint_json`] of `spec.source`.
    pub(super) source: u64,
    /// `syncPolicy.automated`, and its `selfHeal`.
    pub(super) automated: (bool, bool),
    /// Why they cannot be translated, if so.
    pub(super) problem: Option<ContentId>,
    /// Specs of workload and source.
    specs: [Spec; 2],
}

/// All shapes so far.
#[derive(Debug)]
pub(super) struct Shapes {
    api: FluxApi,
    behaviour: Behaviour,
    shared: FxHashMap<(AddonId, Target), Arc<Shape>>,
    /// Add-ons whose apps differ by more than their names.
    own: Vec<bool>,
}

impl Shapes {
    pub(super) fn new(world: &World, api: &FluxApi, behaviour: Behaviour) -> Self {
        let templated = |text: &String| text.contains('{');
        let own =
            world.addons().iter().map(|addon| addon.values.values().any(templated) || !addon.depends_on.is_empty());
        Self { api: api.clone(), behaviour, shared: FxHashMap::default(), own: own.collect() }
    }

    /// Whether apps of an add-on that ask for `target` differ by their names alone.
    pub(super) fn is_shared(&self, world: &World, app: AppId, target: Target) -> bool {
        !self.own[world.addon_of(app).index()] && (target.values.0 == 0 || !world.values_are_templates(target))
    }

    /// The shape of an app that asks for `target`.
    pub(super) fn of(&mut self, world: &World, catalogue: &Catalogue, app: AppId, target: Target) -> Arc<Shape> {
        let addon = world.addon_of(app);
        // Values laid over the add-on's own may bring a template too.
        if !self.is_shared(world, app, target) {
            return Arc::new(self.translate(world, catalogue, app, target));
        }
        if let Some(shape) = self.shared.get(&(addon, target)) {
            return Arc::clone(shape);
        }
        // Fingerprints take the names with them: those of the first cluster, whoever asks first.
        let first = world.app(ClusterId(0), addon);
        let shape = Arc::new(self.translate(world, catalogue, first, target));
        self.shared.insert((addon, target), Arc::clone(&shape));
        shape
    }

    fn translate(&self, world: &World, catalogue: &Catalogue, app: AppId, target: Target) -> Shape {
        let application = world.application(app, target, "");
        let spec = &application["spec"];
        let automated = &spec["syncPolicy"]["automated"];
        let mut shape = Shape {
            mode: reconcile::mode(spec),
            kinds: [Kind::KUSTOMIZATION, Kind::GIT_REPOSITORY],
            desired: [ContentId::default(); 2],
            contents: [ContentId::default(); 2],
            source: fingerprint_json(&spec["source"]),
            automated: (automated.is_object() && automated["enabled"] != false, automated["selfHeal"] == true),
            problem: None,
            specs: [Spec::Invalid, Spec::Invalid],
        };
        match reconcile::translate(&application, &self.api, self.behaviour) {
            Ok(plan) => {
                shape.kinds = plan.kinds;
                let namespace: Arc<str> = plan.namespace.into();
                let generated = plan.documents.is_some();
                let documents = plan.documents.unwrap_or_else(|| by_hand(world, app, target));
                for (slot, document) in Slot::BOTH.into_iter().zip(&documents) {
                    let at = slot.index();
                    shape.contents[at] = fingerprint(document.to_string().as_bytes());
                    shape.specs[at] = Spec::read(plan.kinds[at], &namespace, &document["spec"], catalogue);
                }
                if generated {
                    shape.desired = shape.contents;
                }
            }
            Err(error) => shape.problem = Some(fingerprint(error.to_string().as_bytes())),
        }
        shape
    }
}

impl Shape {
    /// The spec of an object of the app called `name`.
    pub(super) fn spec(&self, slot: Slot, name: &Arc<str>) -> Spec {
        let named = |reference: &Reference| Reference { name: Arc::clone(name), ..reference.clone() };
        match &self.specs[slot.index()] {
            Spec::Kustomization(spec) => {
                Spec::Kustomization(Arc::new(Kustomization { source: named(&spec.source), ..(**spec).clone() }))
            }
            Spec::Release(spec) => {
                let chart = spec.chart.as_ref().map(|chart| Chart { source: named(&chart.source), ..chart.clone() });
                let release = spec.name.as_ref().map(|_| Arc::clone(name));
                Spec::Release(Arc::new(Release { chart, name: release, ..(**spec).clone() }))
            }
            other => other.clone(),
        }
    }
}

/// Workload and source as somebody wrote them, who is the harness.
fn by_hand(world: &World, app: AppId, target: Target) -> [Value; 2] {
    let [source, workload] = world.flux_objects(app, target);
    [workload, source]
}

/// Both documents of an app.
pub(super) fn documents(
    world: &World,
    api: &FluxApi,
    behaviour: Behaviour,
    app: AppId,
    target: Target,
) -> Option<[Value; 2]> {
    let plan = reconcile::translate(&world.application(app, target, ""), api, behaviour).ok()?;
    Some(plan.documents.unwrap_or_else(|| by_hand(world, app, target)))
}
