//! Takes out of a transcript what no two runs share: identities, instants, addresses, generated names.
//!
//! A resourceVersion becomes its rank among all of its probe, so equal stays equal and later stays later.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The transcript of one probe in comparable form.
pub(crate) fn normalise(transcript: Vec<Value>, group: &str, ns: &str) -> Vec<Value> {
    let mut versions = BTreeSet::new();
    transcript.iter().for_each(|entry| collect_versions(entry, &mut versions));
    let ranks =
        versions.into_iter().enumerate().map(|(rank, version)| (version.to_string(), format!("rv{}", rank + 1)));
    let mut words = Words { ranks: ranks.collect(), uids: BTreeMap::new(), ns: ns.to_owned(), group: group.to_owned() };
    transcript.into_iter().map(|entry| words.value("", entry)).collect()
}

fn collect_versions(value: &Value, found: &mut BTreeSet<u64>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if key.ends_with("resourceVersion") => {
                        found.extend(text.parse::<u64>().ok().filter(|&version| version > 0));
                    }
                    other => collect_versions(other, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_versions(item, found)),
        _ => {}
    }
}

struct Words {
    ranks: BTreeMap<String, String>,
    uids: BTreeMap<String, String>,
    ns: String,
    group: String,
}

impl Words {
    fn value(&mut self, key: &str, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(key, &text)),
            // How old a thing is depends on how fast its probe is played.
            Value::Array(cells) if key == "cells" => cells.into_iter().map(|cell| self.cell(cell)).collect(),
            Value::Array(items) => {
                let mut items: Vec<_> = items.into_iter().map(|item| self.value(key, item)).collect();
                if key == "causes" || key == "resources" {
                    // Sets: upstream collects them from maps.
                    items.sort_by_key(Value::to_string);
                }
                Value::Array(items)
            }
            Value::Object(map) => self.object(map),
            Value::Number(_) if matches!(key, "nodePort" | "healthCheckNodePort") => Value::from("<port>"),
            other => other,
        }
    }

    fn cell(&mut self, cell: Value) -> Value {
        match cell.as_str() {
            Some(text) if is_age(text) => Value::from("<age>"),
            _ => self.value("", cell),
        }
    }

    fn object(&mut self, map: serde_json::Map<String, Value>) -> Value {
        let prefix = map.get("generateName").and_then(Value::as_str).map(str::to_owned);
        let filled = map.into_iter().map(|(key, value)| {
            let value = match (&prefix, &value) {
                (Some(prefix), Value::String(name)) if key == "name" && name.starts_with(prefix.as_str()) => {
                    Value::from(format!("{prefix}<{}>", name.len() - prefix.len()))
                }
                _ => self.value(&key, value),
            };
            (self.plain(&key), value)
        });
        Value::Object(filled.collect())
    }

    fn text(&mut self, key: &str, text: &str) -> String {
        match key.rsplit('/').next().unwrap_or_default() {
            "resourceVersion" => self.ranks.get(text).cloned().unwrap_or_else(|| text.to_owned()),
            "continue" if !text.is_empty() => "<token>".to_owned(),
            "clusterIP" | "clusterIPs" if text.parse::<std::net::IpAddr>().is_ok() => "<ip>".to_owned(),
            _ if is_instant(text) => if text.contains('.') { "<micros>" } else { "<time>" }.to_owned(),
            _ => self.plain(text),
        }
    }

    /// Names of the probe, uids, instants and resourceVersions inside a text.
    fn plain(&mut self, text: &str) -> String {
        let mut text = text.replace(&self.ns, "$ns").replace(&self.group, "$group");
        // These end with whatever version the server has reached.
        for (opening, now) in [("too old resource version: ", " ("), ("Too large resource version: ", ", current: ")] {
            if let Some(at) = text.find(opening).and_then(|_| text.find(now)) {
                text.truncate(at);
                text.push_str(" <now>");
            }
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-:.".contains(c))).unwrap_or(rest.len());
            let (word, tail) = rest.split_at(end);
            out.push_str(&self.word(word));
            let next = tail.chars().next().map_or(0, char::len_utf8);
            out.push_str(&tail[..next]);
            rest = &tail[next..];
        }
        out
    }

    fn word(&mut self, word: &str) -> String {
        let bare = word.trim_end_matches([':', '.']);
        let tail = &word[bare.len()..];
        if is_uid(bare) {
            let next = format!("<uid{}>", self.uids.len() + 1);
            return format!("{}{tail}", self.uids.entry(bare.to_owned()).or_insert(next));
        }
        if is_instant(bare) {
            return format!("<time>{tail}");
        }
        match self.ranks.get(bare) {
            // Small numbers may be anything.
            Some(rank) if bare.len() > 2 => format!("{rank}{tail}"),
            _ => word.to_owned(),
        }
    }
}

fn is_uid(text: &str) -> bool {
    let dashes = [8, 13, 18, 23];
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| if dashes.contains(&at) { b == b'-' } else { b.is_ascii_hexdigit() })
}

/// How long ago something was, as tables say it: `0s`, `4m29s`, `325d`, `2y30d`.
fn is_age(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        match rest[digits..].chars().next() {
            Some('s' | 'm' | 'h' | 'd' | 'y') if digits > 0 => rest = &rest[digits + 1..],
            _ => return false,
        }
    }
    !text.is_empty()
}

/// RFC 3339 in UTC, with or without a fraction.
fn is_instant(text: &str) -> bool {
    let shape = "dddd-dd-ddTdd:dd:dd";
    let fits = |(shape, byte): (u8, u8)| if shape == b'd' { byte.is_ascii_digit() } else { byte == shape };
    let rest = text.get(shape.len()..).unwrap_or_default();
    let fraction = rest.strip_suffix('Z').map(|r| r.strip_prefix('.').unwrap_or(r));
    text.len() > shape.len()
        && shape.bytes().zip(text.bytes()).all(fits)
        && fraction.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
}

/// The first place where two values differ, as a JSON pointer with both sides; `None` if they are equal.
pub(crate) fn first_difference(expected: &Value, found: &Value) -> Option<String> {
    fn walk(path: &str, expected: Option<&Value>, found: Option<&Value>) -> Option<String> {
        match (expected, found) {
            (Some(Value::Object(a)), Some(Value::Object(b))) => {
                let keys: BTreeSet<_> = a.keys().chain(b.keys()).collect();
                keys.into_iter().find_map(|key| walk(&format!("{path}/{key}"), a.get(key), b.get(key)))
            }
            // Entries are sorted by their times first, and two writes of one probe may fall into one second or two.
            // The order itself is held by the recorded writes of `apiserver::apply`.
            (Some(Value::Array(a)), Some(Value::Array(b))) if path.ends_with("/managedFields") && a != b => {
                let sorted = |entries: &[Value]| {
                    let mut entries = entries.to_vec();
                    entries.sort_by_key(Value::to_string);
                    Value::Array(entries)
                };
                let (a, b) = (sorted(a), sorted(b));
                if a == b { None } else { walk(&format!("{path} (sorted)"), Some(&a), Some(&b)) }
            }
            (Some(Value::Array(a)), Some(Value::Array(b))) => {
                (0..a.len().max(b.len())).find_map(|at| walk(&format!("{path}/{at}"), a.get(at), b.get(at)))
            }
            (a, b) if a == b => None,
            (a, b) => {
                let text = |side: Option<&Value>| side.map_or("nothing".to_owned(), Value::to_string);
                Some(format!("{path}: expected {}, found {}", text(a), text(b)))
            }
        }
    }
    walk("", Some(expected), Some(found))
}

#[test]
fn what_no_two_runs_share_is_taken_out() {
    let entry = |uid: &str, version: u32, time: &str| {
        serde_json::json!({ "body": {
            "metadata": { "uid": uid, "resourceVersion": version.to_string(), "creationTimestamp": time, "namespace": "a-1",
                "generateName": "web-", "name": format!("web-{}", &uid[..5]) },
            "message": format!("uid {uid}: too old: {version} at {time}."),
        }})
    };
    let play = |uids: [&str; 2], first: u32, time: &str| {
        normalise(
            vec![entry(uids[0], first, time), entry(uids[1], first + 7, time), entry(uids[0], first, time)],
            "a.example.com",
            "a-1",
        )
    };
    let (a, b) = ("01234567-89ab-4def-8123-456789abcdef", "89abcdef-0123-4def-8123-456789abcdef");
    let one = play([a, b], 999, "2024-02-29T00:00:00Z");
    let two = play([b, a], 70_000, "2025-01-01T12:34:56Z");
    assert_eq!(one, two);
    assert_ne!(one[0], one[1]);
    assert_eq!(one[0], one[2]);
    assert_eq!(one[0]["body"]["message"], "uid <uid1>: too old: rv1 at <time>.");
}

#[test]
fn owners_of_fields_may_come_in_any_order_but_must_be_the_same() {
    let object = |owners: [&str; 2]| serde_json::json!({ "metadata": { "managedFields": owners } });
    assert_eq!(first_difference(&object(["a", "b"]), &object(["b", "a"])), None);
    assert!(first_difference(&object(["a", "b"]), &object(["a", "c"])).is_some());
}

#[test]
fn the_first_difference_is_told_with_its_place() {
    let (a, b) = (serde_json::json!({"a": [1, {"b": 2}]}), serde_json::json!({"a": [1, {"b": 3}], "c": 1}));
    assert_eq!(first_difference(&a, &b).unwrap(), "/a/1/b: expected 2, found 3");
    assert_eq!(first_difference(&b, &b), None);
    assert_eq!(
        first_difference(&a, &serde_json::json!({"a": [1, {"b": 2}], "c": 1})).unwrap(),
        "/c: expected nothing, found 1"
    );
}
