//! Tables: what `kubectl get` shows.
//!
//! In: objects and the columns of their resource. Out: `meta.k8s.io` Table text. Custom columns follow their JSON paths,
//! built-in ones the printers of kube-apiserver ([`super::cells`]). Tables are for people, so objects are parsed here.

use super::form::{self, View};
use super::{cells, path};
use crate::apiserver::object::{Form, Object};
use crate::apiserver::schema::{Column, Resource};
use crate::units::Time;
use serde_json::{Value, json};
use std::io::Write as _;

/// What a row carries beside its cells (`includeObject`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Include {
    /// Nothing.
    None,
    /// Its metadata.
    #[default]
    Metadata,
    /// All of it.
    Object,
}

impl Include {
    /// Reads the query parameter; what is unknown is the default.
    pub(crate) fn of(text: Option<&str>) -> Self {
        match text {
            Some("None") => Self::None,
            Some("Object") => Self::Object,
            _ => Self::Metadata,
        }
    }
}

/// A table whose metadata is written.
pub(crate) struct Table<'o> {
    out: &'o mut Vec<u8>,
}

/// Starts a table.
pub(crate) fn open<'o>(
    out: &'o mut Vec<u8>,
    beta: bool,
    version: &str,
    token: &str,
    remaining: Option<u64>,
) -> Table<'o> {
    // Writing into a vector cannot fail.
    let _ = write!(out, "{{\"kind\":\"Table\",\"apiVersion\":\"{}\",\"metadata\":", form::meta_version(beta));
    form::list_meta(out, version, token, remaining);
    Table { out }
}

impl Table<'_> {
    /// Columns and rows.
    pub(crate) fn rows<'a>(self, asked: &Resource, view: View, objects: impl Iterator<Item = (&'a Object, u64)>) {
        columns(self.out, asked);
        rows(self.out, asked, view, objects);
    }

    /// Rows without columns: later events of a watch.
    pub(crate) fn rows_only<'a>(self, asked: &Resource, view: View, objects: impl Iterator<Item = (&'a Object, u64)>) {
        self.out.extend_from_slice(b",\"columnDefinitions\":null");
        rows(self.out, asked, view, objects);
    }

    /// The row of a bookmark: empty cells, and the object that carries the version.
    pub(crate) fn bookmark(self, asked: &Resource, head: bool, object: &[u8]) {
        if head {
            columns(self.out, asked);
        } else {
            self.out.extend_from_slice(b",\"columnDefinitions\":null");
        }
        let cells: Vec<Value> = asked
            .columns
            .iter()
            .map(|column| match (column.name.as_str(), column.kind.as_str()) {
                ("Age", _) if !asked.custom => json!("<unknown>"),
                (_, "string") if !asked.custom => json!(""),
                (_, "integer") if !asked.custom => json!(0),
                _ => Value::Null,
            })
            .collect();
        let _ = write!(self.out, ",\"rows\":[{{\"cells\":{},\"object\":", Value::from(cells));
        self.out.extend_from_slice(object);
        self.out.extend_from_slice(b"}]}");
    }
}

fn columns(out: &mut Vec<u8>, asked: &Resource) {
    let all: Vec<Value> = asked
        .columns
        .iter()
        .map(|Column { name, kind, format, description, priority, .. }| {
            json!({ "name": name, "type": kind, "format": format, "description": description, "priority": priority })
        })
        .collect();
    let _ = write!(out, ",\"columnDefinitions\":{}", Value::from(all));
}

fn rows<'a>(out: &mut Vec<u8>, asked: &Resource, view: View, objects: impl Iterator<Item = (&'a Object, u64)>) {
    out.extend_from_slice(b",\"rows\":[");
    for (n, (object, version)) in objects.enumerate() {
        if n > 0 {
            out.push(b',');
        }
        let mut whole = Vec::with_capacity(4096);
        object.render_at(asked, Form::Alone, version, &mut whole);
        let value: Value = serde_json::from_slice(&whole).unwrap_or_default();
        let cells: Vec<Value> = asked.columns.iter().map(|column| cell(asked, column, &value, view.unix)).collect();
        let _ = write!(out, "{{\"cells\":{}", Value::from(cells));
        match view.include {
            Include::None => {}
            Include::Metadata => {
                out.extend_from_slice(b",\"object\":");
                form::metadata_at(object, version, view.agreed.beta, out);
            }
            Include::Object => {
                out.extend_from_slice(b",\"object\":");
                out.extend_from_slice(&whole);
            }
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
}

fn cell(asked: &Resource, column: &Column, object: &Value, now: Time) -> Value {
    if asked.custom { custom(column, object, now) } else { cells::cell(&asked.kind, &column.name, object, now) }
}

/// The value at the column's path, as its declared type (`tableconvertor.go` of apiextensions-apiserver).
fn custom(column: &Column, object: &Value, now: Time) -> Value {
    let Some(value) = path::first(object, &column.json_path) else { return Value::Null };
    match column.kind.as_str() {
        "string" => value.as_str().map_or_else(|| json!(value.to_string()), |text| json!(text)),
        "integer" => value.as_i64().or_else(|| value.as_f64().map(whole)).map_or(Value::Null, Value::from),
        "number" if value.is_number() => value.clone(),
        "boolean" if value.is_boolean() => value.clone(),
        "date" => value.as_str().map_or(Value::Null, |text| json!(age(text, now))),
        _ => Value::Null,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "Go's conversion of a float column to int64")]
fn whole(number: f64) -> i64 {
    number as i64
}

/// How long ago an RFC 3339 instant was, as kubectl writes it.
pub(crate) fn age(instant: &str, now: Time) -> String {
    match unix_seconds(instant) {
        Some(then) => human(i64::try_from(now.0 / 1_000_000_000).unwrap_or(i64::MAX) - then),
        None => "<invalid>".to_owned(),
    }
}

/// Seconds since 1970 of `2026-11-22T11:45:43Z`, with or without a fraction.
pub(crate) fn unix_seconds(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    // Howard Hinnant's `days_from_civil`.
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// `k8s.io/apimachinery/pkg/util/duration.HumanDuration`.
pub(crate) fn human(seconds: i64) -> String {
    let two = |big: i64, unit: &str, small: i64, of: &str| match small {
        0 => format!("{big}{unit}"),
        _ => format!("{big}{unit}{small}{of}"),
    };
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let days = hours / 24;
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 | 0 => "0s".to_owned(),
        1..120 => format!("{seconds}s"),
        _ if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => two(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 192 => two(days, "d", hours % 24, "h"),
        _ if days < 730 => format!("{days}d"),
        _ if days < 2920 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_kubectl_writes_them() {
        for (seconds, text) in [
            (-5, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (121, "2m1s"),
            (600, "10m"),
            (3 * 3600 - 1, "179m"),
            (3 * 3600 + 60, "3h1m"),
            (47 * 3600, "47h"),
            (49 * 3600, "2d1h"),
            (9 * 86_400, "9d"),
            (800 * 86_400, "2y70d"),
            (3000 * 86_400, "8y"),
        ] {
            assert_eq!(human(seconds), text);
        }
        assert_eq!(age("2023-11-14T22:13:20Z", Time(1_700_000_074_000_000_000)), "74s");
    }

    #[test]
    fn custom_columns_follow_their_paths_and_types() {
        let object = json!({
            "metadata": { "name": "a", "creationTimestamp": "2023-11-14T22:13:20Z" },
            "spec": { "n": 3, "flag": true },
            "status": { "conditions": [{ "type": "Ready", "status": "True", "message": "done" }] },
        });
        let now = Time(1_700_000_300_000_000_000);
        for (kind, json_path, expected) in [
            ("string", ".metadata.name", json!("a")),
            ("string", ".spec.flag", json!("true")),
            ("integer", ".spec.n", json!(3)),
            ("boolean", ".spec.flag", json!(true)),
            ("date", ".metadata.creationTimestamp", json!("5m")),
            ("string", ".status.conditions[?(@.type==\"Ready\")].status", json!("True")),
            ("string", ".status.conditions[?(@.type==\"Stalled\")].status", Value::Null),
            ("string", ".spec.missing", Value::Null),
        ] {
            let column = Column { kind: kind.to_owned(), json_path: json_path.to_owned(), ..Column::default() };
            assert_eq!(custom(&column, &object, now), expected, "{json_path}");
        }
    }
}
