//! Objects and lists in the form that was agreed on.
//!
//! In: what the rules answered. Out: JSON text without a newline. Rendering is concatenation; only tables look into
//! objects.

use super::accept::{Agreed, Form};
use super::table;
use crate::apiserver::failure::Failure;
use crate::apiserver::object::{self, Object};
use crate::apiserver::request::List;
use crate::apiserver::schema::Resource;
use crate::units::Time;
use std::io::Write as _;

/// What tables need beside the object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) agreed: Agreed,
    pub(crate) include: table::Include,
    /// Now, since 1970: ages are told from here.
    pub(crate) unix: Time,
}

/// One object.
pub(crate) fn object(object: &Object, asked: &Resource, view: View) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::with_capacity(4096);
    match view.agreed.form {
        Form::Metadata => metadata(object, view.agreed.beta, &mut out),
        Form::Table => table::open(&mut out, view.agreed.beta, &version(object.meta.resource_version), "", None).rows(
            asked,
            view,
            std::iter::once((object, object.meta.resource_version)),
        ),
        Form::MetadataList => {
            return Err(not_acceptable("PartialObjectMetadataList", "is not a list", &asked.kind));
        }
        Form::Whole | Form::Discovery => object.render(asked, object::Form::Alone, &mut out),
    }
    Ok(out)
}

/// One page of a collection.
pub(crate) fn list(list: &List, view: View) -> Result<Vec<u8>, Failure> {
    let asked = &*list.resource;
    let version = version(list.resource_version);
    let token = list.continue_token.as_deref().unwrap_or_default();
    let mut out = Vec::with_capacity(256);
    match view.agreed.form {
        Form::Metadata => return Err(not_acceptable("PartialObjectMetadata", "is a list", &asked.list_kind)),
        Form::Table => table::open(&mut out, view.agreed.beta, &version, token, list.remaining).rows(
            asked,
            view,
            list.items.iter().map(|item| (&**item, item.meta.resource_version)),
        ),
        Form::MetadataList => {
            let api = meta_version(view.agreed.beta);
            open_list(&mut out, "PartialObjectMetadataList", api, &version, token, list.remaining);
            items(&mut out, list, |item, out| metadata(item, view.agreed.beta, out));
            out.push(b'}');
        }
        Form::Whole | Form::Discovery if asked.custom => custom_list(list, &version, token, &mut out),
        Form::Whole | Form::Discovery => {
            open_list(&mut out, &asked.list_kind, &asked.api_version(), &version, token, list.remaining);
            items(&mut out, list, |item, out| item.render(asked, object::Form::Item, out));
            out.push(b'}');
        }
    }
    Ok(out)
}

/// `meta.k8s.io` at the version that was asked for.
pub(crate) const fn meta_version(beta: bool) -> &'static str {
    if beta { "meta.k8s.io/v1beta1" } else { "meta.k8s.io/v1" }
}

/// Kind, apiVersion and metadata alone.
pub(crate) fn metadata(object: &Object, beta: bool, out: &mut Vec<u8>) {
    metadata_at(object, object.meta.resource_version, beta, out);
}

/// The same with another resourceVersion: a deletion shows its own.
pub(crate) fn metadata_at(object: &Object, resource_version: u64, beta: bool, out: &mut Vec<u8>) {
    const HEAD: usize = br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1"#.len();
    let start = out.len();
    object.render_metadata(resource_version, out);
    if beta {
        out.splice(start + HEAD..start + HEAD, *b"beta1");
    }
}

/// `kind`, `apiVersion`, `metadata` of a list in struct order, up to the items.
fn open_list(out: &mut Vec<u8>, kind: &str, api_version: &str, version: &str, token: &str, remaining: Option<u64>) {
    // Writing into a vector cannot fail. Kinds, versions and tokens need no escapes.
    let _ = write!(out, "{{\"kind\":\"{kind}\",\"apiVersion\":\"{api_version}\",\"metadata\":");
    list_meta(out, version, token, remaining);
    out.push(b',');
}

/// `ListMeta` in struct order.
pub(crate) fn list_meta(out: &mut Vec<u8>, version: &str, token: &str, remaining: Option<u64>) {
    let _ = write!(out, "{{\"resourceVersion\":\"{version}\"");
    if !token.is_empty() {
        let _ = write!(out, ",\"continue\":\"{token}\"");
    }
    if let Some(remaining) = remaining {
        let _ = write!(out, ",\"remainingItemCount\":{remaining}");
    }
    out.push(b'}');
}

/// A list of custom resources is an unstructured object upstream: its fields are sorted, and `continue` is never absent.
fn custom_list(list: &List, version: &str, token: &str, out: &mut Vec<u8>) {
    let asked = &*list.resource;
    let _ = write!(out, "{{\"apiVersion\":\"{}\",", asked.api_version());
    items(out, list, |item, out| item.render(asked, object::Form::Item, out));
    let _ = write!(out, ",\"kind\":\"{}\",\"metadata\":{{\"continue\":\"{token}\"", asked.list_kind);
    if let Some(remaining) = list.remaining {
        let _ = write!(out, ",\"remainingItemCount\":{remaining}");
    }
    let _ = write!(out, ",\"resourceVersion\":\"{version}\"}}}}");
}

/// `"items":[...]`. The size of the first item foretells the others'.
fn items(out: &mut Vec<u8>, list: &List, render: impl Fn(&Object, &mut Vec<u8>)) {
    out.extend_from_slice(b"\"items\":[");
    for (n, item) in list.items.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        let start = out.len();
        render(item, out);
        if n == 0 {
            out.reserve((out.len() - start + 64) * (list.items.len() - 1));
        }
    }
    out.push(b']');
}

fn version(version: u64) -> String {
    if version == 0 { String::new() } else { version.to_string() }
}

fn not_acceptable(form: &str, what: &str, kind: &str) -> Failure {
    // The Go type of the original is not known here; its kind is what people read.
    let message = format!("you requested {form}, but the requested object {what} (*core.{kind})");
    Failure::new(406, "NotAcceptable", message)
}

/// A document that is no stored object, with kind, apiVersion and metadata first as Go's structs have them.
pub(crate) fn document(value: &serde_json::Value) -> Vec<u8> {
    const FIRST: [&str; 3] = ["kind", "apiVersion", "metadata"];
    let Some(fields) = value.as_object() else { return value.to_string().into_bytes() };
    let first = FIRST.iter().filter_map(|&name| fields.get(name).map(|field| (name, field)));
    let rest = fields.iter().map(|(name, field)| (name.as_str(), field)).filter(|(name, _)| !FIRST.contains(name));
    let mut out = vec![b'{'];
    for (n, (name, field)) in first.chain(rest).enumerate() {
        let comma = if n > 0 { "," } else { "" };
        let _ = write!(out, "{comma}{}:{field}", serde_json::Value::from(name));
    }
    out.push(b'}');
    out
}
