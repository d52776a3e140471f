//! What a schema demands of a value besides its type: bounds, lengths, patterns, enumerations, and whole schemas that
//! must or must not hold.

use serde_json::{Number, Value};

/// Rules on a value, as written in its OpenAPI schema.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// `minimum`
    pub minimum: Option<Number>,
    /// `maximum`
    pub maximum: Option<Number>,
    /// `exclusiveMinimum`
    pub above_minimum: bool,
    /// `exclusiveMaximum`
    pub below_maximum: bool,
    /// `multipleOf`
    pub multiple_of: Option<Number>,
    /// `minLength`
    pub min_length: Option<u64>,
    /// `maxLength`
    pub max_length: Option<u64>,
    /// `minItems`
    pub min_items: Option<u64>,
    /// `maxItems`
    pub max_items: Option<u64>,
    /// `minProperties`
    pub min_properties: Option<u64>,
    /// `maxProperties`
    pub max_properties: Option<u64>,
    /// `format`
    pub format: Option<Box<str>>,
    /// `pattern`
    pub pattern: Option<Pattern>,
    /// `enum`
    pub allowed: Option<Box<[Value]>>,
    /// `allOf`, `anyOf`, `oneOf` and `not`
    pub combined: Option<Box<Combined>>,
}

/// A regular expression; one that cannot be read matches everything.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// As written.
    pub text: Box<str>,
    /// Compiled.
    pub regex: Option<regex::Regex>,
}

/// Schemas that a value must satisfy together.
#[derive(Clone, Debug, Default)]
pub struct Combined {
    /// All of these.
    pub all: Vec<Part>,
    /// At least one of these.
    pub any: Vec<Part>,
    /// Exactly one of these.
    pub one: Vec<Part>,
    /// Not this one.
    pub not: Option<Part>,
}

/// A schema inside such a combination: demands on a value and its parts, no types.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// On the value itself.
    pub limits: Option<Box<Limits>>,
    /// `required`
    pub required: Vec<Box<str>>,
    /// `properties`
    pub fields: Vec<(Box<str>, Self)>,
    /// `additionalProperties`
    pub entries: Option<Box<Self>>,
    /// `items`
    pub items: Option<Box<Self>>,
}

impl Limits {
    /// The rules of a schema, if it has any.
    pub(super) fn of_schema(schema: &Value) -> Option<Box<Self>> {
        let number = |key: &str| schema.get(key).and_then(Value::as_number).cloned();
        let count = |key: &str| schema.get(key).and_then(Value::as_u64);
        let list = |key: &str| schema.get(key).and_then(Value::as_array);
        let parts = |key: &str| list(key).into_iter().flatten().map(Part::of_schema).collect::<Vec<_>>();
        let combined = ["allOf", "anyOf", "oneOf", "not"].iter().any(|key| schema.get(key).is_some()).then(|| {
            let not = schema.get("not").filter(|not| not.is_object()).map(Part::of_schema);
            Box::new(Combined { all: parts("allOf"), any: parts("anyOf"), one: parts("oneOf"), not })
        });
        let limits = Self {
            minimum: number("minimum"),
            maximum: number("maximum"),
            above_minimum: schema["exclusiveMinimum"] == true,
            below_maximum: schema["exclusiveMaximum"] == true,
            multiple_of: number("multipleOf"),
            min_length: count("minLength"),
            max_length: count("maxLength"),
            min_items: count("minItems"),
            max_items: count("maxItems"),
            min_properties: count("minProperties"),
            max_properties: count("maxProperties"),
            format: schema.get("format").and_then(Value::as_str).map(Into::into),
            pattern: schema
                .get("pattern")
                .and_then(Value::as_str)
                .map(|text| Pattern { text: text.into(), regex: regex::Regex::new(text).ok() }),
            allowed: list("enum").map(|list| list.clone().into()),
            combined,
        };
        let numbers = [&limits.minimum, &limits.maximum, &limits.multiple_of];
        let counts = [
            limits.min_length,
            limits.max_length,
            limits.min_items,
            limits.max_items,
            limits.min_properties,
            limits.max_properties,
        ];
        let any = numbers.iter().any(|number| number.is_some())
            || counts.iter().any(Option::is_some)
            || limits.format.is_some()
            || limits.pattern.is_some()
            || limits.allowed.is_some()
            || limits.combined.is_some();
        any.then(|| Box::new(limits))
    }
}

impl Part {
    fn of_schema(schema: &Value) -> Self {
        let child =
            |key: &str| schema.get(key).filter(|part| part.is_object()).map(|part| Box::new(Self::of_schema(part)));
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let fields = schema["properties"].as_object().into_iter().flatten();
        Self {
            limits: Limits::of_schema(schema),
            required: required.map(Into::into).collect(),
            fields: fields.map(|(name, part)| (name.as_str().into(), Self::of_schema(part))).collect(),
            entries: child("additionalProperties"),
            items: child("items"),
        }
    }
}
