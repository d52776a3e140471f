//! `serve`: the mock API server alone.

use super::Failure;
use crate::apiserver::http::{Serving, Setup};
use crate::apiserver::kubeconfig;
use crate::apiserver::listen::{self, Listen};
use crate::apiserver::schema::{argocd_crds, flux_crds};
use crate::apiserver::tls::{Authority, Certificates};
use crate::drive::live::servers::{Controllers, Place, Servers};
use crate::scenario::{self, Scenario};
use crate::units::Span;
use miette::IntoDiagnostic;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// Descriptors that a server can hardly do without: one per connection.
const FILES_WANTED: u64 = 4_096;
/// What calls get to finish after SIGTERM; the process is gone soon after.
const GRACE: Span = Span::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Profile {
    /// What a real kube-apiserver holds on its first start
    Bare,
    /// With the Flux custom resources
    Leaf,
    /// With the Argo CD and Flux custom resources
    Hub,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ControllersName {
    /// As behind a kube-apiserver alone: Deployments stay unavailable, deleted namespaces Terminating
    None,
    /// What kube-controller-manager does for Deployments, namespaces and garbage
    Workloads,
    /// And Flux, which knows the sources of the scenario's add-ons
    All,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A scenario whose fleet is served as its install would leave it, `-` for standard input; without one, all clusters
    /// are alike
    scenario: Option<String>,
    /// Clusters beside the hub; without a scenario none by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    clusters: Option<u32>,
    /// What the clusters hold at the start [default: bare, with a scenario leaf; its hub is always a hub]
    #[arg(long, value_enum)]
    profile: Option<Profile>,
    /// Which controllers run beside the API servers [default: none, with a scenario all]
    #[arg(long, value_enum, value_name = "WHICH")]
    controllers: Option<ControllersName>,
    /// Where to listen: by default all of 127.0.0.0/8 at a free port
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Where the kubeconfig goes, with the contexts `hub` and one per cluster
    #[arg(long, value_name = "FILE", default_value = "kubeconfig")]
    kubeconfig: PathBuf,
    /// Seed of everything drawn, instead of the scenario's
    #[arg(long, requires = "scenario")]
    seed: Option<u64>,
    /// Override a value of the scenario: --set fleet.clusters=100
    #[arg(long, value_name = "PATH=VALUE", requires = "scenario")]
    set: Vec<String>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let scenario = args.scenario.as_deref().map(|file| load(file, args)).transpose()?;
    let files = listen::raise_file_limit();
    if files < FILES_WANTED {
        #[expect(clippy::print_stderr, reason = "a warning for the one who starts the server")]
        {
            eprintln!("only {files} files may be open at once: raise the limit with `ulimit -n` for more connections");
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serve(args, scenario));
    // Connections that outlived the grace end here.
    runtime.shutdown_background();
    served
}

async fn serve(args: &Args, scenario: Option<Scenario>) -> Result<ExitCode, Failure> {
    // Before the line is printed, so that a script may signal as soon as it has read it.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listen = Listen::new(args.listen);
    let listener = listen.bind().into_diagnostic().map_err(Failure::environment)?;
    let authority = Arc::new(Authority::generate().into_diagnostic().map_err(Failure::environment)?);
    let place = Place { authority: &authority, listen, port: listener.local_addr()?.port() };
    // Its controllers run until the end of this function.
    let mut servers = servers(args, scenario.as_ref(), place)?;
    let sites = std::mem::take(&mut servers.sites);
    let certificates = Certificates::Ours(Arc::clone(&authority));
    let setup = Setup { sites, certificates, listen, gzip: false };
    let serving = Serving::start_with(setup, listener, Arc::clone(&servers.clusters))?;
    let contexts = serving.contexts();
    kubeconfig::write(&args.kubeconfig, &serving.kubeconfig()).into_diagnostic().map_err(Failure::environment)?;
    let hub = contexts.first().map_or("", |hub| hub.server.as_str());
    let path = args.kubeconfig.display();
    writeln!(
        std::io::stdout().lock(),
        "serving the hub at {hub} and {} clusters; kubeconfig: {path}",
        contexts.len() - 1
    )?;
    let code = tokio::select! {
        _ = terminate.recv() => ExitCode::SUCCESS,
        _ = interrupt.recv() => ExitCode::from(130),
    };
    serving.stop(GRACE).await;
    Ok(code)
}

fn load(file: &str, args: &Args) -> Result<Scenario, Failure> {
    let mut sets = args.set.clone();
    sets.extend(args.seed.map(|seed| format!("run.seed={seed}")));
    sets.extend(args.clusters.map(|clusters| format!("fleet.clusters={clusters}")));
    scenario::load(file, &sets).map_err(Failure::input)
}

fn servers(args: &Args, scenario: Option<&Scenario>, place: Place<'_>) -> Result<Servers, Failure> {
    let controllers = match (args.controllers, scenario) {
        (Some(ControllersName::None), _) | (None, None) => Controllers::None,
        (Some(ControllersName::Workloads), _) => Controllers::Workloads,
        (Some(ControllersName::All), _) | (None, Some(_)) => Controllers::All,
    };
    let profile = args.profile.unwrap_or(if scenario.is_some() { Profile::Leaf } else { Profile::Bare });
    let crds = match profile {
        Profile::Bare => Vec::new(),
        Profile::Leaf => flux_crds().to_vec(),
        Profile::Hub => [argocd_crds(), flux_crds()].concat(),
    };
    let servers = match scenario {
        Some(scenario) => Servers::of(scenario, &crds, controllers, place),
        None => Servers::alike(&crds, args.clusters.unwrap_or(0), controllers, place),
    };
    servers.into_diagnostic().map_err(Failure::environment)
}
