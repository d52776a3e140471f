//! From what was sent and what came back to rules: at this place, this field, this value, under this condition.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// One object as sent and as answered.
pub(crate) struct Example {
    pub(crate) sent: Value,
    pub(crate) got: Value,
}

/// Fields that are computed from others or drawn per object; the program has code for the ones that matter.
const COMPUTED: [&str; 20] = [
    "clusterIP",
    "clusterIPs",
    "nodePort",
    "healthCheckNodePort",
    "imagePullPolicy",
    "targetPort",
    "requests",
    "hostPort",
    "serviceAccount",
    "serviceAccountName",
    "data",
    "uid",
    "username",
    "groups",
    "extra",
    "resourceVersion",
    "qosClass",
    "lastPhaseTransitionTime",
    "storedVersions",
    "selector",
];

/// The owned part of a place that nobody owns.
const NOTHING: Value = Value::Null;

/// A map at a place: what was sent and what came back.
struct Seen<'a> {
    sent: &'a Map<String, Value>,
    got: &'a Map<String, Value>,
    /// The part of managedFields at this place, if the place is owned field by field.
    owned: Option<&'a Value>,
}

type Place = Vec<String>;

/// The rules that reproduce all examples, outer places first, conditional ones last.
pub(crate) fn learn(examples: &[Example]) -> Vec<Value> {
    let mut places: BTreeMap<Place, Vec<Seen<'_>>> = BTreeMap::new();
    for example in examples {
        let owned = example.got["metadata"]["managedFields"]
            .as_array()
            .and_then(|list| list.last())
            .map(|one| &one["fieldsV1"]);
        walk(&mut Vec::new(), &example.sent, &example.got, owned, &mut places);
    }
    let mut rules: Vec<(usize, bool, Value)> = Vec::new();
    for (place, seen) in &places {
        for field in added(seen) {
            for (value, when) in choices(&field, seen) {
                let late =
                    place.first().is_none_or(|top| top != "status") && !value.is_null() && assigned(&field, seen);
                let mut push = |at: &Place, field: &str, value: &Value, late: bool| {
                    let mut rule = json!({"at": at, "field": field, "value": value});
                    if !when.is_empty() {
                        rule["when"] = Value::Object(when.clone());
                    }
                    if late {
                        rule["late"] = true.into();
                    }
                    rules.push((at.len(), !when.is_empty(), rule));
                };
                match &value {
                    // A new object's status is assigned field by field: the map itself is always there.
                    Value::Object(map) if place.is_empty() && field == "status" => {
                        for (name, value) in map.iter().filter(|(name, _)| !COMPUTED.contains(&name.as_str())) {
                            push(&vec![field.clone()], name, value, true);
                        }
                    }
                    value => push(place, &field, value, late),
                }
            }
        }
    }
    rules.sort_by_key(|(depth, conditional, _)| (*depth, *conditional));
    rules.into_iter().map(|(_, _, rule)| rule).collect()
}

/// Whether the field came without its manager coming to own it.
fn assigned(field: &str, seen: &[Seen<'_>]) -> bool {
    let open = seen.iter().filter(|one| !one.sent.contains_key(field) && one.got.contains_key(field));
    open.filter_map(|one| one.owned).any(|owned| owned.get(format!("f:{field}")).is_none())
}

fn walk<'a>(
    place: &mut Place,
    sent: &'a Value,
    got: &'a Value,
    owned: Option<&'a Value>,
    out: &mut BTreeMap<Place, Vec<Seen<'a>>>,
) {
    match (sent, got) {
        (Value::Object(sent), Value::Object(got)) => {
            out.entry(place.clone()).or_default().push(Seen { sent, got, owned });
            for (name, inner) in sent {
                if place.is_empty() && name == "metadata" {
                    continue;
                }
                if let Some(got) = got.get(name) {
                    place.push(name.clone());
                    // Nothing at all, or one leaf of which the parts are not told.
                    let below = owned.and_then(|owned| match owned.get(format!("f:{name}")) {
                        None => Some(const { &NOTHING }),
                        Some(below) => Some(below).filter(|below| below.as_object().is_some_and(|map| !map.is_empty())),
                    });
                    walk(place, inner, got, below, out);
                    place.pop();
                }
            }
        }
        (Value::Array(sent), Value::Array(got)) if sent.len() == got.len() => {
            place.push("*".to_owned());
            for (sent, got) in sent.iter().zip(got) {
                walk(place, sent, got, None, out);
            }
            place.pop();
        }
        _ => {}
    }
}

/// Fields that came back without having been sent.
fn added(seen: &[Seen<'_>]) -> Vec<String> {
    let mut fields = Vec::new();
    for one in seen {
        for name in one.got.keys() {
            let system =
                matches!(name.as_str(), "metadata" | "apiVersion" | "kind") || COMPUTED.contains(&name.as_str());
            if !one.sent.contains_key(name) && !system && !fields.contains(name) {
                fields.push(name.clone());
            }
        }
    }
    fields
}

/// The values of a field where it was not sent, each with the condition that tells it from the others.
fn choices(field: &str, seen: &[Seen<'_>]) -> Vec<(Value, Map<String, Value>)> {
    let open: Vec<&Seen<'_>> = seen.iter().filter(|one| !one.sent.contains_key(field)).collect();
    let mut values: Vec<&Value> = Vec::new();
    for one in &open {
        if let Some(value) = one.got.get(field).filter(|value| !values.contains(value)) {
            values.push(value);
        }
    }
    let mut out = Vec::new();
    for value in values {
        let (with, without): (Vec<_>, Vec<_>) = open.iter().partition(|one| one.got.get(field) == Some(value));
        if without.is_empty() {
            out.push((value.clone(), Map::new()));
        } else if let Some(when) = told_by(field, &with, &without) {
            out.push((value.clone(), when));
        }
    }
    out
}

/// A neighbour that has one value in all of `with` and another in all of `without`; or neighbours that only `without` have.
fn told_by(field: &str, with: &[&&Seen<'_>], without: &[&&Seen<'_>]) -> Option<Map<String, Value>> {
    let first = with.first()?;
    let mut names: Vec<&String> = first.got.keys().filter(|name| tells(name, field)).collect();
    // `type` decides about the rest of a structure more often than anything else does.
    names.sort_by_key(|name| *name != "type");
    for name in names {
        let values = |side: &[&&Seen<'_>]| -> Vec<Value> {
            side.iter().map(|one| one.got.get(name).cloned().unwrap_or_default()).collect()
        };
        let (mut ours, theirs) = (values(with), values(without));
        ours.dedup();
        if ours.iter().all(|value| !value.is_null() && !theirs.contains(value)) {
            return Some(Map::from_iter([(name.clone(), Value::Array(ours))]));
        }
    }
    let mut absent = Map::new();
    for one in without {
        for name in one.sent.keys() {
            if with.iter().all(|other| !other.sent.contains_key(name)) {
                absent.insert(name.clone(), Value::Null);
            }
        }
    }
    without
        .iter()
        .all(|one| absent.keys().any(|name| one.sent.contains_key(name)))
        .then_some(absent)
        .filter(|absent| !absent.is_empty())
}

/// Whether a neighbour's value is of the sort that decides about others.
fn tells(name: &str, field: &str) -> bool {
    let lower = name.to_lowercase();
    name != field && ["type", "policy", "mode", "kind", "affinity"].iter().any(|word| lower.ends_with(word))
}
