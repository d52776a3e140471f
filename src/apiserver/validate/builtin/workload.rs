//! Pods, and what makes them.

use super::{IMMUTABLE, absent, at_least, fixed, list, one_of, port_number};
use crate::apiserver::schema::Resource;
use crate::apiserver::text::{label, quantity};
use crate::apiserver::validate::{FieldError, Reason, bad, forbidden, invalid, required};
use serde_json::Value;

/// Upstream adds what differs, as Go prints it.
const POD_PINNED: &str = "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// Deployments and the like.
pub(super) fn check(resource: &Resource, old: Option<&Value>, new: &Value, out: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    let (selector, labels) = (&spec["selector"], &spec["template"]["metadata"]["labels"]);
    at_least("spec.replicas", &spec["replicas"], 0, out);
    let before = old.map(|old| &old["spec"]);
    if resource.kind == "DaemonSet" && before.is_some_and(|before| before["selector"] != *selector) {
        out.push(bad("spec.selector", selector, IMMUTABLE));
    }
    if expressions("spec.selector", selector, out) {
        out.push(bad("spec.selector", selector, "invalid label selector"));
    }
    let matches = holds(&selector["matchLabels"], labels);
    if selector.is_null() {
        out.push(required("spec.selector", ""));
    } else if selector.as_object().is_some_and(serde_json::Map::is_empty) {
        out.push(bad("spec.selector", selector, &format!("empty selector is invalid for {}", resource.singular)));
    }
    if selector.is_null() || !matches {
        out.push(bad("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"));
    }
    if spec["strategy"]["type"] == "Recreate" && !spec["strategy"]["rollingUpdate"].is_null() {
        out.push(forbidden(
            "spec.strategy.rollingUpdate",
            "Forbidden: may not be specified when strategy `type` is 'Recreate'",
        ));
    }
    rolling(spec, out);
    always("spec.template.spec", &spec["template"]["spec"], out);
    let Some(old) = before else { return };
    if resource.kind == "StatefulSet" {
        const FREE: [&str; 7] = [
            "replicas",
            "ordinals",
            "template",
            "updateStrategy",
            "revisionHistoryLimit",
            "persistentVolumeClaimRetentionPolicy",
            "minReadySeconds",
        ];
        let fixed = |spec: &Value| -> Value {
            spec.as_object()
                .into_iter()
                .flatten()
                .filter(|(key, _)| !FREE.contains(&key.as_str()))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        };
        if fixed(old) != fixed(spec) {
            out.push(forbidden("spec", "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"));
        }
    } else if resource.kind != "DaemonSet" && old["selector"] != *selector {
        out.push(bad("spec.selector", selector, IMMUTABLE));
    }
}

/// How a workload rolls.
fn rolling(spec: &Value, out: &mut Vec<FieldError>) {
    one_of_two("spec.podManagementPolicy", &spec["podManagementPolicy"], ["OrderedReady", "Parallel"], None, out);
    let update = &spec["updateStrategy"];
    let shown = format!("{{\"Type\":{},\"RollingUpdate\":{}}}", update["type"], update["rollingUpdate"]);
    one_of_two("spec.updateStrategy", &update["type"], ["RollingUpdate", "OnDelete"], Some(&shown), out);
    for strategy in ["strategy", "updateStrategy"] {
        let (path, rolling) = (format!("spec.{strategy}.rollingUpdate"), &spec[strategy]["rollingUpdate"]);
        let none = |field: &str| rolling[field] == 0 || rolling[field] == "0%";
        let field = format!("{path}.maxUnavailable");
        if none("maxUnavailable") && none("maxSurge") && strategy == "strategy" {
            out.push(bad(&field, &rolling["maxUnavailable"], "may not be 0 when `maxSurge` is 0"));
        }
        let share = rolling["maxUnavailable"].as_str().and_then(|text| text.strip_suffix('%')?.parse::<u32>().ok());
        if share.is_some_and(|share| share > 100) {
            out.push(bad(&field, &rolling["maxUnavailable"], "must not be greater than 100%"));
        }
    }
}

/// The older kinds say it in their own words; the whole structure may be shown instead of the value.
fn one_of_two(field: &str, value: &Value, known: [&str; 2], shown: Option<&str>, out: &mut Vec<FieldError>) {
    if value.as_str().is_some_and(|text| !known.contains(&text)) {
        let shown = shown.map_or_else(|| value.to_string(), str::to_owned);
        let detail = format!("Invalid value: {shown}: must be '{}' or '{}'", known[0], known[1]);
        out.push(FieldError { field: field.to_owned(), reason: Reason::Invalid, detail });
    }
}

/// Whether labels have everything that a selector wants.
fn holds(wanted: &Value, labels: &Value) -> bool {
    wanted.as_object().is_none_or(|wanted| wanted.iter().all(|(key, value)| labels.get(key) == Some(value)))
}

/// The expressions of a label selector; `true` if one is no expression.
fn expressions(path: &str, selector: &Value, out: &mut Vec<FieldError>) -> bool {
    let mut odd = false;
    for (at, expression) in list(selector, "matchExpressions").iter().enumerate() {
        let path = format!("{path}.matchExpressions[{at}]");
        let values = !absent(&expression["values"]);
        match expression["operator"].as_str().unwrap_or("") {
            "In" | "NotIn" if !values => {
                let why = "must be specified when `operator` is 'In' or 'NotIn'";
                out.push(required(&format!("{path}.values"), why));
            }
            "Exists" | "DoesNotExist" if values => {
                let why = "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                out.push(forbidden(&format!("{path}.values"), why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                out.push(invalid(&format!("{path}.operator"), other, "not a valid selector operator"));
                odd = true;
            }
        }
    }
    odd
}

/// A template whose pods are started again.
fn always(path: &str, spec: &Value, out: &mut Vec<FieldError>) {
    pod(spec, path, out);
    one_of(&format!("{path}.restartPolicy"), &spec["restartPolicy"], &["Always"], out);
}

/// A pod of its own: most of it stays as it was made.
pub(super) fn own_pod(old: Option<&Value>, new: &Value, out: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    pod(spec, "spec", out);
    one_of("spec.restartPolicy", &spec["restartPolicy"], &["Always", "OnFailure", "Never"], out);
    if old.is_some_and(|old| pinned(&old["spec"]) != pinned(spec)) {
        out.push(forbidden("spec", POD_PINNED));
    }
}

/// What an update of a pod may not touch.
fn pinned(spec: &Value) -> Value {
    const FREE: [&str; 4] =
        ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates"];
    let mut spec = spec.clone();
    let Some(fields) = spec.as_object_mut() else { return spec };
    fields.retain(|name, _| !FREE.contains(&name.as_str()));
    for containers in ["containers", "initContainers"] {
        for container in fields.get_mut(containers).and_then(Value::as_array_mut).into_iter().flatten() {
            container["image"].take();
        }
    }
    spec
}

/// The labels of the template are those of the selector.
pub(super) fn replication_controller(new: &Value, out: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    at_least("spec.replicas", &spec["replicas"], 0, out);
    let labels = &spec["template"]["metadata"]["labels"];
    if !holds(&spec["selector"], labels) {
        out.push(bad("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"));
    }
    always("spec.template.spec", &spec["template"]["spec"], out);
}

/// A job ends, and so do its pods.
pub(super) fn job(old: Option<&Value>, new: &Value, out: &mut Vec<FieldError>) {
    job_spec("spec", &new["spec"], out);
    fixed(old, new, "spec", &["completionMode", "selector"], out);
    let Some(old) = old else { return };
    if new["spec"]["completionMode"] != "Indexed" {
        fixed(Some(old), new, "spec", &["completions"], out);
    }
    // Before it has begun, a job that is held may get other places to run at.
    let held = old["spec"]["suspend"] == true && old["status"]["startTime"].is_null();
    let part = |of: &Value| if held { unplaced(&of["spec"]["template"]) } else { of["spec"]["template"].clone() };
    if part(old) != part(new) {
        out.push(bad("spec.template", &new["spec"]["template"], IMMUTABLE));
    }
}

/// A template without what decides where it runs.
fn unplaced(template: &Value) -> Value {
    let mut template = template.clone();
    for (part, names) in [
        ("metadata", &["labels", "annotations"][..]),
        ("spec", &["nodeSelector", "affinity", "tolerations", "schedulingGates"][..]),
    ] {
        let fields = template.get_mut(part).and_then(Value::as_object_mut);
        fields.into_iter().for_each(|fields| fields.retain(|name, _| !names.contains(&name.as_str())));
    }
    template
}

fn job_spec(path: &str, spec: &Value, out: &mut Vec<FieldError>) {
    for field in ["parallelism", "completions", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"] {
        at_least(&format!("{path}.{field}"), &spec[field], 0, out);
    }
    one_of(&format!("{path}.completionMode"), &spec["completionMode"], &["NonIndexed", "Indexed"], out);
    let (path, template) = (format!("{path}.template.spec"), &spec["template"]["spec"]);
    pod(template, &path, out);
    let field = format!("{path}.restartPolicy");
    if absent(&template["restartPolicy"]) || template["restartPolicy"] == "Always" {
        out.push(required(&field, "valid values: \"OnFailure\", \"Never\""));
    }
    one_of(&field, &template["restartPolicy"], &["Always", "OnFailure", "Never"], out);
}

/// A job by the clock. Time zones are not looked up.
pub(super) fn cron_job(new: &Value, out: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    let schedule = spec["schedule"].as_str().unwrap_or("");
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if schedule.is_empty() {
        out.push(required("spec.schedule", ""));
    } else if fields.len() != 5 && !schedule.starts_with('@') {
        let why = format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" "));
        out.push(invalid("spec.schedule", schedule, &why));
    }
    for field in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit", "startingDeadlineSeconds"] {
        at_least(&format!("spec.{field}"), &spec[field], 0, out);
    }
    job_spec("spec.jobTemplate.spec", &spec["jobTemplate"]["spec"], out);
}

/// Containers and what they mount.
fn pod(spec: &Value, path: &str, out: &mut Vec<FieldError>) {
    let list = |key: &str| self::list(spec, key);
    if list("containers").is_empty() {
        out.push(required(&format!("{path}.containers"), ""));
    }
    let mut names: Vec<&str> = Vec::new();
    for key in ["containers", "initContainers"] {
        for (at, container) in list(key).iter().enumerate() {
            let path = format!("{path}.{key}[{at}]");
            let name = container["name"].as_str().unwrap_or("");
            if name.is_empty() {
                out.push(required(&format!("{path}.name"), ""));
            } else if let Some(why) = label(name) {
                out.push(invalid(&format!("{path}.name"), name, &why));
            } else if names.contains(&name) {
                let detail = format!("Duplicate value: {name:?}");
                out.push(FieldError { field: format!("{path}.name"), reason: Reason::Duplicate, detail });
            }
            names.push(name);
            if absent(&container["image"]) {
                out.push(required(&format!("{path}.image"), ""));
            }
            self::container(spec, container, &path, out);
        }
    }
}

fn container(spec: &Value, container: &Value, path: &str, out: &mut Vec<FieldError>) {
    for (at, port) in container["ports"].as_array().into_iter().flatten().enumerate() {
        let path = format!("{path}.ports[{at}].containerPort");
        match port["containerPort"].as_i64() {
            None | Some(0) => out.push(required(&path, "")),
            Some(_) => port_number(&path, &port["containerPort"], out),
        }
    }
    for (at, env) in container["env"].as_array().into_iter().flatten().enumerate() {
        let (path, name) = (format!("{path}.env[{at}].name"), env["name"].as_str().unwrap_or(""));
        if name.is_empty() {
            out.push(required(&path, ""));
        } else if name.contains('=') || !name.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            let why =
                "a valid environment variable name must consist only of printable ASCII characters other than '='";
            out.push(invalid(&path, name, why));
        }
    }
    let volumes = spec["volumes"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (at, mount) in container["volumeMounts"].as_array().into_iter().flatten().enumerate() {
        if !volumes.iter().any(|volume| volume["name"] == mount["name"]) {
            let detail = format!("Not found: {}", mount["name"]);
            out.push(FieldError { field: format!("{path}.volumeMounts[{at}].name"), reason: Reason::NotFound, detail });
        }
    }
    one_of(
        &format!("{path}.imagePullPolicy"),
        &container["imagePullPolicy"],
        &["Always", "IfNotPresent", "Never"],
        out,
    );
    let resources = &container["resources"];
    for (name, asked) in resources["requests"].as_object().into_iter().flatten() {
        let limit = &resources["limits"][name];
        if quantity(asked).zip(quantity(limit)).is_some_and(|(asked, limit)| asked > limit) {
            let why = format!("must be less than or equal to {name} limit of {}", limit.as_str().unwrap_or(""));
            out.push(bad(&format!("{path}.resources.requests"), asked, &why));
        }
    }
}
