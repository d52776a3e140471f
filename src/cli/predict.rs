//! `predict`: the predictions, as JSON.

use super::Failure;
use super::output;
use crate::drive::parallel;
use crate::drive::virtual_time::{Options, Outcome};
use crate::fleet::World;
use crate::measure::{ChangeKind, Hop};
use crate::scenario;
use crate::study::predict::{self, Played};
use std::io::Write;
use std::ops::ControlFlow;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Do not tell which scenario is being played
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut wrong = None;
    let predictions = predict::all(&mut |text, name, sets| {
        if !args.quiet {
            // Nobody may listen.
            let _unheard = writeln!(std::io::stderr(), "playing {name} {}", sets.join(" "));
        }
        match scenario::parse(text, name, sets) {
            Ok(scenario) => {
                let world = World::generate(&scenario);
                let go_on = &mut |_, _| ControlFlow::Continue(());
                played(&parallel::simulate(&scenario, &world, Options::default(), 1, go_on))
            }
            Err(errors) => {
                wrong = Some(errors);
                Played::default()
            }
        }
    });
    if let Some(errors) = wrong {
        return Err(Failure::input(errors));
    }
    output::print(&output::json(&predictions)?)?;
    Ok(ExitCode::SUCCESS)
}

fn played(outcome: &Outcome) -> Played {
    let slowest = |wanted: ChangeKind| {
        let found = outcome.measured.latencies.by_kind().find(|(kind, _)| *kind == wanted);
        found.and_then(|(_, hops)| hops[Hop::EndToEnd as usize].quantile(1.0)).map_or(0.0, |span| span.as_secs_f64())
    };
    let bills = outcome.bills.iter().filter(|bill| bill.name.starts_with("manager-"));
    Played {
        all_healthy_s: outcome.measured.all_healthy.map_or(0.0, |span| span.as_secs_f64()),
        upgrade_s: slowest(ChangeKind::Upgrade),
        commit_s: slowest(ChangeKind::Commit),
        memory_bytes: bills.filter_map(|bill| bill.memory).max().unwrap_or(0) as f64,
    }
}
