//! Values while an expression runs: they borrow from the object and from the program.

use super::types::{ListType, ObjectType, Type};
use core::net::IpAddr;
use serde_json::{Map, Value};
use std::cmp::Ordering;
use std::rc::Rc;

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Val<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Text<'a>),
    Bytes(Rc<[u8]>),
    /// Nanoseconds.
    Duration(i64),
    /// Nanoseconds since 1970, UTC.
    Time(i128),
    /// A list of the object.
    Items(&'a [Value], &'a ListType),
    List(Rc<Vec<Self>>),
    /// A map of the object.
    Entries(&'a Map<String, Value>, &'a Type),
    Map(Rc<Vec<(Self, Self)>>),
    Object(&'a Map<String, Value>, &'a ObjectType),
    /// Named parts that have their values, or failed to.
    Composed(Rc<Vec<(&'a str, Result<Self, Stop>)>>),
    Optional(Option<Rc<Self>>),
    Kind(String),
    /// In billionths.
    Quantity(i128),
    Url(Rc<Url>),
    Ip(IpAddr),
    Cidr(IpAddr, u8),
    Format(&'static str),
    Semver(Rc<Semver>),
}

#[derive(Clone, Debug)]
pub(super) enum Text<'a> {
    Borrowed(&'a str),
    Owned(Rc<str>),
}

/// The parts of a URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) scheme: String,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) query: String,
}

/// A semantic version; what follows a plus does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Semver {
    pub(super) numbers: [u64; 3],
    pub(super) pre: Vec<String>,
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// In the words of cel-go.
    Error(String),
    /// It cost more than it may.
    TooMuch,
}

pub(super) type Outcome<'a> = Result<Val<'a>, Stop>;

pub(super) fn error<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Error(why.into()))
}

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Owned(text) => text,
        }
    }
}

impl From<String> for Val<'_> {
    fn from(text: String) -> Self {
        Self::Text(Text::Owned(text.into()))
    }
}

impl<'a> Val<'a> {
    /// A part of an object, as its schema has it.
    pub(super) fn of(value: &'a Value, kind: &'a Type) -> Result<Self, Stop> {
        Ok(match (value, kind) {
            (Value::Null, _) => Self::Null,
            (Value::Bool(truth), _) => Self::Bool(*truth),
            (Value::Number(number), Type::Double) => Self::Double(number.as_f64().unwrap_or_default()),
            (Value::Number(number), _) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => Self::Int(number),
                (None, number) => Self::Double(number.unwrap_or_default()),
            },
            (Value::String(text), Type::Bytes) => {
                let engine = &base64::engine::general_purpose::STANDARD;
                match base64::Engine::decode(engine, text) {
                    Ok(bytes) => Self::Bytes(bytes.into()),
                    Err(_) => return error("invalid data, expected base64"),
                }
            }
            (Value::String(text), Type::Duration) => Self::Duration(super::time::duration(text)?),
            (Value::String(text), Type::Time) => Self::Time(super::time::timestamp(text)?),
            (Value::String(text), _) => Self::Text(Text::Borrowed(text)),
            (Value::Array(items), Type::List(list)) => Self::Items(items, list),
            (Value::Object(map), Type::Map(kinds)) => Self::Entries(map, &kinds.1),
            (Value::Object(map), Type::Object(object)) => Self::Object(map, object),
            (Value::Array(items), _) => {
                let items: Result<Vec<_>, _> = items.iter().map(|item| Self::of(item, &Type::Dyn)).collect();
                Self::List(Rc::new(items?))
            }
            (Value::Object(map), _) => Self::Entries(map, &Type::Dyn),
        })
    }

    /// Its type's name.
    pub(super) fn kind(&self) -> &str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Time(_) => "google.protobuf.Timestamp",
            Self::Items(..) | Self::List(_) => "list",
            Self::Entries(..) | Self::Map(_) => "map",
            Self::Object(..) | Self::Composed(_) => "object",
            Self::Optional(_) => "optional_type",
            Self::Kind(_) => "type",
            Self::Quantity(_) => "kubernetes.Quantity",
            Self::Url(_) => "kubernetes.URL",
            Self::Ip(_) => "net.IP",
            Self::Cidr(..) => "net.CIDR",
            Self::Format(_) => "kubernetes.NamedFormat",
            Self::Semver(_) => "kubernetes.Semver",
        }
    }

    /// The items of a list.
    pub(super) fn items(&self) -> Option<Result<Vec<Self>, Stop>> {
        match self {
            Self::Items(items, list) => Some(items.iter().map(|item| Self::of(item, &list.of)).collect()),
            Self::List(items) => Some(Ok(items.to_vec())),
            _ => None,
        }
    }

    /// The entries of a map.
    pub(super) fn entries(&self) -> Option<Result<Vec<(Self, Self)>, Stop>> {
        match self {
            Self::Entries(map, kind) => Some(
                map.iter().map(|(key, value)| Ok((Self::Text(Text::Borrowed(key)), Self::of(value, kind)?))).collect(),
            ),
            Self::Map(entries) => Some(Ok(entries.to_vec())),
            _ => None,
        }
    }

    /// How many parts it has.
    pub(super) fn len(&self) -> Option<usize> {
        Some(match self {
            Self::Text(text) => text.chars().count(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Items(items, _) => items.len(),
            Self::List(items) => items.len(),
            Self::Entries(map, _) | Self::Object(map, _) => map.len(),
            Self::Map(entries) => entries.len(),
            _ => return None,
        })
    }

    /// A field or an entry, if it is there.
    pub(super) fn field(&self, name: &str) -> Option<Result<Self, Stop>> {
        match self {
            Self::Object(map, object) => {
                let (json, kind) = object.fields.get(name)?;
                map.get(json).map(|value| Self::of(value, kind))
            }
            Self::Entries(map, kind) => map.get(name).map(|value| Self::of(value, kind)),
            Self::Map(_) => self.at(&Self::Text(Text::Owned(name.into()))).ok()?.map(Ok),
            Self::Composed(parts) => parts.iter().find(|(part, _)| *part == name).map(|(_, value)| value.clone()),
            _ => None,
        }
    }

    /// The item or entry at a key.
    pub(super) fn at(&self, key: &Self) -> Result<Option<Self>, Stop> {
        let index = match key {
            Self::Int(number) => usize::try_from(*number).ok(),
            Self::Uint(number) => usize::try_from(*number).ok(),
            Self::Double(number) if number.fract() == 0.0 && *number >= 0.0 =>
            {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and not negative")]
                Some(*number as usize)
            }
            _ => None,
        };
        match (self, key) {
            (Self::Items(items, list), _) => {
                index.and_then(|at| items.get(at)).map(|item| Self::of(item, &list.of)).transpose()
            }
            (Self::List(items), _) => Ok(index.and_then(|at| items.get(at)).cloned()),
            (Self::Entries(map, kind), Self::Text(name)) => {
                map.get(&**name).map(|value| Self::of(value, kind)).transpose()
            }
            (Self::Map(entries), _) => {
                for (known, value) in entries.iter() {
                    if known.equals(key)? {
                        return Ok(Some(value.clone()));
                    }
                }
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// Whether two values are the same; numbers of different types are if they mean the same.
    pub(super) fn equals(&self, other: &Self) -> Result<bool, Stop> {
        Ok(match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => **a == **b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Duration(a), Self::Duration(b)) => a == b,
            (Self::Time(a), Self::Time(b)) => a == b,
            (Self::Kind(a), Self::Kind(b)) => a == b,
            (Self::Quantity(a), Self::Quantity(b)) => a == b,
            (Self::Url(a), Self::Url(b)) => a == b,
            (Self::Ip(a), Self::Ip(b)) => a == b,
            (Self::Cidr(a, m), Self::Cidr(b, n)) => a == b && m == n,
            (Self::Format(a), Self::Format(b)) => a == b,
            (Self::Semver(a), Self::Semver(b)) => a == b,
            (Self::Optional(a), Self::Optional(b)) => match (a, b) {
                (Some(a), Some(b)) => a.equals(b)?,
                (a, b) => a.is_none() && b.is_none(),
            },
            (Self::Object(a, kind), Self::Object(b, _)) => {
                a.len() == b.len()
                    && both(a.iter().map(|(key, value)| {
                        let of = kind.fields.values().find(|(json, _)| json == key).map_or(&Type::Dyn, |(_, of)| of);
                        b.get(key).map_or(Ok(false), |other| Self::of(value, of)?.equals(&Self::of(other, of)?))
                    }))?
            }
            (Self::Int(_) | Self::Uint(_) | Self::Double(_), _) => self.compare(other) == Some(Ordering::Equal),
            _ => match (self.items(), other.items(), self.entries(), other.entries()) {
                (Some(a), Some(b), ..) => lists_equal(self, other, &a?, &b?)?,
                (.., Some(a), Some(b)) => {
                    let (a, b) = (a?, b?);
                    let in_b =
                        |(key, value): &(Self, Self)| other.at(key)?.map_or(Ok(false), |theirs| theirs.equals(value));
                    a.len() == b.len() && both(a.iter().map(in_b))?
                }
                _ => false,
            },
        })
    }

    /// The order of two values that have one.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        Some(match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Uint(a), Self::Uint(b)) => a.cmp(b),
            (Self::Int(a), Self::Uint(b)) => i128::from(*a).cmp(&i128::from(*b)),
            (Self::Uint(a), Self::Int(b)) => i128::from(*a).cmp(&i128::from(*b)),
            (Self::Text(a), Self::Text(b)) => (**a).cmp(&**b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (Self::Duration(a), Self::Duration(b)) => a.cmp(b),
            (Self::Time(a), Self::Time(b)) => a.cmp(b),
            _ => return self.number()?.partial_cmp(&other.number()?),
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "as the original compares whole numbers with others")]
    fn number(&self) -> Option<f64> {
        Some(match self {
            Self::Int(number) => *number as f64,
            Self::Uint(number) => *number as f64,
            Self::Double(number) => *number,
            _ => return None,
        })
    }
}

/// Whether all are true; the first error counts.
fn both(mut all: impl Iterator<Item = Result<bool, Stop>>) -> Result<bool, Stop> {
    all.try_fold(true, |truth, one| Ok(truth && one?))
}

/// Lists that are sets or have keys are equal in any order.
fn lists_equal<'a>(a: &Val<'a>, b: &Val<'a>, ours: &[Val<'a>], theirs: &[Val<'a>]) -> Result<bool, Stop> {
    if ours.len() != theirs.len() {
        return Ok(false);
    }
    let unordered = |list: &Val<'_>| matches!(list, Val::Items(_, list) if list.set || !list.keys.is_empty());
    if unordered(a) || unordered(b) {
        return both(
            ours.iter().map(|one| theirs.iter().try_fold(false, |found, other| Ok(found || one.equals(other)?))),
        );
    }
    both(ours.iter().zip(theirs).map(|(one, other)| one.equals(other)))
}

/// The identity of an item of a list with keys.
fn identity<'a>(item: &Val<'a>, keys: &[String]) -> Vec<Option<Val<'a>>> {
    let Val::Object(map, object) = item else { return Vec::new() };
    let part = |key: &String| {
        let kind = object.fields.values().find(|(json, _)| json == key).map_or(&Type::Dyn, |(_, kind)| kind);
        map.get(key).and_then(|value| Val::of(value, kind).ok())
    };
    keys.iter().map(part).collect()
}

/// Two lists in one: what is there already does not come again to a set, and replaces its like where items have keys.
pub(super) fn joined<'a>(a: &Val<'a>, b: &Val<'a>) -> Option<Outcome<'a>> {
    let (ours, theirs) = (a.items()?, b.items()?);
    let join = || {
        let (mut all, theirs) = (ours?, theirs?);
        let kind = if let Val::Items(_, kind) = a { Some(*kind) } else { None };
        for item in theirs {
            let like = match kind {
                Some(list) if list.set => position(&all, |known| known.equals(&item))?,
                Some(list) if !list.keys.is_empty() => {
                    let own = identity(&item, &list.keys);
                    position(&all, |known| {
                        both(identity(known, &list.keys).iter().zip(&own).map(|(a, b)| match (a, b) {
                            (Some(a), Some(b)) => a.equals(b),
                            (a, b) => Ok(a.is_none() && b.is_none()),
                        }))
                    })?
                }
                _ => None,
            };
            match like {
                Some(at) => all[at] = item,
                None => all.push(item),
            }
        }
        Ok(Val::List(Rc::new(all)))
    };
    Some(join())
}

fn position<'a>(all: &[Val<'a>], mut is: impl FnMut(&Val<'a>) -> Result<bool, Stop>) -> Result<Option<usize>, Stop> {
    for (at, one) in all.iter().enumerate() {
        if is(one)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}
