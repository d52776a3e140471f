//! Budgets, quotas, priorities and others that bound what runs.

use super::{absent, at_least, fixed, list, one_of};
use crate::apiserver::schema::Resource;
use crate::apiserver::text::{label, quantity};
use crate::apiserver::validate::{FieldError, Reason, bad, forbidden, invalid, required};
use serde_json::{Value, json};

/// What users may give their classes (`scheduling.HighestUserDefinablePriority`).
const PRIORITY_MAX: i64 = 1_000_000_000;

/// Kinds that have few rules.
pub(super) fn check(resource: &Resource, old: Option<&Value>, new: &Value, out: &mut Vec<FieldError>) {
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("policy", "PodDisruptionBudget") => budget(&new["spec"], out),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler(&new["spec"], out),
        ("scheduling.k8s.io", "PriorityClass") => priority(old, new, out),
        ("node.k8s.io", "RuntimeClass") => {
            let name = new["handler"].as_str().unwrap_or("");
            match label(name) {
                _ if name.is_empty() => out.push(required("handler", "")),
                why => out.extend(why.map(|why| invalid("handler", name, &why))),
            }
            fixed(old, new, "", &["handler"], out);
        }
        ("coordination.k8s.io", "Lease") => {
            at_least("spec.leaseDurationSeconds", &new["spec"]["leaseDurationSeconds"], 1, out);
            at_least("spec.leaseTransitions", &new["spec"]["leaseTransitions"], 0, out);
        }
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration") => {
            let spec = &new["spec"];
            if spec["type"] == "Limited" && absent(&spec["limited"]["limitResponse"]["type"]) {
                out.push(required("spec.limited.limitResponse.type", ""));
            }
        }
        ("", "ResourceQuota") => quota(old, new, out),
        ("", "LimitRange") => limits(&new["spec"], out),
        ("", "Node") => node(old, new, out),
        _ => {}
    }
}

fn budget(spec: &Value, out: &mut Vec<FieldError>) {
    let (least, most) = (&spec["minAvailable"], &spec["maxUnavailable"]);
    if !least.is_null() && !most.is_null() {
        let shown = format!(
            "{{\"MinAvailable\":{least},\"Selector\":{},\"MaxUnavailable\":{most},\"UnhealthyPodEvictionPolicy\":{}}}",
            spec["selector"], spec["unhealthyPodEvictionPolicy"]
        );
        let detail = format!("Invalid value: {shown}: minAvailable and maxUnavailable cannot be both set");
        out.push(FieldError { field: "spec".to_owned(), reason: Reason::Invalid, detail });
    }
    for (field, value) in [("spec.minAvailable", least), ("spec.maxUnavailable", most)] {
        at_least(field, value, 0, out);
        let share = |text: &str| text.strip_suffix('%').is_some_and(|digits| digits.parse::<u32>().is_ok());
        if let Some(text) = value.as_str().filter(|text| !share(text)) {
            let why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
            out.push(invalid(field, text, why));
        }
    }
}

fn autoscaler(spec: &Value, out: &mut Vec<FieldError>) {
    let most = spec["maxReplicas"].as_i64().unwrap_or(0);
    if most < 1 {
        out.push(required("spec.maxReplicas", "must be set and greater than 0"));
    }
    if most < spec["minReplicas"].as_i64().unwrap_or(1) {
        out.push(bad("spec.maxReplicas", &json!(most), "must be greater than or equal to `minReplicas`"));
    }
    let target = &spec["scaleTargetRef"];
    for field in ["kind", "name"] {
        if absent(&target[field]) {
            out.push(required(&format!("spec.scaleTargetRef.{field}"), ""));
        }
    }
    let version = target["apiVersion"].as_str().unwrap_or("");
    if !version.contains('/') && target["kind"] != "ReplicationController" {
        out.push(invalid("spec.scaleTargetRef.apiVersion", version, "apiVersion must specify API group"));
    }
}

fn priority(old: Option<&Value>, new: &Value, out: &mut Vec<FieldError>) {
    let system = new["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("system-"));
    if !system && new["value"].as_i64().is_some_and(|value| value > PRIORITY_MAX) {
        let why = format!("Forbidden: maximum allowed value of a user defined priority is {PRIORITY_MAX}");
        out.push(forbidden("value", &why));
    }
    one_of("preemptionPolicy", &new["preemptionPolicy"], &["PreemptLowerPriority", "Never"], out);
    let Some(old) = old else { return };
    if old["value"] != new["value"] {
        out.push(forbidden("value", "Forbidden: may not be changed in an update."));
    }
    fixed(Some(old), new, "", &["preemptionPolicy"], out);
}

fn quota(old: Option<&Value>, new: &Value, out: &mut Vec<FieldError>) {
    for (name, hard) in new["spec"]["hard"].as_object().into_iter().flatten() {
        if quantity(hard).is_some_and(|hard| hard < 0.0) {
            out.push(bad(&format!("spec.hard[{name}]"), hard, "must be greater than or equal to 0"));
        }
    }
    fixed(old, new, "spec", &["scopes"], out);
}

fn limits(spec: &Value, out: &mut Vec<FieldError>) {
    for (at, limit) in list(spec, "limits").iter().enumerate() {
        let (path, kind) = (format!("spec.limits[{at}]"), limit["type"].as_str().unwrap_or(""));
        if !matches!(kind, "Pod" | "Container" | "PersistentVolumeClaim") && !kind.contains('/') {
            let why = "must be a standard limit type or fully qualified";
            out.push(invalid(&format!("{path}.type"), kind, why));
        }
        for (name, least) in limit["min"].as_object().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
            for (field, word, shown) in [
                ("max", "max", "min"),
                ("defaultRequest", "default request", "defaultRequest"),
                ("default", "default", "default"),
            ] {
                let other = &limit[field][name];
                if quantity(least).zip(quantity(other)).is_some_and(|(least, other)| least > other) {
                    // Of the pair that contradicts itself upstream shows one, and not always the one it means.
                    let told = if field == "defaultRequest" { other } else { least };
                    let why = format!("min value {} is greater than {word} value {}", text(least), text(other));
                    out.push(bad(&format!("{path}.{shown}[{name}]"), told, &why));
                }
            }
        }
    }
}

fn node(old: Option<&Value>, new: &Value, out: &mut Vec<FieldError>) {
    let before = old.map_or(&[][..], |old| list(&old["spec"], "podCIDRs"));
    if !before.is_empty() && before != list(&new["spec"], "podCIDRs") {
        let why = "Forbidden: node updates may not change podCIDR except from \"\" to valid";
        out.push(forbidden("spec.podCIDRs", why));
    }
}
