//! What the rules of a custom resource's schema say about an object.
//!
//! Follows `apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go`: rules of a value before those below it,
//! rules about a change only where the old value can be told, and no complaint about what was wrong before and has not
//! changed.

use super::{FieldError, Reason};
use crate::apiserver::cel::{Failed, Input, Output};
use crate::apiserver::schema::rules::{Node, Rule, Rules};
use serde_json::{Map, Value};

/// What all rules of one object may cost (`RuntimeCELCostBudget`).
const BUDGET: u64 = 10_000_000;

/// Checks an object that is to be created or to replace `old`. What was as wrong before is a warning.
pub(super) fn check(
    rules: &Rules,
    old: Option<&Value>,
    new: &Value,
    out: &mut Vec<FieldError>,
    warnings: &mut Vec<String>,
) {
    let mut walk = Walk { out, warnings, budget: BUDGET, path: String::new(), ended: false };
    walk.node(&rules.root, new, old, old.map(|old| (new, old)));
}

struct Walk<'a> {
    out: &'a mut Vec<FieldError>,
    warnings: &'a mut Vec<String>,
    budget: u64,
    path: String,
    ended: bool,
}

/// A value and what it was, where that can be told.
type Near<'v> = Option<(&'v Value, &'v Value)>;

impl Walk<'_> {
    /// `near` is the innermost value around, or this one, whose old version is known.
    fn node(&mut self, node: &Node, value: &Value, old: Option<&Value>, near: Near<'_>) {
        if value.is_null() || self.ended {
            return;
        }
        let old = old.filter(|old| !old.is_null());
        for rule in &node.rules {
            self.rule(node, rule, value, old, near);
            if self.ended {
                return;
            }
        }
        for part in &node.all_of {
            self.node(part, value, old, near);
        }
        match value {
            Value::Array(items) => self.items(node, items, old.and_then(Value::as_array), near),
            Value::Object(map) => self.fields(node, map, old.and_then(Value::as_object), near),
            _ => {}
        }
    }

    fn items(&mut self, node: &Node, items: &[Value], old: Option<&Vec<Value>>, near: Near<'_>) {
        let Some(inner) = &node.items else { return };
        for (at, item) in items.iter().enumerate() {
            let same = |other: &&Value| node.keys.iter().all(|key| other.get(key) == item.get(key));
            let old = old.filter(|_| !node.keys.is_empty()).and_then(|old| old.iter().find(same));
            let near = old.map_or(near, |old| Some((item, old)));
            self.below(&format!("[{at}]"), |walk| walk.node(inner, item, old, near));
        }
    }

    fn fields(&mut self, node: &Node, map: &Map<String, Value>, old: Option<&Map<String, Value>>, near: Near<'_>) {
        let old = old.filter(|_| node.granular);
        for (name, value) in map {
            let field = node.fields.iter().find(|(known, _)| known == name);
            let (inner, step) = match (field, &node.entries) {
                (Some((_, inner)), _) if self.path.is_empty() => (inner, name.clone()),
                (Some((_, inner)), _) => (inner, format!(".{name}")),
                (None, Some(inner)) => (&**inner, format!("[{name}]")),
                (None, None) => continue,
            };
            let old = old.and_then(|old| old.get(name));
            let near = old.map_or(near, |old| Some((value, old)));
            self.below(&step, |walk| walk.node(inner, value, old, near));
        }
    }

    fn below(&mut self, step: &str, look: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push_str(step);
        look(self);
        self.path.truncate(length);
    }

    fn rule(&mut self, node: &Node, rule: &Rule, value: &Value, old: Option<&Value>, near: Near<'_>) {
        let Some(program) = &rule.program else { return };
        let uses_old = program.uses("oldSelf");
        if uses_old && old.is_none() && !rule.optional_old {
            return;
        }
        let mut given = vec![("self", Input::Value(value, &node.own))];
        match old {
            _ if rule.optional_old => given.push(("oldSelf", Input::Maybe(old.map(|old| (old, &node.own))))),
            Some(old) => given.push(("oldSelf", Input::Value(old, &node.own))),
            None => {}
        }
        let why = match program.run(&given, &mut self.budget) {
            Ok(Output::Truth(true)) => return,
            Ok(_) => None,
            Err(Failed::Error(why)) if why.starts_with("no such overload") => Some(format!(
                "'{why}': call arguments did not match a supported operator, function or macro signature for rule: {}",
                rule.title()
            )),
            Err(Failed::Error(why)) => Some(format!("{why} evaluating rule: {}", rule.title())),
            Err(Failed::TooMuch) => {
                self.ended = true;
                Some(if self.budget == 0 {
                    "validation failed due to running out of cost budget, no further validation rules will be run"
                        .to_owned()
                } else {
                    format!(
                        "'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule: {}",
                        rule.title()
                    )
                })
            }
        };
        let own = if self.path.is_empty() { "<nil>".to_owned() } else { self.path.clone() };
        if let Some(why) = why {
            let detail = format!("Invalid value: {:?}: {why}", node.kind);
            self.out.push(FieldError { field: own, reason: Reason::Invalid, detail });
            return;
        }
        let message = self.message(rule, &given);
        let field = match (rule.place.as_str(), self.path.is_empty()) {
            ("", _) => own,
            (place, true) => place.trim_start_matches('.').to_owned(),
            (place, false) => format!("{}{place}", self.path),
        };
        let refusal = refusal(field, rule.reason.as_deref(), node, value, &message);
        // What was as wrong before is not held against this change.
        if !uses_old && near.is_some_and(|(new, old)| new == old) {
            self.warnings.push(refusal.to_string());
        } else {
            self.out.push(refusal);
        }
    }

    /// What the rule says about its failure.
    fn message<'v>(&mut self, rule: &'v Rule, given: &[(&'v str, Input<'v>)]) -> String {
        let told = rule.message_program.as_ref().map(|program| program.run(given, &mut self.budget));
        match told {
            Some(Ok(Output::Text(text))) => {
                let text = text.trim();
                // Upstream falls back for texts that no log would take.
                if text.is_empty() || text.contains('\n') || text.len() > 5_120 {
                    return rule.message();
                }
                text.to_owned()
            }
            _ => rule.message(),
        }
    }
}

fn refusal(field: String, reason: Option<&str>, node: &Node, value: &Value, message: &str) -> FieldError {
    let shown = match node.kind.as_str() {
        "object" | "array" => String::new(),
        _ => format!(": {value}"),
    };
    let (reason, detail) = match reason {
        Some("FieldValueForbidden") => (Reason::Forbidden, format!("Forbidden: {message}")),
        Some("FieldValueRequired") => (Reason::Required, format!("Required value: {message}")),
        Some("FieldValueDuplicate") => (Reason::Duplicate, format!("Duplicate value{shown}")),
        _ => (Reason::Invalid, format!("Invalid value{shown}: {message}")),
    };
    FieldError { field, reason, detail }
}
