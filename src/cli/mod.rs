//! Flags -> values -> one call each. The only place that prints and chooses exit codes.

mod assets;
mod check;
mod compare;
mod completion;
mod destroy;
mod explain;
mod failure;
mod fleet;
mod gate;
mod import;
mod init;
mod manager;
mod output;
mod place;
mod plan;
mod predict;
mod progress;
mod report;
mod role;
mod run;
mod schema;
mod serve;
mod sweep;
mod tether;
mod twin;
mod version;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

pub use failure::Failure;

/// Scale simulation and benchmarks for add-on management of more than 10,000 Kubernetes clusters with Argo CD and Flux.
#[derive(Debug, Parser)]
#[command(name = "flamboyance", version, arg_required_else_help = true, max_term_width = 120)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Put a `kube-apiserver` and an `etcd` into a folder that test suites of controllers start (`KUBEBUILDER_ASSETS`)
    Assets(assets::Args),
    /// Tell everything that is wrong with scenarios, or what they amount to
    Check(check::Args),
    /// Say which of several results is better, metric by metric
    Compare(compare::Args),
    /// Print the completion script of a shell
    Completion(completion::Args),
    /// Remove what runs left on a cluster of yours
    Destroy(destroy::Args),
    /// Print the generated clusters and their apps
    Fleet(fleet::Args),
    /// Say whether this program is worse than a baseline: a result, a revision or another program
    Gate(Box<gate::Args>),
    /// Reconcile the Applications of any hub that use the Flux subsystem, until SIGTERM
    Manager(Box<manager::Args>),
    /// Say what a key of the scenario, a field of the record, a hop or a warning is, and what to do about it
    Explain(explain::Args),
    /// Write a scenario from what you have: manifests of an add-on
    #[command(subcommand)]
    Import(import::Args),
    /// Write a commented scenario to start from
    Init(init::Args),
    /// Say which manager owns which cluster, how even that is, and what moves when managers come and go
    Place(place::Args),
    /// Say how far a scenario goes before something that must hold does not, what stops it, and what comes next
    Plan(Box<plan::Args>),
    /// Predict what others measured, from the model: every question of the calibration with its interval
    Predict(predict::Args),
    /// Say what the record of a run says
    Report(report::Args),
    /// Play a scenario and say what happened
    Run(Box<run::Args>),
    /// Play one role of a live run, as its child
    #[command(hide = true)]
    Role(role::Args),
    /// Print the JSON Schema of a scenario, for editors
    Schema,
    /// Serve many Kubernetes API servers from this process until SIGTERM
    Serve(serve::Args),
    /// Run a matrix on many machines: a Job for Kubernetes, one of its pods, what they come to
    Sweep(Box<sweep::Args>),
    /// Become another program that ends with the process that asked for it
    #[command(hide = true)]
    Tether(tether::Args),
    /// Play a scenario on both clocks and say whether they agree
    Twin(twin::Args),
    /// Print the version, the commit and the features of this build
    Version(version::Args),
}

impl Command {
    fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Assets(args) => assets::run(&args),
            Self::Check(args) => check::run(&args),
            Self::Compare(args) => compare::run(&args),
            Self::Completion(args) => completion::run(&args),
            Self::Destroy(args) => destroy::run(&args),
            Self::Manager(args) => manager::run(*args),
            Self::Explain(args) => explain::run(&args),
            Self::Import(args) => import::run(&args),
            Self::Init(args) => init::run(&args),
            Self::Place(args) => place::run(&args),
            Self::Plan(args) => plan::run(&args),
            Self::Predict(args) => predict::run(&args),
            Self::Report(args) => report::run(&args),
            Self::Fleet(args) => fleet::run(&args),
            Self::Gate(args) => gate::run(&args),
            Self::Run(args) => run::run(&args),
            Self::Role(args) => role::run(&args),
            Self::Schema => schema::run(),
            Self::Serve(args) => serve::run(&args),
            Self::Sweep(args) => sweep::run(&args),
            Self::Tether(args) => tether::run(&args),
            Self::Twin(args) => twin::run(&args),
            Self::Version(args) => version::run(&args),
        }
    }
}

/// Parses the command line, runs the command and says how it ended. Under the name of a program that we stand in for, it
/// is that program.
#[must_use]
pub fn main() -> ExitCode {
    match assets::called().unwrap_or_else(|| Cli::parse().command.run()) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
