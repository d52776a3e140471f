//! Helm values of an Application: `helm.values` as a map, `helm.parameters` set into it.
//!
//! As the original: a parameter's name is split on every dot, no escapes and no list indices; its value stays a string.

use crate::scenario::Behaviour;
use serde_json::{Map, Value};

/// Why the values of an Application cannot be merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValuesError {
    /// `helm.values` holds no YAML mapping.
    #[error("spec.source.helm.values is not a YAML mapping: {reason}")]
    BadValues {
        /// What the parser said.
        reason: String,
    },
    /// A parameter's name leads through something that is no map.
    #[error("helm parameter {name}: `{at}` is not a map in helm.values; rename the parameter or the value")]
    NotAMap {
        /// The parameter.
        name: String,
        /// The part of its name that is in the way.
        at: String,
    },
    /// The original dereferences a nil map here and never updates the app.
    #[error("helm parameters without helm.values crash the original; give helm.values or use behaviour fixed")]
    NilMap,
}

/// The merged values of `spec.source.helm`.
///
/// # Errors
/// See [`ValuesError`].
pub(super) fn merged(helm: &Value, behaviour: Behaviour) -> Result<Value, ValuesError> {
    if !helm.is_object() {
        return Ok(Value::Object(Map::new()));
    }
    let written = helm["values"].as_str().unwrap_or_default();
    let parameters = helm["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let parsed = parse_yaml(written).map_err(|reason| ValuesError::BadValues { reason })?;
    let mut values = match parsed {
        Value::Object(map) => map,
        Value::Null if behaviour == Behaviour::Fixed => Map::new(),
        // The original unmarshals nothing into a map that thereby becomes nil.
        Value::Null if parameters.is_empty() => return Ok(Value::Null),
        Value::Null => return Err(ValuesError::NilMap),
        _ => return Err(ValuesError::BadValues { reason: "it holds a single value or a list".to_owned() }),
    };
    for parameter in parameters {
        let name = parameter["name"].as_str().unwrap_or_default();
        let value = parameter["value"].as_str().unwrap_or_default();
        set(&mut values, name, value)?;
    }
    Ok(Value::Object(values))
}

/// Sets the nested key `name` to the string `value`.
fn set(values: &mut Map<String, Value>, name: &str, value: &str) -> Result<(), ValuesError> {
    let mut parts = name.split('.').peekable();
    let mut map = values;
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            map.insert(part.to_owned(), Value::String(value.to_owned()));
            break;
        }
        let next = map.entry(part).or_insert_with(|| Value::Object(Map::new()));
        map =
            next.as_object_mut().ok_or_else(|| ValuesError::NotAMap { name: name.to_owned(), at: part.to_owned() })?;
    }
    Ok(())
}

/// YAML as JSON; no document at all is null.
pub(super) fn parse_yaml(yaml: &str) -> Result<Value, String> {
    if yaml.trim().is_empty() {
        return Ok(Value::Null);
    }
    // JSON is YAML too, and what programs write: the strict parser is ten times faster.
    if let Ok(value) = serde_json::from_str(yaml) {
        return Ok(value);
    }
    serde_saphyr::from_str(yaml).map_err(|e| e.to_string().lines().next().unwrap_or_default().to_owned())
}
