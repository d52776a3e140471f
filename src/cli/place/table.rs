//! A placement for people.

use super::Answer;
use super::seeds::{MovesRange, Range, SpreadRange};
use crate::report::{Table, count};
use crate::topology::{Placement, Side, Spread};
use std::io::{self, Write};

/// More shards than this are told by their extremes.
const SHARDS_SHOWN: usize = 24;

pub(super) fn write(out: &mut impl Write, answer: &Answer, placement: &Placement, seed: u64) -> io::Result<()> {
    let apps: u64 = placement.shares.iter().map(|share| share.apps).sum();
    let (clusters, managers) = (count(answer.assignments.len() as u64), answer.shards);
    writeln!(
        out,
        "{clusters} clusters with {} apps on {managers} managers by {}, seed {seed}\n",
        count(apps),
        answer.scheme
    )?;
    write!(out, "{}\n{}\n", shards(placement), balance(answer))?;
    write!(out, "{}\n{}", moves(answer), bill(answer))?;
    notes(out, answer)
}

fn shards(placement: &Placement) -> String {
    let mut order: Vec<usize> = (0..placement.shares.len()).collect();
    let mut table = Table::new(&["manager", "clusters", "apps", "cost"]);
    let left_out = order.len().saturating_sub(SHARDS_SHOWN);
    if left_out > 0 {
        order.sort_by_key(|shard| std::cmp::Reverse(placement.shares[*shard].clusters));
        order.drain(SHARDS_SHOWN / 2..SHARDS_SHOWN / 2 + left_out);
    }
    for (row, shard) in order.into_iter().enumerate() {
        let share = &placement.shares[shard];
        if left_out > 0 && row == SHARDS_SHOWN / 2 {
            table.row(vec![format!("... {left_out} more"), String::new(), String::new(), String::new()]);
        }
        table.row(vec![shard.to_string(), count(share.clusters), count(share.apps), count(share.cost)]);
    }
    table.render(super::super::output::style(true))
}

fn balance(answer: &Answer) -> String {
    let mut table = Table::new(&["balance", "max/mean", "max - min", "deviation/mean"]);
    let named =
        [("clusters", &answer.balance.clusters), ("apps", &answer.balance.apps), ("cost", &answer.balance.cost)];
    for (name, spread) in named {
        let over = answer.seeds.as_ref().and_then(|seeds| seeds.balance.get(name));
        let Spread { max_over_mean, range, cv, .. } = *spread;
        let cells = match over {
            None => vec![format!("{max_over_mean:.3}"), count(range), percent(cv)],
            Some(SpreadRange { max_over_mean, range, cv }) => {
                vec![between(max_over_mean, |v| format!("{v:.3}")), between(range, whole), between(cv, percent)]
            }
        };
        table.row(std::iter::once(name.to_owned()).chain(cells).collect());
    }
    table.render(super::super::output::style(true))
}

fn moves(answer: &Answer) -> String {
    let mut table = Table::new(&["change", "clusters moved", "apps moved", "kept", "for nothing"]);
    for (change, moves) in &answer.moves {
        let cells = match answer.seeds.as_ref().and_then(|seeds| seeds.moves.get(change)) {
            None => vec![count(moves.clusters), count(moves.apps), percent(moves.kept_share), count(moves.sideways)],
            Some(MovesRange { clusters, apps, kept_share, sideways }) => vec![
                between(clusters, whole),
                between(apps, whole),
                between(kept_share, percent),
                between(sideways, whole),
            ],
        };
        table.row(std::iter::once(change.clone()).chain(cells).collect());
    }
    table.render(super::super::output::style(true))
}

/// What the control plane of each topology would weigh.
fn bill(answer: &Answer) -> String {
    let head = ["as topology", "processes on hubs", "memory", "processes on leaves", "memory", "in all"];
    let mut table = Table::new(&head);
    for (kind, bill) in &answer.bill {
        let all = bill.hubs.memory_bytes + bill.leaves.memory_bytes;
        let side = |side: &Side| [count(side.processes), gib(side.memory_bytes)];
        let [hub_processes, hub_memory] = side(&bill.hubs);
        let [leaf_processes, leaf_memory] = side(&bill.leaves);
        table.row(vec![kind.name().to_owned(), hub_processes, hub_memory, leaf_processes, leaf_memory, gib(all)]);
    }
    let text = table.render(super::super::output::style(true));
    text + "~ modelled from what the real programs took on one machine, at rest\n"
}

fn gib(bytes: u64) -> String {
    format!("~{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

fn notes(out: &mut impl Write, answer: &Answer) -> io::Result<()> {
    if let Some(seeds) = &answer.seeds {
        writeln!(out, "\nbalance and moves: mean (least to most) over {} seeds; managers: of the first", seeds.count)?;
    }
    for (change, moves) in &answer.moves {
        if let Some(stale) = moves.stale_replicas.filter(|stale| stale.double_owned + stale.orphaned > 0) {
            let (double, none) = (count(stale.double_owned), count(stale.orphaned));
            writeln!(
                out,
                "\n{change} with dynamic cluster distribution: {double} clusters have two owners and {none} none until the old pods restart"
            )?;
        }
    }
    if let Some(original) = &answer.original {
        let cpu = original.recompute_cpu_s;
        writeln!(
            out,
            "\nArgo CD itself spends about {cpu:.1} s of CPU on this at every app created or deleted (modelled)"
        )?;
    }
    Ok(())
}

fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

fn whole(value: f64) -> String {
    format!("{value:.0}")
}

fn between(range: &Range, text: impl Fn(f64) -> String) -> String {
    format!("{} ({} to {})", text(range.mean), text(range.min), text(range.max))
}
