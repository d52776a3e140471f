//! `/version`.

use crate::apiserver::bootstrap;
use bytes::Bytes;
use serde_json::Value;
use std::sync::OnceLock;

/// The fields in the order of the original's struct.
const FIELDS: [&str; 13] = [
    "major",
    "minor",
    "emulationMajor",
    "emulationMinor",
    "minCompatibilityMajor",
    "minCompatibilityMinor",
    "gitVersion",
    "gitCommit",
    "gitTreeState",
    "buildDate",
    "goVersion",
    "compiler",
    "platform",
];

/// The document, indented as the original always is.
pub(crate) fn document() -> Bytes {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    DOCUMENT.get_or_init(|| text(bootstrap::version()).into()).clone()
}

fn text(version: &Value) -> String {
    let fields = FIELDS.iter().filter_map(|name| version.get(name).map(|value| format!("  \"{name}\": {value}")));
    format!("{{\n{}\n}}", fields.collect::<Vec<_>>().join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_complete_and_in_order() {
        let text = String::from_utf8(document().to_vec()).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value, *bootstrap::version());
        assert!(text.starts_with("{\n  \"major\": \"1\",\n"), "{text}");
    }
}
