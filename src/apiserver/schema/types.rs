//! The graph of field types, from OpenAPI v3 schemas to what merging, pruning, patching and validation ask of it.
//!
//! One arena per source (all built-in kinds share one; each CustomResourceDefinition version has its own). The reading
//! of `x-kubernetes-*` extensions follows kube-openapi's `schemaconv`.

use super::limits::Limits;
use rustc_hash::FxHashMap;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Index of a node in its arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypeId(u32);

/// Anything, never looked into: maps and lists are one leaf.
pub(super) const UNTYPED: TypeId = TypeId(0);
/// Anything, deduced from the value: maps are granular, lists are one leaf.
pub(in crate::apiserver) const DEDUCED: TypeId = TypeId(1);

/// All types of one source.
#[derive(Clone, Debug, Default)]
pub struct Types {
    nodes: Vec<Node>,
}

/// A type together with the arena it lives in.
#[derive(Clone, Debug)]
pub struct TypeRef {
    /// The arena.
    pub types: Arc<Types>,
    /// The node.
    pub id: TypeId,
}

/// What one value may be. A node of no declared type has a map, a list and a scalar side at once.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Whether a map is allowed, and its named fields, sorted by name.
    pub fields: Option<Box<[Field]>>,
    /// Which of the named fields have a default, and which are required: positions in `fields`.
    pub(in crate::apiserver) defaulted: Box<[u16]>,
    pub(in crate::apiserver) required: Box<[u16]>,
    /// Type of map entries that are no named field; none if only named fields are known.
    pub rest: Option<TypeId>,
    /// Whether the map is one leaf.
    pub atomic_map: bool,
    /// Whether a list is allowed, and of what.
    pub items: Option<TypeId>,
    /// How list items are told apart.
    pub list: ListKind,
    /// Whether a scalar is allowed, and which.
    pub scalar: Option<Scalar>,
    /// Whether unknown fields stay.
    pub preserve_unknown: bool,
    /// Whether the value is itself an object with apiVersion, kind and metadata.
    pub embedded: bool,
    /// Whether null is a value.
    pub nullable: bool,
    /// The OpenAPI schema's rules on the value, if it has any.
    pub rules: Option<Box<Limits>>,
}

/// A named field.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name.
    pub name: Box<str>,
    /// The first bytes of the name as a number, for a quick search.
    start: u64,
    /// Its type.
    pub id: TypeId,
    /// Its OpenAPI default.
    pub default: Option<Value>,
    /// Strategic merge: `x-kubernetes-patch-strategy`.
    pub strategy: Strategy,
    /// Strategic merge: `x-kubernetes-patch-merge-key`.
    pub merge_key: Option<Box<str>>,
    /// Whether the schema lists it as required.
    pub required: bool,
}

/// Strategic merge strategy of a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strategy {
    /// Lists are merged instead of replaced.
    pub merge: bool,
    /// Only the keys named by `$retainKeys` stay.
    pub retain_keys: bool,
}

/// How list items are told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListKind {
    /// The list is one leaf.
    #[default]
    Atomic,
    /// By value.
    Set,
    /// By these fields.
    Map(Box<[Box<str>]>),
}

/// Kind of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// True or false.
    Boolean,
    /// A whole number or text.
    IntOrString,
    /// Whatever comes: times, quantities, values without a type.
    Untyped,
}

impl Types {
    /// The node behind an id.
    #[must_use]
    pub fn node(&self, id: TypeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// Builds an arena. `schemas` are named OpenAPI v3 schemas; the result maps their names to types.
    pub(super) fn from_openapi(schemas: &Map<String, Value>) -> (Self, FxHashMap<String, TypeId>) {
        let mut build = Build::new(schemas);
        let names: FxHashMap<String, TypeId> = schemas.keys().map(|name| (name.clone(), build.named(name))).collect();
        (Self { nodes: build.nodes }, names)
    }

    /// Builds an arena from one inline schema, whose `$ref`s point into `named`.
    pub(super) fn from_inline(schema: &Value, named: &Map<String, Value>) -> (Self, TypeId) {
        let mut build = Build::new(named);
        let id = build.inline(schema, false);
        (Self { nodes: build.nodes }, id)
    }
}

impl TypeRef {
    /// The node it points at.
    #[must_use]
    pub fn node(&self) -> &Node {
        self.types.node(self.id)
    }
}

impl Node {
    /// The named field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        let fields = self.fields.as_deref()?;
        let start = start(name);
        let order = |field: &Field| {
            // Most names differ in their first bytes or end there: then their texts are not looked at.
            field.start.cmp(&start).then_with(|| match (field.name.len(), name.len()) {
                (ours, theirs) if ours <= 8 || theirs <= 8 => ours.cmp(&theirs),
                _ => field.name.as_bytes()[8..].cmp(&name.as_bytes()[8..]),
            })
        };
        fields.binary_search_by(order).ok().map(|at| &fields[at])
    }

    /// Named fields at positions.
    pub(in crate::apiserver) fn at<'a>(&'a self, positions: &'a [u16]) -> impl Iterator<Item = &'a Field> {
        let fields = self.fields.as_deref().unwrap_or_default();
        positions.iter().filter_map(|at| fields.get(usize::from(*at)))
    }

    /// Type of the map entry `name`.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<TypeId> {
        self.field(name).map(|field| field.id).or(self.rest)
    }
}

/// The first eight bytes of a text, so that the order of numbers is the order of texts as far as they go.
fn start(name: &str) -> u64 {
    let mut bytes = [0; 8];
    let length = name.len().min(8);
    bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
    u64::from_be_bytes(bytes)
}

impl Types {
    /// Go's zero value of a type: the fields that are always written, with nothing in them.
    ///
    /// A structure that is no pointer has the OpenAPI default `{}`; a required field of another sort is null or its
    /// default.
    pub(in crate::apiserver) fn zero(&self, id: TypeId) -> Value {
        let mut out = Map::new();
        for field in self.node(id).fields.as_deref().unwrap_or_default() {
            let zero = match &field.default {
                Some(Value::Object(map)) if map.is_empty() && self.node(field.id).scalar.is_none() => {
                    self.zero(field.id)
                }
                Some(default) if field.required => default.clone(),
                None if field.required => Value::Null,
                _ => continue,
            };
            out.insert(field.name.to_string(), zero);
        }
        Value::Object(out)
    }
}

struct Build<'a> {
    schemas: &'a Map<String, Value>,
    nodes: Vec<Node>,
    named: FxHashMap<&'a str, TypeId>,
    atomic: FxHashMap<TypeId, TypeId>,
}

/// Schemas that are scalars or free values whatever their text says (kube-openapi `schemaconv`).
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
/// A time with six digits after the second, which its schema does not tell from other times.
const MICRO_TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";
const RAW_EXTENSION: &str = "io.k8s.apimachinery.pkg.runtime.RawExtension";

impl<'a> Build<'a> {
    fn new(schemas: &'a Map<String, Value>) -> Self {
        let free = |rest, atomic_map| Node {
            fields: Some(Box::default()),
            rest: Some(rest),
            atomic_map,
            items: Some(UNTYPED),
            scalar: Some(Scalar::Untyped),
            preserve_unknown: true,
            nullable: true,
            ..Node::default()
        };
        let nodes = vec![free(UNTYPED, true), free(DEDUCED, false)];
        Self { schemas, nodes, named: FxHashMap::default(), atomic: FxHashMap::default() }
    }

    fn push(&mut self, node: Node) -> TypeId {
        let id = TypeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(node);
        id
    }

    /// The type of a named schema; a name that is not there is anything.
    fn named(&mut self, name: &str) -> TypeId {
        if let Some(id) = self.named.get(name) {
            return *id;
        }
        let Some((name, schema)) = self.schemas.get_key_value(name) else { return DEDUCED };
        if name == RAW_EXTENSION {
            self.named.insert(name, UNTYPED);
            return UNTYPED;
        }
        let id = self.push(Node::default());
        self.named.insert(name, id);
        let mut node = if name == QUANTITY {
            Node { scalar: Some(Scalar::Untyped), ..Node::default() }
        } else {
            self.parse(schema, false)
        };
        if name == MICRO_TIME {
            node.rules.get_or_insert_default().format = Some("date-time-micro".into());
        }
        self.nodes[id.0 as usize] = node;
        id
    }

    /// The type of a schema in place: a reference, perhaps made atomic, or a node of its own.
    fn inline(&mut self, schema: &Value, preserve: bool) -> TypeId {
        let Some(name) = reference(schema) else {
            let node = self.parse(schema, preserve);
            return self.push(node);
        };
        let id = self.named(name);
        if schema.get("x-kubernetes-map-type").and_then(Value::as_str) != Some("atomic") {
            return id;
        }
        if let Some(done) = self.atomic.get(&id) {
            return *done;
        }
        let node = Node { atomic_map: true, ..self.nodes[id.0 as usize].clone() };
        let atomic = self.push(node);
        self.atomic.insert(id, atomic);
        atomic
    }

    fn parse(&mut self, schema: &Value, preserve: bool) -> Node {
        let flag = |key: &str| schema.get(key) == Some(&Value::Bool(true));
        let unknown = flag("x-kubernetes-preserve-unknown-fields");
        let preserve = preserve || unknown;
        let mut node = Node {
            preserve_unknown: unknown,
            embedded: flag("x-kubernetes-embedded-resource"),
            nullable: flag("nullable"),
            rules: Limits::of_schema(schema),
            ..Node::default()
        };
        match schema.get("type").and_then(Value::as_str).unwrap_or("") {
            "object" => self.map(schema, preserve, &mut node),
            "array" => self.list(schema, preserve, &mut node),
            "" => {
                self.map(schema, preserve, &mut node);
                self.list(schema, preserve, &mut node);
                let int_or_string = flag("x-kubernetes-int-or-string") || schema.get("oneOf").is_some();
                node.scalar = Some(if int_or_string { Scalar::IntOrString } else { Scalar::Untyped });
            }
            kind => node.scalar = Some(scalar(kind, schema)),
        }
        node
    }

    fn map(&mut self, schema: &Value, preserve: bool, node: &mut Node) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array);
        let is_required = |name: &str| required.is_some_and(|list| list.iter().any(|one| one == name));
        let fields = properties.into_iter().flatten().map(|(name, member)| Field {
            name: name.as_str().into(),
            start: start(name),
            id: self.inline(member, preserve),
            default: member.get("default").cloned(),
            strategy: strategy(member),
            merge_key: member.get("x-kubernetes-patch-merge-key").and_then(Value::as_str).map(Into::into),
            required: is_required(name),
        });
        let fields: Box<[Field]> = fields.collect();
        let those = |want: fn(&Field) -> bool| {
            let at = (0..).zip(&fields).filter(|(_, field)| want(field));
            at.map(|(at, _)| at).collect()
        };
        (node.defaulted, node.required) = (those(|field| field.default.is_some()), those(|field| field.required));
        node.fields = Some(fields);
        node.rest = match schema.get("additionalProperties") {
            None | Some(Value::Bool(true)) => {
                let open =
                    preserve || properties.is_none_or(Map::is_empty) || schema.get("additionalProperties").is_some();
                open.then_some(DEDUCED)
            }
            Some(Value::Bool(false)) => None,
            Some(entry) => Some(self.inline(entry, preserve)),
        };
        node.atomic_map = schema.get("x-kubernetes-map-type").and_then(Value::as_str) == Some("atomic");
    }

    fn list(&mut self, schema: &Value, preserve: bool, node: &mut Node) {
        node.items = Some(schema.get("items").map_or(UNTYPED, |items| self.inline(items, preserve)));
        node.list = list_kind(schema);
    }
}

/// The name behind `$ref`, alone or inside a one-element `allOf`.
fn reference(schema: &Value) -> Option<&str> {
    let target = match (schema.get("$ref"), schema.get("allOf").and_then(Value::as_array)) {
        (Some(target), _) => target,
        (None, Some(all)) if all.len() == 1 => all[0].get("$ref")?,
        _ => return None,
    };
    target.as_str()?.rsplit('/').next()
}

fn list_kind(schema: &Value) -> ListKind {
    let text = |key: &str| schema.get(key).and_then(Value::as_str);
    match text("x-kubernetes-list-type") {
        Some("set") => ListKind::Set,
        Some("map") => {
            let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
            ListKind::Map(keys.into_iter().flatten().filter_map(Value::as_str).map(Into::into).collect())
        }
        Some(_) => ListKind::Atomic,
        None => match (text("x-kubernetes-patch-strategy"), text("x-kubernetes-patch-merge-key")) {
            (Some("merge" | "merge,retainKeys"), Some(key)) => ListKind::Map([key.into()].into()),
            (Some("merge" | "merge,retainKeys"), None) => ListKind::Set,
            _ => ListKind::Atomic,
        },
    }
}

fn strategy(schema: &Value) -> Strategy {
    let text = schema.get("x-kubernetes-patch-strategy").and_then(Value::as_str).unwrap_or("");
    let has = |word: &str| text.split(',').any(|part| part == word);
    Strategy { merge: has("merge"), retain_keys: has("retainKeys") }
}

fn scalar(kind: &str, schema: &Value) -> Scalar {
    let format = schema.get("format").and_then(Value::as_str).unwrap_or("");
    match (kind, format) {
        ("integer", _) => Scalar::Integer,
        ("number", _) => Scalar::Number,
        ("boolean", _) => Scalar::Boolean,
        ("string", "int-or-string") => Scalar::IntOrString,
        ("string", "date-time") => Scalar::Untyped,
        ("string", _) => Scalar::String,
        _ => Scalar::Untyped,
    }
}
