//! Texts with holes (`ext.Strings`), and texts of a known form (`k8s.io/apiserver/pkg/cel/library/format.go`).

use super::library::{shown, text};
use super::signatures::FORMATS;
use super::time;
use super::value::{Outcome, Stop, Val, error};
use crate::apiserver::text::{ALPHABETIC_LABEL, LABEL, LABEL_VALUE, NAME_PART, SUBDOMAIN, is_label, is_name_part};
use std::rc::Rc;

/// Fills `%s`, `%d`, `%f`, `%e`, `%b`, `%o`, `%x` and `%X`.
pub(super) fn fill(pattern: &str, args: &[Val<'_>]) -> Result<String, Stop> {
    let (mut out, mut args, mut rest) = (String::new(), args.iter().enumerate(), pattern.chars());
    while let Some(one) = rest.next() {
        if one != '%' {
            out.push(one);
            continue;
        }
        let mut precision = None;
        let mut verb = rest.next();
        if verb == Some('.') {
            let digits: String = rest.clone().take_while(char::is_ascii_digit).collect();
            precision = digits.parse::<usize>().ok();
            verb = rest.nth(digits.len());
        }
        let Some(verb) = verb else { return error("unexpected end of string") };
        if verb == '%' {
            out.push('%');
            continue;
        }
        let Some((at, arg)) = args.next() else {
            return error(format!("index {} out of range", args.len()));
        };
        out += &hole(verb, precision.unwrap_or(6), arg)
            .unwrap_or_else(|| error(format!("could not convert argument {at} to string")))?;
    }
    Ok(out)
}

fn hole(verb: char, precision: usize, arg: &Val<'_>) -> Option<Result<String, Stop>> {
    #[expect(clippy::cast_precision_loss, reason = "a whole number is shown as another one")]
    let float = |arg: &Val<'_>| match arg {
        Val::Double(number) => Some(*number),
        Val::Int(number) => Some(*number as f64),
        _ => None,
    };
    Some(Ok(match (verb, arg) {
        ('s', arg) => plain(arg)?,
        ('d', Val::Int(_) | Val::Uint(_)) => plain(arg)?,
        ('f', arg) => format!("{:.precision$}", float(arg)?),
        ('e', arg) => {
            let text = format!("{:.precision$e}", float(arg)?);
            let (mantissa, power) = text.split_once('e')?;
            let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
            format!("{mantissa}e{sign}{power:0>2}")
        }
        ('b', Val::Bool(truth)) => u8::from(*truth).to_string(),
        ('b', Val::Int(number)) => format!("{number:b}"),
        ('o', Val::Int(number)) => format!("{number:o}"),
        ('x', Val::Int(number)) => format!("{number:x}"),
        ('X', Val::Int(number)) => format!("{number:X}"),
        ('x', Val::Text(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ('X', Val::Text(text)) => text.bytes().map(|byte| format!("{byte:02X}")).collect(),
        _ => return Some(error(format!("unrecognized formatting clause \"{verb}\""))),
    }))
}

fn plain(arg: &Val<'_>) -> Option<String> {
    if let Val::Null = arg {
        return Some("null".to_owned());
    }
    if let Some(items) = arg.items() {
        let items: Option<Vec<String>> = items.ok()?.iter().map(plain).collect();
        return Some(format!("[{}]", items?.join(", ")));
    }
    if let Some(entries) = arg.entries() {
        let entries = entries.ok()?;
        let mut shown = Vec::with_capacity(entries.len());
        for (key, value) in &entries {
            shown.push(format!("{}: {}", plain(key)?, plain(value)?));
        }
        shown.sort();
        return Some(format!("{{{}}}", shown.join(", ")));
    }
    shown(arg)?.ok()
}

pub(super) fn call<'a>(name: &str, given: &[Val<'a>]) -> Option<Outcome<'a>> {
    let known = |name: &str| FORMATS.into_iter().find(|format| *format == name);
    Some(Ok(match (name, given) {
        ("format.named", [value]) => Val::Optional(known(text(value)?).map(|name| Rc::new(Val::Format(name)))),
        ("validate", [Val::Format(format), value]) => {
            let why = wrong(format, text(value)?);
            let list = |why: String| Rc::new(Val::List(Rc::new(vec![why.into()])));
            Val::Optional(why.map(list))
        }
        (name, []) => Val::Format(known(name.strip_prefix("format.")?)?),
        _ => return None,
    }))
}

/// What is wrong with a text of a form.
fn wrong(format: &str, text: &str) -> Option<String> {
    // A prefix may end where a name may not.
    let (base, text) = match format.strip_suffix("Prefix") {
        Some(base) => (base, text.strip_suffix('-').unwrap_or(text)),
        None => (format, text),
    };
    let bad = |ok: bool, why: &str| (!ok).then(|| why.to_owned());
    match base {
        "dns1123Label" => bad(is_label(text) && text.len() <= 63, LABEL),
        "dns1123Subdomain" => bad(text.split('.').all(is_label) && text.len() <= 253, SUBDOMAIN),
        "dns1035Label" => bad(
            is_label(text) && text.len() <= 63 && text.starts_with(|one: char| one.is_ascii_lowercase()),
            ALPHABETIC_LABEL,
        ),
        "qualifiedName" => {
            let (prefix, rest) = text.split_once('/').map_or((None, text), |(prefix, rest)| (Some(prefix), rest));
            let ok =
                prefix.is_none_or(|prefix| prefix.split('.').all(is_label)) && is_name_part(rest) && rest.len() <= 63;
            bad(ok, &format!("name part {NAME_PART}"))
        }
        "labelValue" => bad((text.is_empty() || is_name_part(text)) && text.len() <= 63, LABEL_VALUE),
        "uri" => bad(text.contains("://") || text.starts_with('/'), "invalid URI for request"),
        "uuid" => {
            let hex = |part: &str| part.chars().all(|one| one.is_ascii_hexdigit());
            let lengths: Vec<usize> = text.split('-').map(str::len).collect();
            bad(lengths == [8, 4, 4, 4, 12] && text.split('-').all(hex), "does not match the UUID format")
        }
        "byte" => {
            bad(base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).is_ok(), "invalid base64")
        }
        "date" => bad(text.len() == 10 && time::timestamp(text).is_ok(), "invalid date"),
        _ => bad(text.len() > 10 && time::timestamp(text).is_ok(), "invalid datetime"),
    }
}
