//! What differs between two objects of one type, as sets of paths.

use super::paths::{Set, node};
use crate::apiserver::schema::{ListKind, Node, TypeId, Types};
use serde_json::{Map, Value};

/// The paths in which two objects differ.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// Added or modified.
    pub(super) changed: Set,
    /// Removed.
    pub(super) removed: Set,
}

impl Difference {
    /// Nothing differs.
    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty()
    }
}

/// Compares two objects; paths are relative to them.
pub(super) fn compare(types: &Types, id: TypeId, old: Option<&Value>, new: Option<&Value>) -> Difference {
    let walk = Walk { types };
    let mut out = Difference::default();
    let nothing = Map::new();
    let (old, new) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
    walk.maps(types.node(id), old.unwrap_or(&nothing), new.unwrap_or(&nothing), &mut out);
    out
}

struct Walk<'a> {
    types: &'a Types,
}

/// One of the two values, as its type sees it.
enum Side<'a> {
    Nothing,
    /// A map whose entries are compared one by one.
    Map(&'a Map<String, Value>),
    /// A list whose items are compared one by one.
    List(&'a [Value]),
    /// Null, or an empty map or list of that sort.
    Empty,
    Leaf,
}

fn side<'a>(node: &Node, value: Option<&'a Value>) -> Side<'a> {
    match value {
        None => Side::Nothing,
        Some(Value::Object(map)) if node.fields.is_some() && !node.atomic_map => {
            if map.is_empty() {
                Side::Empty
            } else {
                Side::Map(map)
            }
        }
        Some(Value::Array(list)) if node.items.is_some() && node.list != ListKind::Atomic => {
            if list.is_empty() {
                Side::Empty
            } else {
                Side::List(list)
            }
        }
        Some(Value::Null) if node.fields.is_some() && !node.atomic_map => Side::Empty,
        Some(Value::Null) if node.items.is_some() && node.list != ListKind::Atomic => Side::Empty,
        Some(_) => Side::Leaf,
    }
}

impl Walk<'_> {
    /// Compares the values at one path element and adds what differs under `key`.
    fn child(&self, id: TypeId, key: &str, old: Option<&Value>, new: Option<&Value>, out: &mut Difference) {
        let node_of = self.types.node(id);
        let mut below = Difference::default();
        let leaf = match (side(node_of, old), side(node_of, new)) {
            (Side::Map(a), Side::Map(b)) => self.maps(node_of, a, b, &mut below),
            (Side::Map(a), Side::Nothing | Side::Empty) => self.maps(node_of, a, &Map::new(), &mut below),
            (Side::Nothing | Side::Empty, Side::Map(b)) => self.maps(node_of, &Map::new(), b, &mut below),
            (Side::List(a), Side::List(b)) => self.lists(node_of, a, b, &mut below),
            (Side::List(a), Side::Nothing | Side::Empty) => self.lists(node_of, a, &[], &mut below),
            (Side::Nothing | Side::Empty, Side::List(b)) => self.lists(node_of, &[], b, &mut below),
            _ => true,
        };
        let changed = new.is_some() && if leaf { old != new } else { old.is_none() };
        let removed = new.is_none() && old.is_some();
        if let Some(set) = node(changed, below.changed) {
            out.changed.insert(key.to_owned(), set);
        }
        if let Some(set) = node(removed, below.removed) {
            out.removed.insert(key.to_owned(), set);
        }
    }

    /// Compares entry by entry; false, since the map itself is no leaf.
    fn maps(&self, node: &Node, old: &Map<String, Value>, new: &Map<String, Value>, out: &mut Difference) -> bool {
        for (name, value) in new {
            let before = old.get(name);
            if before != Some(value)
                && let Some(id) = node.entry(name)
            {
                self.child(id, &["f:", name].concat(), before, Some(value), out);
            }
        }
        for (name, value) in old {
            if !new.contains_key(name)
                && let Some(id) = node.entry(name)
            {
                self.child(id, &["f:", name].concat(), Some(value), None, out);
            }
        }
        false
    }

    /// Compares items with the same key; items of one key more than once are one leaf.
    fn lists(&self, node: &Node, old: &[Value], new: &[Value], out: &mut Difference) -> bool {
        let Some(items) = node.items else { return true };
        let (before, after) = (keyed(self.types, node, old), keyed(self.types, node, new));
        let mut done: Vec<&str> = Vec::with_capacity(before.len() + after.len());
        for (key, _) in before.iter().chain(&after) {
            if done.contains(&key.as_str()) {
                continue;
            }
            done.push(key);
            let of = |side: &[(String, &'_ Value)]| -> Vec<Value> {
                side.iter().filter(|(one, _)| one == key).map(|(_, value)| (*value).clone()).collect()
            };
            let single = |side: &[(String, &'_ Value)]| side.iter().filter(|(one, _)| one == key).count() <= 1;
            let first = |side: &'_ [(String, &'_ Value)]| side.iter().position(|(one, _)| one == key);
            let (a, b) = (first(&before).map(|at| before[at].1), first(&after).map(|at| after[at].1));
            match (single(&before), single(&after)) {
                (true, true) => self.child(items, key, a, b, out),
                (false, false) => {
                    if of(&before) != of(&after) {
                        mark(&mut out.changed, key);
                    }
                }
                (false, true) => {
                    if b.is_some() {
                        self.child(items, key, None, b, out);
                    }
                    mark(&mut out.removed, key);
                }
                (true, false) => {
                    if a.is_some() {
                        self.child(items, key, a, None, out);
                    }
                    mark(&mut out.changed, key);
                }
            }
        }
        false
    }
}

/// Makes the node `key` belong to the set.
fn mark(set: &mut Set, key: &str) {
    let children = match set.remove(key) {
        Some(Value::Object(children)) => children,
        _ => Set::new(),
    };
    if let Some(value) = node(true, children) {
        set.insert(key.to_owned(), value);
    }
}

/// The items of a list with their path elements; items that have none are left out.
pub(super) fn keyed<'a>(types: &Types, node: &Node, list: &'a [Value]) -> Vec<(String, &'a Value)> {
    list.iter().filter_map(|item| Some((item_key(types, node, item).ok()?, item))).collect()
}

/// The path element of a list item: `v:json` in a set, `k:{...}` by key fields, defaults filled in.
pub(super) fn item_key(types: &Types, node: &Node, item: &Value) -> Result<String, String> {
    let ListKind::Map(keys) = &node.list else { return set_key(item) };
    let map = match item {
        Value::Object(map) => map,
        Value::Null => return Err("associative list with keys may not have a null element".to_owned()),
        _ => return Err("associative list with keys may not have non-map elements".to_owned()),
    };
    let element = node.items.map(|id| types.node(id));
    let default = |key: &str| element.and_then(|element| element.field(key)).and_then(|field| field.default.as_ref());
    let mut fields: Vec<(&str, &Value)> =
        keys.iter().filter_map(|key| Some((&**key, map.get(&**key).or_else(|| default(key))?))).collect();
    if fields.is_empty() {
        let names: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
            names.join(" ")
        ));
    }
    fields.sort_by_key(|(name, _)| *name);
    let mut text = String::from("k:{");
    for (at, (name, value)) in fields.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        text.push_str(&format!("{comma}\"{name}\":{value}"));
    }
    text.push('}');
    Ok(text)
}

fn set_key(item: &Value) -> Result<String, String> {
    match item {
        Value::Object(_) => Err("associative list without keys has an element that's a map type".to_owned()),
        Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
        Value::Null => Err("associative list without keys has an element that's an explicit null".to_owned()),
        _ => Ok(format!("v:{item}")),
    }
}
