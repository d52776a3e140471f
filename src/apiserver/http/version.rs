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

/// The document, indented as the original always is. `kubernetes` is a minor release such as `1.35`; empty, or that of
/// the data, for the data's own document.
pub(crate) fn document(kubernetes: &str) -> Bytes {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    match kubernetes.split_once('.') {
        Some((major, minor)) if bootstrap::version()["minor"] != minor => text(&renamed(major, minor)).into(),
        _ => DOCUMENT.get_or_init(|| text(bootstrap::version()).into()).clone(),
    }
}

/// The document of another release: clients read it to choose what they ask for.
fn renamed(major: &str, minor: &str) -> Value {
    let mut version = bootstrap::version().clone();
    let before = minor.parse::<u32>().map_or_else(|_| minor.to_owned(), |minor| minor.saturating_sub(1).to_string());
    for (name, value) in [
        ("minor", minor),
        ("emulationMinor", minor),
        ("minCompatibilityMinor", &before),
        ("gitVersion", &format!("v{major}.{minor}.0")),
    ] {
        version[name] = value.into();
    }
    version
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
        for own in ["", "1.36"] {
            let text = String::from_utf8(document(own).to_vec()).unwrap();
            let value: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value, *bootstrap::version());
            assert!(text.starts_with("{\n  \"major\": \"1\",\n"), "{text}");
        }
    }

    #[test]
    fn a_cluster_of_another_release_says_so() {
        let value: Value = serde_json::from_slice(&document("1.34")).unwrap();
        assert_eq!((&value["major"], &value["minor"]), (&"1".into(), &"34".into()));
        assert_eq!((&value["gitVersion"], &value["minCompatibilityMinor"]), (&"v1.34.0".into(), &"33".into()));
        assert_eq!(value["platform"], bootstrap::version()["platform"]);
    }
}
