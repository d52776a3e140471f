//! GET and LIST, with the table of resourceVersion rules (L-01).

use super::Cluster;
use super::prepare::not_found;
use crate::apiserver::failure::{Cause, Failure};
use crate::apiserver::object::Object;
use crate::apiserver::page::Page;
use crate::apiserver::request::{List, Request, Response};
use crate::apiserver::select::Selector;
use crate::apiserver::store::Range;
use std::sync::Arc;

const TOO_OLD: &str = "The resourceVersion for the provided list is too old.";
const TOKEN_TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

/// Which version a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Whatever is current, provided it is at least this.
    Current { at_least: u64 },
    /// Exactly this.
    Exactly(u64),
}

impl Cluster {
    pub(super) fn get(&self, request: &Request<'_>) -> Result<Response, Box<Failure>> {
        let text = request.options.resource_version;
        let at_least = number(text).map_err(|_| {
            Failure::bare(format!(
                "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
            ))
        })?;
        let name = request.name.unwrap_or_default();
        let state = self.state.lock();
        if at_least > state.version {
            return Err(Failure::too_large(at_least, state.version).into());
        }
        let found = self.find(&state, request.resource, request.namespace.unwrap_or_default(), name);
        drop(state);
        match found {
            Some(object) => Ok(Response::Object { code: 200, object, warnings: Vec::new() }),
            None => Err(not_found(request.resource, name).into()),
        }
    }

    /// The current version of an object, for controllers inside this process: no rendering, no count.
    #[must_use]
    pub fn read(
        &self,
        resource: &crate::apiserver::schema::Resource,
        namespace: &str,
        name: &str,
    ) -> Option<Arc<Object>> {
        self.lookup(resource, namespace, name)
    }

    /// The current objects of a resource in one namespace, or everywhere if that is empty.
    #[must_use]
    pub fn all(&self, resource: &crate::apiserver::schema::Resource, namespace: &str) -> Vec<Arc<Object>> {
        let selector = Selector::default();
        let namespace = (!namespace.is_empty()).then_some(namespace);
        let range = Range { namespace, after: None, selector: &selector, limit: 0 };
        self.page(&self.state.lock(), resource, &range, &[]).items
    }

    pub(super) fn list(&self, request: &Request<'_>) -> Result<Response, Box<Failure>> {
        check_options(request)?;
        let resource = request.resource;
        let options = &request.options;
        let selector = Selector::parse(resource, options.label_selector, options.field_selector)?;
        let token = options.continue_token.filter(|token| !token.is_empty());
        let page = token.map(Page::decode).transpose()?;
        let at = which(request, page.as_ref())?;
        // The cache of a real server answers version 0 whole (L-01).
        let whole = page.is_none() && options.resource_version == "0" && options.resource_version_match != "Exact";
        let range = Range {
            namespace: request.namespace,
            after: page.as_ref().map(|page| after(page, request)),
            selector: &selector,
            limit: if whole { 0 } else { usize::try_from(options.limit).unwrap_or(usize::MAX) },
        };
        let state = self.state.lock();
        let (version, then) = match at {
            At::Current { at_least } if at_least > state.version => {
                return Err(Failure::too_large(at_least, state.version).into());
            }
            At::Current { .. } => (state.version, Vec::new()),
            At::Exactly(version) if version > state.version => {
                return Err(Failure::too_large(version, state.version).into());
            }
            At::Exactly(version) => {
                let then = state.feed(resource).map_or_else(|| Ok(Vec::new()), |feed| feed.undo(version));
                (version, then.map_err(|_| expired(page.as_ref()))?)
            }
        };
        let found = self.page(&state, resource, &range, &then);
        drop(state);
        let continue_token = found.items.last().filter(|_| found.more).map(|last| {
            let (namespace, name) = (last.meta.namespace.to_string(), last.meta.name.to_string());
            Page { resource_version: Some(version), namespace, name }.encode()
        });
        Ok(Response::List(List {
            resource: resource.clone(),
            resource_version: version,
            continue_token,
            remaining: (found.remaining > 0).then_some(found.remaining),
            items: found.items,
        }))
    }
}

/// Where a page starts: in a list of one namespace that name counts, whatever the token says.
fn after<'a>(page: &'a Page, request: &Request<'a>) -> (&'a str, &'a str) {
    (request.namespace.filter(|_| request.resource.namespaced).unwrap_or(&page.namespace), &page.name)
}

/// A resourceVersion of a read; empty is 0.
pub(super) fn number(text: &str) -> Result<u64, Failure> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| {
        Failure::bad_request(format!(
            "invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
        ))
    })
}

fn which(request: &Request<'_>, page: Option<&Page>) -> Result<At, Failure> {
    let options = &request.options;
    if let Some(page) = page {
        if !options.resource_version.is_empty() && options.resource_version != "0" {
            return Err(Failure::bad_request("specifying resource version is not allowed when using continue"));
        }
        return Ok(page.resource_version.map_or(At::Current { at_least: 0 }, At::Exactly));
    }
    let version = number(options.resource_version)?;
    Ok(match options.resource_version_match {
        "Exact" => At::Exactly(version),
        // The legacy rule: a page of a version is of exactly that version.
        "" if version > 0 && options.limit > 0 => At::Exactly(version),
        _ => At::Current { at_least: version },
    })
}

fn expired(page: Option<&Page>) -> Failure {
    let Some(page) = page else { return Failure::expired(TOO_OLD) };
    let mut failure = Failure::expired(TOKEN_TOO_OLD);
    failure.continue_token = Some(Page { resource_version: None, ..page.clone() }.encode());
    failure
}

fn forbidden(field: &str, text: &str) -> Cause {
    let reason = "FieldValueForbidden".to_owned();
    Cause { reason, message: format!("Forbidden: {text}"), field: field.to_owned() }
}

fn unsupported_match(matching: &str, supported: &str) -> Cause {
    Cause {
        reason: "FieldValueNotSupported".to_owned(),
        message: format!("Unsupported value: {matching:?}: supported values: {supported}"),
        field: "resourceVersionMatch".to_owned(),
    }
}

/// All that is wrong with the options of a list or a watch, at once.
fn all_good(causes: &[Cause]) -> Result<(), Failure> {
    if causes.is_empty() { Ok(()) } else { Err(Failure::invalid("ListOptions", "meta.k8s.io", "", causes)) }
}

/// `k8s.io/apimachinery/pkg/apis/meta/internalversion/validation`, for lists.
fn check_options(request: &Request<'_>) -> Result<(), Failure> {
    let options = &request.options;
    let (version, matching) = (options.resource_version, options.resource_version_match);
    let mut causes = Vec::new();
    if !matching.is_empty() {
        if version.is_empty() {
            let text = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            causes.push(forbidden("resourceVersionMatch", text));
        }
        if options.continue_token.is_some_and(|token| !token.is_empty()) {
            let text = "resourceVersionMatch is forbidden when continue is provided";
            causes.push(forbidden("resourceVersionMatch", text));
        }
        if !matches!(matching, "Exact" | "NotOlderThan") {
            causes.push(unsupported_match(matching, "\"Exact\", \"NotOlderThan\", \"\""));
        }
        if matching == "Exact" && version == "0" {
            let text = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            causes.push(forbidden("resourceVersionMatch", text));
        }
    }
    if options.send_initial_events.is_some() {
        causes.push(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    all_good(&causes)
}

/// The same, for watches.
pub(super) fn check_watch_options(request: &Request<'_>) -> Result<(), Failure> {
    let options = &request.options;
    let matching = options.resource_version_match;
    let mut causes = Vec::new();
    if options.send_initial_events.is_some() && matching != "NotOlderThan" {
        let text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        causes.push(forbidden("resourceVersionMatch", text));
    }
    if !matching.is_empty() {
        if options.send_initial_events.is_none() {
            let text = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            causes.push(forbidden("resourceVersionMatch", text));
        } else if matching != "NotOlderThan" {
            causes.push(unsupported_match(matching, "\"NotOlderThan\""));
        }
        if options.continue_token.is_some_and(|token| !token.is_empty()) {
            let text = "resourceVersionMatch is forbidden when continue is provided";
            causes.push(forbidden("resourceVersionMatch", text));
        }
    }
    all_good(&causes)
}
