//! The tree against the schema: every key that does not exist, every value of a wrong type or out of its range.
//!
//! In: the tree as written and the JSON Schema of the format. Out: JSON of the right shape, always, so that the rules
//! behind can go on, and the paths at which something was left out or stood in for. It knows nothing of scenarios.

use super::errors::Finding;
use super::future;
use super::schema::{Variant, type_of, variants, without_null};
use super::spec::{DnsLabel, Minor};
use super::tree::{Entry, Node, Style, Value};
use crate::units::{Bytes, Rate, Share, Span};
use serde_json::{Map, Value as Json};

/// The outcome of a check.
pub(super) struct Shaped {
    /// Fits the schema.
    pub(super) json: Json,
    /// What was wrong.
    pub(super) findings: Vec<Finding>,
    /// Where `json` is not what was written; what depends on it proves nothing.
    pub(super) damaged: Vec<Vec<String>>,
}

/// Checks a tree against a schema without references.
pub(super) fn check(node: &Node, schema: &Json) -> Shaped {
    let mut checker = Checker { path: Vec::new(), findings: Vec::new(), damaged: Vec::new() };
    let json = checker.value(node, schema);
    Shaped { json, findings: checker.findings, damaged: checker.damaged }
}

struct Checker {
    path: Vec<String>,
    findings: Vec<Finding>,
    damaged: Vec<Vec<String>>,
}

impl Checker {
    fn value(&mut self, node: &Node, schema: &Json) -> Json {
        let (schema, nullable) = without_null(schema);
        if is_null(node) {
            if nullable {
                return Json::Null;
            }
            return self.refuse(schema, "type", "is empty", Some("give it a value or remove the key".to_owned()));
        }
        let variants = variants(schema);
        if !variants.is_empty() {
            return self.variant(node, schema, &variants);
        }
        match (type_of(schema), &node.value) {
            ("object", Value::Map(entries)) => self.object(entries, schema),
            ("array", Value::List(items)) => self.list(items, schema),
            ("string", Value::Scalar { text, style }) => self.string(text, *style, schema),
            ("integer" | "number", Value::Scalar { text, style }) if *style != Style::Quoted => {
                self.number(text, schema)
            }
            ("boolean", Value::Scalar { text, style }) if *style != Style::Quoted && is_bool(text) => {
                Json::Bool(text.starts_with(['t', 'T']))
            }
            (wanted, value) => {
                let message = format!("must be {}, not {}", type_name(wanted), written(value));
                let braces = wanted == "string" && node.at.source > 0;
                let hint = braces.then(|| "put double quotes around the value, inside those of the shell".to_owned());
                self.refuse(schema, "type", message, hint)
            }
        }
    }

    /// A key of a map with a value of its own schema.
    fn child(&mut self, segment: impl Into<String>, node: &Node, schema: &Json) -> Json {
        self.path.push(segment.into());
        let json = self.value(node, schema);
        self.path.pop();
        json
    }

    fn object(&mut self, entries: &[Entry], schema: &Json) -> Json {
        let Some(Json::Object(properties)) = schema.get("properties") else {
            return self.dictionary(entries, schema);
        };
        let mut json = Map::new();
        for entry in entries {
            match properties.get(&entry.key) {
                Some(property) => {
                    let value = self.child(&entry.key, &entry.node, property);
                    if !value.is_null() {
                        json.insert(entry.key.clone(), value);
                    }
                }
                None => self.unknown_key(&entry.key, properties),
            }
        }
        let required = schema.get("required").and_then(Json::as_array);
        for key in required.into_iter().flatten().filter_map(Json::as_str) {
            if json.contains_key(key) {
                continue;
            }
            let stand_in = properties.get(key).map_or(Json::Null, stand_in);
            json.insert(key.to_owned(), stand_in);
            if entries.iter().all(|entry| entry.key != key) {
                let about = properties.get(key).and_then(|schema| schema.get("description")).and_then(Json::as_str);
                self.damage([key]);
                let finding = Finding::error("missing", &self.path, format!("`{key}` is missing"));
                self.findings.push(match about.map(first_sentence) {
                    Some(about) => finding.hint(format!("{key}: {about}")),
                    None => finding,
                });
            }
        }
        Json::Object(json)
    }

    fn unknown_key(&mut self, key: &str, properties: &Map<String, Json>) {
        let mut path = self.path.clone();
        path.push(key.to_owned());
        let names: Vec<&str> = properties.keys().map(String::as_str).collect();
        let near = nearest(key, names.iter().copied());
        if let Some(near) = near {
            self.damage([near]);
        }
        let finding = Finding::error("unknown-key", &path, "there is no such key").of_key();
        self.findings.push(finding.hint(did_you_mean(near, &names)));
    }

    /// A map with keys of the user's.
    fn dictionary(&mut self, entries: &[Entry], schema: &Json) -> Json {
        let most = schema.get("maxProperties").and_then(Json::as_u64).unwrap_or(u64::MAX);
        if entries.len() as u64 > most {
            return self.refuse(
                schema,
                "range",
                format!("has {} entries, at most {most} are possible", entries.len()),
                None,
            );
        }
        let any = Json::Bool(true);
        let values = schema.get("additionalProperties").unwrap_or(&any);
        let pairs = entries.iter().map(|entry| (entry.key.clone(), self.child(&entry.key, &entry.node, values)));
        Json::Object(pairs.collect())
    }

    fn list(&mut self, items: &[Node], schema: &Json) -> Json {
        let limit = |name: &str, default| schema.get(name).and_then(Json::as_u64).unwrap_or(default);
        let (least, most) = (limit("minItems", 0), limit("maxItems", 10_000));
        let count = items.len() as u64;
        if count < least || count > most {
            let message = format!("has {count} entries, possible are {least} to {most}");
            self.damage([]);
            self.findings.push(Finding::error("range", &self.path, message));
        }
        let any = Json::Bool(true);
        let schema = schema.get("items").unwrap_or(&any);
        let items = items.iter().take(usize::try_from(most).unwrap_or(usize::MAX)).enumerate();
        Json::Array(items.map(|(index, item)| self.child(index.to_string(), item, schema)).collect())
    }

    /// An enum: a word, or a map with exactly one of its keys.
    fn variant(&mut self, node: &Node, schema: &Json, variants: &[Variant<'_>]) -> Json {
        let names: Vec<&str> = variants.iter().map(Variant::name).collect();
        let of_name = |name: &str| variants.iter().find(|variant| variant.name() == name);
        match &node.value {
            Value::Scalar { text, .. } => match of_name(text) {
                Some(Variant::Word(word)) => Json::from(*word),
                Some(Variant::Key(key, _)) => {
                    let hint = format!("write `{key}: ` with its value under this key");
                    self.refuse(schema, "type", format!("`{key}` needs a value"), Some(hint))
                }
                None => self.unknown_variant(text, false, schema, &names),
            },
            Value::Map(entries) if variants.iter().any(|variant| matches!(variant, Variant::Key(..))) => {
                let [entry] = entries.as_slice() else {
                    let message = format!("has {} keys, exactly one of them must stand here", entries.len());
                    return self.refuse(schema, "one-of", message, Some(one_of(&names)));
                };
                match of_name(&entry.key) {
                    Some(Variant::Key(key, schema)) => {
                        let value = self.child(*key, &entry.node, schema);
                        Json::Object(Map::from_iter([((*key).to_owned(), value)]))
                    }
                    _ => self.unknown_variant(&entry.key, true, schema, &names),
                }
            }
            value => {
                let message = format!("must be one of its words, not {}", written(value));
                self.refuse(schema, "type", message, Some(one_of(&names)))
            }
        }
    }

    /// `text` is the value itself, or the key of the map that stands there (`of_key`).
    fn unknown_variant(&mut self, text: &str, of_key: bool, schema: &Json, names: &[&str]) -> Json {
        let mut path = self.path.clone();
        path.extend(of_key.then(|| text.to_owned()));
        self.damage([]);
        self.findings.push(future::value(&self.path, text).unwrap_or_else(|| {
            let near = nearest(text, names.iter().copied());
            let finding = Finding::error("unknown-value", &path, format!("`{text}` does not exist here"));
            let finding = if of_key { finding.of_key() } else { finding };
            finding.hint(did_you_mean(near, names))
        }));
        stand_in(schema)
    }

    fn string(&mut self, text: &str, style: Style, schema: &Json) -> Json {
        let format = schema.get("format").and_then(Json::as_str).unwrap_or("");
        if style == Style::Plain && (is_bool(text) || text.parse::<f64>().is_ok()) {
            let with_unit = match format {
                "duration-go" => Some("2s or 1m30s"),
                "quantity" => Some("512Mi"),
                "rate" => Some("50/s"),
                "percent" => Some("5%"),
                _ => None,
            };
            return match with_unit {
                // Nothing needs no unit, where its type says so.
                Some(_) if text == "0" && well_formed(format, text).is_ok() => Json::from(text),
                Some(example) if !is_bool(text) => {
                    let hint = format!("write it as {example}");
                    self.refuse(schema, "type", format!("{text} has no unit"), Some(hint))
                }
                _ => {
                    let message = format!("must be a text, but YAML reads {text} as another type");
                    self.refuse(schema, "type", message, Some(format!("write \"{text}\" in quotes")))
                }
            };
        }
        match well_formed(format, text) {
            Ok(()) => Json::from(text),
            Err(message) => self.refuse(schema, "value", message, None),
        }
    }

    fn number(&mut self, text: &str, schema: &Json) -> Json {
        let whole = type_of(schema) == "integer";
        let number = match text.parse::<i64>() {
            Ok(number) => Some(serde_json::Number::from(number)),
            Err(_) if whole => None,
            Err(_) => text.parse().ok().and_then(serde_json::Number::from_f64),
        };
        let limit = |name: &str| schema.get(name).filter(|limit| limit.is_number());
        let Some(number) = number else {
            let kind = if whole { "a whole number" } else { "a number" };
            let range = limit("minimum").zip(limit("maximum"));
            let hint = range.map(|(least, most)| format!("from {least} to {most}, written without unit or separators"));
            return self.refuse(schema, "type", format!("must be {kind}, not `{text}`"), hint);
        };
        let float = number.as_f64().unwrap_or_default();
        let below = limit("minimum").and_then(Json::as_f64).is_some_and(|least| float < least);
        let above = limit("maximum").and_then(Json::as_f64).is_some_and(|most| float > most);
        if below || above {
            let show = |name| limit(name).map_or_else(|| "any".to_owned(), ToString::to_string);
            let hint = format!("possible are {} to {}", show("minimum"), show("maximum"));
            return self.refuse(schema, "range", format!("{text} is out of range"), Some(hint));
        }
        Json::Number(number)
    }

    /// Notes what is wrong here and lets something harmless stand in for it.
    fn refuse(&mut self, schema: &Json, code: &'static str, message: impl Into<String>, hint: Option<String>) -> Json {
        let finding = Finding::error(code, &self.path, message);
        self.findings.push(Finding { hint, ..finding });
        self.damage([]);
        stand_in(schema)
    }

    fn damage<const N: usize>(&mut self, below: [&str; N]) {
        let mut path = self.path.clone();
        path.extend(below.map(str::to_owned));
        self.damaged.push(path);
    }
}

/// The smallest JSON that fits a schema.
fn stand_in(schema: &Json) -> Json {
    let (schema, nullable) = without_null(schema);
    if nullable {
        return Json::Null;
    }
    if let Some(default) = schema.get("default") {
        return default.clone();
    }
    match variants(schema).first() {
        Some(Variant::Word(word)) => return Json::from(*word),
        Some(Variant::Key(key, schema)) => {
            return Json::Object(Map::from_iter([((*key).to_owned(), stand_in(schema))]));
        }
        None => {}
    }
    match type_of(schema) {
        "object" => {
            let required =
                schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
            let property =
                |key: &str| schema.get("properties").and_then(|all| all.get(key)).map_or(Json::Null, stand_in);
            Json::Object(required.map(|key| (key.to_owned(), property(key))).collect())
        }
        "array" => Json::Array(Vec::new()),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| Json::from(0)),
        "boolean" => Json::Bool(false),
        _ => match schema.get("format").and_then(Json::as_str) {
            Some("duration-go" | "quantity") => Json::from("0"),
            Some("rate") => Json::from("1/s"),
            Some("percent") => Json::from("100%"),
            Some("kubernetes-version") => Json::from("1.36"),
            _ => Json::from("x"),
        },
    }
}

/// The longest text that any key may hold: far above every name and URL, far below what could hurt.
const TEXT_MAX: usize = 4096;

/// A year: longer than any run, short enough that sums of spans do not overflow.
const SPAN_MAX: Span = Span::from_secs(365 * 86_400);

fn well_formed(format: &str, text: &str) -> Result<(), String> {
    if text.len() > TEXT_MAX {
        return Err(format!("has {} bytes, at most {TEXT_MAX} are possible", text.len()));
    }
    match format {
        "duration-go" => match text.parse::<Span>() {
            Ok(span) if span > SPAN_MAX => Err(format!("`{text}` is longer than a year")),
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        },
        "quantity" => text.parse::<Bytes>().map(drop).map_err(|error| error.to_string()),
        "rate" => match text.parse::<Rate>() {
            Ok(rate) if rate.milli > 1_000_000_000 => Err(format!("`{text}` is more than 1000000/s")),
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        },
        "percent" => text.parse::<Share>().map(drop).map_err(|error| error.to_string()),
        "kubernetes-version" => text.parse::<Minor>().map(drop),
        "dns-label" => DnsLabel::check(text),
        _ => Ok(()),
    }
}

/// YAML 1.2's nulls; on the command line only the word, so that an empty text can be given.
fn is_null(node: &Node) -> bool {
    match &node.value {
        Value::Scalar { text, style: Style::Plain } => matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"),
        Value::Scalar { text, style: Style::Free } => text == "null",
        _ => false,
    }
}

fn is_bool(text: &str) -> bool {
    matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE")
}

fn type_name(name: &str) -> &str {
    match name {
        "object" => "a map",
        "array" => "a list",
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        other => other,
    }
}

fn written(value: &Value) -> String {
    match value {
        Value::Scalar { text, style: Style::Quoted } => format!("the text \"{text}\""),
        Value::Scalar { text, .. } => format!("`{text}`"),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a map".to_owned(),
    }
}

/// The name that a misspelt one probably stands for: closest by edit distance, if close enough or a part of it.
pub(super) fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = text.to_lowercase();
    let distance = |name: &str| strsim::osa_distance(&lower, &name.to_lowercase());
    let best = names.map(|name| (distance(name), name)).min()?;
    (best.0 <= best.1.len().max(text.len()).div_ceil(3)).then_some(best.1)
}

/// A hint that names the probable word, else all of them.
pub(super) fn did_you_mean(near: Option<&str>, names: &[&str]) -> String {
    near.map_or_else(|| one_of(names), |near| format!("did you mean `{near}`?"))
}

fn one_of(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(20).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > shown.len() { ", ..." } else { "" };
    format!("possible here: {}{more}", shown.join(", "))
}

fn first_sentence(text: &str) -> String {
    let end = text.find(". ").map_or(text.len(), |dot| dot + 1);
    text[..end].replace('\n', " ")
}
