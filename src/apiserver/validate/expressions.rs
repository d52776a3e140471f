//! What makes the rules of a definition's schema invalid (`x-kubernetes-validations`): upstream
//! `apiextensions/validation` and the compiler of its expressions.

use super::{FieldError, Reason, bad, invalid, required};
use crate::apiserver::admission;
use crate::apiserver::cel::{Program, Type};
use crate::apiserver::schema::rules::variables;
use crate::apiserver::text::qualified_name;
use serde_json::{Value, json};

const REASONS: [&str; 4] = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

fn text<'a>(rule: &'a Value, key: &str) -> &'a str {
    rule[key].as_str().unwrap_or_default()
}

fn rules(schema: &Value) -> impl Iterator<Item = (usize, &Value)> {
    schema["x-kubernetes-validations"].as_array().into_iter().flatten().enumerate()
}

/// Checks the form of the rules of one schema.
pub(super) fn form(schema: &Value, path: &str, out: &mut Vec<FieldError>) {
    for (at, rule) in rules(schema) {
        let at = |key: &str| format!("{path}.x-kubernetes-validations[{at}].{key}");
        let (message, lines) = (text(rule, "message"), |text: &str| text.trim().contains('\n'));
        if text(rule, "rule").trim().is_empty() {
            out.push(required(&at("rule"), "rule is not specified"));
        } else if !message.is_empty() && message.trim().is_empty() {
            out.push(invalid(&at("message"), message, "must be non-empty if specified"));
        } else if lines(message) {
            out.push(invalid(&at("message"), message, "must not contain line breaks"));
        } else if lines(text(rule, "rule")) && message.trim().is_empty() {
            out.push(required(&at("message"), "message must be specified if rule contains line breaks"));
        }
        let expression = text(rule, "messageExpression");
        if !expression.is_empty() && expression.trim().is_empty() {
            out.push(required(&at("messageExpression"), "messageExpression must be non-empty if specified"));
        }
        if let Some(reason) = rule["reason"].as_str().filter(|reason| !REASONS.contains(reason)) {
            let shown: Vec<String> = REASONS.iter().map(|one| format!("{one:?}")).collect();
            let detail = format!("Unsupported value: {reason:?}: supported values: {}", shown.join(", "));
            out.push(FieldError { field: at("reason"), reason: Reason::NotSupported, detail });
        }
        let place = text(rule, "fieldPath");
        if !place.is_empty() && place.trim().is_empty() {
            out.push(invalid(&at("fieldPath"), place, "must be non-empty if specified"));
        }
        if lines(place) {
            out.push(invalid(&at("fieldPath"), place, "must not contain line breaks"));
        }
        if !place.is_empty() && !leads_somewhere(schema, place) {
            out.push(invalid(&at("fieldPath"), place, "must be a valid path"));
        }
    }
}

/// Whether a path of fields and keys, such as `.a['b'].c`, is in a schema.
fn leads_somewhere(schema: &Value, path: &str) -> bool {
    let (mut of, mut rest) = (schema, path);
    while !rest.is_empty() {
        let name = if let Some(quoted) = rest.strip_prefix("['") {
            let Some((name, after)) = quoted.split_once("']") else { return false };
            rest = after;
            name.replace("\\'", "'")
        } else if let Some(plain) = rest.strip_prefix('.') {
            let end = plain.find(['.', '[']).unwrap_or(plain.len());
            rest = &plain[end..];
            plain[..end].to_owned()
        } else {
            return false;
        };
        let next = match &of["properties"] {
            Value::Object(fields) => fields.get(&name),
            _ => of.get("additionalProperties").filter(|part| part.is_object()),
        };
        let Some(next) = next else { return false };
        of = next;
    }
    true
}

/// Compiles the rules of one schema. `apart` is the list or map around it whose parts cannot be told from their old
/// versions.
pub(super) fn compile(schema: &Value, path: &str, root: bool, apart: Option<&str>, out: &mut Vec<FieldError>) {
    let Some(own) = rules(schema).next().and_then(|_| Type::of_schema(schema, root, "selfType")) else { return };
    for (at, rule) in rules(schema) {
        let at = |key: &str| format!("{path}.x-kubernetes-validations[{at}].{key}");
        let variables = variables(&own, rule["optionalOldSelf"] == true);
        let refuse = |key: &str, why: &str| {
            let detail = format!("Invalid value: {}: {why}", shown(rule));
            FieldError { field: at(key), reason: Reason::Invalid, detail }
        };
        let program = match Program::compile(text(rule, "rule"), &variables) {
            Ok(program) if *program.result() == Type::Bool => program,
            Ok(_) => {
                out.push(refuse("rule", "cel expression must evaluate to a bool"));
                continue;
            }
            Err(why) => {
                out.push(refuse("rule", &format!("compilation failed: {why}")));
                continue;
            }
        };
        let message = text(rule, "messageExpression");
        if !message.is_empty() {
            match Program::compile(message, &variables) {
                Ok(program) if matches!(program.result(), Type::Text) => {}
                Ok(_) => out.push(refuse("messageExpression", "messageExpression must evaluate to a string")),
                Err(why) => {
                    out.push(refuse("messageExpression", &format!("messageExpression compilation failed: {why}")));
                }
            }
        }
        match (program.uses("oldSelf"), apart, rule["optionalOldSelf"].as_bool()) {
            (true, Some(apart), _) => {
                let why = format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {apart}");
                out.push(invalid(&at("rule"), text(rule, "rule"), &why));
            }
            (false, _, Some(optional)) => {
                let why = "may not be set if oldSelf is not used in rule";
                out.push(bad(&at("optionalOldSelf"), &json!(optional), why));
            }
            _ => {}
        }
    }
}

/// A rule as Go prints its structure.
fn shown(rule: &Value) -> String {
    let go = |value: Value| value.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    let quoted = |key: &str| go(json!(text(rule, key)));
    format!(
        r#"{{"Rule":{},"Message":{},"MessageExpression":{},"Reason":{},"FieldPath":{},"OptionalOldSelf":{}}}"#,
        quoted("rule"),
        quoted("message"),
        quoted("messageExpression"),
        go(rule["reason"].clone()),
        quoted("fieldPath"),
        rule["optionalOldSelf"]
    )
}

/// Checks the conditions under which a webhook or a policy, which may have parameters, is asked
/// (`admissionregistration/validation`). Those that ask the authorizer are taken as they are.
pub(super) fn conditions(list: &[Value], path: &str, params: bool, out: &mut Vec<FieldError>) {
    let given = admission::variables(params);
    for (at, condition) in list.iter().enumerate() {
        let field = format!("{path}.matchConditions[{at}]");
        self::condition(condition, &field, &given, out);
        let (field, name) = (format!("{field}.name"), text(condition, "name"));
        if name.is_empty() {
            out.push(required(&field, ""));
            continue;
        }
        out.extend(qualified_name(name).iter().map(|why| invalid(&field, name, why)));
        if list[..at].iter().any(|other| other["name"] == name) {
            let detail = format!("Duplicate value: {name:?}");
            out.push(FieldError { field, reason: Reason::Duplicate, detail });
        }
    }
}

fn condition(condition: &Value, path: &str, given: &[(&str, Type)], out: &mut Vec<FieldError>) {
    let (field, text) = (format!("{path}.expression"), text(condition, "expression"));
    if text.trim().is_empty() {
        out.push(required(&field, ""));
        return;
    }
    match Program::compile(text, given) {
        Ok(program) if *program.result() == Type::Bool => {}
        Ok(program) => {
            out.push(invalid(&field, text, &format!("must evaluate to bool but got {}", program.result())));
        }
        Err(_) if text.contains("authorizer") => {}
        Err(why) => out.push(invalid(&field, text, &format!("compilation failed: {why}"))),
    }
}
