//! What leads to pods from outside and between them.

use super::{IMMUTABLE, absent, fixed, list, one_of, port_number};
use crate::apiserver::schema::Resource;
use crate::apiserver::text::{block, subdomain};
use crate::apiserver::validate::{FieldError, bad, forbidden, invalid, required};
use core::net::IpAddr;
use serde_json::{Value, json};

/// Kinds of `networking.k8s.io`.
pub(super) fn check(resource: &Resource, old: Option<&Value>, new: &Value, out: &mut Vec<FieldError>) {
    match resource.kind.as_str() {
        "Ingress" => ingress(&new["spec"], out),
        "IngressClass" => {
            let name = new["spec"]["controller"].as_str().unwrap_or("");
            if name.is_empty() {
                out.push(required("spec.controller", ""));
            } else if !name.contains('/') {
                let why = "must be a domain-prefixed path (such as \"acme.io/foo\")";
                out.push(invalid("spec.controller", name, why));
            }
            fixed(old, new, "spec", &["controller"], out);
        }
        "NetworkPolicy" => policy(&new["spec"], out),
        _ => {}
    }
}

fn ingress(spec: &Value, out: &mut Vec<FieldError>) {
    if spec["defaultBackend"].is_null() && list(spec, "rules").is_empty() {
        out.push(bad("spec", &Value::Null, "either `defaultBackend` or `rules` must be specified"));
    }
    backend("spec.defaultBackend", &spec["defaultBackend"], out);
    for (at, rule) in list(spec, "rules").iter().enumerate() {
        let path = format!("spec.rules[{at}]");
        let host = rule["host"].as_str().unwrap_or("");
        if !host.is_empty() {
            let why = subdomain(host.strip_prefix("*.").unwrap_or(host));
            out.extend(why.map(|why| invalid(&format!("{path}.host"), host, &why)));
        }
        for (at, place) in list(&rule["http"], "paths").iter().enumerate() {
            let path = format!("{path}.http.paths[{at}]");
            let given = place["path"].as_str().unwrap_or("");
            if place["pathType"] != "ImplementationSpecific" && !given.starts_with('/') {
                out.push(invalid(&format!("{path}.path"), given, "must be an absolute path"));
            }
            backend(&format!("{path}.backend"), &place["backend"], out);
        }
    }
}

fn backend(path: &str, backend: &Value, out: &mut Vec<FieldError>) {
    let service = &backend["service"];
    if service.is_null() {
        return;
    }
    if absent(&service["name"]) {
        out.push(required(&format!("{path}.service.name"), ""));
    }
    let port = &service["port"];
    if absent(&port["name"]) && port["number"].as_i64().unwrap_or(0) == 0 {
        out.push(required(path, "port name or number is required"));
    }
}

fn policy(spec: &Value, out: &mut Vec<FieldError>) {
    for (at, kind) in list(spec, "policyTypes").iter().enumerate() {
        one_of(&format!("spec.policyTypes[{at}]"), kind, &["Ingress", "Egress"], out);
    }
    for (way, peers) in [("ingress", "from"), ("egress", "to")] {
        for (at, rule) in list(spec, way).iter().enumerate() {
            let path = format!("spec.{way}[{at}]");
            for (at, port) in list(rule, "ports").iter().enumerate() {
                port_number(&format!("{path}.ports[{at}].port"), &port["port"], out);
            }
            for (at, peer) in list(rule, peers).iter().enumerate() {
                let cidr = peer["ipBlock"]["cidr"].as_str();
                if let Some(text) = cidr.filter(|text| block(text).is_none()) {
                    let why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
                    out.push(invalid(&format!("{path}.{peers}[{at}].ipBlock.cidr"), text, why));
                }
            }
        }
    }
}

/// The addresses of a slice are of its type.
pub(super) fn endpoint_slice(old: Option<&Value>, new: &Value, out: &mut Vec<FieldError>) {
    let kind = new["addressType"].as_str().unwrap_or("");
    if old.is_some_and(|old| old["addressType"] != new["addressType"]) {
        return out.push(bad("addressType", &json!(kind), IMMUTABLE));
    }
    for (at, endpoint) in list(new, "endpoints").iter().enumerate() {
        let path = format!("endpoints[{at}].addresses");
        if list(endpoint, "addresses").is_empty() {
            out.push(required(&path, "must contain at least 1 address"));
        }
        for (nth, text) in list(endpoint, "addresses").iter().filter_map(Value::as_str).enumerate() {
            let address = text.parse::<IpAddr>().ok();
            let matches = match kind {
                "IPv4" => matches!(address, Some(IpAddr::V4(_))),
                "IPv6" => matches!(address, Some(IpAddr::V6(_))),
                _ => true,
            };
            if !matches {
                out.push(invalid(&path, text, &format!("must be an {kind} address")));
            }
            if kind != "FQDN" && address.is_some_and(|address| address.is_loopback()) {
                let why = "may not be in the loopback range (127.0.0.0/8, ::1/128)";
                out.push(invalid(&format!("{path}[{nth}]"), text, why));
            }
        }
    }
}

/// Ports and addresses of a Service.
pub(super) fn service(old: Option<&Value>, new: &Value, out: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    let ports = spec["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    if ports.is_empty() && spec["type"] != "ExternalName" && spec["clusterIP"] != "None" {
        out.push(required("spec.ports", ""));
    }
    for (at, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{at}]");
        if ports.len() > 1 && absent(&port["name"]) {
            out.push(required(&format!("{path}.name"), ""));
        }
        for field in ["port", "targetPort"] {
            port_number(&format!("{path}.{field}"), &port[field], out);
        }
        if spec["type"] == "ClusterIP" && port["nodePort"].as_i64().unwrap_or(0) != 0 {
            let why = "Forbidden: may not be used when `type` is 'ClusterIP'";
            out.push(forbidden(&format!("{path}.nodePort"), why));
        }
    }
    if spec["type"] == "ExternalName" && absent(&spec["externalName"]) {
        out.push(required("spec.externalName", ""));
    }
    let addresses = list(spec, "clusterIPs");
    for (at, address) in addresses.iter().filter_map(Value::as_str).enumerate() {
        if !matches!(address, "" | "None") && address.parse::<IpAddr>().is_err() {
            let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
            out.push(invalid(&format!("spec.clusterIPs[{at}]"), address, why));
        }
    }
    let before = old.map_or(&[][..], |old| list(&old["spec"], "clusterIPs"));
    let typed = |of: &Value| of["spec"]["type"] != "ExternalName";
    if old.is_some_and(typed) && typed(new) && !before.is_empty() && before.first() != addresses.first() {
        out.push(bad("spec.clusterIPs[0]", &spec["clusterIPs"], "may not change once set"));
    }
}
