//! Calls on resources: from the path, the method and the headers to a [`Request`] of the rules, and back.
//!
//! In: a call whose caller may make it. Out: the answer. Decides what does not exist (404), what is not allowed (405),
//! what is not understood (415) and what cannot be shown (406); everything about objects is decided behind
//! [`Cluster::handle`](crate::apiserver::clusters::Cluster::handle).

use super::accept::{self, Agreed, Form, Offer};
use super::body::AnswerBody;
use super::call::{BODY_MAX, Received};
use super::counters::OpenWatch;
use super::form::{self, View};
use super::guard::Guarding;
use super::options::{self, DeleteBody};
use super::reply::{self, JSON, header};
use super::route::Target;
use super::server::{self, Call};
use super::watch::WatchBody;
use super::{authorize, discovery, protobuf, review, table, token, yaml};
use crate::apiserver::admission::Guard;
use crate::apiserver::failure::Failure;
use crate::apiserver::object::Object;
use crate::apiserver::request::{Body, FieldValidation, Now, PatchType, Request, Response as Answer, Verb};
use crate::apiserver::schema::{Catalog, Resource};
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{Method, Response};
use std::borrow::Cow;
use std::sync::Arc;

/// Why a call does not reach the rules.
enum Refusal {
    /// `404 page not found`, the plain text.
    NoPage,
    /// A `Status`.
    Status(Box<Failure>),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Status(Box::new(failure))
    }
}

/// Answers a call on a resource.
pub(crate) fn answer(call: &Call<'_>, target: Target<'_>) -> Response<AnswerBody> {
    match perform(call, target) {
        Ok(response) => response,
        Err(Refusal::NoPage) => call.reply.no_page(),
        Err(Refusal::Status(failure)) => call.reply.failure(&failure),
    }
}

fn perform(call: &Call<'_>, target: Target<'_>) -> Result<Response<AnswerBody>, Refusal> {
    let catalog = call.site.cluster.catalog();
    let resource = find(&catalog, target)?;
    let verb = verb(call, resource, target)?;
    let media = header(call.parts, CONTENT_TYPE).unwrap_or_default();
    let patch = patch(verb, resource, media)?;
    let agreed = agree(call, verb, resource.custom)?;
    let is_review = review::is_one(resource) && verb == Verb::Create;
    if is_review && agreed.form == Form::Table {
        return Err(none_of_ours().into());
    }
    if *call.body == Received::TooLarge {
        let message = format!("Request entity too large: limit is {BODY_MAX}");
        return Err(Failure::too_large_body(message).into());
    }
    let (body, twice) = json_body(call, resource, verb, patch, media)?;
    let mut options = options::options(call.query, verb, patch)?;
    if !twice.is_empty() && options.field_validation == FieldValidation::Strict {
        return Err(said_twice(resource, patch, &twice).into());
    }
    let twice = if options.field_validation == FieldValidation::Warn { twice } else { Vec::new() };
    let delete;
    if matches!(verb, Verb::Delete | Verb::DeleteCollection) && !body.is_empty() {
        delete = DeleteBody::read(&body)?;
        delete.put(&mut options)?;
    }
    // The deprecated path of a watch on one object is a watch on its name.
    let selector = target.name.filter(|_| verb == Verb::Watch).map(|name| format!("metadata.name={name}"));
    if let Some(selector) = &selector {
        options.field_selector = Some(selector);
    }
    if is_review {
        return Ok(call.reply.document(201, agreed, review::answer(call, resource, &body)?));
    }
    if let Some(account) = token_of(call, resource, target, verb) {
        let account = account
            .ok_or_else(|| Failure::not_found(&resource.plural, &resource.group, target.name.unwrap_or_default()))?;
        return Ok(call.reply.document(201, agreed, token::answer(call, &account, &body)?));
    }
    let guard = Guarding::of(call, &catalog, resource, target, verb, &body);
    let request = Request {
        verb,
        resource,
        namespace: target.namespace,
        name: target.name.filter(|_| verb != Verb::Watch),
        subresource: target.subresource,
        options,
        body: match patch {
            Some(kind) => Body::Patch(kind, &body),
            None if body.is_empty() && !matches!(verb, Verb::Create | Verb::Update) => Body::None,
            None => Body::Json(&body),
        },
        user_agent: header(call.parts, USER_AGENT).unwrap_or_default(),
        user: &call.identity.user,
        groups: &call.identity.groups,
        guard: guard.as_ref().map(|guard| guard as &dyn Guard),
    };
    let now = Now::read();
    let view = View { agreed, include: table::Include::of(call.query.get("includeObject")), unix: now.unix };
    let answer = call.site.cluster.handle(&request, now);
    let mut said = twice;
    said.extend(guard.map_or_else(Vec::new, |guard| guard.warnings()));
    Ok(render(call, answer, resource, view, said))
}

/// The account that a token is asked for, if one is.
fn token_of(call: &Call<'_>, resource: &Resource, target: Target<'_>, verb: Verb) -> Option<Option<Arc<Object>>> {
    let asked = resource.plural == "serviceaccounts" && !resource.custom && target.subresource == Some("token");
    let account = || call.site.cluster.read(resource, target.namespace.unwrap_or_default(), target.name?);
    (asked && verb == Verb::Create).then(account)
}

/// The resource of a path, at the scope that the path has.
fn find<'c>(catalog: &'c Catalog, target: Target<'_>) -> Result<&'c Arc<Resource>, Refusal> {
    let Some(resource) = catalog.find(target.group, target.version, target.resource) else {
        let builtin = discovery::is_builtin(catalog, target.group);
        return Err(if builtin { Failure::no_such_resource().into() } else { Refusal::NoPage });
    };
    let outside = target.namespace.is_some() && !resource.namespaced;
    let nowhere = target.namespace.is_none() && resource.namespaced && target.name.is_some() && !target.watch_prefix;
    match (outside || nowhere, resource.custom) {
        (true, true) => Err(Refusal::NoPage),
        (true, false) => Err(Failure::no_such_resource().into()),
        (false, _) => Ok(resource),
    }
}

/// What the method means here, if the resource allows it.
fn verb(call: &Call<'_>, resource: &Resource, target: Target<'_>) -> Result<Verb, Refusal> {
    let named = target.name.is_some();
    let watching = target.watch_prefix || (!named && call.query.flag("watch").unwrap_or_default());
    let verb = match (&call.parts.method, named) {
        // Upstream has no route for it but where definitions are served.
        (&Method::HEAD, _) if !resource.custom => None,
        (&Method::GET | &Method::HEAD, _) if watching => Some(Verb::Watch),
        (&Method::GET | &Method::HEAD, true) => Some(Verb::Get),
        (&Method::GET | &Method::HEAD, false) => Some(Verb::List),
        (&Method::POST, false) => Some(Verb::Create),
        (&Method::POST, true) if target.subresource.is_some() || resource.custom => Some(Verb::Create),
        (&Method::PUT, true) => Some(Verb::Update),
        (&Method::PATCH, true) => Some(Verb::Patch),
        (&Method::DELETE, true) => Some(Verb::Delete),
        (&Method::DELETE, false) => Some(Verb::DeleteCollection),
        _ => None,
    };
    let everywhere = target.namespace.is_none() && resource.namespaced;
    if everywhere && !matches!(verb, Some(Verb::List | Verb::Watch)) {
        return Err(if resource.custom { Refusal::NoPage } else { server::not_allowed().into() });
    }
    let verbs = match target.subresource {
        None => &resource.verbs,
        Some(name) => match resource.subresource(name) {
            Some(subresource) => &subresource.verbs,
            // Upstream looks for subresources of custom resources among their objects.
            None if resource.custom => {
                let name = target.name.unwrap_or_default();
                return Err(Failure::not_found(&resource.plural, &resource.group, name).into());
            }
            None => return Err(Failure::no_such_resource().into()),
        },
    };
    match verb {
        Some(verb) if verbs.iter().any(|known| known == verb.name()) => Ok(verb),
        _ if resource.custom => {
            let word = authorize::verb_word(&call.parts.method, named, watching);
            Err(Failure::method_not_allowed(&resource.plural, &resource.group, word, true).into())
        }
        _ => Err(server::not_allowed().into()),
    }
}

/// The type of a patch; `None` for other verbs.
fn patch(verb: Verb, resource: &Resource, media: &str) -> Result<Option<PatchType>, Refusal> {
    if verb != Verb::Patch {
        return Ok(None);
    }
    match options::patch_type(media) {
        Some(kind) if !(resource.custom && kind == PatchType::Strategic) => Ok(Some(kind)),
        _ if resource.custom => Err(Failure::unsupported_media(&[
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/apply-patch+yaml",
        ])
        .into()),
        _ => {
            let mut failure = Failure::new(415, "UnsupportedMediaType", "415: Unsupported Media Type");
            failure.details = Some(Box::default());
            Err(failure.into())
        }
    }
}

fn agree(call: &Call<'_>, verb: Verb, custom: bool) -> Result<Agreed, Failure> {
    let offer = if verb == Verb::Watch { Offer::Events { custom } } else { Offer::Objects { custom } };
    let accept = header(call.parts, ACCEPT);
    accept::agree(accept, offer).ok_or_else(|| {
        let any = accept.is_some_and(|text| accept::MEDIA_TYPES.iter().any(|media| text.contains(media)));
        if any {
            return none_of_ours();
        }
        // No media type matches at all: upstream this is go-restful's answer.
        let types = accept::MEDIA_TYPES.join(", ");
        let message = format!("406: Not Acceptable\n\nAvailable representations: {types}");
        let mut failure = Failure::new(406, "NotAcceptable", message);
        failure.details = Some(Box::default());
        failure
    })
}

/// 406 of a form that this resource does not have.
fn none_of_ours() -> Failure {
    let types = accept::MEDIA_TYPES.join(", ");
    Failure::new(406, "NotAcceptable", format!("only the following media types are accepted: {types}"))
}

/// The refusal of a body in YAML that says keys twice.
fn said_twice(resource: &Resource, patch: Option<PatchType>, lines: &[String]) -> Failure {
    let why = format!("yaml: unmarshal errors:\n  {}", lines.join("\n  "));
    let (kind, version) = (&resource.kind, resource.api_version());
    Failure::bad_request(match patch {
        Some(_) => format!("error strict decoding YAML: error converting YAML to JSON: {why}"),
        None => format!("{kind} in version {version:?} cannot be handled as a {kind}: strict decoding error: {why}"),
    })
}

/// The body as JSON: YAML and protobuf are converted, an apply may be either JSON or YAML. Beside it what YAML said twice.
fn json_body<'b>(
    call: &Call<'b>,
    resource: &Resource,
    verb: Verb,
    patch: Option<PatchType>,
    media: &str,
) -> Result<(Cow<'b, [u8]>, Vec<String>), Failure> {
    let plain = |bytes: Cow<'b, [u8]>| (bytes, Vec::new());
    let Received::Whole(bytes) = call.body else { return Ok(plain(Cow::Borrowed(&[]))) };
    let bytes: &'b [u8] = bytes;
    if bytes.is_empty() || matches!(verb, Verb::Get | Verb::List | Verb::Watch) {
        return Ok(plain(Cow::Borrowed(&[])));
    }
    let is_yaml = match patch {
        // What begins like JSON may be YAML all the same, with a comma too many.
        Some(PatchType::Apply) => {
            let object = bytes.trim_ascii_start().starts_with(b"{");
            !object || serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_err()
        }
        Some(_) => false,
        None => match media.split(';').next().unwrap_or_default().trim() {
            "" | "application/json" => false,
            "application/yaml" => true,
            protobuf::MEDIA_TYPE if !resource.custom => {
                return protobuf::to_json(bytes, resource).map(|json| plain(Cow::Owned(json)));
            }
            protobuf::MEDIA_TYPE => return Err(Failure::unsupported_media(&accept::MEDIA_TYPES[..2])),
            _ => return Err(Failure::unsupported_media(&accept::MEDIA_TYPES)),
        },
    };
    if !is_yaml {
        return Ok(plain(Cow::Borrowed(bytes)));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Failure::bad_request(error.to_string()))?;
    let (value, twice) =
        yaml::read(text).map_err(|error| Failure::bad_request(format!("error decoding YAML: {error}")))?;
    Ok((Cow::Owned(value.to_string().into_bytes()), twice))
}

fn render(
    call: &Call<'_>,
    answer: Answer,
    asked: &Resource,
    view: View,
    mut said: Vec<String>,
) -> Response<AnswerBody> {
    // Who should use something else hears so first, whatever the answer is.
    let mut warnings = asked.deprecation.as_slice().to_vec();
    warnings.append(&mut said);
    if let Answer::Object { warnings: own, .. } | Answer::Document { warnings: own, .. } = &answer {
        warnings.extend_from_slice(own);
    }
    let mut response = rendered(call, answer, asked, view).unwrap_or_else(|failure| call.reply.failure(&failure));
    reply::warn(&mut response, &warnings);
    response
}

fn rendered(call: &Call<'_>, answer: Answer, asked: &Resource, view: View) -> Result<Response<AnswerBody>, Failure> {
    let reply = call.reply;
    match answer {
        Answer::Object { code, object, .. } => {
            Ok(reply.document(code, view.agreed, form::object(&object, asked, view)?))
        }
        Answer::List(list) => Ok(reply.document(200, view.agreed, form::list(&list, view)?)),
        Answer::Document { code, body, .. } => Ok(reply.document(code, view.agreed, form::document(&body))),
        Answer::Watch(subscription) => {
            let mut response = reply.bare(200);
            let kind = if view.agreed.protobuf { reply::PROTOBUF_EVENTS } else { JSON };
            response.headers_mut().insert(CONTENT_TYPE, kind);
            if call.parts.method != Method::HEAD {
                let open = OpenWatch::new(call.counters);
                *response.body_mut() = AnswerBody::Watch(Box::new(WatchBody::new(subscription, view, open)));
            }
            Ok(response)
        }
        Answer::Failure(failure) => Err(*failure),
    }
}
