//! Clusters of others for a run: one of a kubeconfig, or kind's.
//!
//! In: the scenario's backend and the flags. Out: how they are reached; at the end they are given back: deleted, or kept
//! if the user wants them.

use super::{Args, Failure};
use crate::backend;
use crate::backend::kind::Kind;
use crate::drive::live::guest::GuestError;
use crate::drive::live::kind::{Clusters, RaiseError};
use crate::drive::live::{self, Guest, Guests};
use crate::fleet::World;
use crate::scenario::{Home, Scenario};
use std::io::Write;
use std::path::Path;

/// Below the folder of a result: the logs of clusters that did not do as they should.
const LOGS: &str = "kind-logs";

/// Where the clusters come from.
pub(super) enum Lender {
    /// Nobody: they are ours.
    Nobody,
    /// A kubeconfig.
    Kubeconfig,
    /// The same, and the run may write there.
    Host(Guest),
    /// kind.
    Kind(Kind),
}

/// What a run has been lent.
pub(super) struct Lent {
    pub(super) guests: Guests,
    clusters: Option<Clusters>,
}

impl Lender {
    /// Who lends what a scenario asks for; programs that are needed are there.
    pub(super) fn of(args: &Args, scenario: &Scenario) -> Result<Self, Failure> {
        if scenario.backend.is_of_kind() {
            let found = live::kind::find();
            return found.map(Self::Kind).map_err(|error| Failure::environment(miette::Report::from_err(error)));
        }
        if args.keep {
            return Err(Failure::input(miette::miette!(
                help = "leave --keep out, or let spec.backend be `kind`",
                "--keep keeps clusters of kind, and this scenario makes none"
            )));
        }
        Ok(if scenario.backend.hub == Home::Kubeconfig { Self::Kubeconfig } else { Self::Nobody })
    }

    /// Looks round in a cluster of a kubeconfig: the run may write there afterwards.
    pub(super) fn enter(self, args: &Args, run_id: &str) -> Result<Self, Failure> {
        let Self::Kubeconfig = self else { return Ok(self) };
        let Some(kubeconfig) = &args.kubeconfig else {
            return Err(Failure::input(miette::miette!(
                help = "give --kubeconfig FILE, or set KUBECONFIG",
                "the hub is a cluster of a kubeconfig, and none is given"
            )));
        };
        let run = backend::guest::run_label(run_id);
        let entered = live::guest::enter(kubeconfig, args.context.as_deref(), &run, args.yes);
        entered.map(Self::Host).map_err(|error| match error {
            GuestError::Unwelcome(_) => Failure::input(miette::Report::from_err(error)),
            _ => Failure::environment(miette::Report::from_err(error)),
        })
    }

    /// Lends what the run needs; `private` is a folder of its own, `result` that of the result.
    pub(super) fn lend(
        self,
        (scenario, world, run_id): (&Scenario, &World, &str),
        (private, result): (&Path, &Path),
        quiet: bool,
    ) -> Result<Lent, RaiseError> {
        match self {
            Self::Nobody | Self::Kubeconfig => Ok(Lent { guests: Guests::default(), clusters: None }),
            Self::Host(guest) => Ok(Lent { guests: Guests { hubs: vec![guest], leaves: Vec::new() }, clusters: None }),
            Self::Kind(kind) => {
                let run = backend::guest::run_label(run_id);
                let say = |words: &str| {
                    if !quiet {
                        tell(words)
                    }
                };
                let (clusters, guests) =
                    live::kind::raise(kind, (scenario, world, &run), (private, &result.join(LOGS)), say)?;
                Ok(Lent { guests, clusters: Some(clusters) })
            }
        }
    }
}

impl Lent {
    /// Gives everything back, and says what could not be. The logs go to the folder of a result that did not end well.
    pub(super) fn give_back(self, args: &Args, failed: Option<&impl AsRef<Path>>) -> Vec<String> {
        let Some(clusters) = self.clusters else { return Vec::new() };
        let mut left = Vec::new();
        if let Some(result) = failed {
            left.extend(clusters.keep_logs(&result.as_ref().join(LOGS)));
        }
        if args.keep {
            let names = clusters.names().join(", ");
            tell(&format!(
                "kept: {names}; `kind export kubeconfig --name NAME` gives access, `flamboyance destroy --kind` deletes them"
            ));
        } else {
            left.extend(clusters.delete());
        }
        left
    }
}

fn tell(words: &str) {
    // Nobody reads: nobody needs to know.
    let _ = writeln!(std::io::stderr(), "{words}");
}
