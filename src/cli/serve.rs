//! `serve`: the mock API server alone.

use super::Failure;
use crate::apiserver::clusters::{Base, Clusters, Settings};
use crate::apiserver::http::{Serving, Setup, Site};
use crate::apiserver::kubeconfig;
use crate::apiserver::listen::{self, Listen};
use crate::apiserver::request::Now;
use crate::apiserver::schema::{argocd_crds, flux_crds};
use crate::apiserver::tls::Authority;
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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Profile {
    /// What a real kube-apiserver holds on its first start
    #[default]
    Bare,
    /// With the Flux custom resources
    Leaf,
    /// With the Argo CD and Flux custom resources
    Hub,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Clusters beside the hub
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    clusters: u32,
    /// What every cluster holds at the start
    #[arg(long, value_enum, default_value_t)]
    profile: Profile,
    /// Where to listen: by default all of 127.0.0.0/8 at a free port
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Where the kubeconfig goes, with the contexts `hub` and one per cluster
    #[arg(long, value_name = "FILE", default_value = "kubeconfig")]
    kubeconfig: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let files = listen::raise_file_limit();
    if files < FILES_WANTED {
        #[expect(clippy::print_stderr, reason = "a warning for the one who starts the server")]
        {
            eprintln!("only {files} files may be open at once: raise the limit with `ulimit -n` for more connections");
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serve(args));
    // Connections that outlived the grace end here.
    runtime.shutdown_background();
    served
}

async fn serve(args: &Args) -> Result<ExitCode, Failure> {
    // Before the line is printed, so that a script may signal as soon as it has read it.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listen = Listen::new(args.listen);
    let listener = listen.bind().into_diagnostic().map_err(Failure::environment)?;
    let authority = Arc::new(Authority::generate().into_diagnostic().map_err(Failure::environment)?);
    let (clusters, sites) = world(args, &authority)?;
    let setup = Setup { sites, authority: Arc::clone(&authority), listen, gzip: false };
    let serving = Serving::start_with(setup, listener, clusters)?;
    let contexts = serving.contexts();
    kubeconfig::write(&args.kubeconfig, &kubeconfig::text(&contexts, &authority.pem()))
        .into_diagnostic()
        .map_err(Failure::environment)?;
    let hub = contexts.first().map_or("", |hub| hub.server.as_str());
    let path = args.kubeconfig.display();
    writeln!(std::io::stdout().lock(), "serving the hub at {hub} and {} clusters; kubeconfig: {path}", args.clusters)?;
    let code = tokio::select! {
        _ = terminate.recv() => ExitCode::SUCCESS,
        _ = interrupt.recv() => ExitCode::from(130),
    };
    serving.stop(GRACE).await;
    Ok(code)
}

/// The hub and the clusters beside it, all of one profile.
fn world(args: &Args, authority: &Authority) -> Result<(Arc<Clusters>, Vec<Site>), Failure> {
    let crds = match args.profile {
        Profile::Bare => Vec::new(),
        Profile::Leaf => flux_crds().to_vec(),
        Profile::Hub => [argocd_crds(), flux_crds()].concat(),
    };
    let base = Base::new(&crds, &[]).into_diagnostic().map_err(Failure::input)?;
    let mut clusters = Clusters::new(Settings::default(), Vec::new());
    let now = Now::read();
    let names = std::iter::once("hub".to_owned()).chain((1..=args.clusters).map(|n| format!("cluster-{n}")));
    let sites =
        names.map(|name| Site { token: authority.secret(&name), cluster: clusters.add(&base, now), name }).collect();
    Ok((Arc::new(clusters), sites))
}
