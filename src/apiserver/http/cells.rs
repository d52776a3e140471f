//! The cells of built-in kinds, as `k8s.io/kubernetes/pkg/printers/internalversion` prints them.
//!
//! In: kind, column and the object. Out: one cell. Kinds and columns that nobody looks at in this world show their path
//! or nothing; the columns themselves are data taken from a real server.

use super::path::first;
use super::table::{age, human, unix_seconds};
use crate::units::Time;
use serde_json::{Value, json};

/// Cells that are the value at a path: kind, column, path, text if there is none.
const PATHS: &[(&str, &str, &str, &str)] = &[
    ("Namespace", "Status", ".status.phase", ""),
    ("Secret", "Type", ".type", ""),
    ("Service", "Type", ".spec.type", ""),
    ("Service", "Cluster-IP", ".spec.clusterIP", "<none>"),
    ("Pod", "IP", ".status.podIP", "<none>"),
    ("Pod", "Node", ".spec.nodeName", "<none>"),
    ("Pod", "Nominated Node", ".status.nominatedNodeName", "<none>"),
    ("Node", "Version", ".status.nodeInfo.kubeletVersion", ""),
    ("Node", "OS-Image", ".status.nodeInfo.osImage", "<unknown>"),
    ("Node", "Kernel-Version", ".status.nodeInfo.kernelVersion", "<unknown>"),
    ("Node", "Container-Runtime", ".status.nodeInfo.containerRuntimeVersion", "<unknown>"),
    ("Node", "Internal-IP", ".status.addresses[?(@.type==\"InternalIP\")].address", "<none>"),
    ("Node", "External-IP", ".status.addresses[?(@.type==\"ExternalIP\")].address", "<none>"),
    ("PersistentVolumeClaim", "Status", ".status.phase", ""),
    ("PersistentVolumeClaim", "Volume", ".spec.volumeName", ""),
    ("PersistentVolumeClaim", "Capacity", ".status.capacity.storage", ""),
    ("PersistentVolumeClaim", "StorageClass", ".spec.storageClassName", ""),
    ("PersistentVolumeClaim", "VolumeAttributesClass", ".spec.volumeAttributesClassName", "<unset>"),
    ("PersistentVolumeClaim", "VolumeMode", ".spec.volumeMode", "<unset>"),
    ("PersistentVolume", "Capacity", ".spec.capacity.storage", ""),
    ("PersistentVolume", "Reclaim Policy", ".spec.persistentVolumeReclaimPolicy", ""),
    ("PersistentVolume", "Status", ".status.phase", ""),
    ("PersistentVolume", "StorageClass", ".spec.storageClassName", ""),
    ("PersistentVolume", "VolumeAttributesClass", ".spec.volumeAttributesClassName", "<unset>"),
    ("PersistentVolume", "Reason", ".status.reason", ""),
    ("PersistentVolume", "VolumeMode", ".spec.volumeMode", "<unset>"),
    ("Event", "Type", ".type", ""),
    ("Event", "Reason", ".reason", ""),
    ("ControllerRevision", "Controller", ".metadata.ownerReferences[0].name", "<none>"),
    ("CronJob", "Schedule", ".spec.schedule", ""),
    ("CronJob", "Timezone", ".spec.timeZone", "<none>"),
    ("Ingress", "Class", ".spec.ingressClassName", "<none>"),
    ("IngressClass", "Controller", ".spec.controller", ""),
    ("PodDisruptionBudget", "Min Available", ".spec.minAvailable", "N/A"),
    ("PodDisruptionBudget", "Max Unavailable", ".spec.maxUnavailable", "N/A"),
    ("HorizontalPodAutoscaler", "MinPods", ".spec.minReplicas", "<unset>"),
    ("VolumeAttachment", "Attacher", ".spec.attacher", ""),
    ("VolumeAttachment", "PV", ".spec.source.persistentVolumeName", ""),
    ("VolumeAttachment", "Node", ".spec.nodeName", ""),
    ("ValidatingAdmissionPolicy", "ParamKind", ".spec.paramKind.kind", "<unset>"),
    ("ValidatingAdmissionPolicyBinding", "PolicyName", ".spec.policyName", ""),
    ("ValidatingAdmissionPolicyBinding", "ParamRef", ".spec.paramRef.name", "<unset>"),
    ("StorageClass", "Provisioner", ".provisioner", ""),
    ("StorageClass", "ReclaimPolicy", ".reclaimPolicy", "Delete"),
    ("StorageClass", "VolumeBindingMode", ".volumeBindingMode", "Immediate"),
    ("Lease", "Holder", ".spec.holderIdentity", ""),
    ("RuntimeClass", "Handler", ".handler", ""),
    ("EndpointSlice", "AddressType", ".addressType", ""),
    ("PriorityClass", "PreemptionPolicy", ".preemptionPolicy", ""),
    ("FlowSchema", "PriorityLevel", ".spec.priorityLevelConfiguration.name", "<none>"),
    ("FlowSchema", "DistinguisherMethod", ".spec.distinguisherMethod.type", "<none>"),
    ("FlowSchema", "MissingPL", ".status.conditions[?(@.type==\"Dangling\")].status", "?"),
    ("PriorityLevelConfiguration", "Type", ".spec.type", ""),
    ("CertificateSigningRequest", "SignerName", ".spec.signerName", "<none>"),
    ("CertificateSigningRequest", "Requestor", ".spec.username", ""),
];

/// Cells that are a number at a path; absent is 0.
const NUMBERS: &[(&str, &str, &str)] = &[
    ("ReplicaSet", "Desired", ".spec.replicas"),
    ("ReplicaSet", "Current", ".status.replicas"),
    ("ReplicaSet", "Ready", ".status.readyReplicas"),
    ("ReplicationController", "Desired", ".spec.replicas"),
    ("ReplicationController", "Current", ".status.replicas"),
    ("ReplicationController", "Ready", ".status.readyReplicas"),
    ("DaemonSet", "Desired", ".status.desiredNumberScheduled"),
    ("DaemonSet", "Current", ".status.currentNumberScheduled"),
    ("DaemonSet", "Ready", ".status.numberReady"),
    ("DaemonSet", "Up-to-date", ".status.updatedNumberScheduled"),
    ("DaemonSet", "Available", ".status.numberAvailable"),
    ("Deployment", "Up-to-date", ".status.updatedReplicas"),
    ("Deployment", "Available", ".status.availableReplicas"),
    ("PodDisruptionBudget", "Allowed Disruptions", ".status.disruptionsAllowed"),
    ("HorizontalPodAutoscaler", "MaxPods", ".spec.maxReplicas"),
    ("HorizontalPodAutoscaler", "Replicas", ".status.currentReplicas"),
    ("PriorityClass", "Value", ".value"),
    ("ControllerRevision", "Revision", ".revision"),
    ("FlowSchema", "MatchingPrecedence", ".spec.matchingPrecedence"),
];

/// Cells that are how many entries stand at a path.
const COUNTS: &[(&str, &str, &str)] = &[
    ("CronJob", "Active", ".status.active"),
    ("MutatingWebhookConfiguration", "Webhooks", ".webhooks"),
    ("ValidatingWebhookConfiguration", "Webhooks", ".webhooks"),
    ("ValidatingAdmissionPolicy", "Validations", ".spec.validations"),
    ("MutatingAdmissionPolicy", "Mutations", ".spec.mutations"),
    ("CSINode", "Drivers", ".spec.drivers"),
];

/// The cell of a built-in kind.
pub(crate) fn cell(kind: &str, column: &str, object: &Value, now: Time) -> Value {
    let at = |path| first(object, path);
    if let Some((.., path)) = NUMBERS.iter().find(|entry| (entry.0, entry.1) == (kind, column)) {
        return at(path).cloned().unwrap_or_else(|| json!(0));
    }
    if let Some((.., path)) = COUNTS.iter().find(|entry| (entry.0, entry.1) == (kind, column)) {
        return json!(at(path).and_then(Value::as_array).map_or(0, Vec::len));
    }
    if let Some((.., path, none)) = PATHS.iter().find(|entry| (entry.0, entry.1) == (kind, column)) {
        let found = at(path).filter(|value| !value.is_null() && **value != "");
        return found.map_or_else(|| json!(none), |value| json!(text(value)));
    }
    let created = at(".metadata.creationTimestamp").and_then(Value::as_str);
    match column {
        "Name" => json!(string(at(".metadata.name"))),
        "Age" => json!(created.map_or_else(|| "<unknown>".to_owned(), |instant| age(instant, now))),
        "Created At" => created.map_or(Value::Null, |instant| json!(instant)),
        "Containers" => json!(containers(object, kind, "name")),
        "Images" => json!(containers(object, kind, "image")),
        "Selector" => json!(selector(object, kind)),
        _ => special(kind, column, object, now),
    }
}

fn special(kind: &str, column: &str, object: &Value, now: Time) -> Value {
    let count = |path| first(object, path).and_then(Value::as_object).map_or(0, serde_json::Map::len);
    match (kind, column) {
        ("ConfigMap" | "Secret", "Data") => json!(count(".data") + count(".binaryData")),
        ("Service", "External-IP") => json!(external_ip(object)),
        ("Service", "Port(s)") => json!(service_ports(object)),
        ("Deployment" | "StatefulSet", "Ready") => {
            let ready = first(object, ".status.readyReplicas").and_then(Value::as_i64).unwrap_or_default();
            let wanted = first(object, ".spec.replicas").and_then(Value::as_i64).unwrap_or_default();
            json!(format!("{ready}/{wanted}"))
        }
        ("DaemonSet", "Node Selector") => json!(labels(first(object, ".spec.template.spec.nodeSelector"))),
        ("PodTemplate", "Pod Labels") => json!(labels(first(object, ".template.metadata.labels"))),
        ("Pod", _) => pod(column, object),
        ("Node", "Status") => json!(node_status(object)),
        ("Node", "Roles") => json!(node_roles(object)),
        ("Job", _) => job(column, object, now),
        ("CronJob", "Suspend") => {
            json!(if is_true(object, ".spec.suspend") { "True" } else { "False" })
        }
        ("HorizontalPodAutoscaler", _) => autoscaler(column, object),
        ("ResourceQuota", "Request" | "Limit") => json!(used(object, column == "Limit")),
        ("CSIDriver", _) => driver(column, object),
        ("VolumeAttachment", "Attached") => json!(is_true(object, ".status.attached")),
        ("CronJob", "Last Schedule") => json!(since(first(object, ".status.lastScheduleTime"), now, "<none>")),
        ("Event", _) => event(column, object, now),
        ("Ingress", _) => ingress(column, object),
        ("APIService", "Service") => json!(match first(object, ".spec.service") {
            Some(service) if service.is_object() =>
                format!("{}/{}", string(service.get("namespace")), string(service.get("name"))),
            _ => "Local".to_owned(),
        }),
        ("APIService", "Available") => json!(available(object)),
        ("ClusterRoleBinding" | "RoleBinding", _) => binding(column, object),
        ("Endpoints" | "EndpointSlice", _) => endpoints(kind, column, object),
        ("IPAddress", "ParentRef") => {
            let part = |name: &str| string(first(object, &format!(".spec.parentRef.{name}")));
            json!(format!("{}/{}/{}", part("resource"), part("namespace"), part("name")))
        }
        ("ServiceCIDR", "CIDRs") => json!(strings(first(object, ".spec.cidrs")).join(",")),
        ("PersistentVolume", "Claim") => match first(object, ".spec.claimRef") {
            Some(claim) => json!(format!("{}/{}", string(claim.get("namespace")), string(claim.get("name")))),
            None => json!(""),
        },
        ("PersistentVolume", "Access Modes") => json!(modes(first(object, ".spec.accessModes"))),
        ("PersistentVolumeClaim", "Access Modes") => json!(modes(first(object, ".status.accessModes"))),
        ("PriorityClass", "Global-Default") => json!(is_true(object, ".globalDefault")),
        ("StorageClass", "AllowVolumeExpansion") => json!(is_true(object, ".allowVolumeExpansion")),
        ("NetworkPolicy", "Pod-Selector") => json!(labels(first(object, ".spec.podSelector.matchLabels"))),
        ("PriorityLevelConfiguration", "NominalConcurrencyShares") => {
            first(object, ".spec.limited.nominalConcurrencyShares").cloned().unwrap_or_else(|| json!("<none>"))
        }
        ("PriorityLevelConfiguration", _) => {
            let name = match column {
                "Queues" => "queues",
                "HandSize" => "handSize",
                _ => "queueLengthLimit",
            };
            let path = format!(".spec.limited.limitResponse.queuing.{name}");
            first(object, &path).cloned().unwrap_or_else(|| json!("<none>"))
        }
        _ => json!("<none>"),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn is_true(object: &Value, path: &str) -> bool {
    first(object, path) == Some(&Value::Bool(true))
}

fn string(value: Option<&Value>) -> String {
    value.map(text).unwrap_or_default()
}

fn strings(value: Option<&Value>) -> Vec<String> {
    value.and_then(Value::as_array).into_iter().flatten().map(text).collect()
}

fn list<'v>(object: &'v Value, path: &str) -> impl Iterator<Item = &'v Value> {
    first(object, path).and_then(Value::as_array).into_iter().flatten()
}

fn or_none(joined: String) -> String {
    if joined.is_empty() { "<none>".to_owned() } else { joined }
}

fn driver(column: &str, driver: &Value) -> Value {
    match column {
        "AttachRequired" => json!(is_true(driver, ".spec.attachRequired")),
        "PodInfoOnMount" => json!(is_true(driver, ".spec.podInfoOnMount")),
        "StorageCapacity" => json!(is_true(driver, ".spec.storageCapacity")),
        "RequiresRepublish" => json!(is_true(driver, ".spec.requiresRepublish")),
        "Modes" => json!(strings(first(driver, ".spec.volumeLifecycleModes")).join(",")),
        _ => {
            let audiences = list(driver, ".spec.tokenRequests").map(|token| string(token.get("audience")));
            let joined = audiences.collect::<Vec<_>>().join(",");
            json!(if joined.is_empty() { "<unset>".to_owned() } else { joined })
        }
    }
}

fn autoscaler(column: &str, autoscaler: &Value) -> Value {
    if column == "Targets" {
        return json!(or_none(list(autoscaler, ".spec.metrics").map(target).collect::<Vec<_>>().join(", ")));
    }
    let part = |name: &str| string(first(autoscaler, &format!(".spec.scaleTargetRef.{name}")));
    json!(format!("{}/{}", part("kind"), part("name")))
}

/// What an autoscaler aims at, and where it is.
fn target(metric: &Value) -> String {
    let resource = &metric["resource"];
    let (name, aim) = (string(resource.get("name")), &resource["target"]);
    match (aim["averageUtilization"].as_i64(), aim.get("averageValue")) {
        (Some(share), _) => format!("{name}: <unknown>/{share}%"),
        (None, Some(value)) => format!("{name}: <unknown>/{}", text(value)),
        (None, None) => "<unknown>/<auto>".to_owned(),
    }
}

/// What is used of a quota, of requests or of limits.
fn used(quota: &Value, limits: bool) -> String {
    let hard = first(quota, ".status.hard").and_then(Value::as_object).into_iter().flatten();
    let of = hard.filter(|(name, _)| name.starts_with("limits.") == limits);
    let shown = of.map(|(name, hard)| {
        let used = quota["status"]["used"].get(name).map(text).unwrap_or_default();
        format!("{name}: {used}/{}", text(hard))
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// `labels.FormatLabels`.
fn labels(map: Option<&Value>) -> String {
    let pairs = map.and_then(Value::as_object).into_iter().flatten();
    or_none(pairs.map(|(key, value)| format!("{key}={}", text(value))).collect::<Vec<_>>().join(","))
}

fn selector(object: &Value, kind: &str) -> String {
    match kind {
        "Service" | "ReplicationController" => labels(first(object, ".spec.selector")),
        _ => labels(first(object, ".spec.selector.matchLabels")),
    }
}

fn containers(object: &Value, kind: &str, field: &str) -> String {
    let path = match kind {
        "CronJob" => ".spec.jobTemplate.spec.template.spec.containers",
        "PodTemplate" => ".template.spec.containers",
        _ => ".spec.template.spec.containers",
    };
    list(object, path).map(|one| string(one.get(field))).collect::<Vec<_>>().join(",")
}

fn since(instant: Option<&Value>, now: Time, none: &str) -> String {
    instant.and_then(Value::as_str).map_or_else(|| none.to_owned(), |instant| age(instant, now))
}

fn external_ip(service: &Value) -> String {
    let addresses = || {
        list(service, ".status.loadBalancer.ingress")
            .map(|one| string(one.get("ip").or_else(|| one.get("hostname"))))
            .chain(strings(first(service, ".spec.externalIPs")))
            .collect::<Vec<_>>()
            .join(",")
    };
    match string(first(service, ".spec.type")).as_str() {
        "LoadBalancer" => match addresses() {
            none if none.is_empty() => "<pending>".to_owned(),
            some => some,
        },
        "ExternalName" => string(first(service, ".spec.externalName")),
        _ => or_none(addresses()),
    }
}

fn service_ports(service: &Value) -> String {
    let ports = list(service, ".spec.ports").map(|port| {
        let node = port.get("nodePort").and_then(Value::as_u64).filter(|&node| node > 0);
        let node = node.map(|node| format!(":{node}")).unwrap_or_default();
        format!("{}{node}/{}", string(port.get("port")), string(port.get("protocol")))
    });
    or_none(ports.collect::<Vec<_>>().join(","))
}

fn pod(column: &str, pod: &Value) -> Value {
    let states = || list(pod, ".status.containerStatuses");
    match column {
        "Ready" => {
            let ready = states().filter(|one| one["ready"] == json!(true)).count();
            json!(format!("{ready}/{}", list(pod, ".spec.containers").count()))
        }
        "Restarts" => json!(states().filter_map(|one| one["restartCount"].as_i64()).sum::<i64>().to_string()),
        "Status" => {
            let reason = first(pod, ".status.reason").map(text);
            let waiting = states().find_map(|one| {
                first(one, ".state.waiting.reason").or_else(|| first(one, ".state.terminated.reason")).map(text)
            });
            if first(pod, ".metadata.deletionTimestamp").is_some() {
                return json!("Terminating");
            }
            json!(waiting.or(reason).unwrap_or_else(|| string(first(pod, ".status.phase"))))
        }
        _ => json!("<none>"),
    }
}

fn node_status(node: &Value) -> String {
    let ready = first(node, ".status.conditions[?(@.type==\"Ready\")].status").map(text);
    let word = match ready.as_deref() {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    let cordoned = is_true(node, ".spec.unschedulable");
    if cordoned { format!("{word},SchedulingDisabled") } else { word.to_owned() }
}

fn node_roles(node: &Value) -> String {
    let labels = first(node, ".metadata.labels").and_then(Value::as_object).into_iter().flatten();
    let roles = labels.filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/"));
    or_none(roles.collect::<Vec<_>>().join(","))
}

fn job(column: &str, job: &Value, now: Time) -> Value {
    let holds = |kind: &str| {
        first(job, &format!(".status.conditions[?(@.type==\"{kind}\")].status")).is_some_and(|status| status == "True")
    };
    match column {
        "Status" => json!(match () {
            () if holds("Complete") => "Complete",
            () if holds("Failed") => "Failed",
            () if first(job, ".metadata.deletionTimestamp").is_some() => "Terminating",
            () if holds("Suspended") => "Suspended",
            () if holds("FailureTarget") => "FailureTarget",
            () if holds("SuccessCriteriaMet") => "SuccessCriteriaMet",
            () => "Running",
        }),
        "Completions" => {
            let done = first(job, ".status.succeeded").and_then(Value::as_i64).unwrap_or_default();
            let wanted = first(job, ".spec.completions").and_then(Value::as_i64).unwrap_or(1);
            json!(format!("{done}/{wanted}"))
        }
        "Duration" => {
            let seconds = |path| first(job, path).and_then(Value::as_str).and_then(unix_seconds);
            let end = seconds(".status.completionTime")
                .unwrap_or_else(|| i64::try_from(now.0 / 1_000_000_000).unwrap_or(i64::MAX));
            json!(seconds(".status.startTime").map(|start| human(end - start)).unwrap_or_default())
        }
        _ => json!("<none>"),
    }
}

fn event(column: &str, event: &Value, now: Time) -> Value {
    let either = |a: &'static str, b: &'static str| first(event, a).or_else(|| first(event, b));
    let object = |field: &str| string(either(".involvedObject", ".regarding").and_then(|about| about.get(field)));
    match column {
        "Last Seen" => {
            let last = first(event, ".series.lastObservedTime")
                .or_else(|| either(".lastTimestamp", ".deprecatedLastTimestamp"))
                .filter(|value| value.is_string())
                .or_else(|| first(event, ".eventTime"));
            json!(since(last, now, "<unknown>"))
        }
        "First Seen" => {
            let seen = either(".firstTimestamp", ".deprecatedFirstTimestamp").filter(|value| value.is_string());
            json!(since(seen.or_else(|| first(event, ".eventTime")), now, "<unknown>"))
        }
        "Object" => json!(format!("{}/{}", object("kind").to_ascii_lowercase(), object("name"))),
        "Subobject" => json!(object("fieldPath")),
        "Source" => {
            let given = |value: &&Value| **value != "";
            let component = either(".source.component", ".deprecatedSource.component").filter(given);
            let host = either(".source.host", ".deprecatedSource.host").filter(given);
            let component = component.or_else(|| either(".reportingComponent", ".reportingController"));
            let place = host.or_else(|| first(event, ".reportingInstance")).filter(given);
            match place {
                Some(place) => json!(format!("{}, {}", string(component), text(place))),
                None => json!(string(component)),
            }
        }
        "Message" => json!(string(either(".message", ".note")).trim()),
        "Count" => {
            let count = first(event, ".series.count").or_else(|| either(".count", ".deprecatedCount"));
            json!(count.and_then(Value::as_i64).unwrap_or(1))
        }
        _ => json!("<none>"),
    }
}

fn ingress(column: &str, ingress: &Value) -> Value {
    match column {
        "Hosts" => {
            let hosts: Vec<String> = list(ingress, ".spec.rules")
                .map(|rule| string(rule.get("host")))
                .filter(|host| !host.is_empty())
                .collect();
            json!(if hosts.is_empty() { "*".to_owned() } else { hosts.join(",") })
        }
        "Address" => {
            let addresses = list(ingress, ".status.loadBalancer.ingress")
                .map(|one| string(one.get("ip").or_else(|| one.get("hostname"))));
            json!(addresses.collect::<Vec<_>>().join(","))
        }
        _ => json!(if list(ingress, ".spec.tls").count() > 0 { "80, 443" } else { "80" }),
    }
}

fn available(service: &Value) -> String {
    let condition = first(service, ".status.conditions[?(@.type==\"Available\")]");
    let part = |name: &str| string(condition.and_then(|condition| condition.get(name)));
    match part("status").as_str() {
        "True" => "True".to_owned(),
        "" => "Unknown".to_owned(),
        other => format!("{other} ({})", part("reason")),
    }
}

fn binding(column: &str, binding: &Value) -> Value {
    let subjects = |kind: &str| {
        let found = list(binding, ".subjects").filter(|one| one["kind"] == kind).map(|one| match kind {
            "ServiceAccount" => format!("{}/{}", string(one.get("namespace")), string(one.get("name"))),
            _ => string(one.get("name")),
        });
        found.collect::<Vec<_>>().join(", ")
    };
    json!(match column {
        "Role" => format!("{}/{}", string(first(binding, ".roleRef.kind")), string(first(binding, ".roleRef.name"))),
        "Users" => subjects("User"),
        "Groups" => subjects("Group"),
        _ => subjects("ServiceAccount"),
    })
}

fn endpoints(kind: &str, column: &str, object: &Value) -> Value {
    /// How many the original shows before it says how many more there are.
    const SHOWN: usize = 3;
    let all: Vec<String> = match (kind, column) {
        ("EndpointSlice", "Ports") => list(object, ".ports").map(|port| string(port.get("port"))).collect(),
        ("EndpointSlice", _) => list(object, ".endpoints").flat_map(|one| strings(one.get("addresses"))).collect(),
        _ => list(object, ".subsets").flat_map(subset).collect(),
    };
    let more = all.len().saturating_sub(SHOWN);
    let shown = or_none(all[..all.len() - more].join(","));
    json!(if more > 0 { format!("{shown} + {more} more...") } else { shown })
}

fn subset(subset: &Value) -> Vec<String> {
    let ports: Vec<String> = list(subset, ".ports").map(|port| string(port.get("port"))).collect();
    let addresses = list(subset, ".addresses").map(|address| string(address.get("ip")));
    addresses.flat_map(|ip| ports.iter().map(move |port| format!("{ip}:{port}")).collect::<Vec<_>>()).collect()
}

fn modes(value: Option<&Value>) -> String {
    let short = |mode: String| match mode.as_str() {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        _ => "",
    };
    strings(value).into_iter().map(short).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &str, object: Value, expected: &[(&str, Value)]) {
        for (column, value) in expected {
            assert_eq!(cell(kind, column, &object, Time(1_700_000_074_000_000_000)), *value, "{kind} {column}");
        }
    }

    #[test]
    fn cells_are_what_a_real_server_prints() {
        check(
            "Service",
            json!({
                "metadata": { "name": "kubernetes", "creationTimestamp": "2023-11-14T22:13:20Z" },
                "spec": { "type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": [{ "port": 443, "protocol": "TCP" }] },
            }),
            &[
                ("Name", json!("kubernetes")),
                ("Type", json!("ClusterIP")),
                ("Cluster-IP", json!("10.0.0.1")),
                ("External-IP", json!("<none>")),
                ("Port(s)", json!("443/TCP")),
                ("Age", json!("74s")),
                ("Selector", json!("<none>")),
            ],
        );
        check(
            "Deployment",
            json!({
                "spec": {
                    "replicas": 3, "selector": { "matchLabels": { "app": "a", "tier": "b" } },
                    "template": { "spec": { "containers": [{ "name": "x", "image": "i:1" }, { "name": "y", "image": "j" }] } },
                },
                "status": { "readyReplicas": 2, "updatedReplicas": 1 },
            }),
            &[
                ("Ready", json!("2/3")),
                ("Up-to-date", json!(1)),
                ("Available", json!(0)),
                ("Containers", json!("x,y")),
                ("Images", json!("i:1,j")),
                ("Selector", json!("app=a,tier=b")),
                ("Age", json!("<unknown>")),
            ],
        );
        check(
            "ClusterRoleBinding",
            json!({
                "roleRef": { "kind": "ClusterRole", "name": "cluster-admin" },
                "subjects": [
                    { "kind": "Group", "name": "system:masters" },
                    { "kind": "ServiceAccount", "namespace": "kube-system", "name": "signer" },
                ],
            }),
            &[
                ("Role", json!("ClusterRole/cluster-admin")),
                ("Groups", json!("system:masters")),
                ("ServiceAccounts", json!("kube-system/signer")),
                ("Users", json!("")),
            ],
        );
    }
}
