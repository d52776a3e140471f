//! Events in the words of their two groups: one stored object, read as `v1` or as `events.k8s.io/v1`.
//!
//! At rest an event has the words of the core group, whoever wrote it (upstream: `pkg/apis/events/v1/conversion.go`).

use crate::apiserver::schema::Resource;
use serde_json::{Map, Value};

/// The same field in the core group and in the group of its own.
const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// Whether objects of this resource are told in the words of `events.k8s.io`.
pub(super) fn has_own_words(resource: &Resource) -> bool {
    resource.plural == "events" && resource.group == "events.k8s.io"
}

/// The fields in the words of the core group.
pub(super) fn to_core(mut fields: Map<String, Value>) -> Map<String, Value> {
    for (core, own) in NAMES {
        if let Some(value) = fields.remove(own) {
            fields.insert(core.to_owned(), value);
        }
    }
    for (name, zero) in [
        ("source", Value::Object(Map::new())),
        ("reportingComponent", "".into()),
        ("reportingInstance", "".into()),
        ("firstTimestamp", Value::Null),
        ("lastTimestamp", Value::Null),
        ("eventTime", Value::Null),
    ] {
        fields.entry(name).or_insert(zero);
    }
    fields
}

/// The fields in the words of `events.k8s.io`, where empty texts are left out.
pub(super) fn from_core(mut fields: Map<String, Value>) -> Map<String, Value> {
    for (core, own) in NAMES {
        if let Some(value) = fields.remove(core) {
            fields.insert(own.to_owned(), value);
        }
    }
    fields.retain(|name, value| !(name.starts_with("reporting") && value == ""));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_the_same_in_the_words_of_both_groups() {
        let Value::Object(core) = json!({
            "involvedObject": {"kind": "Pod"}, "message": "hello", "source": {}, "count": 2, "eventTime": null,
            "firstTimestamp": null, "lastTimestamp": null, "reportingComponent": "", "reportingInstance": "",
        }) else {
            unreachable!()
        };
        let own = from_core(core.clone());
        assert_eq!((&own["regarding"]["kind"], &own["note"]), (&json!("Pod"), &json!("hello")));
        assert_eq!(own.get("reportingController"), None);
        assert_eq!(to_core(own), core);
    }
}
