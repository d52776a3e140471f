//! Whether a live object has what a desired one asks for.
//!
//! As the stock Argo CD diff of custom resources does it: a JSON merge patch is computed and the object is in sync if
//! the patch would change nothing. Without the annotation of `kubectl apply` the patch holds the desired fields; with
//! it also the removal of fields that were applied last time and are gone now. Lists are atomic. `null` asks for nothing.

use serde_json::Value;

/// Where `kubectl apply` keeps what it applied.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether applying `desired` would leave `live` as it is. `last_applied` is the annotation of `live`, if it has one.
#[must_use]
pub fn covers(desired: &Value, live: &Value, last_applied: Option<&str>) -> bool {
    let removes_nothing = last_applied
        .and_then(|text| serde_json::from_str::<Value>(text).ok())
        .is_none_or(|applied| !removes(&applied, desired, live));
    removes_nothing && contains(desired, live)
}

fn contains(desired: &Value, live: &Value) -> bool {
    match (desired, live) {
        (Value::Object(desired), Value::Object(live)) => desired.iter().all(|(key, want)| match live.get(key) {
            Some(have) => contains(want, have),
            None => asks_for_nothing(want),
        }),
        (Value::Null, _) => true,
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (want, have) => want == have,
    }
}

/// A merge patch drops nulls and, with them, maps that hold nothing else... but an empty map is still created.
fn asks_for_nothing(want: &Value) -> bool {
    want.is_null()
}

/// Whether something that was applied is no longer desired but still live.
fn removes(applied: &Value, desired: &Value, live: &Value) -> bool {
    let (Value::Object(applied), Value::Object(desired), Value::Object(live)) = (applied, desired, live) else {
        return false;
    };
    applied.iter().any(|(key, was)| match (desired.get(key), live.get(key)) {
        (_, None) => false,
        // The annotation never lists itself, and kubectl never removes what identifies the object.
        (None, Some(_)) => key != "annotations" || was.as_object().is_some_and(|m| !m.is_empty()),
        (Some(want), Some(have)) => removes(was, want, have),
    })
}

/// The merge patch of `kubectl apply` for a custom resource: `desired` over the object, nulls for what was applied
/// before and is gone.
#[must_use]
pub fn apply_patch(desired: &Value, last_applied: Option<&str>) -> Value {
    let mut patch = desired.clone();
    if let Some(applied) = last_applied.and_then(|text| serde_json::from_str::<Value>(text).ok()) {
        forget(&mut patch, &applied);
    }
    patch
}

fn forget(patch: &mut Value, applied: &Value) {
    let (Value::Object(patch), Value::Object(applied)) = (patch, applied) else { return };
    for (key, was) in applied {
        match patch.get_mut(key) {
            Some(kept) => forget(kept, was),
            None => {
                patch.insert(key.clone(), Value::Null);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(want: bool, desired: Value, live: Value, last_applied: Option<Value>) {
        let applied = last_applied.map(|v| v.to_string());
        assert_eq!(covers(&desired, &live, applied.as_deref()), want, "{desired} against {live}");
    }

    #[test]
    fn only_rendered_fields_are_compared() {
        check(true, json!({"a": 1}), json!({"a": 1, "status": {"x": 2}}), None);
        check(true, json!({"s": {"a": "x"}}), json!({"s": {"a": "x", "timeout": "60s"}}), None);
        check(false, json!({"s": {"a": "x"}}), json!({"s": {"a": "y"}}), None);
        check(false, json!({"s": {"a": "x"}}), json!({"s": {}}), None);
        check(false, json!({"s": {"a": "x"}}), json!({"s": "x"}), None);
    }

    #[test]
    fn lists_are_atomic_and_null_asks_for_nothing() {
        check(false, json!({"l": [1]}), json!({"l": [1, 2]}), None);
        check(false, json!({"l": [{"a": 1}]}), json!({"l": [{"a": 1, "b": 2}]}), None);
        check(true, json!({"values": null}), json!({}), None);
        check(true, json!({"n": 1.0}), json!({"n": 1}), None);
    }

    #[test]
    fn a_field_applied_before_and_gone_now_is_a_difference() {
        let live = json!({"spec": {"values": {"a": 1, "b": 2}}});
        check(true, json!({"spec": {"values": {"a": 1}}}), live.clone(), None);
        check(false, json!({"spec": {"values": {"a": 1}}}), live.clone(), Some(live.clone()));
        check(true, json!({"spec": {"values": {"a": 1}}}), live, Some(json!({"spec": {"values": {"a": 1}}})));
    }

    #[test]
    fn the_patch_of_an_apply_makes_the_live_object_cover_the_desired_one() {
        let live = json!({"spec": {"values": {"a": 1, "b": 2}, "server": "set"}});
        let applied = json!({"spec": {"values": {"a": 1, "b": 2}}}).to_string();
        let desired = json!({"spec": {"values": {"a": 3}}});
        let patch = apply_patch(&desired, Some(&applied));
        let mut after = live;
        json_patch::merge(&mut after, &patch);
        assert_eq!(after, json!({"spec": {"values": {"a": 3}, "server": "set"}}));
        assert!(covers(&desired, &after, Some(&desired.to_string())));
    }
}
