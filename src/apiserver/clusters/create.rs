//! POST, and every other way in which an object comes to be.

use super::prepare::{Owners, Prepared, Writing, decode, own_new, prepare};
use super::state::{State, Written};
use super::{Cluster, guarded};
use crate::apiserver::failure::{Cause, Details, Failure};
use crate::apiserver::life;
use crate::apiserver::object::Object;
use crate::apiserver::request::{Now, Request, Response};
use crate::apiserver::schema::Resource;
use crate::apiserver::store::EventKind;
use crate::seed::Seed;
use serde_json::{Value, json};

/// Kinds that do not take `generateName` (O-05).
const UNGENERATED: [&str; 3] = ["customresourcedefinitions", "apiservices", "ipaddresses"];

impl Cluster {
    pub(super) fn create(&self, request: &Request<'_>, now: Now) -> Result<Response, Box<Failure>> {
        let mut value = decode(request)?;
        let version = value["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        // It is the store that minds, and a dry run does not get that far.
        if !version.is_empty() && version != "0" && !request.options.dry_run {
            return Err(Failure::bare("resourceVersion should not be set on objects to be created").into());
        }
        own_new(&mut value["metadata"]);
        self.insert(request, value, Owners::Record, now)
    }

    /// Stores a new object; its metadata holds nothing that the server owns.
    pub(super) fn insert(
        &self,
        request: &Request<'_>,
        mut value: Value,
        owners: Owners,
        now: Now,
    ) -> Result<Response, Box<Failure>> {
        let resource = request.resource;
        if request.guard.is_some() {
            let name = value["metadata"]["name"].as_str().unwrap_or_default();
            self.check_namespace(&self.state.lock(), request, name)?;
        }
        let generated = self.name(resource, request.namespace, &mut value)?;
        if resource.has_status
            && let Value::Object(fields) = &mut value
        {
            fields.remove("status");
        }
        let writing = Writing { before: None, owners, named: generated };
        let Prepared { mut object, warnings } = prepare(self, request, value, writing, now)?;
        object.meta.created = now.unix_secs();
        object.meta.generation = u64::from(resource.tracks_generation);
        if request.guard.is_some() {
            let (namespace, name) = object.key();
            let uid = self.next_uid(&self.state.lock(), resource, namespace, name);
            object.meta.uid = uid;
            guarded::check(request, None, &object)?;
        }
        self.place(request, object, warnings, generated, now)
    }

    /// Stores a new object that is complete but for its uid and version.
    pub(super) fn place(
        &self,
        request: &Request<'_>,
        mut object: Object,
        warnings: Vec<String>,
        generated: bool,
        now: Now,
    ) -> Result<Response, Box<Failure>> {
        let resource = request.resource;
        let mut state = self.state.lock();
        self.check_namespace(&state, request, &object.meta.name)?;
        let (namespace, name) = object.key();
        if let Some(existing) = self.find(&state, resource, namespace, name) {
            return Err(exists(resource, &existing, generated).into());
        }
        object.meta.uid = self.next_uid(&state, resource, namespace, name);
        if request.options.dry_run {
            object.meta.resource_version = 0;
            return Ok(Response::Object { code: 201, object: object.into(), warnings });
        }
        let manager = request.manager();
        let object = self.commit(&mut state, Written { kind: EventKind::Added, object, previous: None, manager }, now);
        Ok(Response::Object { code: 201, object, warnings })
    }

    /// Settles the name; `true` if it was drawn.
    fn name(&self, resource: &Resource, namespace: Option<&str>, value: &mut Value) -> Result<bool, Failure> {
        let metadata = &value["metadata"];
        let sent = metadata["name"].as_str().unwrap_or_default();
        let prefix = metadata["generateName"].as_str().unwrap_or_default();
        if !sent.is_empty() {
            return Ok(false);
        }
        if prefix.is_empty() || UNGENERATED.contains(&resource.plural.as_str()) {
            return Err(no_name(resource));
        }
        let prefix = prefix.to_owned();
        let mut state = self.state.lock();
        let seed = Seed::new(self.shared.settings.seed).child("generated names").entity(u64::from(self.id));
        let mut name = String::new();
        for _ in 0..8 {
            name = life::generate_name(&prefix, seed.bits(state.next_draw()));
            if self.find(&state, resource, namespace.unwrap_or_default(), &name).is_none() {
                break;
            }
        }
        drop(state);
        value["metadata"]["name"] = json!(name);
        Ok(true)
    }

    /// Whether the namespace takes new objects.
    fn check_namespace(&self, state: &State, request: &Request<'_>, name: &str) -> Result<(), Failure> {
        let resource = request.resource;
        let (true, Some(namespace)) = (resource.namespaced, request.namespace) else { return Ok(()) };
        let Some(namespaces) = state.catalog.find("", "v1", "namespaces") else { return Ok(()) };
        match self.deleting(state, namespaces, "", namespace) {
            None => return Err(Failure::not_found("namespaces", "", namespace)),
            Some(false) => return Ok(()),
            Some(true) => {}
        }
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut failure = Failure::forbidden(&resource.plural, &resource.group, name, &why);
        if let Some(details) = &mut failure.details {
            details.causes = vec![Cause {
                reason: "NamespaceTerminating".to_owned(),
                message: format!("namespace {namespace} is being terminated"),
                field: "metadata.namespace".to_owned(),
            }];
        }
        Err(failure)
    }
}

fn no_name(resource: &Resource) -> Failure {
    let cause = Cause {
        reason: "FieldValueRequired".to_owned(),
        message: "Required value: name or generateName is required".to_owned(),
        field: "metadata.name".to_owned(),
    };
    Failure::invalid(&resource.kind, &resource.group, "", &[cause])
}

fn exists(resource: &Resource, existing: &Object, generated: bool) -> Failure {
    let mut failure = Failure::already_exists(&resource.plural, &resource.group, &existing.meta.name);
    if existing.meta.deleted.is_some() {
        failure.message = format!("object is being deleted: {}", failure.message);
    }
    if generated {
        failure.message.push_str(", the server was not able to generate a unique name for the object");
        let details: &mut Details = failure.details.get_or_insert_default();
        details.retry_after = 1;
    }
    failure
}
