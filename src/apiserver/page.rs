//! Continue tokens: where the next page of a list starts, and at which version.
//!
//! The form is upstream's (`k8s.io/apiserver/pkg/storage/continue.go`): unpadded base64url of
//! `{"v":"meta.k8s.io/v1","rv":N,"start":"ns/name\u0000"}`. A version of -1 continues at whatever is current.

use super::failure::Failure;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Where a page starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The version of the whole list; `None` for an inconsistent continuation.
    pub resource_version: Option<u64>,
    /// Namespace of the last object of the page before; empty for cluster-scoped resources.
    pub namespace: String,
    /// Its name; the page starts right after it.
    pub name: String,
}

impl Page {
    /// The token.
    #[must_use]
    pub fn encode(&self) -> String {
        let rv = self.resource_version.map_or(json!(-1), |rv| json!(rv));
        let key =
            if self.namespace.is_empty() { self.name.clone() } else { format!("{}/{}", self.namespace, self.name) };
        let start = Value::from(format!("{key}\0")).to_string();
        URL_SAFE_NO_PAD.encode(format!(r#"{{"v":"meta.k8s.io/v1","rv":{rv},"start":{start}}}"#))
    }

    /// Reads a token; `in_namespace` says whether the list is about one namespace, whose name the key then lacks.
    ///
    /// # Errors
    /// 400 with upstream's text.
    pub fn decode(token: &str) -> Result<Self, Failure> {
        let bad = |why: &str| Failure::bad_request(format!("invalid continue token: continue key is not valid: {why}"));
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|e| bad(&e.to_string()))?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|e| bad(&e.to_string()))?;
        if value["v"] != "meta.k8s.io/v1" {
            return Err(bad(&format!(
                "server does not recognize this encoded version {}",
                value["v"].as_str().unwrap_or_default()
            )));
        }
        let resource_version = match value["rv"].as_i64() {
            Some(-1) => None,
            Some(rv) if rv > 0 => Some(rv.unsigned_abs()),
            _ => return Err(bad("incorrect encoded start resourceVersion (version meta.k8s.io/v1)")),
        };
        let key = value["start"].as_str().unwrap_or_default();
        let key = key.strip_suffix('\0').unwrap_or(key);
        if key.is_empty() {
            return Err(bad("encoded start key empty (version meta.k8s.io/v1)"));
        }
        if key.split('/').any(|part| part == "..") {
            return Err(bad(key));
        }
        let (namespace, name) = key.split_once('/').unwrap_or(("", key));
        Ok(Self { resource_version, namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_trip() {
        for (resource_version, namespace, name) in
            [(Some(7), "default", "web"), (None, "", "kube-system"), (Some(1), "", "a:b")]
        {
            let page = Page { resource_version, namespace: namespace.to_owned(), name: name.to_owned() };
            assert_eq!(Page::decode(&page.encode()), Ok(page));
        }
    }

    #[test]
    fn the_form_is_upstreams() {
        let page = Page { resource_version: Some(9), namespace: "ns".to_owned(), name: "a".to_owned() };
        let json = URL_SAFE_NO_PAD.decode(page.encode()).unwrap();
        assert_eq!(String::from_utf8(json).unwrap(), r#"{"v":"meta.k8s.io/v1","rv":9,"start":"ns/a\u0000"}"#);
    }

    #[test]
    fn what_is_no_token_is_a_bad_request() {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for token in [
            "%".to_owned(),
            encode("{"),
            encode(r#"{"v":"v2","rv":1,"start":"a"}"#),
            encode(r#"{"v":"meta.k8s.io/v1","rv":0,"start":"a"}"#),
            encode(r#"{"v":"meta.k8s.io/v1","rv":1,"start":""}"#),
            encode(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"../a"}"#),
        ] {
            let failure = Page::decode(&token).unwrap_err();
            assert!(
                failure.message.starts_with("invalid continue token: continue key is not valid"),
                "{}",
                failure.message
            );
        }
    }
}
