//! What a schema demands of a value besides its type, in the words of `kube-openapi/pkg/validation`.

use super::{FieldError, Reason, required};
use crate::apiserver::object::instant;
use crate::apiserver::schema::limits::{Combined, Limits, Part};
use crate::apiserver::text::{block, label, subdomain};
use core::net::{Ipv4Addr, Ipv6Addr};
use serde_json::{Map, Value};

/// An error that has no place of its own.
fn nowhere(why: String) -> FieldError {
    FieldError { field: "<nil>".to_owned(), reason: Reason::Invalid, detail: format!("Invalid value: \"\": {why}") }
}

fn things(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Checks one value.
pub(super) fn check(limits: &Limits, value: &Value, path: &str, out: &mut Vec<FieldError>) {
    if let Some(combined) = &limits.combined {
        combination(combined, value, path, out);
    }
    match value {
        Value::Number(_) => numbers(limits, value, path, out),
        Value::String(text) => texts(limits, text, path, out),
        Value::Array(list) => {
            let count = list.len() as u64;
            let most = limits.max_items.filter(|most| count > *most);
            if let Some(most) = most {
                let detail = format!("Too many: {count}: must have at most {}", things(most, "item", "items"));
                out.push(FieldError { field: path.to_owned(), reason: Reason::TooMany, detail });
            }
            if let Some(least) = limits.min_items.filter(|least| count < *least) {
                let why = format!("Invalid value: {count}: {path} in body should have at least {least} items");
                out.push(FieldError { field: path.to_owned(), reason: Reason::Invalid, detail: why });
            }
        }
        Value::Object(map) => {
            let count = map.len() as u64;
            if let Some(most) = limits.max_properties.filter(|most| count > *most) {
                let detail = format!("Too many: {count}: must have at most {}", things(most, "item", "items"));
                out.push(FieldError { field: path.to_owned(), reason: Reason::TooMany, detail });
            }
            if let Some(least) = limits.min_properties.filter(|least| count < *least) {
                let why = format!("Invalid value: {count}: {path} in body should have at least {least} properties");
                out.push(FieldError { field: path.to_owned(), reason: Reason::Invalid, detail: why });
            }
        }
        _ => {}
    }
    if let Some(allowed) = limits.allowed.as_ref().filter(|allowed| !allowed.contains(value)) {
        let shown: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        let detail = format!("Unsupported value: {value}: supported values: {}", shown.join(", "));
        out.push(FieldError { field: path.to_owned(), reason: Reason::NotSupported, detail });
    }
}

fn numbers(limits: &Limits, value: &Value, path: &str, out: &mut Vec<FieldError>) {
    let Some(have) = value.as_f64() else { return };
    let mut wrong = |why: String| {
        let detail = format!("Invalid value: {value}: {path} in body should be {why}");
        out.push(FieldError { field: path.to_owned(), reason: Reason::Invalid, detail });
    };
    if let Some(most) = &limits.maximum {
        let bound = most.as_f64().unwrap_or(f64::MAX);
        match limits.below_maximum {
            true if have >= bound => wrong(format!("less than {most}")),
            false if have > bound => wrong(format!("less than or equal to {most}")),
            _ => {}
        }
    }
    if let Some(least) = &limits.minimum {
        let bound = least.as_f64().unwrap_or(f64::MIN);
        match limits.above_minimum {
            true if have <= bound => wrong(format!("greater than {least}")),
            false if have < bound => wrong(format!("greater than or equal to {least}")),
            _ => {}
        }
    }
    if let Some(factor) = &limits.multiple_of {
        let times = have / factor.as_f64().unwrap_or(1.0);
        if (times - times.round()).abs() > 1e-9 {
            wrong(format!("a multiple of {factor}"));
        }
    }
    let whole = value.as_i64().or_else(|| value.as_u64().map(|_| i64::MAX));
    if limits.format.as_deref() == Some("int32") && whole.is_some_and(|number| i32::try_from(number).is_err()) {
        out.push(nowhere(format!("Checked value must be of type integer with format int32 in {path}")));
    }
}

fn texts(limits: &Limits, text: &str, path: &str, out: &mut Vec<FieldError>) {
    let mut wrong = |reason: Reason, detail: String| out.push(FieldError { field: path.to_owned(), reason, detail });
    if limits.max_length.is_some() || limits.min_length.is_some() {
        let count = text.chars().count() as u64;
        if let Some(most) = limits.max_length.filter(|most| count > *most) {
            wrong(Reason::TooLong, format!("Too long: may not be more than {most} bytes"));
        }
        if let Some(least) = limits.min_length.filter(|least| count < *least) {
            wrong(
                Reason::Invalid,
                format!("Invalid value: {text:?}: {path} in body should be at least {least} chars long"),
            );
        }
    }
    if let Some(pattern) = &limits.pattern
        && pattern.regex.as_ref().is_some_and(|regex| !regex.is_match(text))
    {
        wrong(Reason::Invalid, format!("Invalid value: {text:?}: {path} in body should match '{}'", pattern.text));
    }
    if let Some(format) = limits.format.as_deref()
        && !has_format(format, text)
    {
        wrong(
            Reason::TypeInvalid,
            format!("Invalid value: {text:?}: {path} in body must be of type {format}: {text:?}"),
        );
    }
}

/// Whether a text has a format that custom resources know (`apiserver/validation/formats.go`); others are not looked at.
fn has_format(format: &str, text: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let uuid = |text: &str| {
        let bare = text.replace('-', "");
        bare.len() == 32 && hex(&bare) && (text.len() == 32 || text.split('-').map(str::len).eq([8, 4, 4, 4, 12]))
    };
    match format {
        "date-time" | "datetime" => instant::seconds(text).is_some(),
        "date" => text.len() == 10 && instant::seconds(&format!("{text}T00:00:00Z")).is_some(),
        "duration" => duration(text),
        "byte" => base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).is_ok(),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => block(text).is_some(),
        "mac" => {
            let parts: Vec<&str> = text.split([':', '-']).collect();
            matches!(parts.len(), 6 | 8 | 20) && parts.iter().all(|part| part.len() == 2 && hex(part))
        }
        "uuid" => uuid(text),
        "uuid3" | "uuid4" | "uuid5" => uuid(text) && text.chars().nth(14) == format.chars().last(),
        "hexcolor" => matches!(text.trim_start_matches('#').len(), 3 | 6) && hex(text.trim_start_matches('#')),
        "hostname" => !text.is_empty() && subdomain(&text.to_lowercase()).is_none(),
        "email" => text.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty() && !user.contains(char::is_whitespace) && host.split('.').all(|part| label(part).is_none())
        }),
        "uri" => {
            let scheme = text.split_once(':').is_some_and(|(scheme, _)| {
                scheme.starts_with(|one: char| one.is_ascii_alphabetic())
                    && scheme.chars().all(|one| one.is_ascii_alphanumeric() || "+-.".contains(one))
            });
            (scheme || text.starts_with('/')) && !text.contains(char::is_whitespace)
        }
        _ => true,
    }
}

/// A duration as Go writes it, or with a unit in words (`strfmt.ParseDuration`).
fn duration(text: &str) -> bool {
    const UNITS: [&str; 28] = [
        "ns", "us", "µs", "ms", "s", "m", "h", "d", "w", "nano", "nanos", "micro", "micros", "milli", "millis", "sec",
        "secs", "second", "seconds", "min", "mins", "minute", "minutes", "hour", "hours", "day", "days", "week",
    ];
    let mut rest = text.trim_start_matches(['+', '-']);
    if rest == "0" {
        return true;
    }
    while !rest.is_empty() {
        let digits = rest.find(|one: char| !one.is_ascii_digit() && one != '.').unwrap_or(rest.len());
        let unit = &rest[digits..];
        let end = unit.find(|one: char| one.is_ascii_digit()).unwrap_or(unit.len());
        if digits == 0 || rest[..digits].parse::<f64>().is_err() || !UNITS.contains(&unit[..end].trim()) {
            return false;
        }
        rest = &unit[end..];
    }
    !text.is_empty()
}

fn combination(combined: &Combined, value: &Value, path: &str, out: &mut Vec<FieldError>) {
    let errors = |part: &Part| {
        let mut errors = Vec::new();
        self::part(part, value, path, &mut errors);
        errors
    };
    let quoted = format!("{path:?}");
    // Of those that fail the first one with the fewest errors is told.
    let best = |failed: Vec<Vec<FieldError>>| failed.into_iter().min_by_key(Vec::len).unwrap_or_default();
    if !combined.any.is_empty() {
        let failed: Vec<_> = combined.any.iter().map(errors).filter(|errors| !errors.is_empty()).collect();
        if failed.len() == combined.any.len() {
            out.push(nowhere(format!("{quoted} must validate at least one schema (anyOf)")));
            out.extend(best(failed));
        }
    }
    if !combined.one.is_empty() {
        let failed: Vec<_> = combined.one.iter().map(errors).filter(|errors| !errors.is_empty()).collect();
        let only = format!("{quoted} must validate one and only one schema (oneOf). Found");
        match combined.one.len() - failed.len() {
            0 => {
                out.push(nowhere(format!("{only} none valid")));
                out.extend(best(failed));
            }
            1 => {}
            valid => out.push(nowhere(format!("{only} {valid} valid alternatives"))),
        }
    }
    if !combined.all.is_empty() {
        let failed: Vec<_> = combined.all.iter().map(errors).filter(|errors| !errors.is_empty()).collect();
        if !failed.is_empty() {
            let none = if failed.len() == combined.all.len() { ". None validated" } else { "" };
            out.extend(failed.into_iter().flatten());
            out.push(nowhere(format!("{quoted} must validate all the schemas (allOf){none}")));
        }
    }
    if let Some(not) = &combined.not
        && errors(not).is_empty()
    {
        out.push(nowhere(format!("{quoted} must not validate the schema (not)")));
    }
}

/// Checks a value against a schema inside a combination.
fn part(of: &Part, value: &Value, path: &str, out: &mut Vec<FieldError>) {
    if let Some(limits) = &of.limits {
        check(limits, value, path, out);
    }
    match value {
        Value::Object(map) => fields(of, map, path, out),
        Value::Array(list) => {
            let items = of.items.iter().flat_map(|items| list.iter().enumerate().map(move |one| (items, one)));
            items.for_each(|(items, (at, inner))| part(items, inner, &format!("{path}[{at}]"), out));
        }
        _ => {}
    }
}

fn fields(of: &Part, map: &Map<String, Value>, path: &str, out: &mut Vec<FieldError>) {
    let inside = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for (name, inner) in map {
        let own = of.fields.iter().find(|(known, _)| **known == **name).map(|(_, field)| field);
        if let Some(field) = own.or(of.entries.as_deref()) {
            part(field, inner, &inside(name), out);
        }
    }
    let missing = of.required.iter().filter(|name| !map.contains_key(&***name));
    out.extend(missing.map(|name| required(&inside(name), "")));
}
