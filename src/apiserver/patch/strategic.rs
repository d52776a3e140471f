//! Strategic merge patch: like a merge patch, but lists with a merge key are joined, and directives may say otherwise.

use super::PatchError;
use crate::apiserver::schema::{Field, Node, Resource, TypeId, Types};
use serde_json::{Map, Value};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE_ITEMS: &str = "$deleteFromPrimitiveList/";

/// Applies a strategic merge patch; on an error the object may be half changed, so callers patch a copy.
///
/// # Errors
/// A directive that cannot be carried out, or a patch of another shape than the type.
pub fn strategic(resource: &Resource, object: &mut Value, patch: &Value) -> Result<(), PatchError> {
    let walk = Walk { types: &resource.schema.types };
    let Some(patch) = patch.as_object() else {
        return Err(PatchError::Malformed("a strategic merge patch must be an object".to_owned()));
    };
    let taken = std::mem::take(object);
    let Value::Object(map) = taken else { return Ok(()) };
    *object = Value::Object(walk.maps(Some(resource.schema.id), map, patch, true)?);
    Ok(())
}

struct Walk<'a> {
    types: &'a Types,
}

type Result_<T> = Result<T, PatchError>;

fn bad<T>(text: String) -> Result_<T> {
    Err(PatchError::BadDirective(text))
}

impl Walk<'_> {
    fn node(&self, id: Option<TypeId>) -> Option<&Node> {
        id.map(|id| self.types.node(id))
    }

    /// Merges a patch into a map. With `ignore_nulls` (the patch has nothing to be merged with) nulls are dropped too.
    fn maps(
        &self,
        id: Option<TypeId>,
        mut original: Map<String, Value>,
        patch: &Map<String, Value>,
        existing: bool,
    ) -> Result_<Map<String, Value>> {
        match patch.get(PATCH).map(|directive| directive.as_str().unwrap_or("")) {
            Some("replace") => {
                let mut replaced = patch.clone();
                replaced.remove(PATCH);
                return Ok(replaced);
            }
            Some("delete") => return Ok(Map::new()),
            None | Some("merge") => {}
            Some(other) => {
                return bad(format!(
                    "invalid value for $patch: {other:?}, must be one of 'replace', 'delete' or 'merge'"
                ));
            }
        }
        retain(&mut original, patch)?;
        for (key, change) in patch {
            if key == PATCH || key == RETAIN_KEYS || key.starts_with(ORDER) {
                continue;
            }
            if let Some(field) = key.strip_prefix(DELETE_ITEMS) {
                delete_items(&mut original, field, change);
                continue;
            }
            self.entry(id, &mut original, key, change, patch, existing)?;
        }
        self.order_untouched(id, &mut original, patch);
        Ok(original)
    }

    fn entry(
        &self,
        id: Option<TypeId>,
        original: &mut Map<String, Value>,
        key: &str,
        change: &Value,
        patch: &Map<String, Value>,
        existing: bool,
    ) -> Result_<()> {
        if change.is_null() {
            original.remove(key);
            return Ok(());
        }
        let of = self.node(id);
        let (field, entry) = (of.and_then(|of| of.field(key)), of.and_then(|of| of.entry(key)));
        let before = original.remove(key);
        let merged = match (before, change) {
            (Some(Value::Object(before)), Value::Object(change)) => {
                let replaced = change.get(PATCH).and_then(Value::as_str) == Some("delete");
                if replaced {
                    return Ok(());
                }
                Value::Object(self.maps(entry, before, change, existing)?)
            }
            (Some(Value::Array(before)), Value::Array(change)) if field.is_some_and(|field| field.strategy.merge) => {
                let order = patch.get(&format!("{ORDER}{key}")).and_then(Value::as_array);
                self.lists(field, before, change, order.map(Vec::as_slice))?
            }
            (_, Value::Object(change)) => Value::Object(self.maps(entry, Map::new(), change, false)?),
            (_, Value::Array(change)) => self.fresh_list(field, change)?,
            (_, change) => change.clone(),
        };
        original.insert(key.to_owned(), merged);
        Ok(())
    }

    /// A list that replaces, or that there was none of: directives inside are carried out on nothing.
    fn fresh_list(&self, field: Option<&Field>, change: &[Value]) -> Result_<Value> {
        let items = field.and_then(|field| self.types.node(field.id).items);
        if field.is_some_and(|field| field.strategy.merge && field.merge_key.is_some()) {
            return self.lists(field, Vec::new(), change, None);
        }
        let mut out = Vec::with_capacity(change.len());
        for item in change {
            out.push(match item {
                Value::Object(map) => Value::Object(self.maps(items, Map::new(), map, false)?),
                other => other.clone(),
            });
        }
        Ok(Value::Array(out))
    }

    fn lists(
        &self,
        field: Option<&Field>,
        original: Vec<Value>,
        change: &[Value],
        order: Option<&[Value]>,
    ) -> Result_<Value> {
        let key = field.and_then(|field| field.merge_key.as_deref());
        let items = field.and_then(|field| self.types.node(field.id).items);
        let Some(key) = key else { return Ok(Value::Array(scalars(original, change, order))) };
        if change.iter().any(|item| item.get(PATCH).and_then(Value::as_str) == Some("replace")) {
            let kept = change.iter().filter(|item| item.get(PATCH).is_none()).cloned();
            return Ok(Value::Array(kept.collect()));
        }
        let old: Vec<Value> = original.iter().filter_map(|one| one.get(key)).cloned().collect();
        let mut out = original;
        for item in change {
            let Some(map) = item.as_object() else {
                return bad(format!("expected an object in the list that is merged by {key}"));
            };
            let Some(id) = map.get(key) else {
                return bad(format!("map: {} does not contain declared merge key: {key}", Value::Object(map.clone())));
            };
            let at = out.iter().position(|known| known.get(key) == Some(id));
            if map.get(PATCH).and_then(Value::as_str) == Some("delete") {
                out.retain(|known| known.get(key) != Some(id));
                continue;
            }
            let before = at.and_then(|at| out[at].as_object_mut()).map(std::mem::take);
            let existing = before.is_some();
            let merged = Value::Object(self.maps(items, before.unwrap_or_default(), map, existing)?);
            match at {
                Some(at) => out[at] = merged,
                None => out.push(merged),
            }
        }
        let order = order.map(|order| order.iter().filter_map(|one| one.get(key)).cloned().collect::<Vec<_>>());
        let sent: Vec<Value> = change.iter().filter_map(|one| one.get(key)).cloned().collect();
        Ok(Value::Array(ordered(out, &order.unwrap_or(sent), &old, |item| {
            item.get(key).cloned().unwrap_or(Value::Null)
        })))
    }

    /// An order given for a list that the patch does not otherwise touch.
    fn order_untouched(&self, id: Option<TypeId>, original: &mut Map<String, Value>, patch: &Map<String, Value>) {
        for (key, order) in patch {
            let Some(name) = key.strip_prefix(ORDER).filter(|name| !patch.contains_key(*name)) else { continue };
            let Some(order) = order.as_array() else { continue };
            let field = self.node(id).and_then(|of| of.field(name));
            let merge_key = field.and_then(|field| field.merge_key.as_deref());
            let Some(Value::Array(list)) = original.get_mut(name) else { continue };
            let identity = |item: &Value| {
                merge_key.map_or_else(|| item.clone(), |key| item.get(key).cloned().unwrap_or(Value::Null))
            };
            let order: Vec<Value> = order.iter().map(identity).collect();
            let old: Vec<Value> = list.iter().map(identity).collect();
            *list = ordered(std::mem::take(list), &order, &old, identity);
        }
    }
}

/// `$retainKeys`: other keys of the original go.
fn retain(original: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result_<()> {
    let Some(keys) = patch.get(RETAIN_KEYS) else { return Ok(()) };
    let Some(keys) = keys.as_array() else { return bad("invalid patch format of retain keys".to_owned()) };
    original.retain(|name, _| keys.iter().any(|key| key == name));
    Ok(())
}

fn delete_items(original: &mut Map<String, Value>, field: &str, gone: &Value) {
    let (Some(Value::Array(list)), Some(gone)) = (original.get_mut(field), gone.as_array()) else { return };
    list.retain(|item| !gone.contains(item));
}

/// A merged list of scalars: both, each once.
fn scalars(original: Vec<Value>, change: &[Value], order: Option<&[Value]>) -> Vec<Value> {
    let old = original.clone();
    let mut out = original;
    for item in change {
        if !out.contains(item) {
            out.push(item.clone());
        }
    }
    ordered(out, order.unwrap_or(change), &old, Clone::clone)
}

/// Items that the patch orders come in its order; the others keep their place relative to their old neighbours, and
/// new items come before them (upstream: `normalizeElementOrder`). `old` names the items before the patch.
fn ordered(list: Vec<Value>, order: &[Value], old: &[Value], identity: impl Fn(&Value) -> Value) -> Vec<Value> {
    let place = |item: &Value| order.iter().position(|one| *one == identity(item));
    let index = |item: &Value| old.iter().position(|one| *one == identity(item));
    let (mut sent, rest): (Vec<Value>, Vec<Value>) = list.into_iter().partition(|item| place(item).is_some());
    sent.sort_by_key(|item| place(item));
    let mut out = Vec::with_capacity(sent.len() + rest.len());
    let (mut sent, mut rest) = (sent.into_iter().peekable(), rest.into_iter().peekable());
    loop {
        let take_rest = match (sent.peek(), rest.peek()) {
            (None, None) => break,
            (None, Some(_)) => true,
            (Some(_), None) => false,
            (Some(a), Some(b)) => index(b) < index(a),
        };
        out.extend(if take_rest { rest.next() } else { sent.next() });
    }
    out
}
