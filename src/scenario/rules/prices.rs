//! What simulated time takes for granted must not contradict itself or the fleet.

use super::{at, ordered, unique};
use crate::scenario::errors::Finding;
use crate::scenario::shape::{did_you_mean, nearest};
use crate::scenario::spec::{Delay, DnsLabel, PriceList, Server, Spec};
use crate::units::Span;

/// More would be a mistake in the unit: a call of a minute, a way of an hour.
const MOST: Span = Span::from_secs(3600);

pub(super) fn check(spec: &Spec, findings: &mut Vec<Finding>) {
    let (model, network) = (&spec.model, &spec.model.network);
    unique("spec.model.network.regions", "name", network.regions.iter().map(|one| one.name.0.clone()), findings);
    delay("spec.model.network.latency", network.latency.as_ref(), findings);
    delay("spec.model.lag", model.lag.as_ref(), findings);
    for (n, one) in network.regions.iter().enumerate() {
        region(&format!("spec.model.network.regions.{n}.name"), &one.name, spec, findings);
        delay(&format!("spec.model.network.regions.{n}.latency"), one.latency.as_ref(), findings);
    }
    for (key, server) in [("hub", &model.hub), ("leaf", &model.leaf)] {
        costs(key, server, findings);
    }
    if model.leaf.seats.is_some_and(|seats| seats > 0) || model.leaf.queue.is_some_and(|queue| queue > 0) {
        let path = at(if model.leaf.seats.is_some() { "spec.model.leaf.seats" } else { "spec.model.leaf.queue" });
        let message = "a cluster's own clients never fill the seats of its API server: only the hub's are modelled";
        findings.push(Finding::warning("no-effect", &path, message).of_key().hint("set it for `hub`"));
    }
    if model.host.is_some() && model.prices == PriceList::Kubernetes && spec.fleet.clusters > 1_000 {
        let message = format!("{} API servers would share one machine", spec.fleet.clusters);
        let finding = Finding::warning("no-effect", &at("spec.model.host"), message).about("spec.fleet.clusters");
        findings.push(finding.hint("leave it out, or use `prices: mock`"));
    }
}

fn region(path: &str, name: &DnsLabel, spec: &Spec, findings: &mut Vec<Finding>) {
    let names: Vec<&str> = spec.fleet.regions.iter().map(|region| region.name.0.as_str()).collect();
    if !names.contains(&name.0.as_str()) {
        let hint = did_you_mean(nearest(&name.0, names.iter().copied()), &names);
        let finding = Finding::error("unknown-reference", &at(path), format!("no cluster is in `{}`", name.0));
        findings.push(finding.about("spec.fleet.regions.**").hint(hint));
    }
}

fn delay(path: &str, delay: Option<&Delay>, findings: &mut Vec<Finding>) {
    let longest = match delay {
        Some(Delay::Fixed(span)) => *span,
        Some(Delay::Exponential { mean }) => *mean,
        Some(Delay::Uniform { min, max }) => {
            ordered(&format!("{path}.uniform"), ["min", "max"], [*min, *max], findings);
            *max
        }
        None => return,
    };
    too_long(path, longest, findings);
}

fn costs(key: &str, server: &Server, findings: &mut Vec<Finding>) {
    for (name, cost) in [
        ("read", server.read),
        ("create", server.create),
        ("write", server.write),
        ("apply", server.apply),
        ("perKib", server.per_kib),
        ("watchEvent", server.watch_event),
        ("commit", server.commit),
    ] {
        too_long(&format!("spec.model.{key}.{name}"), cost.unwrap_or_default(), findings);
    }
}

fn too_long(path: &str, span: Span, findings: &mut Vec<Finding>) {
    if span > MOST {
        let finding = Finding::error("range", &at(path), format!("{span} is too long for one call"));
        findings.push(finding.hint(format!("at most {MOST} is possible")));
    }
}
