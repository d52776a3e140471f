//! A call of a machine as a request to the store in this process, and the answer as the machine sees it.

use super::bodies;
use super::store::Store;
use super::{Setup, unknown};
use crate::apiserver::object::Object;
use crate::apiserver::request::{Body, FieldValidation, Now, Options, PatchType, Propagation, Request, Response, Verb};
use crate::apiserver::schema::{Catalog, Resource};
use crate::calls::{self, ContentId, Kind};
use crate::model::flux::render::{self, Form, Pen};
use crate::model::flux::spec::Spec;
use crate::model::flux::{Agent, Controllers, Op, Place, Reply, View, Write};
use crate::model::workload;
use crate::units::Span;
use rustc_hash::FxHasher;
use std::collections::BTreeMap;
use std::hash::Hasher as _;
use std::sync::Arc;

/// The resources of the kinds that the machines name, as a catalog serves them.
pub(super) struct Resources(BTreeMap<Kind, Arc<Resource>>);

impl Resources {
    pub(super) fn new(catalog: Option<&Catalog>) -> Self {
        let find = |kind: Kind| {
            let info = kind.info();
            Some((kind, catalog?.find(info.group, info.version, info.plural)?.clone()))
        };
        Self(Kind::all().filter_map(find).collect())
    }

    fn get(&self, kind: Kind) -> Option<&Arc<Resource>> {
        self.0.get(&kind)
    }
}

/// Makes calls; keeps its buffers.
#[derive(Debug, Default)]
pub(super) struct Caller {
    body: String,
    name: String,
    selector: String,
    /// `pod-template-hash` of the ReplicaSet that the last list returned.
    hash: String,
}

impl Caller {
    /// One call of a Flux controller.
    pub(super) fn call(
        &mut self,
        store: &Store,
        controllers: &Controllers,
        setup: &Setup,
        resources: &Resources,
        op: &Op,
        now: Now,
    ) -> Reply {
        let absent = Reply { code: 404, object: None };
        if op.verb == calls::Verb::Discover {
            return Reply { code: 200, object: None };
        }
        let (Some(object), Some(resource)) = (controllers.object(op.body.slot), resources.get(op.kind)) else {
            return absent;
        };
        let epoch = Span(now.unix.0.saturating_sub(now.monotonic.0));
        let pen = Pen { catalogue: &setup.world.catalogue, epoch };
        self.body.clear();
        let form = pen.body(&mut self.body, object, op.body, op.kind, op.object);
        let Some(namespace) = self.address(controllers, setup, op) else { return absent };
        let manager = manager(op);
        let options = Options {
            dry_run: op.dry_run,
            field_manager: manager,
            force: matches!(op.body.write, Write::Chart | Write::Manifest { force: true, .. }),
            field_validation: validation(op.body.agent),
            label_selector: (op.verb == calls::Verb::List).then_some(&*self.selector),
            propagation: (op.verb == calls::Verb::Delete).then_some(Propagation::Background),
            ..Options::default()
        };
        let named = !matches!(op.verb, calls::Verb::List | calls::Verb::Create);
        let (verb, body) = wire(op.verb, form, self.body.as_bytes());
        let request = Request {
            options,
            body,
            subresource: op.status.then_some("status"),
            ..Request::new(verb, resource, op.body.agent.user_agent())
                .on(&namespace, if named { &self.name } else { "" })
        };
        let response = store.handle(&request, now);
        self.reply(op, response)
    }

    /// Finds namespace and name of what a call is about.
    fn address(&mut self, controllers: &Controllers, setup: &Setup, op: &Op) -> Option<Arc<str>> {
        let owner = controllers.object(op.body.slot)?;
        self.name.clear();
        let own = Arc::clone(&owner.meta.namespace);
        match Place::of(op.object) {
            Place::Flux(slot) => {
                let object = controllers.object(slot)?;
                self.name.push_str(&object.meta.name);
                return Some(Arc::clone(&object.meta.namespace));
            }
            Place::Item(addon, n) => {
                let entry = setup.world.catalogue.entry(addon);
                self.name.push_str(&entry.items.get(usize::from(n))?.name);
                if let Write::Select(selection) = op.body.write {
                    self.selector.clear();
                    render::selector(&mut self.selector, owner, selection, &self.name, &self.hash);
                }
                return Some(entry.addon.namespace.as_str().into());
            }
            Place::Chart(_) => {
                render::chart_name(&mut self.name, owner);
                if let Spec::Release(spec) = &owner.spec {
                    return spec.chart.as_ref().map(|c| Arc::clone(&c.source.namespace));
                }
            }
            Place::Release(_, revision) => {
                render::secret_name(&mut self.name, owner, revision);
                if let Write::Select(selection) = op.body.write {
                    self.selector.clear();
                    render::selector(&mut self.selector, owner, selection, "", "");
                }
            }
            Place::Event(_) => {
                if let Write::Event(notice) = op.body.write {
                    render::event_name(&mut self.name, owner, notice.stamp);
                }
            }
            Place::Server => self.name.push_str(&unknown(op.object)),
        }
        Some(own)
    }

    fn reply(&mut self, op: &Op, response: Response) -> Reply {
        let code = response.code();
        let object = match response {
            Response::Object { object, .. } => Some(view(op, &object)),
            Response::List(list) => {
                if op.kind == Kind::REPLICA_SET {
                    self.hash.clear();
                    // The newest template is in force.
                    let newest = list.items.iter().max_by_key(|o| o.meta.resource_version);
                    self.hash.push_str(newest.and_then(|o| o.meta.label("pod-template-hash")).unwrap_or_default());
                }
                None
            }
            _ => None,
        };
        Reply { code, object }
    }

    /// One call of kube-controller-manager.
    pub(super) fn workload(
        &mut self,
        store: &Store,
        resources: &Resources,
        deployment: &Object,
        op: &workload::Op,
        now: Now,
    ) {
        let Some(resource) = resources.get(op.kind) else { return };
        let call = bodies::workload(deployment, op, now);
        let agent = if op.kind == Kind::REPLICA_SET && op.status {
            workload::REPLICA_SET_AGENT
        } else {
            workload::DEPLOYMENT_AGENT
        };
        let (verb, name) = match op.verb {
            calls::Verb::Create => (Verb::Create, ""),
            _ => (Verb::Update, &*call.name),
        };
        let request = Request {
            body: Body::Value(&call.body),
            subresource: op.status.then_some("status"),
            ..Request::new(verb, resource, agent).on(&deployment.meta.namespace, name)
        };
        store.handle(&request, now);
    }
}

/// Verb and body as the store takes them.
fn wire(verb: calls::Verb, form: Form, body: &[u8]) -> (Verb, Body<'_>) {
    match (verb, form) {
        (calls::Verb::Get | calls::Verb::Discover | calls::Verb::Watch, _) => (Verb::Get, Body::None),
        (calls::Verb::List, _) => (Verb::List, Body::None),
        (calls::Verb::Delete, _) => (Verb::Delete, Body::None),
        (calls::Verb::Create, _) => (Verb::Create, Body::Json(body)),
        (calls::Verb::Update, _) => (Verb::Update, Body::Json(body)),
        (calls::Verb::Apply, _) => (Verb::Patch, Body::Patch(PatchType::Apply, body)),
        (calls::Verb::Patch, Form::Strategic) => (Verb::Patch, Body::Patch(PatchType::Strategic, body)),
        (calls::Verb::Patch, _) => (Verb::Patch, Body::Patch(PatchType::Merge, body)),
    }
}

/// The field manager as recorded; none for events.
fn manager(op: &Op) -> Option<&'static str> {
    match (op.body.agent, op.kind) {
        (_, Kind::EVENT) => None,
        (Agent::Source, _) => Some("source-controller"),
        (Agent::Kustomize, Kind::KUSTOMIZATION) => Some("gotk-kustomize-controller"),
        (Agent::Kustomize, _) => Some("kustomize-controller"),
        (Agent::Helm | Agent::HelmSdk, _) => Some("helm-controller"),
    }
}

/// The Helm SDK is strict.
const fn validation(agent: Agent) -> FieldValidation {
    if matches!(agent, Agent::HelmSdk) { FieldValidation::Strict } else { FieldValidation::Warn }
}

/// What the machine sees of an object.
fn view(op: &Op, object: &Object) -> View {
    let compared = matches!(Place::of(op.object), Place::Item(..) | Place::Chart(_));
    View {
        version: object.meta.resource_version,
        generation: u32::try_from(object.meta.generation).unwrap_or(u32::MAX),
        content: if compared { content(object) } else { ContentId::default() },
        current: op.verb == calls::Verb::Get && compared && bodies::is_current(object),
    }
}

/// A fingerprint of everything but status and server-set metadata.
fn content(object: &Object) -> ContentId {
    let meta = &object.meta;
    let mut hash = FxHasher::default();
    for part in [object.spec(), object.rest(), meta.labels.as_ref(), meta.annotations.as_ref()] {
        if let Some(blob) = part {
            hash.write(blob.bytes());
        }
        hash.write_u8(0xff);
    }
    ContentId(hash.finish())
}
