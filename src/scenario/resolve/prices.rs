//! The model of a scenario: what it says itself, and a price list for the rest.

use super::{delay, milli};
use crate::scenario::{model, spec};
use crate::units::Span;

/// Writes the price list into what the scenario leaves open.
pub(super) fn fill(file: &mut spec::File) {
    let written = &mut file.spec.model;
    let base = model::Model::of(list(written.prices));
    written.host = written.host.or(base.host);
    let network = &mut written.network;
    let latency = network.latency.get_or_insert(undelay(base.network.way.latency)).clone();
    let bandwidth = *network.bandwidth.get_or_insert(crate::units::Bytes(base.network.way.bandwidth));
    network.local.get_or_insert(base.network.local);
    for region in &mut network.regions {
        region.latency.get_or_insert(latency.clone());
        region.bandwidth.get_or_insert(bandwidth);
    }
    server(&mut written.hub, &base.hub);
    server(&mut written.leaf, &base.leaf);
    let manager = &mut written.manager;
    manager.cores.get_or_insert(cores(base.manager.milli));
    manager.hear.get_or_insert(base.manager.hear);
    manager.ask.get_or_insert(base.manager.ask);
    manager.decide.get_or_insert(base.manager.decide);
    written.flux.call.get_or_insert(base.flux_call);
    written.lag.get_or_insert(undelay(base.lag));
    let (memory, base) = (&mut written.memory, base.memory);
    memory.server.get_or_insert(base.server);
    memory.object.get_or_insert(base.object);
    memory.watch.get_or_insert(base.watch);
    memory.connection.get_or_insert(base.connection);
    memory.manager.get_or_insert(base.manager);
    memory.cached.get_or_insert(base.cached);
    memory.held.get_or_insert(base.held);
    memory.worker.get_or_insert(base.worker);
}

fn server(server: &mut spec::Server, base: &model::Server) {
    server.cores.get_or_insert(cores(base.milli));
    server.read.get_or_insert(base.read);
    server.create.get_or_insert(base.create);
    server.write.get_or_insert(base.write);
    server.apply.get_or_insert(base.apply);
    server.per_kib.get_or_insert(base.per_kib);
    server.watch_event.get_or_insert(base.watch_event);
    server.commit.get_or_insert(base.commit);
    server.seats.get_or_insert(base.seats);
    server.queue.get_or_insert(base.queue);
}

fn cores(milli: u32) -> f64 {
    f64::from(milli) / 1_000.0
}

const fn list(list: spec::PriceList) -> model::PriceList {
    match list {
        spec::PriceList::Kubernetes => model::PriceList::Kubernetes,
        spec::PriceList::Mock => model::PriceList::Mock,
    }
}

const fn undelay(delay: model::Delay) -> spec::Delay {
    match delay {
        model::Delay::Fixed(span) => spec::Delay::Fixed(span),
        model::Delay::Uniform { min, max } => spec::Delay::Uniform { min, max },
        model::Delay::Exponential { mean } => spec::Delay::Exponential { mean },
    }
}

/// What a filled model means.
pub(super) fn meaning(written: &spec::Model) -> model::Model {
    let base = model::Model::of(list(written.prices));
    let network = &written.network;
    let way = |latency: &Option<spec::Delay>, bandwidth: Option<crate::units::Bytes>| model::Way {
        latency: latency.as_ref().map_or(base.network.way.latency, delay),
        bandwidth: bandwidth.map_or(base.network.way.bandwidth, |bytes| bytes.0),
    };
    let region = |region: &spec::Region| (region.name.0.clone(), way(&region.latency, region.bandwidth));
    let (memory, manager) = (&written.memory, &written.manager);
    model::Model {
        prices: base.prices,
        host: written.host,
        network: model::Network {
            way: way(&network.latency, network.bandwidth),
            local: network.local.unwrap_or(base.network.local),
            regions: network.regions.iter().map(region).collect(),
        },
        hub: serving(&written.hub, base.hub),
        leaf: serving(&written.leaf, base.leaf),
        manager: model::Thinking {
            milli: manager.cores.map_or(base.manager.milli, milli),
            hear: manager.hear.unwrap_or(base.manager.hear),
            ask: manager.ask.unwrap_or(base.manager.ask),
            decide: manager.decide.unwrap_or(base.manager.decide),
        },
        flux_call: written.flux.call.unwrap_or(base.flux_call),
        lag: written.lag.as_ref().map_or(base.lag, delay),
        memory: model::Memory {
            server: memory.server.unwrap_or(base.memory.server),
            object: memory.object.unwrap_or(base.memory.object),
            watch: memory.watch.unwrap_or(base.memory.watch),
            connection: memory.connection.unwrap_or(base.memory.connection),
            manager: memory.manager.unwrap_or(base.memory.manager),
            cached: memory.cached.unwrap_or(base.memory.cached),
            held: memory.held.unwrap_or(base.memory.held),
            worker: memory.worker.unwrap_or(base.memory.worker),
        },
    }
}

fn serving(server: &spec::Server, base: model::Server) -> model::Server {
    let or = |written: Option<Span>, base: Span| written.unwrap_or(base);
    model::Server {
        milli: server.cores.map_or(base.milli, milli),
        read: or(server.read, base.read),
        create: or(server.create, base.create),
        write: or(server.write, base.write),
        apply: or(server.apply, base.apply),
        per_kib: or(server.per_kib, base.per_kib),
        watch_event: or(server.watch_event, base.watch_event),
        commit: or(server.commit, base.commit),
        seats: server.seats.unwrap_or(base.seats),
        queue: server.queue.unwrap_or(base.queue),
    }
}
