//! Answers as HTTP: codes, headers, encodings.
//!
//! In: what a call answers. Out: responses with the headers that every answer of kube-apiserver carries (T-03 of the
//! behaviour contract), JSON with a newline at its end, indented for people.

use super::accept::{self, Agreed, Offer};
use super::body::AnswerBody;
use super::{json, protobuf};
use crate::apiserver::failure::Failure;
use crate::ids::Uid;
use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue,
    RETRY_AFTER, USER_AGENT, VARY, WARNING,
};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use std::io::Write as _;

const FLOW_SCHEMA: HeaderName = HeaderName::from_static("x-kubernetes-pf-flowschema-uid");
const PRIORITY_LEVEL: HeaderName = HeaderName::from_static("x-kubernetes-pf-prioritylevel-uid");
const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");
const NO_SNIFF: HeaderName = HeaderName::from_static("x-content-type-options");

/// The headers only have to be there and not to be empty: their presence switches off Flux's own throttle.
const FLOW_SCHEMA_UID: HeaderValue = HeaderValue::from_static("6b0c7d9e-5f0a-4c9b-9d55-1f6f1a2b3c01");
const PRIORITY_LEVEL_UID: HeaderValue = HeaderValue::from_static("6b0c7d9e-5f0a-4c9b-9d55-1f6f1a2b3c02");

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/vnd.kubernetes.protobuf");
/// A stream of frames in protobuf.
pub(crate) const PROTOBUF_EVENTS: HeaderValue =
    HeaderValue::from_static("application/vnd.kubernetes.protobuf;stream=watch");
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(crate) const YAML: HeaderValue = HeaderValue::from_static("application/yaml");
pub(crate) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Bodies above this are compressed (`defaultGzipThresholdBytes`).
const GZIP_ABOVE: usize = 128 << 10;

/// What the form of an answer depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) pretty: bool,
    /// Number of this call in its server: the audit id is made of it.
    pub(crate) call: u64,
    /// Whether the server compresses big answers.
    pub(crate) gzip: bool,
}

impl<'a> Reply<'a> {
    pub(crate) fn new(parts: &'a Parts, pretty: Option<bool>, call: u64, gzip: bool) -> Self {
        Self { parts, pretty: pretty.unwrap_or_else(|| is_person(parts)), call, gzip }
    }

    /// A response with the common headers and no content.
    pub(crate) fn bare(&self, code: u16) -> Response<AnswerBody> {
        let mut response = Response::new(AnswerBody::Empty);
        *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.reserve(8);
        headers.insert(AUDIT_ID, audit_id(self.call));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        headers.insert(FLOW_SCHEMA, FLOW_SCHEMA_UID);
        headers.insert(PRIORITY_LEVEL, PRIORITY_LEVEL_UID);
        response
    }

    /// A body of a type. HEAD gets its length alone.
    pub(crate) fn body(&self, code: u16, kind: HeaderValue, body: Bytes) -> Response<AnswerBody> {
        let mut response = self.bare(code);
        response.headers_mut().insert(CONTENT_TYPE, kind);
        if self.parts.method == Method::HEAD {
            response.headers_mut().insert(CONTENT_LENGTH, body.len().into());
        } else {
            *response.body_mut() = AnswerBody::Whole(body);
        }
        response
    }

    /// Text for people, such as `404 page not found`.
    pub(crate) fn text(&self, code: u16, text: impl Into<Bytes>) -> Response<AnswerBody> {
        let mut response = self.body(code, TEXT, text.into());
        response.headers_mut().insert(NO_SNIFF, HeaderValue::from_static("nosniff"));
        response
    }

    /// What Go's mux says to a path that nobody serves.
    pub(crate) fn no_page(&self) -> Response<AnswerBody> {
        self.text(404, "404 page not found\n")
    }

    /// A JSON document in the agreed encoding.
    pub(crate) fn document(&self, code: u16, agreed: Agreed, mut json: Vec<u8>) -> Response<AnswerBody> {
        if agreed.yaml {
            return self.body(code, YAML, yaml(&json).into());
        }
        if agreed.protobuf
            && let Some(encoded) = protobuf::from_json(&json)
        {
            return self.body(code, PROTOBUF, encoded.into());
        }
        if self.pretty {
            json = json::indented(&json);
        } else {
            json.push(b'\n');
        }
        if self.wants_gzip(json.len()) {
            return self.gzipped(code, &json);
        }
        self.body(code, JSON, json.into())
    }

    fn wants_gzip(&self, len: usize) -> bool {
        self.gzip
            && len > GZIP_ABOVE
            && self.parts.method == Method::GET
            && self
                .parts
                .headers
                .get(ACCEPT_ENCODING)
                .is_some_and(|value| value.to_str().is_ok_and(|text| text.split(',').any(|one| one.trim() == "gzip")))
    }

    fn gzipped(&self, code: u16, json: &[u8]) -> Response<AnswerBody> {
        // Level 1 is what kube-apiserver uses (`defaultGzipContentEncodingLevel`).
        let mut encoder =
            flate2::write::GzEncoder::new(Vec::with_capacity(json.len() / 4), flate2::Compression::fast());
        // Writing into a vector cannot fail.
        let _ = encoder.write_all(json);
        let mut response = self.body(code, JSON, encoder.finish().unwrap_or_default().into());
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        response
    }

    /// A refusal. If nothing was agreed on, it is indented JSON.
    pub(crate) fn failure(&self, failure: &Failure) -> Response<AnswerBody> {
        let agreed = accept::agree(header(self.parts, ACCEPT), Offer::Whole);
        let forced = Self { pretty: self.pretty || agreed.is_none(), ..*self };
        let mut response = forced.document(failure.code, agreed.unwrap_or_default(), failure.to_json());
        let retry_after = failure.details.as_ref().map_or(0, |details| details.retry_after);
        if retry_after > 0 {
            response.headers_mut().insert(RETRY_AFTER, retry_after.into());
        }
        if failure.code == 403 {
            response.headers_mut().insert(NO_SNIFF, HeaderValue::from_static("nosniff"));
        }
        response
    }
}

/// Adds `Warning: 299` headers.
pub(crate) fn warn(response: &mut Response<AnswerBody>, warnings: &[String]) {
    for text in warnings {
        let value = format!("299 - \"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().append(WARNING, value);
        }
    }
}

/// A header as text; what is no text counts as absent.
pub(crate) fn header(parts: &Parts, name: HeaderName) -> Option<&str> {
    parts.headers.get(name).and_then(|value| value.to_str().ok())
}

/// Agents that get indented JSON (`k8s.io/apiserver/pkg/endpoints/handlers/negotiation`).
fn is_person(parts: &Parts) -> bool {
    header(parts, USER_AGENT)
        .is_some_and(|agent| ["curl", "Wget", "Mozilla/5.0"].iter().any(|one| agent.starts_with(one)))
}

/// A v4 uuid that nobody has seen before in this server. Marked as sensitive, so that HTTP/2 does not fill the client's
/// header table with texts that never come again.
fn audit_id(call: u64) -> HeaderValue {
    let mixed = crate::seed::Seed::new(call);
    let bits = u128::from(mixed.bits(0)) << 64 | u128::from(mixed.bits(1));
    // RFC 9562: version 4, variant `10`.
    let uid = Uid(bits & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62);
    let mut value = HeaderValue::try_from(uid.to_string()).unwrap_or(FLOW_SCHEMA_UID);
    value.set_sensitive(true);
    value
}

fn yaml(json: &[u8]) -> Vec<u8> {
    serde_json::from_slice::<serde_json::Value>(json)
        .ok()
        .and_then(|value| serde_saphyr::to_string(&value).ok())
        .unwrap_or_default()
        .into_bytes()
}

/// The instant one year from now as HTTP writes it.
pub(crate) fn in_a_year() -> String {
    const YEAR: std::time::Duration = std::time::Duration::from_secs(365 * 86_400);
    let epoch = std::time::Duration::from_nanos(crate::clock::unix().0);
    httpdate::fmt_http_date(httpdate::HttpDate::from(std::time::UNIX_EPOCH + epoch + YEAR).into())
}
