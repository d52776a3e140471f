//! Sets of field paths, kept as FieldsV1 itself: `{"f:spec":{".":{},"f:replicas":{}}}`.
//!
//! A node that is empty, or has the entry `.`, belongs to the set; another only leads to nodes that do. The outermost
//! map is the whole object, which never belongs to a set. Keys are `f:name`, `k:{...}`, `v:json`, `i:n`.

use serde_json::{Map, Value};

/// A set of field paths in the form of FieldsV1.
pub(crate) type Set = Map<String, Value>;

const SELF: &str = ".";

/// Whether the node with this content belongs to its set.
pub(super) fn is_member(node: &Set) -> bool {
    node.is_empty() || node.contains_key(SELF)
}

/// The content of a node made of its membership and its children; none if there is nothing to keep.
pub(super) fn node(member: bool, mut children: Set) -> Option<Value> {
    if children.is_empty() {
        return member.then_some(Value::Object(children));
    }
    if member {
        children.insert(SELF.to_owned(), Value::Object(Set::new()));
    }
    Some(Value::Object(children))
}

fn inner(value: &Value) -> Option<&Set> {
    value.as_object()
}

/// Entries of a node that are children.
pub(super) fn children(node: &Set) -> impl Iterator<Item = (&String, &Set)> {
    node.iter().filter(|(key, _)| *key != SELF).filter_map(|(key, value)| Some((key, inner(value)?)))
}

/// The child of a node.
pub(super) fn child<'a>(node: &'a Set, key: &str) -> Option<&'a Set> {
    node.get(key).and_then(inner)
}

/// Whether the path of one element belongs to the set.
pub(super) fn has(set: &Set, key: &str) -> bool {
    child(set, key).is_some_and(is_member)
}

/// Adds everything of `more` to `set`.
pub(super) fn union(set: &mut Set, more: &Set) {
    for (key, theirs) in children(more) {
        match set.get_mut(key).and_then(Value::as_object_mut) {
            None => {
                set.insert(key.clone(), Value::Object(theirs.clone()));
            }
            Some(ours) => {
                let member = is_member(ours) || is_member(theirs);
                union(ours, theirs);
                if member && !ours.is_empty() {
                    ours.insert(SELF.to_owned(), Value::Object(Set::new()));
                }
            }
        }
    }
}

/// Takes everything of `less` out of `set`; nodes below a taken one stay. True if anything was taken.
pub(super) fn subtract(set: &mut Set, less: &Set) -> bool {
    let mut changed = false;
    for (key, theirs) in children(less) {
        let Some(ours) = set.get_mut(key).and_then(Value::as_object_mut) else { continue };
        let member = is_member(ours);
        let stays = member && !is_member(theirs);
        changed |= member && !stays;
        ours.remove(SELF);
        if !theirs.is_empty() {
            changed |= subtract(ours, theirs);
        }
        if ours.is_empty() && !stays {
            set.remove(key);
        } else if stays && !ours.is_empty() {
            ours.insert(SELF.to_owned(), Value::Object(Set::new()));
        }
    }
    changed
}

/// Takes the paths of `less` and everything below them out of `set`.
pub(super) fn subtract_trees(set: &mut Set, less: &Set) {
    for (key, theirs) in children(less) {
        if is_member(theirs) {
            set.remove(key);
            continue;
        }
        let Some(ours) = set.get_mut(key).and_then(Value::as_object_mut) else { continue };
        let member = is_member(ours);
        ours.remove(SELF);
        subtract_trees(ours, theirs);
        if ours.is_empty() && !member {
            set.remove(key);
        } else if member && !ours.is_empty() {
            ours.insert(SELF.to_owned(), Value::Object(Set::new()));
        }
    }
}

/// What both sets hold.
pub(super) fn intersection(one: &Set, other: &Set) -> Set {
    let mut both = Set::new();
    for (key, theirs) in children(other) {
        let Some(ours) = child(one, key) else { continue };
        if let Some(kept) = node(is_member(ours) && is_member(theirs), intersection(ours, theirs)) {
            both.insert(key.clone(), kept);
        }
    }
    both
}

/// Whether any path is in both sets.
pub(super) fn meet(one: &Set, other: &Set) -> bool {
    children(other).any(|(key, theirs)| {
        child(one, key).is_some_and(|ours| is_member(ours) && is_member(theirs) || meet(ours, theirs))
    })
}

/// Whether every path of `less` is in `set`.
pub(super) fn holds(set: &Set, less: &Set) -> bool {
    children(less).all(|(key, theirs)| {
        child(set, key).is_some_and(|ours| (is_member(ours) || !is_member(theirs)) && holds(ours, theirs))
    })
}

/// The set of these paths, given as named fields.
pub(super) fn of_fields(paths: &[Vec<String>]) -> Set {
    let mut set = Set::new();
    for path in paths {
        let mut leaf = Set::new();
        for name in path.iter().rev() {
            leaf = Set::from_iter([(format!("f:{name}"), Value::Object(leaf))]);
        }
        union(&mut set, &leaf);
    }
    set
}

/// Every path of the set as error texts print it, members of a level before what is below them (upstream's order).
pub(super) fn texts(set: &Set) -> Vec<String> {
    let mut out = Vec::new();
    collect(set, "", &mut out);
    out
}

fn collect(set: &Set, prefix: &str, out: &mut Vec<String>) {
    for (key, below) in children(set) {
        if is_member(below) {
            out.push(format!("{prefix}{}", text(key)));
        }
    }
    for (key, below) in children(set) {
        collect(below, &format!("{prefix}{}", text(key)), out);
    }
}

/// One path element: `f:a` is `.a`, `k:{"name":"x"}` is `[name="x"]`, `v:"x"` is `[="x"]`, `i:3` is `[3]`.
pub(super) fn text(key: &str) -> String {
    match key.split_at_checked(2) {
        Some(("f:", name)) => format!(".{name}"),
        Some(("v:", value)) => format!("[={value}]"),
        Some(("i:", index)) => format!("[{index}]"),
        Some(("k:", fields)) => {
            let fields: Set = serde_json::from_str(fields).unwrap_or_default();
            let parts: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("[{}]", parts.join(","))
        }
        _ => key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;
    use std::collections::BTreeSet;

    fn set(value: Value) -> Set {
        serde_json::from_value(value).unwrap()
    }

    fn paths(set: &Set) -> BTreeSet<String> {
        texts(set).into_iter().collect()
    }

    /// Every node leads to a member, and only nodes with children carry the mark of their own membership.
    fn well_formed(set: &Set) -> bool {
        children(set).all(|(_, below)| !(below.len() == 1 && below.contains_key(SELF)) && well_formed(below))
    }

    fn any_set() -> impl Strategy<Value = Set> {
        let path = prop::collection::vec(prop::sample::select(vec!["f:a", "f:b", "k:{\"n\":1}", "v:\"x\""]), 1..4);
        prop::collection::vec(path, 0..8).prop_map(|paths| {
            let mut set = Set::new();
            for path in paths {
                let mut leaf = Set::new();
                for key in path.iter().rev() {
                    leaf = Set::from_iter([((*key).to_owned(), Value::Object(leaf))]);
                }
                union(&mut set, &leaf);
            }
            set
        })
    }

    proptest! {
        #[test]
        fn sets_of_paths_obey_the_laws_of_sets(a in any_set(), b in any_set()) {
            let (pa, pb) = (paths(&a), paths(&b));
            let mut joined = a.clone();
            union(&mut joined, &b);
            prop_assert_eq!(paths(&joined), pa.union(&pb).cloned().collect::<BTreeSet<_>>());
            let mut rest = a.clone();
            let changed = subtract(&mut rest, &b);
            prop_assert_eq!(paths(&rest), pa.difference(&pb).cloned().collect::<BTreeSet<_>>());
            prop_assert_eq!(changed, !pa.is_disjoint(&pb));
            prop_assert_eq!(meet(&a, &b), changed);
            prop_assert_eq!(holds(&a, &b), pb.is_subset(&pa));
            let both = intersection(&a, &b);
            prop_assert_eq!(paths(&both), pa.intersection(&pb).cloned().collect::<BTreeSet<_>>());
            prop_assert!([&joined, &rest, &both].into_iter().all(well_formed));
        }
    }

    #[test]
    fn paths_print_as_conflicts_show_them() {
        let owned =
            set(json!({"f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}}},
            "f:args": {"v:\"x\"": {}}, "f:replicas": {}}}));
        let expected = [
            ".spec.replicas",
            ".spec.args[=\"x\"]",
            ".spec.ports[port=80,protocol=\"TCP\"]",
            ".spec.ports[port=80,protocol=\"TCP\"].name",
        ];
        assert_eq!(texts(&owned), expected);
    }

    #[test]
    fn taking_a_tree_takes_what_is_below() {
        let mut owned = set(json!({"f:status": {".": {}, "f:a": {}}, "f:spec": {"f:b": {}}}));
        subtract_trees(&mut owned, &set(json!({"f:status": {}})));
        assert_eq!(Value::Object(owned), json!({"f:spec": {"f:b": {}}}));
    }
}
