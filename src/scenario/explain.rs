//! What a key of the scenario is: its meaning, type, limits and default, from the schema and so from the types.

use super::schema::{inline, type_of, variants, without_null};
use super::shape::{did_you_mean, nearest};
use serde_json::Value;
use std::fmt::Write;

/// What is known about `name`, a dotted path below `spec` such as `fleet.clusters`; entries of lists are left out or any
/// number. A word alone also finds the keys that end in it.
///
/// # Errors
/// There is no such key; the text says which there are.
pub fn explain(name: &str) -> Result<String, String> {
    let mut keys = Vec::new();
    collect(inline(), &mut Vec::new(), &mut keys);
    let wanted: Vec<&str> = name.split('.').filter(|part| part.parse::<usize>().is_err()).collect();
    let path = |key: &Key<'_>| key.path.join(".");
    let joined = wanted.join(".");
    let exact = |key: &&Key<'_>| [joined.clone(), format!("spec.{joined}")].contains(&path(key));
    let ending = |key: &&Key<'_>| key.path.ends_with(&wanted);
    let mut found: Vec<&Key<'_>> = keys.iter().filter(exact).collect();
    if found.is_empty() {
        found = keys.iter().filter(ending).collect();
    }
    if found.is_empty() {
        let paths: Vec<String> = keys.iter().map(path).collect();
        let names: Vec<&str> = paths.iter().map(|path| path.strip_prefix("spec.").unwrap_or(path)).collect();
        let last = |name: &str| name.rsplit('.').next().map(str::to_owned).unwrap_or_default();
        let lasts: Vec<String> = names.iter().map(|name| last(name)).collect();
        let near = nearest(&joined, names.iter().copied());
        let near = near.or_else(|| nearest(&last(&joined), lasts.iter().map(String::as_str)));
        let hint =
            near.map_or_else(|| "try `spec`, or `fleet.clusters`".to_owned(), |near| did_you_mean(Some(near), &[]));
        return Err(hint);
    }
    let texts: Vec<String> = found.into_iter().map(describe).collect();
    Ok(texts.join("\n"))
}

/// A key and its schema.
struct Key<'a> {
    path: Vec<&'a str>,
    schema: &'a Value,
}

/// All keys below a schema, in the order of their names.
fn collect<'a>(schema: &'a Value, path: &mut Vec<&'a str>, keys: &mut Vec<Key<'a>>) {
    for (name, child) in children(schema) {
        path.push(name);
        keys.push(Key { path: path.clone(), schema: child });
        collect(child, path, keys);
        path.pop();
    }
}

/// The keys that may stand in a map, or in the maps of a list, with their schemas.
fn children(schema: &Value) -> Vec<(&str, &Value)> {
    let (schema, _) = without_null(schema);
    if schema["items"].is_object() {
        return children(&schema["items"]);
    }
    let alternatives = schema["oneOf"].as_array().into_iter().flatten();
    let maps = std::iter::once(schema).chain(alternatives).filter_map(|map| map["properties"].as_object());
    maps.flatten().map(|(name, child)| (name.as_str(), child)).collect()
}

fn describe(key: &Key<'_>) -> String {
    let (schema, _) = without_null(key.schema);
    let text = |schema: &Value| schema["description"].as_str().map(|text| text.replace('\n', " "));
    let about = text(key.schema).or_else(|| text(schema)).unwrap_or_default();
    let mut out = format!("{}\n  {about}\n", key.path.join("."));
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
    let names: Vec<&str> = children(schema).into_iter().map(|(name, _)| name).collect();
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
