//! Keys and values that later versions will know. They are refused, but not as misspellings.

use super::errors::Finding;

/// Keys of the format whose feature has not landed.
const KEYS: [&str; 1] = ["spec.matrix"];

/// Values whose feature has not landed.
const VALUES: [(&str, &[&str]); 2] =
    [("spec.manager.kind", &["flux"]), ("spec.backend", &["control-plane", "kind", "kubeconfig"])];

const CODE: &str = "not-in-this-version";

/// The finding for an unknown key, if a later version will know it.
pub(super) fn key(path: &[String]) -> Option<Finding> {
    let known = KEYS.contains(&path.join(".").as_str());
    known.then(|| Finding::error(CODE, path, "not in this version").of_key().hint("remove the key"))
}

/// The finding for an unknown value, if a later version will know it.
pub(super) fn value(path: &[String], text: &str) -> Option<Finding> {
    let joined = path.join(".");
    let known = VALUES.iter().any(|(place, values)| *place == joined && values.contains(&text));
    known.then(|| Finding::error(CODE, path, format!("`{text}` is not in this version")))
}
