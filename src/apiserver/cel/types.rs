//! What an expression may be of, and how a schema tells it (`k8s.io/apiserver/pkg/cel/common/schemas.go`).

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A type.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::apiserver) enum Type {
    Dyn,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Duration,
    Time,
    /// The type of a type.
    Kind,
    List(Arc<ListType>),
    Map(Arc<(Type, Type)>),
    Object(Arc<ObjectType>),
    Optional(Arc<Type>),
    /// Something that only functions look into.
    Opaque(&'static str),
    /// Stands for any type in the signature of a function.
    Any(char),
}

/// A list, and how its items are told apart.
#[derive(Debug, PartialEq)]
pub(in crate::apiserver) struct ListType {
    pub(super) of: Type,
    pub(super) set: bool,
    /// The fields that identify an item.
    pub(super) keys: Vec<String>,
}

/// A structure of a schema.
#[derive(Debug)]
pub(in crate::apiserver) struct ObjectType {
    name: String,
    /// Fields by what expressions call them: the name in the JSON, and the type.
    pub(super) fields: BTreeMap<String, (String, Type)>,
}

impl PartialEq for ObjectType {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || self.name == other.name
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Dyn => "dyn",
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::Text => "string",
            Self::Bytes => "bytes",
            Self::Duration => "duration",
            Self::Time => "timestamp",
            Self::Kind => "type",
            Self::Opaque(name) => name,
            Self::Object(object) => &object.name,
            Self::Any(letter) => return write!(f, "{letter}"),
            Self::List(list) => return write!(f, "list({})", list.of),
            Self::Map(map) => return write!(f, "map({}, {})", map.0, map.1),
            Self::Optional(of) => return write!(f, "optional_type({of})"),
        };
        f.write_str(name)
    }
}

impl Type {
    pub(in crate::apiserver) fn list(of: Self) -> Self {
        Self::List(Arc::new(ListType { of, set: false, keys: Vec::new() }))
    }

    pub(in crate::apiserver) fn map(key: Self, value: Self) -> Self {
        Self::Map(Arc::new((key, value)))
    }

    /// A structure with these fields.
    pub(in crate::apiserver) fn structure<'a>(name: &str, fields: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        let fields = fields.into_iter().map(|(field, kind)| (field.to_owned(), (field.to_owned(), kind))).collect();
        Self::Object(Arc::new(ObjectType { name: name.to_owned(), fields }))
    }

    /// A value of this type, or none.
    pub(in crate::apiserver) fn optional(of: Self) -> Self {
        Self::Optional(Arc::new(of))
    }

    /// Reads a type as signatures write it; what is unknown is dynamic.
    pub(super) fn read(text: &str) -> Self {
        if let Some((head, rest)) = text.split_once('(') {
            let inner = rest.strip_suffix(')').unwrap_or(rest);
            return match head {
                "list" => Self::list(Self::read(inner)),
                "opt" => Self::optional(Self::read(inner)),
                _ => {
                    let (key, value) = inner.split_once(',').unwrap_or(("dyn", inner));
                    Self::map(Self::read(key), Self::read(value))
                }
            };
        }
        match text {
            "null" => Self::Null,
            "bool" => Self::Bool,
            "int" => Self::Int,
            "uint" => Self::Uint,
            "double" => Self::Double,
            "string" => Self::Text,
            "bytes" => Self::Bytes,
            "duration" => Self::Duration,
            "time" => Self::Time,
            "type" => Self::Kind,
            "A" => Self::Any('A'),
            "B" => Self::Any('B'),
            "Quantity" => Self::Opaque("kubernetes.Quantity"),
            "URL" => Self::Opaque("kubernetes.URL"),
            "IP" => Self::Opaque("net.IP"),
            "CIDR" => Self::Opaque("net.CIDR"),
            "Format" => Self::Opaque("kubernetes.NamedFormat"),
            "Semver" => Self::Opaque("kubernetes.Semver"),
            _ => Self::Dyn,
        }
    }

    /// The type of values of a structural schema; `None` for what expressions do not see. At the root of an object
    /// kind, name and the like are always there. `name` is what the structure is called in errors.
    pub(in crate::apiserver) fn of_schema(schema: &Value, root: bool, name: &str) -> Option<Self> {
        if schema["x-kubernetes-int-or-string"] == true {
            return Some(Self::Dyn);
        }
        let embedded = |part: &Value| part["x-kubernetes-embedded-resource"] == true;
        Some(match schema["type"].as_str().unwrap_or_default() {
            "boolean" => Self::Bool,
            "number" => Self::Double,
            "integer" => Self::Int,
            "string" => match schema["format"].as_str() {
                Some("byte") => Self::Bytes,
                Some("duration") => Self::Duration,
                Some("date" | "date-time") => Self::Time,
                _ => Self::Text,
            },
            "array" => {
                let items = schema.get("items")?;
                let of = Self::of_schema(items, embedded(items), &format!("{name}.@idx"))?;
                let keys = schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten();
                let kind = schema["x-kubernetes-list-type"].as_str().unwrap_or_default();
                let keys = keys.filter(|_| kind == "map").filter_map(Value::as_str).map(str::to_owned).collect();
                Self::List(Arc::new(ListType { of, set: kind == "set", keys }))
            }
            "object" => match schema.get("additionalProperties").filter(|part| part.is_object()) {
                Some(part) => Self::map(Self::Text, Self::of_schema(part, embedded(part), &format!("{name}.@elem"))?),
                None => Self::Object(Arc::new(ObjectType::of_schema(schema, root, name))),
            },
            _ => return None,
        })
    }
}

impl ObjectType {
    fn of_schema(schema: &Value, root: bool, name: &str) -> Self {
        let mut fields = BTreeMap::new();
        for (field, part) in schema["properties"].as_object().into_iter().flatten() {
            let embedded = part["x-kubernetes-embedded-resource"] == true;
            if let (Some(escaped), Some(kind)) =
                (escape(field), Type::of_schema(part, embedded, &format!("{name}.{field}")))
            {
                fields.insert(escaped, (field.clone(), kind));
            }
        }
        if root {
            let text = |field: &str| (field.to_owned(), (field.to_owned(), Type::Text));
            fields.extend([text("apiVersion"), text("kind")]);
            let names = [text("name"), text("generateName")].into();
            let metadata = Self { name: format!("{name}.metadata"), fields: names };
            fields.insert("metadata".to_owned(), ("metadata".to_owned(), Type::Object(Arc::new(metadata))));
        }
        Self { name: name.to_owned(), fields }
    }
}

/// What expressions call a field; `None` if they cannot (`k8s.io/apiserver/pkg/cel/escaping.go`).
pub(super) fn escape(field: &str) -> Option<String> {
    const RESERVED: [&str; 21] = [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ];
    if field.is_empty() || field.starts_with(|one: char| one.is_ascii_digit()) {
        return None;
    }
    if RESERVED.contains(&field) {
        return Some(format!("__{field}__"));
    }
    if !field.chars().all(|one| one.is_ascii_alphanumeric() || "_.-/".contains(one)) {
        return None;
    }
    let text = field.replace("__", "__underscores__");
    Some(text.replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__"))
}
