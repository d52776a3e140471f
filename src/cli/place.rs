//! `place SCENARIO`: which manager owns which cluster, how even that is, and what moves when something comes or goes.

mod seeds;
mod table;

use super::Failure;
use super::output::{self, Output};
use crate::apiserver::endpoint;
use crate::fleet::World;
use crate::report;
use crate::scenario::{self, Scenario, Scheme, TopologyKind};
use crate::topology::{self, Balance, Bill, Event, Layout, Member, Moves, Placement, Rules};
use seeds::OverSeeds;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The scenario file, `-` for standard input; it is taken as `sharded` whatever its kind
    scenario: String,
    /// How clusters are assigned, instead of topology.scheme
    #[arg(long, value_name = "SCHEME")]
    scheme: Option<String>,
    /// How many managers, instead of topology.shards
    #[arg(long, value_name = "N")]
    shards: Option<u32>,
    /// Override a value of the scenario, such as fleet.clusters=100000 (may be repeated)
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Seed of everything drawn, over run.seed of the scenario
    #[arg(long)]
    seed: Option<u64>,
    /// Say how balance and moves vary over so many seeds, counted from the first
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    seeds: u32,
    /// What comes or goes: +1, -1, x2 (managers), -cluster, in-cluster
    #[arg(long, value_name = "CHANGE", value_delimiter = ',', allow_hyphen_values = true,
        default_values_t = [Event::More(1), Event::Fewer(1), Event::Times(2), Event::ClusterLeaves, Event::InCluster])]
    changes: Vec<Event>,
    /// Draw shards and moves into this file, .png or .svg; one that exists is not overwritten
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// What to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// What cannot be drawn.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum PlaceError {
    #[error("{} is neither .png nor .svg: name the file after what it shall be", .0.display())]
    Picture(PathBuf),
    #[error("{} exists already and is not overwritten: choose another name", .0.display())]
    Exists(PathBuf),
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    args.plot.as_deref().map_or(Ok(()), fit_for_a_picture).map_err(Failure::input)?;
    let scenario = load(args, args.seed)?;
    let world = World::generate(&scenario);
    let members = topology::members(&world, &scenario.topology);
    let rules = Rules::of(&scenario.topology);
    let placement = topology::place(&members, rules, &args.changes);
    let over = if args.seeds > 1 { Some(over_seeds(args, &scenario)?) } else { None };
    let answer = answer(&world, &members, rules, &placement, over);
    let mut out = BufWriter::new(std::io::stdout().lock());
    match args.output {
        Output::Table => table::write(&mut out, &answer, &placement, scenario.run.seed)?,
        Output::Json => out.write_all(output::json(&answer)?.as_bytes())?,
        Output::Yaml => out.write_all(output::yaml(&answer)?.as_bytes())?,
    }
    out.flush()?;
    if let Some(path) = &args.plot {
        report::placement(&placement, &title(&answer), path)
            .map_err(|error| Failure::environment(miette::Report::msg(error.to_string())))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn fit_for_a_picture(path: &Path) -> Result<(), PlaceError> {
    match path.extension().and_then(|extension| extension.to_str()) {
        _ if path.exists() => Err(PlaceError::Exists(path.to_owned())),
        Some("png" | "svg") => Ok(()),
        _ => Err(PlaceError::Picture(path.to_owned())),
    }
}

/// The scenario as a sharded one, with what the command line says over it.
fn load(args: &Args, seed: Option<u64>) -> Result<Scenario, Failure> {
    let mut sets = vec!["topology.kind=sharded".to_owned()];
    sets.extend(args.set.iter().cloned());
    sets.extend(args.scheme.iter().map(|scheme| format!("topology.scheme={scheme}")));
    sets.extend(args.shards.iter().map(|shards| format!("topology.shards={shards}")));
    sets.extend(seed.map(|seed| format!("run.seed={seed}")));
    scenario::load(&args.scenario, &sets).map_err(Failure::input)
}

fn over_seeds(args: &Args, first: &Scenario) -> Result<OverSeeds, Failure> {
    let mut over = OverSeeds::default();
    for offset in 0..u64::from(args.seeds) {
        let mut scenario = first.clone();
        scenario.run.seed = first.run.seed.checked_add(offset).ok_or_else(|| {
            Failure::input(miette::miette!(
                help = "choose a smaller --seed",
                "there are no {} seeds behind it",
                args.seeds
            ))
        })?;
        let members = topology::members(&World::generate(&scenario), &scenario.topology);
        over.add(&topology::place(&members, Rules::of(&scenario.topology), &args.changes));
    }
    Ok(over)
}

/// What is printed.
#[derive(Serialize)]
struct Answer {
    scheme: &'static str,
    shards: u32,
    assignments: Vec<Assignment>,
    balance: Balance,
    moves: BTreeMap<String, Moves>,
    /// Balance and moves over several seeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    seeds: Option<OverSeeds>,
    /// What the control plane of each topology would weigh with these shards.
    bill: BTreeMap<TopologyKind, Bill>,
    /// What the scheme costs in Argo CD itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    original: Option<Original>,
}

#[derive(Serialize)]
struct Assignment {
    cluster: String,
    /// The very text that the scheme hashes.
    id: String,
    /// Where `serve` puts the cluster when it listens on port 6443.
    server: String,
    apps: u64,
    shard: u32,
}

/// What Argo CD's own implementation of the scheme costs.
#[derive(Serialize)]
struct Original {
    /// CPU of one recompute, seconds. It happens at every app that is created or deleted.
    recompute_cpu_s: f64,
    provenance: &'static str,
}

fn answer(
    world: &World,
    members: &[Member],
    rules: Rules<'_>,
    placement: &Placement,
    seeds: Option<OverSeeds>,
) -> Answer {
    let clusters = world.clusters();
    let assignment =
        |((cluster, member), owner): ((crate::ids::ClusterId, &Member), &crate::ids::ShardId)| Assignment {
            cluster: clusters.name(cluster),
            id: member.id.clone(),
            // The hub is the first cluster of its server.
            server: format!("https://{}:6443", endpoint::address(cluster.0 + 1)),
            apps: member.apps,
            shard: owner.0,
        };
    let original = (rules.scheme == Scheme::ConsistentHashing).then(|| Original {
        recompute_cpu_s: topology::recompute_secs(members.len() as u64, rules.shards),
        provenance: "modelled",
    });
    let bill = |kind| (kind, Layout::new(kind, &placement.owners, rules.shards).bill(members));
    Answer {
        scheme: rules.scheme.name(),
        shards: rules.shards,
        assignments: clusters.ids().zip(members).zip(&placement.owners).map(assignment).collect(),
        balance: placement.balance,
        moves: placement.moves.iter().map(|(event, moves)| (event.to_string(), *moves)).collect(),
        seeds,
        bill: TopologyKind::ALL.into_iter().map(bill).collect(),
        original,
    }
}

fn title(answer: &Answer) -> String {
    format!("{} clusters on {} managers: {}", answer.assignments.len(), answer.shards, answer.scheme)
}
