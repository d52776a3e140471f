//! The JSON Schema of a scenario, made from the file format.

use super::spec::File;
use schemars::generate::SchemaSettings;
use serde_json::Value;
use std::sync::LazyLock;

/// The JSON Schema (draft 2020-12) for editors, as committed in `scenarios/scenario.schema.json`.
#[must_use]
pub fn schema() -> String {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<File>();
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// The same schema with every definition in place, as the check of shapes and `explain` read it.
pub(super) fn inline() -> &'static Value {
    static INLINE: LazyLock<Value> = LazyLock::new(|| {
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        settings.into_generator().into_root_schema_for::<File>().to_value()
    });
    &INLINE
}

/// A schema without its "or null", and whether it had one.
pub(super) fn without_null(schema: &Value) -> (&Value, bool) {
    if let Some(Value::Array(any)) = schema.get("anyOf")
        && let Some(real) = any.iter().find(|one| one.get("type") != Some(&Value::from("null")))
    {
        return (real, any.len() > 1);
    }
    let nullable = schema.get("type").and_then(Value::as_array).is_some_and(|types| types.contains(&"null".into()));
    (schema, nullable)
}

/// The type that a schema asks for: `object`, `array`, `string`, `integer`, `number` or `boolean`.
pub(super) fn type_of(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(name)) => name,
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or(""),
        _ => "",
    }
}

/// One alternative of an enum.
pub(super) enum Variant<'a> {
    /// A word.
    Word(&'a str),
    /// A map with this one key and what belongs under it.
    Key(&'a str, &'a Value),
}

impl<'a> Variant<'a> {
    pub(super) const fn name(&self) -> &'a str {
        match self {
            Self::Word(name) | Self::Key(name, _) => name,
        }
    }
}

/// The alternatives of an enum, none if the schema is none.
pub(super) fn variants(schema: &Value) -> Vec<Variant<'_>> {
    if let Some(Value::Array(words)) = schema.get("enum") {
        return words.iter().filter_map(Value::as_str).map(Variant::Word).collect();
    }
    let Some(Value::Array(alternatives)) = schema.get("oneOf") else { return Vec::new() };
    let mut variants = Vec::new();
    for alternative in alternatives {
        if let Some(Value::String(word)) = alternative.get("const") {
            variants.push(Variant::Word(word));
        } else if let Some(Value::Array(words)) = alternative.get("enum") {
            variants.extend(words.iter().filter_map(Value::as_str).map(Variant::Word));
        } else if let Some(Value::Object(keys)) = alternative.get("properties") {
            variants.extend(keys.iter().map(|(key, schema)| Variant::Key(key, schema)));
        }
    }
    variants
}
