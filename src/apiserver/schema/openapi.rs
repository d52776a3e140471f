//! OpenAPI documents of a catalog, encoded once.

use super::data::Documents;
use super::discovery::{Document, hex};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha512};
use std::collections::BTreeMap;

/// The documents.
#[derive(Debug)]
pub struct OpenApi {
    /// `/openapi/v2` as JSON.
    pub v2: Document,
    /// `/openapi/v3`: the index.
    pub index: Document,
    /// `/openapi/v3/{path}` by path, such as `apis/apps/v1`.
    pub v3: BTreeMap<String, V3>,
}

/// One OpenAPI v3 document.
#[derive(Debug)]
pub struct V3 {
    /// What the `hash` query parameter names.
    pub hash: String,
    /// The JSON body.
    pub body: Bytes,
}

impl OpenApi {
    pub(super) fn of(_crds: &[Value]) -> Self {
        let documents = Documents::open();
        let v3: BTreeMap<String, V3> = documents
            .v3
            .into_iter()
            .map(|(path, document)| {
                let body = document.to_string().into_bytes();
                let hash = hex(&Sha512::digest(&body));
                (path, V3 { hash, body: Bytes::from(body) })
            })
            .collect();
        let paths: Map<String, Value> = v3
            .iter()
            .map(|(path, one)| {
                (path.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={}", one.hash)}))
            })
            .collect();
        Self { v2: Document::of(&documents.v2), index: Document::of(&json!({"paths": paths})), v3 }
    }
}
