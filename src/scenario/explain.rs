//! What a key is: its meaning, type, limits and default, from a schema and so from the types.

use super::schema::{inline, type_of, variants, without_null};
use super::shape::{did_you_mean, nearest};
use serde_json::Value;
use std::fmt::Write;

/// Something that has a name and can be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its dotted path: `spec.fleet.clusters`. Entries of lists and maps are left out.
    pub path: String,
    /// What is known about it, in lines.
    pub text: String,
}

/// Every key of a scenario.
#[must_use]
pub fn topics() -> Vec<Topic> {
    topics_of(inline(), "")
}

/// Every key below a schema that has its definitions in place, under a prefix.
#[must_use]
pub fn topics_of(schema: &Value, prefix: &str) -> Vec<Topic> {
    let mut keys = Vec::new();
    collect(schema, &mut Vec::new(), &mut keys);
    let topic = |key: &Key<'_>| Topic { path: format!("{prefix}{}", key.path.join(".")), text: describe(key, prefix) };
    keys.iter().map(topic).collect()
}

/// What is known about `name`, a dotted path whose first word may be left out; entries of lists are left out or any
/// number. A word alone also finds the paths that end in it.
///
/// # Errors
/// There is no such thing; the text says which there are.
pub fn find(topics: &[Topic], name: &str) -> Result<String, String> {
    let wanted: Vec<&str> = name.split('.').filter(|part| part.parse::<usize>().is_err()).collect();
    let joined = wanted.join(".");
    let below = |path: &str| path.split_once('.').is_some_and(|(_, rest)| rest == joined);
    let mut found: Vec<&Topic> = topics.iter().filter(|topic| topic.path == joined || below(&topic.path)).collect();
    if found.is_empty() || wanted.len() == 1 {
        let ends = |path: &str| path.split('.').collect::<Vec<_>>().ends_with(&wanted);
        found = topics.iter().filter(|topic| ends(&topic.path)).collect();
    }
    if found.is_empty() {
        let short = |path: &'_ str| path.split_once('.').map_or(path, |(_, rest)| rest).to_owned();
        let names: Vec<String> = topics.iter().map(|topic| short(&topic.path)).collect();
        let last = |name: &str| name.rsplit('.').next().map(str::to_owned).unwrap_or_default();
        let lasts: Vec<String> = names.iter().map(|name| last(name)).collect();
        let near = nearest(&joined, names.iter().map(String::as_str));
        let near = near.or_else(|| nearest(&last(&joined), lasts.iter().map(String::as_str)));
        let hint =
            near.map_or_else(|| "try `spec`, or `fleet.clusters`".to_owned(), |near| did_you_mean(Some(near), &[]));
        return Err(hint);
    }
    let texts: Vec<&str> = found.into_iter().map(|topic| topic.text.as_str()).collect();
    Ok(texts.join("\n"))
}

/// A key and its schema.
struct Key<'a> {
    path: Vec<&'a str>,
    schema: &'a Value,
    /// What is said about the alternative that it is.
    about: Option<&'a str>,
}

/// All keys below a schema, in the order of their names.
fn collect<'a>(schema: &'a Value, path: &mut Vec<&'a str>, keys: &mut Vec<Key<'a>>) {
    for (name, child, about) in children(schema) {
        path.push(name);
        keys.push(Key { path: path.clone(), schema: child, about });
        collect(child, path, keys);
        path.pop();
    }
}

/// The keys that may stand in a map, or in the maps of a list or map, with their schemas, and with what is said about the
/// alternative that a key is.
fn children(schema: &Value) -> Vec<(&str, &Value, Option<&str>)> {
    let (schema, _) = without_null(schema);
    for entries in ["items", "additionalProperties"] {
        if schema[entries].is_object() {
            return children(&schema[entries]);
        }
    }
    let alternatives = schema["oneOf"].as_array().into_iter().flatten();
    let alternatives = alternatives.map(|one| (one, one["description"].as_str()));
    let maps = std::iter::once((schema, None)).chain(alternatives);
    let keys = maps.filter_map(|(map, about)| Some((map["properties"].as_object()?, about)));
    keys.flat_map(|(keys, about)| keys.iter().map(move |(name, child)| (name.as_str(), child, about))).collect()
}

fn describe(key: &Key<'_>, prefix: &str) -> String {
    let (schema, _) = without_null(key.schema);
    let text = |schema: &Value| schema["description"].as_str().map(|text| text.replace('\n', " "));
    let about = text(key.schema).or_else(|| key.about.map(|text| text.replace('\n', " ")));
    let about = about.or_else(|| text(schema)).unwrap_or_default();
    let mut out = format!("{prefix}{}\n  {about}\n", key.path.join("."));
    let mut line = |name: &str, value: String| _ = writeln!(out, "  {name:<9}{value}");
    line("type", type_name(schema));
    if let (Some(least), Some(most)) = (schema.get("minimum"), schema.get("maximum")) {
        line("limits", format!("{least} to {most}"));
    }
    if let Some(default) = key.schema.get("default") {
        let text = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
        line("default", text);
    }
    let alternatives = schema["oneOf"].as_array().into_iter().flatten();
    for (variant, alternative) in variants(schema).iter().zip(alternatives) {
        line("value", format!("{}: {}", variant.name(), text(alternative).unwrap_or_default()));
    }
    let names: Vec<&str> = children(schema).into_iter().map(|(name, ..)| name).collect();
    if !names.is_empty() && variants(schema).is_empty() {
        line("keys", names.join(", "));
    }
    out
}

fn type_name(schema: &Value) -> String {
    if !variants(schema).is_empty() {
        return "one of its values".to_owned();
    }
    match (schema["format"].as_str(), type_of(schema)) {
        (Some("duration-go"), _) => "duration, such as 250ms or 1m30s".to_owned(),
        (Some("quantity"), _) => "size in bytes, such as 512Mi".to_owned(),
        (Some("rate"), _) => "rate, such as 50/s".to_owned(),
        (Some("percent"), _) => "share, such as 5%".to_owned(),
        (Some("dns-label"), _) => "DNS label".to_owned(),
        (Some("kubernetes-version"), _) => "Kubernetes version, such as \"1.36\"".to_owned(),
        (_, "array") => "list".to_owned(),
        (_, "object") => "map".to_owned(),
        (_, "integer") => "whole number".to_owned(),
        (_, "string") => "text".to_owned(),
        (_, other) => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(name: &str) -> Result<String, String> {
        find(&topics(), name)
    }

    #[test]
    fn a_key_is_explained_with_its_limits_and_default() {
        let text = explain("fleet.clusters").unwrap();
        assert_eq!(
            text,
            "spec.fleet.clusters\n  How many.\n  type     whole number\n  limits   1 to 1000000\n  default  10\n"
        );
        assert_eq!(explain("spec.fleet.clusters").unwrap(), text);
    }

    #[test]
    fn a_word_alone_finds_the_keys_that_end_in_it() {
        let text = explain("healthPoll").unwrap();
        assert!(text.starts_with("spec.run.flux.healthPoll\n"), "{text}");
        assert!(explain("selector").unwrap().contains("spec.timeline.change.upgrade.selector\n"));
        assert!(explain("addons.0.interval").unwrap().contains("Flamingo's 10m"));
        assert!(explain("topology.kind").unwrap().contains("sharded: One hub, several managers."));
    }

    #[test]
    fn an_unknown_word_leads_to_the_nearest_key() {
        assert_eq!(explain("fleet.cluster").unwrap_err(), "did you mean `fleet.clusters`?");
        assert_eq!(explain("helthPoll").unwrap_err(), "did you mean `healthPoll`?");
    }
}
