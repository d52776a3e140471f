//! `manager`: one loopback manager alone, against any kubeconfig.

use super::Failure;
use crate::clock;
use crate::drive::live::manager::{self, Counted, Settings, Share};
use crate::drive::live::net;
use crate::drive::live::reporter::Reporter;
use crate::scenario::{Behaviour, FluxApi, Manager, ManagerKind, Scheme};
use crate::seed::Seed;
use crate::units::Span;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Kubeconfig of the hub
    #[arg(long, env = "KUBECONFIG", value_name = "FILE")]
    kubeconfig: PathBuf,
    /// Its context; the current one by default
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Where Applications and cluster Secrets are
    #[arg(long, default_value = "argocd")]
    namespace: String,
    /// Which manager this is, from 0
    #[arg(long, default_value_t = 0, value_name = "I")]
    shard: u32,
    /// How many managers share the clusters
    #[arg(long, default_value_t = 1, value_name = "N")]
    shards: u32,
    /// How clusters are assigned to managers. With `manual` and `label` the key `shard` of a cluster's Secret or its label
    /// says it; that key wins over every scheme
    #[arg(long, value_enum, default_value_t, value_name = "SCHEME")]
    scheme: SchemeName,
    /// The label that tells the manager, as a number (`label`)
    #[arg(long, default_value = "sharding.fluxcd.io/key", value_name = "LABEL")]
    shard_label: String,
    /// `fixed`: driven by watches. `faithful`: the original's calls and defects
    #[arg(long, value_enum, default_value_t)]
    behaviour: BehaviourName,
    /// Apps worked on at the same time
    #[arg(long, default_value_t = usual().concurrency, value_name = "N")]
    concurrency: u32,
    /// Every app is looked at again after so long; 0 for never
    #[arg(long, default_value_t = usual().resync, value_name = "DURATION")]
    resync: Span,
    /// Up to so much is added to each resync
    #[arg(long, default_value_t = usual().resync_jitter, value_name = "DURATION")]
    resync_jitter: Span,
    /// First pause after a failure; doubles
    #[arg(long, default_value_t = usual().backoff_base, value_name = "DURATION")]
    backoff: Span,
    /// Longest pause after a failure
    #[arg(long, default_value_t = usual().backoff_max, value_name = "DURATION")]
    backoff_max: Span,
    /// Calls per second to the hub; 0 for no limit
    #[arg(long, default_value_t = per_second(usual().hub_qps_milli), value_name = "N")]
    hub_qps: u32,
    /// Calls to the hub at once after a rest
    #[arg(long, default_value_t = usual().hub_burst, value_name = "N")]
    hub_burst: u32,
    /// Calls per second to each leaf; 0 for no limit
    #[arg(long, default_value_t = per_second(usual().leaf_qps_milli), value_name = "N")]
    leaf_qps: u32,
    /// Calls to a leaf at once after a rest
    #[arg(long, default_value_t = usual().leaf_burst, value_name = "N")]
    leaf_burst: u32,
    /// Read Flux objects in every round instead of watching them
    #[arg(long)]
    no_cache: bool,
    /// Version of source.toolkit.fluxcd.io
    #[arg(long, default_value_t = usual().flux_api.source, value_name = "VERSION")]
    flux_source: String,
    /// Version of kustomize.toolkit.fluxcd.io
    #[arg(long, default_value_t = usual().flux_api.kustomize, value_name = "VERSION")]
    flux_kustomize: String,
    /// Version of helm.toolkit.fluxcd.io
    #[arg(long, default_value_t = usual().flux_api.helm, value_name = "VERSION")]
    flux_helm: String,
    /// HTTP/2 connections to each API server address
    #[arg(long, default_value_t = usual().connections, value_name = "N")]
    connections: u32,
    /// Threads that work
    #[arg(long, default_value_t = 1, value_name = "N")]
    threads: usize,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum SchemeName {
    #[default]
    Legacy,
    RoundRobin,
    ConsistentHashing,
    GreedyMinimum,
    WeightedRing,
    Rendezvous,
    Label,
    Manual,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum BehaviourName {
    #[default]
    Fixed,
    Faithful,
}

/// What a scenario says that says nothing about its managers: the one source of defaults.
fn usual() -> Manager {
    Manager::default()
}

/// Calls per second of a limit in thousandths, for a flag in whole numbers.
fn per_second(milli: u64) -> u32 {
    u32::try_from(milli / 1_000).unwrap_or(u32::MAX)
}

/// A range of numbers that makes no sense.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("--shard {shard} does not exist among --shards {shards}: shards are counted from 0")]
struct NoSuchShard {
    shard: u32,
    shards: u32,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    if args.shard >= args.shards {
        return Err(Failure::input(NoSuchShard { shard: args.shard, shards: args.shards }));
    }
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let hub = runtime
        .block_on(net::from_kubeconfig(&args.kubeconfig, args.context.as_deref()))
        .map_err(|e| Failure::input(miette::Report::msg(e.to_string())))?;
    let threads = args.threads;
    let settings = settings(args, hub);
    let ready = || tracing::info!("the first list of Applications is complete");
    let counted = manager::run(vec![settings], threads, stopped(), ready)
        .map_err(|e| Failure::environment(miette::Report::msg(e.to_string())))?;
    summarise(&counted)?;
    Ok(ExitCode::SUCCESS)
}

/// What the manager did, on standard error: standard output stays free for pipes.
fn summarise(counted: &Counted) -> std::io::Result<()> {
    let mut err = std::io::stderr().lock();
    let cpu = clock::process_cpu();
    writeln!(err, "{:>10}  CPU, {} calls:", format!("{:.2} s", cpu.as_secs_f64()), counted.calls.total())?;
    for (key, count) in counted.calls.iter() {
        let kind = key.kind.map_or("discovery", |kind| kind.info().plural);
        writeln!(err, "{count:>10}  {:?} {:?} {kind} -> {}", key.target, key.verb, key.code)?;
    }
    let Counted { bytes_in, bytes_out, connections_max, watches_max, objects, watch_events, .. } = counted;
    writeln!(err, "{watch_events:>10}  watch events on at most {watches_max} watches of leaves")?;
    writeln!(err, "{objects:>10}  objects held at the end")?;
    writeln!(err, "{bytes_in:>10}  bytes read, {bytes_out} written, at most {connections_max} connections")
}

fn settings(args: Args, hub: kube::Config) -> Settings {
    let scheme = match args.scheme {
        SchemeName::Legacy => Scheme::Legacy,
        SchemeName::RoundRobin => Scheme::RoundRobin,
        SchemeName::ConsistentHashing => Scheme::ConsistentHashing,
        SchemeName::GreedyMinimum => Scheme::GreedyMinimum,
        SchemeName::WeightedRing => Scheme::WeightedRing,
        SchemeName::Label => Scheme::Label,
        SchemeName::Manual => Scheme::Manual,
        SchemeName::Rendezvous => Scheme::Rendezvous,
    };
    let share = match args.shards {
        1 => Share::All,
        shards => {
            let label = (scheme == Scheme::Label).then(|| args.shard_label.into());
            Share::Scheme { scheme, shard: args.shard, shards, label }
        }
    };
    Settings {
        hub,
        namespace: args.namespace,
        share,
        shard: args.shard,
        tells: false,
        lease: None,
        seed: Seed::new(u64::from(std::process::id())),
        reporter: Reporter::silent(),
        app_ids: None,
        manager: Manager {
            kind: ManagerKind::Loopback,
            command: None,
            behaviour: match args.behaviour {
                BehaviourName::Fixed => Behaviour::Fixed,
                BehaviourName::Faithful => Behaviour::Faithful,
            },
            concurrency: args.concurrency,
            hub_qps_milli: u64::from(args.hub_qps) * 1_000,
            hub_burst: args.hub_burst,
            leaf_qps_milli: u64::from(args.leaf_qps) * 1_000,
            leaf_burst: args.leaf_burst,
            resync: args.resync,
            resync_jitter: args.resync_jitter,
            backoff_base: args.backoff,
            backoff_max: args.backoff_max,
            client_cache: usual().client_cache && !args.no_cache,
            flux_api: FluxApi { source: args.flux_source, kustomize: args.flux_kustomize, helm: args.flux_helm },
            connections: args.connections,
        },
    }
}

/// SIGTERM or Ctrl-C.
async fn stopped() {
    let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn a_manager_alone_behaves_as_one_of_a_scenario_without_a_word_about_it() {
        let line = Line::try_parse_from(["manager", "--kubeconfig", "hub"]).unwrap();
        let hub = kube::Config::new("https://127.0.0.1:1".parse().unwrap());
        assert_eq!(settings(line.args, hub).manager, Manager::default());
    }
}
