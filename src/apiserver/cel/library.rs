//! What functions do: numbers, texts, lists and conversions here, the rest beside it.

use super::format;
use super::net;
use super::quantity;
use super::time;
use super::value::{Outcome, Stop, Text, Val, error};
use std::cmp::Ordering;
use std::rc::Rc;

const SECOND: i64 = 1_000_000_000;

/// The value of a function; `None` if it does not take these arguments.
pub(super) fn call<'a>(name: &str, given: &[Val<'a>]) -> Option<Outcome<'a>> {
    arithmetic(name, given)
        .or_else(|| texts(name, given))
        .or_else(|| lists(name, given))
        .or_else(|| conversion(name, given))
        .or_else(|| optional(name, given))
        .or_else(|| net::call(name, given))
        .or_else(|| quantity::call(name, given))
        .or_else(|| format::call(name, given))
}

fn checked<T>(number: Option<T>, kind: &str) -> Result<T, Stop> {
    number.ok_or_else(|| Stop::Error(format!("{kind} overflow")))
}

fn arithmetic<'a>(name: &str, given: &[Val<'a>]) -> Option<Outcome<'a>> {
    use Val::{Bytes, Double, Duration, Int, Time, Uint};
    let whole = |number: Option<i64>| checked(number, "integer").map(Int);
    let positive = |number: Option<u64>| checked(number, "unsigned integer").map(Uint);
    let span = |number: Option<i64>| checked(number, "duration").map(Duration);
    Some(match (name, given) {
        ("-_", [Int(a)]) => whole(a.checked_neg()),
        ("-_", [Double(a)]) => Ok(Double(-a)),
        ("_+_", [Int(a), Int(b)]) => whole(a.checked_add(*b)),
        ("_-_", [Int(a), Int(b)]) => whole(a.checked_sub(*b)),
        ("_*_", [Int(a), Int(b)]) => whole(a.checked_mul(*b)),
        ("_/_", [Int(_), Int(0)]) | ("_/_", [Uint(_), Uint(0)]) => error("division by zero"),
        ("_%_", [Int(_), Int(0)]) | ("_%_", [Uint(_), Uint(0)]) => error("modulus by zero"),
        ("_/_", [Int(a), Int(b)]) => whole(a.checked_div(*b)),
        ("_%_", [Int(a), Int(b)]) => whole(a.checked_rem(*b)),
        ("_+_", [Uint(a), Uint(b)]) => positive(a.checked_add(*b)),
        ("_-_", [Uint(a), Uint(b)]) => positive(a.checked_sub(*b)),
        ("_*_", [Uint(a), Uint(b)]) => positive(a.checked_mul(*b)),
        ("_/_", [Uint(a), Uint(b)]) => positive(a.checked_div(*b)),
        ("_%_", [Uint(a), Uint(b)]) => positive(a.checked_rem(*b)),
        ("_+_", [Double(a), Double(b)]) => Ok(Double(a + b)),
        ("_-_", [Double(a), Double(b)]) => Ok(Double(a - b)),
        ("_*_", [Double(a), Double(b)]) => Ok(Double(a * b)),
        ("_/_", [Double(a), Double(b)]) => Ok(Double(a / b)),
        ("_+_", [Val::Text(a), Val::Text(b)]) => Ok(format!("{}{}", &**a, &**b).into()),
        ("_+_", [Bytes(a), Bytes(b)]) => Ok(Bytes(a.iter().chain(b.iter()).copied().collect())),
        ("_+_", [Duration(a), Duration(b)]) => span(a.checked_add(*b)),
        ("_-_", [Duration(a), Duration(b)]) => span(a.checked_sub(*b)),
        ("_+_", [Time(a), Duration(b)] | [Duration(b), Time(a)]) => Ok(Time(a + i128::from(*b))),
        ("_-_", [Time(a), Duration(b)]) => Ok(Time(a - i128::from(*b))),
        ("_-_", [Time(a), Time(b)]) => span(i64::try_from(a - b).ok()),
        _ => return None,
    })
}

/// The part of a text between two characters.
fn slice(text: &str, from: i64, to: i64) -> Result<String, Stop> {
    let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    if from < 0 || from > length {
        return error(format!("index out of range: {from}"));
    }
    if to < 0 || to > length {
        return error(format!("index out of range: {to}"));
    }
    if from > to {
        return error(format!("invalid substring range. start: {from}, end: {to}"));
    }
    let (from, to) = (usize::try_from(from).unwrap_or(0), usize::try_from(to).unwrap_or(0));
    Ok(text.chars().skip(from).take(to - from).collect())
}

/// Where a text begins in another, in characters.
fn find(text: &str, part: &str, from: i64, last: bool) -> i64 {
    let (all, part): (Vec<char>, Vec<char>) = (text.chars().collect(), part.chars().collect());
    let starts = 0..=all.len().saturating_sub(part.len());
    let fits = |at: &usize| all.len() >= part.len() && all[*at..*at + part.len()] == part[..];
    let limit = usize::try_from(from).unwrap_or(0);
    let found = if last { starts.rev().find(|at| *at <= limit && fits(at)) } else { starts.skip(limit).find(fits) };
    found.map_or(-1, |at| i64::try_from(at).unwrap_or(-1))
}

fn pattern(text: &str) -> Result<regex::Regex, Stop> {
    regex::Regex::new(text).map_err(|why| Stop::Error(format!("error parsing regexp: {why}")))
}

fn text_list<'a>(texts: impl Iterator<Item = String>) -> Val<'a> {
    Val::List(Rc::new(texts.map(Val::from).collect()))
}

fn texts<'a>(name: &str, given: &[Val<'a>]) -> Option<Outcome<'a>> {
    use Val::{Bool, Int, Text};
    let length = |text: &str| i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    Some(match (name, given) {
        ("contains", [Text(a), Text(b)]) => Ok(Bool(a.contains(&**b))),
        ("startsWith", [Text(a), Text(b)]) => Ok(Bool(a.starts_with(&**b))),
        ("endsWith", [Text(a), Text(b)]) => Ok(Bool(a.ends_with(&**b))),
        ("matches", [Text(a), Text(b)]) => pattern(b).map(|pattern| Bool(pattern.is_match(a))),
        ("find", [Text(a), Text(b)]) => {
            pattern(b).map(|pattern| pattern.find(a).map_or("", |found| found.as_str()).to_owned().into())
        }
        ("findAll", [Text(a), Text(b), rest @ ..]) => {
            let limit = match rest {
                [Int(limit)] if *limit >= 0 => usize::try_from(*limit).unwrap_or(usize::MAX),
                _ => usize::MAX,
            };
            pattern(b).map(|pattern| text_list(pattern.find_iter(a).take(limit).map(|one| one.as_str().to_owned())))
        }
        ("charAt", [Text(a), Int(at)]) if *at == length(a) => Ok(String::new().into()),
        ("charAt", [Text(a), Int(at)]) => slice(a, *at, at + 1).map(Val::from),
        ("indexOf", [Text(a), Text(b)]) => Ok(Int(find(a, b, 0, false))),
        ("indexOf", [Text(a), Text(b), Int(from)]) => Ok(Int(find(a, b, *from, false))),
        ("lastIndexOf", [Text(a), Text(b)]) => Ok(Int(find(a, b, i64::MAX, true))),
        ("lastIndexOf", [Text(a), Text(b), Int(from)]) => Ok(Int(find(a, b, *from, true))),
        ("lowerAscii", [Text(a)]) => Ok(a.to_ascii_lowercase().into()),
        ("upperAscii", [Text(a)]) => Ok(a.to_ascii_uppercase().into()),
        ("replace", [Text(a), Text(b), Text(c)]) => Ok(a.replace(&**b, c).into()),
        ("replace", [Text(a), Text(b), Text(c), Int(most)]) => Ok(match usize::try_from(*most) {
            Ok(most) => a.replacen(&**b, c, most),
            Err(_) => a.replace(&**b, c),
        }
        .into()),
        ("split", [Text(a), Text(b)]) => Ok(split(a, b, -1)),
        ("split", [Text(a), Text(b), Int(most)]) => Ok(split(a, b, *most)),
        ("substring", [Text(a), Int(from)]) => slice(a, *from, length(a)).map(Val::from),
        ("substring", [Text(a), Int(from), Int(to)]) => slice(a, *from, *to).map(Val::from),
        ("trim", [Text(a)]) => Ok(a.trim().to_owned().into()),
        ("strings.quote", [Text(a)]) => Ok(format!("{:?}", &**a).into()),
        ("reverse", [Text(a)]) => Ok(a.chars().rev().collect::<String>().into()),
        ("format", [Text(a), list]) => match list.items()? {
            Ok(args) => format::fill(a, &args).map(Val::from),
            Err(stop) => Err(stop),
        },
        _ => return None,
    })
}

fn split<'a>(text: &str, by: &str, most: i64) -> Val<'a> {
    if by.is_empty() {
        return text_list(text.chars().map(String::from));
    }
    match usize::try_from(most) {
        Ok(0) => text_list(std::iter::empty()),
        Ok(most) => text_list(text.splitn(most, by).map(str::to_owned)),
        Err(_) => text_list(text.split(by).map(str::to_owned)),
    }
}

fn lists<'a>(name: &str, given: &[Val<'a>]) -> Option<Outcome<'a>> {
    if let ("lists.range", [Val::Int(most)]) = (name, given) {
        return Some(Ok(Val::List(Rc::new((0..(*most).clamp(0, 100_000)).map(Val::Int).collect()))));
    }
    let items = match given.first()?.items()? {
        Ok(items) => items,
        Err(stop) => return Some(Err(stop)),
    };
    let list = |items: Vec<Val<'a>>| Ok(Val::List(Rc::new(items)));
    let some = |item: Option<&Val<'a>>| Ok(Val::Optional(item.cloned().map(Rc::new)));
    Some(match (name, &given[1..]) {
        ("isSorted", []) => {
            let sorted = |pair: &[Val<'a>]| pair[0].compare(&pair[1]).is_none_or(Ordering::is_le);
            Ok(Val::Bool(items.windows(2).all(sorted)))
        }
        ("sum", []) => sum(&items),
        ("min" | "max", []) => extreme(name, &items),
        ("indexOf" | "lastIndexOf", [item]) => {
            let same = |at: &usize| items[*at].equals(item).unwrap_or(false);
            let at = if name == "indexOf" { (0..items.len()).find(same) } else { (0..items.len()).rev().find(same) };
            Ok(Val::Int(at.map_or(-1, |at| i64::try_from(at).unwrap_or(-1))))
        }
        ("join", by) => join(&items, by),
        ("slice", [Val::Int(from), Val::Int(to)]) => match (usize::try_from(*from), usize::try_from(*to)) {
            (Ok(from), Ok(to)) if from <= to && to <= items.len() => list(items[from..to].to_vec()),
            (Ok(from), Ok(to)) if from > to => {
                error(format!("cannot slice({from}, {to}), start index must be less than or equal to end index"))
            }
            (Ok(from), Ok(to)) => error(format!("cannot slice({from}, {to}), list is length {}", items.len())),
            _ => error(format!("cannot slice({from}, {to}), negative indexes not supported")),
        },
        ("flatten", depth) => flatten(items, if let [Val::Int(depth)] = depth { *depth } else { 1 }),
        ("sort", []) => {
            let mut items = items;
            items.sort_by(|a, b| a.compare(b).unwrap_or(Ordering::Equal));
            list(items)
        }
        ("distinct", []) => distinct(items),
        ("reverse", []) => list(items.into_iter().rev().collect()),
        ("first", []) => some(items.first()),
        ("last", []) => some(items.last()),
        ("sets.contains" | "sets.equivalent" | "sets.intersects", [other]) => match other.items()? {
            Ok(others) => sets(name, &items, &others),
            Err(stop) => Err(stop),
        },
        _ => return None,
    })
}

fn holds<'a>(items: &[Val<'a>], wanted: &Val<'a>) -> Result<bool, Stop> {
    items.iter().try_fold(false, |found, one| Ok(found || one.equals(wanted)?))
}

fn sets<'a>(name: &str, a: &[Val<'a>], b: &[Val<'a>]) -> Outcome<'a> {
    let all =
        |of: &[Val<'a>], within: &[Val<'a>]| of.iter().try_fold(true, |truth, one| Ok(truth && holds(within, one)?));
    Ok(Val::Bool(match name {
        "sets.contains" => all(b, a)?,
        "sets.equivalent" => all(b, a)? && all(a, b)?,
        _ => b.iter().try_fold(false, |found, one| Ok(found || holds(a, one)?))?,
    }))
}

fn distinct<'a>(items: Vec<Val<'a>>) -> Outcome<'a> {
    let mut out: Vec<Val<'a>> = Vec::new();
    for item in items {
        if !holds(&out, &item)? {
            out.push(item);
        }
    }
    Ok(Val::List(Rc::new(out)))
}

fn flatten<'a>(items: Vec<Val<'a>>, depth: i64) -> Outcome<'a> {
    let mut out = Vec::new();
    for item in items {
        match item.items() {
            Some(inner) if depth > 0 => match flatten(inner?, depth - 1)? {
                Val::List(inner) => out.extend(inner.iter().cloned()),
                other => out.push(other),
            },
            _ => out.push(item),
        }
    }
    Ok(Val::List(Rc::new(out)))
}

fn sum<'a>(items: &[Val<'a>]) -> Outcome<'a> {
    let Some((first, rest)) = items.split_first() else { return Ok(Val::Int(0)) };
    rest.iter().try_fold(first.clone(), |sum, item| {
        arithmetic("_+_", &[sum, item.clone()]).unwrap_or_else(|| error("no such overload"))
    })
}

fn extreme<'a>(name: &str, items: &[Val<'a>]) -> Outcome<'a> {
    let wanted = if name == "min" { Ordering::Less } else { Ordering::Greater };
    let better = |best: Val<'a>, item: &Val<'a>| if item.compare(&best) == Some(wanted) { item.clone() } else { best };
    match items.split_first() {
        Some((first, rest)) => Ok(rest.iter().fold(first.clone(), better)),
        None => error(format!("{name} called on empty list")),
    }
}

fn join<'a>(items: &[Val<'a>], by: &[Val<'a>]) -> Outcome<'a> {
    let by = if let [Val::Text(by)] = by { &**by } else { "" };
    let mut texts = Vec::with_capacity(items.len());
    for item in items {
        let Val::Text(text) = item else { return error("no such overload") };
        texts.push(&**text);
    }
    Ok(texts.join(by).into())
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "conversions are what they are asked for"
)]
fn conversion<'a>(name: &str, given: &[Val<'a>]) -> Option<Outcome<'a>> {
    use Val::{Bool, Bytes, Double, Duration, Int, Text, Time, Uint};
    let bad = |text: &str, what: &str| error(format!("strconv.{what}: parsing {text:?}: invalid syntax"));
    let span = |number: i64| {
        number.checked_mul(SECOND).map_or_else(|| error("duration overflow"), |nanos| Ok(Duration(nanos)))
    };
    Some(match (name, given) {
        ("dyn", [value])
        | ("int", [value @ Int(_)])
        | ("uint", [value @ Uint(_)])
        | ("double", [value @ Double(_)])
        | ("string", [value @ Text(_)])
        | ("bytes", [value @ Bytes(_)])
        | ("bool", [value @ Bool(_)])
        | ("duration", [value @ Duration(_)])
        | ("timestamp", [value @ Time(_)]) => Ok(value.clone()),
        ("type", [value]) => Ok(Val::Kind(value.kind().to_owned())),
        ("int", [Uint(number)]) => checked(i64::try_from(*number).ok(), "integer").map(Int),
        ("int", [Double(number)]) if number.abs() < 9.2e18 => Ok(Int(*number as i64)),
        ("int", [Double(_)]) => error("integer overflow"),
        ("int", [Text(text)]) => text.parse().map(Int).or_else(|_| bad(text, "ParseInt")),
        ("int", [Time(nanos)]) => Ok(Int(nanos.div_euclid(i128::from(SECOND)) as i64)),
        ("int", [Duration(nanos)]) => Ok(Int(*nanos)),
        ("uint", [Int(number)]) => checked(u64::try_from(*number).ok(), "unsigned integer").map(Uint),
        ("uint", [Double(number)]) if (0.0..1.8e19).contains(number) =>
        {
            #[expect(clippy::cast_sign_loss, reason = "it is not negative")]
            Ok(Uint(*number as u64))
        }
        ("uint", [Double(_)]) => error("unsigned integer overflow"),
        ("uint", [Text(text)]) => text.parse().map(Uint).or_else(|_| bad(text, "ParseUint")),
        ("double", [Int(number)]) => Ok(Double(*number as f64)),
        ("double", [Uint(number)]) => Ok(Double(*number as f64)),
        ("double", [Text(text)]) => text.parse().map(Double).or_else(|_| bad(text, "ParseFloat")),
        ("bool", [Text(text)]) => match &**text {
            "true" | "True" | "TRUE" | "t" | "1" => Ok(Bool(true)),
            "false" | "False" | "FALSE" | "f" | "0" => Ok(Bool(false)),
            text => bad(text, "ParseBool"),
        },
        ("bytes", [Text(text)]) => Ok(Bytes(text.as_bytes().into())),
        ("duration", [Text(text)]) => time::duration(text).map(Duration),
        ("duration", [Int(seconds)]) => span(*seconds),
        ("timestamp", [Text(text)]) => time::timestamp(text).map(Time),
        ("timestamp", [Int(seconds)]) => Ok(Time(i128::from(*seconds) * i128::from(SECOND))),
        ("string", [value]) => return shown(value).map(|text| text.map(Val::from)),
        (name, [Time(nanos)]) if name.starts_with("get") => time::part(name, *nanos, None).map(Int),
        (name, [Time(nanos), Text(zone)]) if name.starts_with("get") => time::part(name, *nanos, Some(zone)).map(Int),
        ("getHours", [Duration(nanos)]) => Ok(Int(nanos / (3_600 * SECOND))),
        ("getMinutes", [Duration(nanos)]) => Ok(Int(nanos / (60 * SECOND))),
        ("getSeconds", [Duration(nanos)]) => Ok(Int(nanos / SECOND)),
        ("getMilliseconds", [Duration(nanos)]) => Ok(Int(nanos / 1_000_000 % 1_000)),
        _ => return None,
    })
}

/// A value as `string()` gives it.
pub(super) fn shown(value: &Val<'_>) -> Option<Result<String, Stop>> {
    Some(Ok(match value {
        Val::Bool(truth) => truth.to_string(),
        Val::Int(number) => number.to_string(),
        Val::Uint(number) => number.to_string(),
        Val::Double(number) => number.to_string(),
        Val::Text(text) => text.to_string(),
        Val::Bytes(bytes) => match String::from_utf8(bytes.to_vec()) {
            Ok(text) => text,
            Err(_) => return Some(error("invalid UTF-8 in bytes, cannot convert to string")),
        },
        Val::Duration(nanos) => time::shown_duration(*nanos),
        Val::Time(nanos) => time::shown_timestamp(*nanos),
        Val::Ip(address) => address.to_string(),
        Val::Cidr(address, bits) => format!("{address}/{bits}"),
        _ => return None,
    }))
}

fn optional<'a>(name: &str, given: &[Val<'a>]) -> Option<Outcome<'a>> {
    let nothing = |value: &Val<'a>| match value {
        Val::Null => true,
        Val::Bool(truth) => !truth,
        Val::Int(number) => *number == 0,
        Val::Uint(number) => *number == 0,
        Val::Double(number) => *number == 0.0,
        Val::Duration(nanos) => *nanos == 0,
        other => other.len() == Some(0),
    };
    Some(Ok(match (name, given) {
        ("optional.none", []) => Val::Optional(None),
        ("optional.of", [value]) => Val::Optional(Some(Rc::new(value.clone()))),
        ("optional.ofNonZeroValue", [value]) => Val::Optional((!nothing(value)).then(|| Rc::new(value.clone()))),
        ("hasValue", [Val::Optional(value)]) => Val::Bool(value.is_some()),
        ("value", [Val::Optional(Some(value))]) => (**value).clone(),
        ("value", [Val::Optional(None)]) => return Some(error("optional.none() dereference")),
        _ => return None,
    }))
}

/// The text of a value that must be one.
pub(super) fn text<'v>(value: &'v Val<'_>) -> Option<&'v str> {
    match value {
        Val::Text(Text::Borrowed(text)) => Some(text),
        Val::Text(Text::Owned(text)) => Some(text),
        _ => None,
    }
}
