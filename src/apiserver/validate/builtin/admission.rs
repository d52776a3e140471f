//! Policies of admission and their bindings (`pkg/apis/admissionregistration/validation`).

use super::{absent, list, one_of, unsupported};
use crate::apiserver::admission::{composed, variables};
use crate::apiserver::cel::{Program, Type};
use crate::apiserver::text::{alphabetic_label, path_segment, qualified_name, subdomain};
use crate::apiserver::validate::{FieldError, Reason, bad, expressions, forbidden, invalid, required};
use serde_json::Value;

fn duplicate(field: &str, value: &Value) -> FieldError {
    FieldError { field: field.to_owned(), reason: Reason::Duplicate, detail: format!("Duplicate value: {value}") }
}

type Given = Vec<(&'static str, Type)>;

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}

/// A `ValidatingAdmissionPolicy`.
pub(super) fn policy(new: &Value, out: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    one_of("spec.failurePolicy", &spec["failurePolicy"], &["Fail", "Ignore"], out);
    let params = spec["paramKind"].is_object();
    if params {
        param_kind(&spec["paramKind"], out);
    }
    if spec["matchConstraints"].is_object() {
        resources(&spec["matchConstraints"], "spec.matchConstraints", out);
        if list(&spec["matchConstraints"], "resourceRules").is_empty() {
            out.push(required("spec.matchConstraints.resourceRules", ""));
        }
    } else {
        out.push(required("spec.matchConstraints", ""));
    }
    expressions::conditions(list(spec, "matchConditions"), "spec", params, out);
    let mut given = variables(params);
    variables_of(spec, &mut given, out);
    if list(spec, "validations").is_empty() && list(spec, "auditAnnotations").is_empty() {
        let why = "validations or auditAnnotations must contain at least one item";
        out.push(required("spec.validations", why));
        out.push(required("spec.auditAnnotations", why));
    }
    for (at, validation) in list(spec, "validations").iter().enumerate() {
        check(validation, &format!("spec.validations[{at}]"), &given, out);
    }
    for (at, annotation) in list(spec, "auditAnnotations").iter().enumerate() {
        let path = format!("spec.auditAnnotations[{at}]");
        audit(&new["metadata"]["name"], annotation, &path, &given, out);
        let key = &annotation["key"];
        if list(spec, "auditAnnotations")[..at].iter().any(|other| other["key"] == *key) {
            out.push(duplicate(&format!("{path}.key"), key));
        }
    }
}

fn param_kind(given: &Value, out: &mut Vec<FieldError>) {
    let (api_version, kind) = (text(given, "apiVersion"), text(given, "kind"));
    let field = "spec.paramKind.apiVersion";
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    match api_version {
        "" => out.push(required(field, "")),
        _ if version.contains('/') => {
            out.push(invalid(field, api_version, &format!("unexpected GroupVersion string: {api_version}")));
        }
        _ => {
            out.extend(subdomain(group).filter(|_| !group.is_empty()).map(|why| invalid(field, group, &why)));
            out.extend(alphabetic_label(version).map(|why| invalid(field, version, &why)));
        }
    }
    let field = "spec.paramKind.kind";
    if kind.is_empty() {
        out.push(required(field, ""));
    } else if let Some(why) = alphabetic_label(&kind.to_ascii_lowercase()) {
        out.push(invalid(field, kind, &format!("may have mixed case, but should otherwise match: {why}")));
    }
}

fn variables_of(spec: &Value, given: &mut Given, out: &mut Vec<FieldError>) {
    let compiled = composed(spec, given);
    for (at, (variable, composed)) in list(spec, "variables").iter().zip(compiled).enumerate() {
        let path = format!("spec.variables[{at}]");
        let (name, expression) = (text(variable, "name"), text(variable, "expression"));
        let starts = |one: char| one.is_ascii_alphabetic() || one == '_';
        if name.trim().is_empty() {
            out.push(required(&format!("{path}.name"), "name is not specified"));
        } else if !name.starts_with(starts) || !name.chars().all(|one| starts(one) || one.is_ascii_digit()) {
            out.push(invalid(&format!("{path}.name"), name, "must be a valid CEL identifier"));
        }
        match composed.program {
            _ if expression.trim().is_empty() => {
                out.push(required(&format!("{path}.expression"), "expression is not specified"));
            }
            Ok(_) => {}
            Err(why) => {
                out.push(invalid(&format!("{path}.expression"), expression, &format!("compilation failed: {why}")));
            }
        }
    }
}

fn check(validation: &Value, path: &str, given: &Given, out: &mut Vec<FieldError>) {
    let (expression, message) = (text(validation, "expression"), text(validation, "message"));
    if expression.trim().is_empty() {
        out.push(required(&format!("{path}.expression"), "expression is not specified"));
    } else {
        compile(&format!("{path}.expression"), expression, given, &[Type::Bool], out);
    }
    let says = text(validation, "messageExpression");
    if !says.is_empty() && says.trim().is_empty() {
        out.push(invalid(&format!("{path}.messageExpression"), says, "must be non-empty if specified"));
    } else if !says.is_empty() {
        compile(&format!("{path}.messageExpression"), says, given, &[Type::Text], out);
    }
    if !message.is_empty() && message.trim().is_empty() {
        out.push(invalid(&format!("{path}.message"), message, "must be non-empty if specified"));
    } else if message.trim().contains(['\n', '\r']) {
        out.push(invalid(&format!("{path}.message"), message, "must not contain line breaks"));
    }
    let reasons = ["Forbidden", "Invalid", "RequestEntityTooLarge"];
    one_of(&format!("{path}.reason"), &validation["reason"], &reasons, out);
}

fn audit(policy: &Value, annotation: &Value, path: &str, given: &Given, out: &mut Vec<FieldError>) {
    let (key, expression) = (text(annotation, "key"), text(annotation, "valueExpression"));
    let name = format!("{}/{key}", policy.as_str().unwrap_or_default());
    out.extend(qualified_name(&name).into_iter().map(|why| invalid(&format!("{path}.key"), &name, &why)));
    if expression.trim().is_empty() {
        out.push(required(&format!("{path}.valueExpression"), "valueExpression is not specified"));
    } else {
        compile(&format!("{path}.valueExpression"), expression, given, &[Type::Text, Type::Null], out);
    }
}

/// An expression that has to come to one of some types.
fn compile(field: &str, text: &str, given: &Given, wanted: &[Type], out: &mut Vec<FieldError>) {
    match Program::compile(text, given) {
        Ok(program) if wanted.contains(program.result()) => {}
        Ok(program) => {
            let shown = |kind: &Type| match kind {
                Type::Null => "null_type".to_owned(),
                kind => kind.to_string(),
            };
            let wanted: Vec<String> = wanted.iter().map(shown).collect();
            let why = match wanted.as_slice() {
                [one] => format!("must evaluate to {one} but got {}", shown(program.result())),
                several => {
                    format!("must evaluate to one of [{}] but got {}", several.join(" "), shown(program.result()))
                }
            };
            out.push(invalid(field, text, &why));
        }
        Err(why) => out.push(invalid(field, text, &format!("compilation failed: {why}"))),
    }
}

fn resources(criteria: &Value, path: &str, out: &mut Vec<FieldError>) {
    one_of(&format!("{path}.matchPolicy"), &criteria["matchPolicy"], &["Equivalent", "Exact"], out);
    for field in ["resourceRules", "excludeResourceRules"] {
        for (at, rule) in list(criteria, field).iter().enumerate() {
            rule_of(rule, &format!("{path}.{field}[{at}]"), out);
        }
    }
}

fn rule_of(rule: &Value, path: &str, out: &mut Vec<FieldError>) {
    let mut seen: Vec<&Value> = Vec::new();
    for (at, name) in list(rule, "resourceNames").iter().enumerate() {
        if seen.contains(&name) {
            out.push(duplicate(&format!("{path}.resourceNames[{at}]"), name));
        }
        seen.push(name);
    }
    for field in ["operations", "apiGroups", "apiVersions", "resources"] {
        if absent(&rule[field]) {
            out.push(required(&format!("{path}.{field}"), ""));
        }
    }
    for (at, operation) in list(rule, "operations").iter().enumerate() {
        let known = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
        one_of(&format!("{path}.operations[{at}]"), operation, &known, out);
    }
}

/// A `ValidatingAdmissionPolicyBinding`.
pub(super) fn binding(new: &Value, out: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    let name = text(spec, "policyName");
    if name.is_empty() {
        out.push(required("spec.policyName", ""));
    } else {
        out.extend(subdomain(name).map(|why| invalid("spec.policyName", name, &why)));
    }
    param_ref(&spec["paramRef"], out);
    if spec["matchResources"].is_object() {
        resources(&spec["matchResources"], "spec.matchResources", out);
    }
    let actions = list(spec, "validationActions");
    for (at, action) in actions.iter().enumerate() {
        let field = format!("spec.validationActions[{at}]");
        one_of(&field, action, &["Audit", "Deny", "Warn"], out);
        if actions[..at].contains(action) {
            out.push(duplicate(&field, action));
        }
    }
    let has = |wanted: &str| actions.iter().any(|action| action == wanted);
    if has("Deny") && has("Warn") {
        let why = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
        out.push(bad("spec.validationActions", &spec["validationActions"], why));
    }
    if actions.is_empty() {
        out.push(required("spec.validationActions", "at least one validation action is required"));
    }
}

fn param_ref(params: &Value, out: &mut Vec<FieldError>) {
    if !params.is_object() {
        return;
    }
    let (named, selected) = (!absent(&params["name"]), params["selector"].is_object());
    let name = text(params, "name");
    out.extend(path_segment(name).filter(|_| named).map(|why| invalid("spec.paramRef.name", name, &why)));
    if named && selected {
        for field in ["name", "selector"] {
            let why = "Forbidden: name and selector are mutually exclusive";
            out.push(forbidden(&format!("spec.paramRef.{field}"), why));
        }
    }
    if !named && !selected {
        out.push(required("spec.paramRef", "one of name or selector must be specified"));
    }
    match text(params, "parameterNotFoundAction") {
        "" => out.push(required("spec.paramRef.parameterNotFoundAction", "")),
        "Allow" | "Deny" => {}
        other => out.push(unsupported("spec.paramRef.parameterNotFoundAction", other, &["Deny", "Allow"])),
    }
}
