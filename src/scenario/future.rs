//! Values that later versions will know. They are refused, but not as misspellings.

use super::errors::Finding;

/// Values whose feature has not landed.
const VALUES: [(&str, &[&str]); 1] = [("spec.backend", &["kubeconfig"])];

const CODE: &str = "not-in-this-version";

/// The finding for an unknown value, if a later version will know it.
pub(super) fn value(path: &[String], text: &str) -> Option<Finding> {
    let joined = path.join(".");
    let known = VALUES.iter().any(|(place, values)| *place == joined && values.contains(&text));
    known.then(|| Finding::error(CODE, path, format!("`{text}` is not in this version")))
}
