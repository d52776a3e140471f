//! `/api`, `/apis`, `/openapi` and the list of paths: documents of the catalog, handed out as they are.
//!
//! In: a route and the headers. Out: pre-encoded bytes with their validators. Nothing is made per call but the few
//! answers that name the address which was called.

use super::accept::{self, Agreed, Form, Offer};
use super::body::AnswerBody;
use super::reply::{self, JSON, TEXT, header};
use super::route::Route;
use super::server::Call;
use crate::apiserver::endpoint;
use crate::apiserver::failure::Failure;
use crate::apiserver::schema::{Catalog, Document};
use http::Response;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, HeaderName, HeaderValue, IF_NONE_MATCH, LOCATION, VARY,
};

const AGGREGATED: HeaderValue =
    HeaderValue::from_static("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");

/// Answers a GET or HEAD of a document.
pub(crate) fn answer(call: &Call<'_>, route: Route<'_>) -> Response<AnswerBody> {
    let catalog = call.site.cluster.catalog();
    let found = match route {
        Route::OpenApiV2 => return openapi_v2(call, &catalog),
        // JSON under another name, as upstream has it.
        Route::OpenApiV3 => Some(call.reply.body(200, TEXT, catalog.openapi().index.body.clone())),
        Route::OpenApiV3Document(path) => return openapi_v3(call, &catalog, path),
        _ => None,
    };
    if let Some(response) = found {
        return response;
    }
    let Some(agreed) = accept::agree(header(call.parts, ACCEPT), Offer::Discovery) else {
        let message = format!("only the following media types are accepted: {}", accept::MEDIA_TYPES.join(", "));
        return call.reply.failure(&Failure::new(406, "NotAcceptable", message));
    };
    let discovery = catalog.discovery();
    match route {
        Route::Root => paths(call, &catalog),
        Route::Api if agreed.form == Form::Discovery => aggregated(call, &discovery.core),
        Route::Apis if agreed.form == Form::Discovery => aggregated(call, &discovery.groups),
        Route::Api => versions(call, agreed),
        Route::Apis => legacy(call, agreed, Some(&discovery.group_list)),
        Route::Group(group) => match discovery.group.get(group) {
            None => call.reply.no_page(),
            found => legacy(call, agreed, found),
        },
        Route::GroupVersion { group, version } => {
            let key = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
            let found = discovery.resources.get(&key);
            if found.is_none() && !is_builtin(&catalog, group) {
                return call.reply.no_page();
            }
            legacy(call, agreed, found)
        }
        _ => call.reply.no_page(),
    }
}

/// Whether a group is served by the server itself and not by definitions.
pub(crate) fn is_builtin(catalog: &Catalog, group: &str) -> bool {
    catalog.resources().iter().any(|one| one.group == group && !one.custom)
}

fn legacy(call: &Call<'_>, agreed: Agreed, document: Option<&Document>) -> Response<AnswerBody> {
    let Some(document) = document else {
        return call.reply.failure(&Failure::no_such_resource());
    };
    if agreed.yaml || call.reply.pretty {
        return call.reply.document(200, agreed, document.body.trim_ascii_end().to_vec());
    }
    call.reply.body(200, JSON, document.body.clone())
}

/// `APIVersions` names the address that the client called, so that it is not cached with the catalog.
fn versions(call: &Call<'_>, agreed: Agreed) -> Response<AnswerBody> {
    let json = format!(
        "{{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],\"serverAddressByClientCIDRs\":[{{\"clientCIDR\":\"0.0.0.0/0\",\"serverAddress\":\"{}:{}\"}}]}}",
        endpoint::plain(call.conn.local),
        call.conn.local.port()
    );
    call.reply.document(200, agreed, json.into_bytes())
}

/// The aggregated form with its validator; a client that has it already gets 304.
fn aggregated(call: &Call<'_>, document: &Document) -> Response<AnswerBody> {
    let mut response = if knows(call, &document.etag) {
        call.reply.bare(304)
    } else {
        let mut response = call.reply.body(200, JSON, document.body.clone());
        response.headers_mut().insert(CONTENT_TYPE, AGGREGATED);
        response
    };
    put(&mut response, ETAG, &document.etag);
    put(&mut response, VARY, "Accept");
    put(&mut response, CACHE_CONTROL, "public");
    response
}

/// Whether the client's copy is this one; `*` and lists count as in RFC 9110.
fn knows(call: &Call<'_>, etag: &str) -> bool {
    header(call.parts, IF_NONE_MATCH).is_some_and(|known| {
        known.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == etag)
    })
}

fn put(response: &mut Response<AnswerBody>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The binary form of OpenAPI v2 as clients ask for it, and as it is called in the answer.
const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
const V2_PROTOBUF_TYPE: HeaderValue =
    HeaderValue::from_static("application/com.github.proto-openapi.spec.v2.v1.0+protobuf");

fn openapi_v2(call: &Call<'_>, catalog: &Catalog) -> Response<AnswerBody> {
    let first = header(call.parts, ACCEPT).and_then(|accept| accept.split([',', ';']).next());
    if first.map(str::trim) == Some(V2_PROTOBUF) {
        let document = catalog.openapi().v2_protobuf();
        let mut response = whole(call, document);
        response.headers_mut().insert(CONTENT_TYPE, V2_PROTOBUF_TYPE);
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        response.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
        return response;
    }
    if accept::agree(header(call.parts, ACCEPT), Offer::Whole).is_none() {
        return call.reply.bare(406);
    }
    let mut response = whole(call, &catalog.openapi().v2);
    put(&mut response, VARY, "Accept");
    response
}

/// A document with its validator, or 304 for who has it.
fn whole(call: &Call<'_>, document: &Document) -> Response<AnswerBody> {
    let mut response = if knows(call, &document.etag) {
        call.reply.bare(304)
    } else {
        call.reply.body(200, JSON, document.body.clone())
    };
    put(&mut response, ETAG, &document.etag);
    response
}

fn openapi_v3(call: &Call<'_>, catalog: &Catalog, path: &str) -> Response<AnswerBody> {
    let Some(document) = catalog.openapi().v3.get(path) else {
        return call.reply.bare(404);
    };
    let etag = format!("\"{}\"", document.hash);
    let asked = call.query.text("hash").unwrap_or_default();
    let mut response = if !asked.is_empty() && asked != document.hash {
        let mut response = call.reply.bare(301);
        put(&mut response, LOCATION, &format!("{}/openapi/v3/{path}?hash={}", call.prefix, document.hash));
        response
    } else if knows(call, &etag) {
        call.reply.bare(304)
    } else {
        call.reply.body(200, JSON, document.body.clone())
    };
    if asked == document.hash {
        put(&mut response, CACHE_CONTROL, "public, immutable");
        put(&mut response, EXPIRES, &reply::in_a_year());
    }
    put(&mut response, ETAG, &etag);
    put(&mut response, VARY, "Accept");
    response
}

/// The list of paths, as far as they are served.
fn paths(call: &Call<'_>, catalog: &Catalog) -> Response<AnswerBody> {
    let mut paths: Vec<String> =
        ["/api", "/apis", "/apis/", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
            .map(str::to_owned)
            .into();
    let discovery = catalog.discovery();
    paths.extend(discovery.group.keys().map(|group| format!("/apis/{group}")));
    paths.extend(discovery.resources.keys().map(|version| match version.contains('/') {
        true => format!("/apis/{version}"),
        false => format!("/api/{version}"),
    }));
    paths.sort();
    let json = super::json::indented(serde_json::json!({ "paths": paths }).to_string().as_bytes());
    call.reply.body(200, JSON, json.into())
}
