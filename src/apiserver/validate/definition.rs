//! What makes a CustomResourceDefinition invalid: its names, its versions, and schemas that are not structural.
//!
//! Source of each rule: upstream `apiextensions/validation` and `apiserver/schema`; texts as recorded from a real server.
//! Not here: regular expressions, and what an expression may cost at most.

use super::{FieldError, Reason, bad, expressions, forbidden, invalid, required};
use crate::apiserver::text::{alphabetic_label, subdomain};
use serde_json::{Map, Value, json};

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// Checks a definition but for its metadata's form.
pub(super) fn check(new: &Value, out: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    identity(new, spec, out);
    versions(spec, out);
    names(&spec["names"], out);
    if spec["preserveUnknownFields"] == true {
        let why =
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        out.push(bad("spec.preserveUnknownFields", &json!(true), why));
    }
    let all = list(&spec["versions"]);
    for (at, version) in all.iter().enumerate() {
        let schema = &version["schema"]["openAPIV3Schema"];
        if !schema.is_object() {
            out.push(required(&format!("spec.versions[{at}].schema.openAPIV3Schema"), ""));
        }
        // What all versions share is told once, where the first version of the API had it.
        let shared = |key: &str| all.iter().all(|other| other[key] == version[key]);
        let place = |key: &str, alone: &str| match (shared(key), at) {
            (true, 0) => Some(format!("spec.{alone}")),
            (true, _) => None,
            (false, _) => Some(format!("spec.versions[{at}].{key}")),
        };
        if let Some(place) = place("schema", "validation")
            && schema.is_object()
        {
            Walk { out, compiled: Vec::new() }.root(schema, &format!("{place}.openAPIV3Schema"));
        }
        if let Some(place) = place("additionalPrinterColumns", "additionalPrinterColumns") {
            columns(&version["additionalPrinterColumns"], &place, out);
        }
        if let Some(place) = place("subresources", "subresources") {
            scale(&version["subresources"]["scale"], &format!("{place}.scale"), out);
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("")
}

fn unsupported(field: &str, value: &str, supported: &[&str]) -> FieldError {
    let shown: Vec<String> = supported.iter().map(|one| format!("{one:?}")).collect();
    let detail = format!("Unsupported value: {value:?}: supported values: {}", shown.join(", "));
    FieldError { field: field.to_owned(), reason: Reason::NotSupported, detail }
}

fn identity(new: &Value, spec: &Value, out: &mut Vec<FieldError>) {
    let (name, group) = (text(&new["metadata"], "name"), text(spec, "group"));
    if name != format!("{}.{group}", text(&spec["names"], "plural")) {
        out.push(invalid("metadata.name", name, "must be spec.names.plural+\".\"+spec.group"));
    }
    if group.is_empty() {
        out.push(required("spec.group", ""));
    } else if let Some(why) = subdomain(group) {
        out.push(invalid("spec.group", group, &why));
    } else if !group.contains('.') {
        out.push(invalid("spec.group", group, "should be a domain with at least one dot"));
    }
    match text(spec, "scope") {
        "" => out.push(required("spec.scope", "")),
        "Cluster" | "Namespaced" => {}
        other => out.push(unsupported("spec.scope", other, &["Cluster", "Namespaced"])),
    }
}

fn versions(spec: &Value, out: &mut Vec<FieldError>) {
    let all = list(&spec["versions"]);
    for (at, version) in all.iter().enumerate() {
        let name = text(version, "name");
        if let Some(why) = alphabetic_label(name) {
            out.push(invalid(&format!("spec.versions[{at}].name"), name, &why));
            if at == 0 {
                out.push(invalid("spec.version", name, &why));
            }
        }
    }
    let names: Vec<&str> = all.iter().map(|version| text(version, "name")).collect();
    let stored: Vec<&str> = all.iter().filter(|one| one["storage"] == true).map(|one| text(one, "name")).collect();
    if (1..names.len()).any(|at| names[..at].contains(&names[at])) {
        out.push(all_versions(all, "must contain unique version names"));
    }
    if stored.len() != 1 {
        out.push(all_versions(all, "must have exactly one version marked as storage version"));
    }
    match (stored.first(), stored.last()) {
        (None, _) => out.push(bad("status.storedVersions", &Value::Null, "must have at least one stored version")),
        (Some(first), Some(last)) if first != last => {
            let why = format!("must have the storage version {last}");
            out.push(bad("status.storedVersions", &json!([first]), &why));
        }
        _ => {}
    }
}

/// What is wrong with the versions together; they are shown in the order of Go's structure, without their schemas.
fn all_versions(versions: &[Value], why: &str) -> FieldError {
    let shown: Vec<String> = versions
        .iter()
        .map(|one| {
            format!(
                r#"{{"Name":{:?},"Served":{},"Storage":{},"Deprecated":{},"DeprecationWarning":null,"Schema":null,"Subresources":null,"AdditionalPrinterColumns":null,"SelectableFields":null}}"#,
                text(one, "name"),
                one["served"] == true,
                one["storage"] == true,
                one["deprecated"] == true
            )
        })
        .collect();
    let detail = format!("Invalid value: [{}]: {why}", shown.join(","));
    FieldError { field: "spec.versions".to_owned(), reason: Reason::Invalid, detail }
}

fn names(names: &Value, out: &mut Vec<FieldError>) {
    for key in ["plural", "singular", "kind", "listKind"] {
        let name = text(names, key);
        let field = format!("spec.names.{key}");
        let mixed = matches!(key, "kind" | "listKind");
        let kindless = mixed && text(names, "kind").is_empty();
        if name.is_empty() || key == "listKind" && kindless {
            if matches!(key, "plural" | "kind") {
                out.push(required(&field, ""));
            }
            continue;
        }
        let read = if mixed { name.to_lowercase() } else { name.to_owned() };
        if let Some(why) = alphabetic_label(&read) {
            let mixed_why = format!("may have mixed case, but should otherwise match: {why}");
            out.push(invalid(&field, name, if mixed { &mixed_why } else { &why }));
        }
    }
    let (kind, list) = (text(names, "kind"), text(names, "listKind"));
    if !kind.is_empty() && kind == list {
        out.push(invalid("spec.names.listKind", list, "kind and listKind may not be the same"));
    }
}

fn columns(all: &Value, place: &str, out: &mut Vec<FieldError>) {
    for (at, column) in list(all).iter().enumerate() {
        let place = format!("{place}[{at}]");
        if text(column, "name").is_empty() {
            out.push(required(&format!("{place}.name"), ""));
        }
        let kind = text(column, "type");
        if kind.is_empty() {
            out.push(required(&format!("{place}.type"), "must be one of boolean,date,integer,number,string"));
        } else if !["boolean", "date", "integer", "number", "string"].contains(&kind) {
            out.push(invalid(&format!("{place}.type"), kind, "must be one of boolean,date,integer,number,string"));
        }
        let path = text(column, "jsonPath");
        if path.is_empty() {
            out.push(required(&format!("{place}.JSONPath"), ""));
        } else if !path.starts_with('.') {
            out.push(invalid(&format!("{place}.JSONPath"), path, "must be a simple json path starting with ."));
        }
    }
}

fn scale(scale: &Value, place: &str, out: &mut Vec<FieldError>) {
    if !scale.is_object() {
        return;
    }
    for (key, part) in [("specReplicasPath", ".spec"), ("statusReplicasPath", ".status")] {
        let (field, path) = (format!("{place}.{key}"), text(scale, key));
        if path.is_empty() {
            out.push(required(&field, ""));
        } else if !path.starts_with(&format!("{part}.")) {
            out.push(invalid(&field, path, &format!("should be a json path under {part}")));
        }
    }
}

/// The way through a schema.
struct Walk<'a> {
    out: &'a mut Vec<FieldError>,
    /// What is wrong with expressions: told after everything else.
    compiled: Vec<FieldError>,
}

impl Walk<'_> {
    fn root(&mut self, schema: &Value, path: &str) {
        match text(schema, "type") {
            "" => self.out.push(required(&format!("{path}.type"), "must not be empty at the root")),
            "object" => {}
            other => self.out.push(invalid(&format!("{path}.type"), other, "must be object at the root")),
        }
        let metadata = schema["properties"]["metadata"]["properties"].as_object();
        if metadata.is_some_and(|known| known.keys().any(|key| !matches!(key.as_str(), "name" | "generateName"))) {
            self.out.push(forbidden(
                &format!("{path}.properties[metadata]"),
                "Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified",
            ));
        }
        self.inside(schema, path, true, None);
        let mut compiled = std::mem::take(&mut self.compiled);
        self.out.append(&mut compiled);
    }

    /// A schema below the root; `what` is what has it, `apart` what cannot be told from its old version around it.
    fn below(&mut self, schema: &Value, path: &str, what: &str, apart: Option<&str>) {
        let kind = text(schema, "type");
        let free =
            schema["x-kubernetes-int-or-string"] == true || schema["x-kubernetes-preserve-unknown-fields"] == true;
        if kind.is_empty() && !free && schema.get("$ref").is_none() {
            self.out.push(required(&format!("{path}.type"), &format!("must not be empty for specified {what}")));
        } else if !kind.is_empty() && !TYPES.contains(&kind) {
            self.out.push(unsupported(&format!("{path}.type"), kind, &TYPES));
        }
        let embedded = schema["x-kubernetes-embedded-resource"] == true;
        self.inside(schema, path, embedded, apart);
    }

    fn inside(&mut self, schema: &Value, path: &str, root: bool, apart: Option<&str>) {
        let before = self.out.len();
        let atomic = |key: &str| text(schema, key) == "atomic";
        let of_map = apart.or_else(|| atomic("x-kubernetes-map-type").then_some(path));
        let of_list = apart.or_else(|| (text(schema, "x-kubernetes-list-type") != "map").then_some(path));
        self.forbidden_parts(schema, path);
        self.extensions(schema, path);
        let properties = schema["properties"].as_object();
        if properties.is_some_and(|all| !all.is_empty()) && schema["additionalProperties"].is_object() {
            let why = "Forbidden: additionalProperties and properties are mutual exclusive";
            self.out.push(forbidden(&format!("{path}.additionalProperties"), why));
        }
        for (name, inner) in properties.into_iter().flat_map(Map::iter) {
            self.below(inner, &format!("{path}.properties[{name}]"), "object fields", of_map);
        }
        if schema["additionalProperties"].is_object() {
            let place = format!("{path}.additionalProperties");
            self.below(&schema["additionalProperties"], &place, "object fields", of_map);
        }
        if schema["items"].is_object() {
            self.below(&schema["items"], &format!("{path}.items"), "array items", of_list);
        } else if text(schema, "type") == "array" {
            self.out.push(required(&format!("{path}.items"), "must be specified"));
        }
        expressions::form(schema, path, self.out);
        // What is no sound schema has no types to check expressions with.
        if self.out.len() == before {
            expressions::compile(schema, path, root, apart, &mut self.compiled);
        }
    }

    fn forbidden_parts(&mut self, schema: &Value, path: &str) {
        for key in ["$ref", "id", "definitions", "dependencies", "patternProperties", "additionalItems"] {
            if schema.get(key).is_some() {
                self.out.push(forbidden(&format!("{path}.{key}"), &format!("Forbidden: {key} is not supported")));
            }
        }
        if schema["uniqueItems"] == true {
            let why = "Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
            self.out.push(forbidden(&format!("{path}.uniqueItems"), why));
        }
        if schema["additionalProperties"] == false {
            let why = "Forbidden: additionalProperties cannot be set to false";
            self.out.push(forbidden(&format!("{path}.additionalProperties"), why));
        }
    }

    fn extensions(&mut self, schema: &Value, path: &str) {
        const UNKNOWN: &str = "x-kubernetes-preserve-unknown-fields";
        if schema[UNKNOWN] == false {
            self.out.push(bad(&format!("{path}.{UNKNOWN}"), &json!(false), "must be true or undefined"));
        }
        let (list_type, map_type) = (text(schema, "x-kubernetes-list-type"), text(schema, "x-kubernetes-map-type"));
        if !["", "atomic", "map", "set"].contains(&list_type) {
            let field = format!("{path}.x-kubernetes-list-type");
            self.out.push(unsupported(&field, list_type, &["atomic", "map", "set"]));
        }
        if !["", "atomic", "granular"].contains(&map_type) {
            let field = format!("{path}.x-kubernetes-map-type");
            self.out.push(unsupported(&field, map_type, &["atomic", "granular"]));
        }
        if list_type == "map" {
            if list(&schema["x-kubernetes-list-map-keys"]).is_empty() {
                let why = "must not be empty if x-kubernetes-list-type is map";
                self.out.push(required(&format!("{path}.x-kubernetes-list-map-keys"), why));
            }
            let kind = text(&schema["items"], "type");
            if kind != "object" {
                let why = "must be object if parent array's x-kubernetes-list-type is map";
                self.out.push(invalid(&format!("{path}.items.type"), kind, why));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fields and texts of what is wrong with a definition that was changed at a place.
    fn check_with(place: &str, value: Value, expected: &[&str]) {
        let mut definition = json!({
            "metadata": { "name": "bells.x.example.org" },
            "spec": {
                "group": "x.example.org", "scope": "Namespaced",
                "names": { "plural": "bells", "singular": "bell", "kind": "Bell", "listKind": "BellList" },
                "versions": [{ "name": "v1", "served": true, "storage": true,
                    "schema": { "openAPIV3Schema": { "type": "object", "properties": { "spec": { "type": "object" } } } } }],
            },
        });
        if let Some(part) = definition.pointer_mut(place) {
            *part = value;
        }
        let mut found = Vec::new();
        check(&definition, &mut found);
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(shown, expected, "{place}");
    }

    /// Recorded from kube-apiserver 1.36.3.
    #[test]
    fn definitions_are_refused_in_the_words_of_the_real_server() {
        const SPEC: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
        const AT: &str = "spec.validation.openAPIV3Schema";
        check_with("/metadata/name", json!("bells.x.example.org"), &[]);
        check_with(
            "/metadata/name",
            json!("wrong.x.example.org"),
            &[r#"metadata.name: Invalid value: "wrong.x.example.org": must be spec.names.plural+"."+spec.group"#],
        );
        check_with(
            "/spec/versions/0/storage",
            json!(false),
            &[
                r#"spec.versions: Invalid value: [{"Name":"v1","Served":true,"Storage":false,"Deprecated":false,"DeprecationWarning":null,"Schema":null,"Subresources":null,"AdditionalPrinterColumns":null,"SelectableFields":null}]: must have exactly one version marked as storage version"#,
                "status.storedVersions: Invalid value: null: must have at least one stored version",
            ],
        );
        check_with(
            "/spec/versions/0/schema",
            Value::Null,
            &["spec.versions[0].schema.openAPIV3Schema: Required value"],
        );
        check_with(
            "/spec/scope",
            json!("Foo"),
            &[r#"spec.scope: Unsupported value: "Foo": supported values: "Cluster", "Namespaced""#],
        );
        check_with(
            "/spec/names/listKind",
            json!("Bell"),
            &[r#"spec.names.listKind: Invalid value: "Bell": kind and listKind may not be the same"#],
        );
        for (schema, error) in [
            (
                json!({"properties": {"a": {"type": "string"}}}),
                "properties[spec].type: Required value: must not be empty for specified object fields",
            ),
            (json!({"type": "array"}), "properties[spec].items: Required value: must be specified"),
            (json!({"$ref": "#/x"}), "properties[spec].$ref: Forbidden: $ref is not supported"),
            (
                json!({"type": "foo"}),
                r#"properties[spec].type: Unsupported value: "foo": supported values: "array", "boolean", "integer", "number", "object", "string""#,
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "string"}}),
                "properties[spec].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
            ),
            (
                json!({"type": "array", "uniqueItems": true, "items": {"type": "string"}}),
                "properties[spec].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
            ),
        ] {
            check_with(SPEC, schema, &[&format!("{AT}.{error}")]);
        }
    }
}
