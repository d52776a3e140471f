//! `fleet SCENARIO`: the generated world, for people and for real controllers.

use super::Failure;
use super::output::{json, yaml};
use crate::apiserver::kubeconfig::{self, Context};
use crate::drive::live::servers::HUB;
use crate::fleet::{self, Endpoint, Target, World};
use crate::ids::ClusterId;
use crate::scenario;
use base64::Engine;
use kube::config::Kubeconfig;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::process::ExitCode;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// One line per cluster
    #[default]
    Table,
    /// All clusters with their apps
    Json,
    /// The same as YAML
    Yaml,
    /// What --kubeconfig says of the hub and of these clusters
    Kubeconfig,
    /// The cluster Secrets of Argo CD, one JSON document per line (needs --kubeconfig)
    Secrets,
    /// The Applications, one JSON document per line (needs --kubeconfig)
    Applications,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The scenario file, `-` for standard input
    scenario: String,
    /// What to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
    /// Seed of everything drawn, instead of the scenario's
    #[arg(long)]
    seed: Option<u64>,
    /// Override a value of the scenario: --set fleet.clusters=100
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Where the clusters are: a kubeconfig with a context per cluster, as `serve` writes it
    #[arg(long, value_name = "FILE", required_if_eq_any([("output", "kubeconfig"), ("output", "secrets"), ("output", "applications")]))]
    kubeconfig: Option<std::path::PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut sets = args.set.clone();
    sets.extend(args.seed.map(|seed| format!("run.seed={seed}")));
    let scenario = scenario::load(&args.scenario, &sets).map_err(Failure::input)?;
    let world = World::generate(&scenario);
    let mut out = BufWriter::new(std::io::stdout().lock());
    match args.output {
        Form::Table => table(&world, &mut out)?,
        Form::Json => write!(out, "{}", json(&summary(&world))?)?,
        Form::Yaml => write!(out, "{}", yaml(&summary(&world))?)?,
        Form::Kubeconfig | Form::Secrets | Form::Applications => {
            let path = args.kubeconfig.as_deref().unwrap_or_else(|| std::path::Path::new(""));
            let addresses = Addresses::read(path)?;
            match args.output {
                Form::Kubeconfig => write!(out, "{}", contexts(&world, &addresses)?)?,
                output => manifests(&world, &addresses, output, &mut out)?,
            }
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The clusters that the fleet starts with.
fn clusters(world: &World) -> impl Iterator<Item = ClusterId> + use<> {
    (0..world.clusters().initial()).map(ClusterId)
}

fn table(world: &World, out: &mut impl Write) -> std::io::Result<()> {
    let clusters = world.clusters();
    let width = |title: &str, texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0).max(title.len());
    let name = width("CLUSTER", &mut clusters.ids().map(|id| clusters.name(id).len()));
    let region = width("REGION", &mut clusters.ids().map(|id| clusters.region(id).len()));
    let environment = width("ENVIRONMENT", &mut clusters.ids().map(|id| clusters.environment(id).len()));
    writeln!(
        out,
        "{:name$}  {:region$}  {:environment$}  {:>10}  {:>6}  APPS",
        "CLUSTER", "REGION", "ENVIRONMENT", "KUBERNETES", "NODES"
    )?;
    for id in self::clusters(world) {
        let apps = world.apps_of(id).filter(|&app| world.selected(app)).map(|app| world.addon(app).name.as_str());
        writeln!(
            out,
            "{:name$}  {:region$}  {:environment$}  {:>10}  {:>6}  {}",
            clusters.name(id),
            clusters.region(id),
            clusters.environment(id),
            clusters.kubernetes(id),
            clusters.nodes(id),
            apps.collect::<Vec<_>>().join(",")
        )?;
    }
    Ok(())
}

fn summary(world: &World) -> Value {
    let clusters = world.clusters();
    let cluster = |id| {
        let apps = world.apps_of(id).filter(|&app| world.selected(app));
        let app = |app| {
            serde_json::json!({
                "name": world.app_name(app),
                "addon": world.addon(app).name,
                "values": world.values(app, Target::default()),
            })
        };
        serde_json::json!({
            "cluster": clusters.name(id),
            "id": clusters.uid(id).to_string(),
            "kubernetes": clusters.kubernetes(id),
            "nodes": clusters.nodes(id),
            "labels": clusters.labels(id),
            "apps": apps.map(app).collect::<Vec<_>>(),
        })
    };
    serde_json::json!({ "clusters": self::clusters(world).map(cluster).collect::<Vec<_>>() })
}

/// The hub, if the addresses have one, and every cluster.
fn contexts(world: &World, addresses: &Addresses) -> Result<String, Failure> {
    let clusters = clusters(world).map(|id| world.clusters().name(id));
    let hub = addresses.clusters.contains_key(HUB).then(|| HUB.to_owned());
    let mut authority = "";
    let contexts = hub.into_iter().chain(clusters).map(|name| {
        let address = addresses.of(&name)?;
        authority = &address.ca_pem;
        Ok(Context { server: address.server.clone(), token: address.token.clone(), name })
    });
    let contexts = contexts.collect::<Result<Vec<_>, Failure>>()?;
    Ok(kubeconfig::text(&contexts, authority))
}

fn manifests(world: &World, addresses: &Addresses, output: Form, out: &mut impl Write) -> Result<(), Failure> {
    for id in clusters(world) {
        let name = world.clusters().name(id);
        let address = addresses.of(&name)?;
        if output == Form::Secrets {
            let credentials = fleet::bearer(&address.token, &address.ca_pem);
            let endpoint = Endpoint { server: &address.server, credentials: &credentials };
            writeln!(out, "{}", world.cluster_secret(id, endpoint))?;
            continue;
        }
        for app in world.apps_of(id).filter(|&app| world.selected(app)) {
            writeln!(out, "{}", world.application(app, Target::default(), &address.server))?;
        }
    }
    Ok(())
}

/// Where every cluster is, by the name of its context.
struct Addresses {
    clusters: BTreeMap<String, Address>,
}

struct Address {
    server: String,
    token: String,
    ca_pem: String,
}

impl Addresses {
    fn of(&self, name: &str) -> Result<&Address, Failure> {
        self.clusters.get(name).ok_or_else(|| {
            Failure::input(miette::miette!(
                help = "give the kubeconfig that `serve` wrote for the same scenario",
                "the kubeconfig has no context `{name}`"
            ))
        })
    }

    fn read(path: &std::path::Path) -> Result<Self, Failure> {
        let config = Kubeconfig::read_from(path).map_err(|error| {
            Failure::input(miette::miette!(
                help = "`flamboyance serve SCENARIO --kubeconfig FILE` writes one",
                "cannot read the kubeconfig {}: {error}",
                path.display()
            ))
        })?;
        let servers: BTreeMap<_, _> =
            config.clusters.into_iter().filter_map(|named| Some((named.name, named.cluster?))).collect();
        let users: BTreeMap<_, _> =
            config.auth_infos.into_iter().filter_map(|named| Some((named.name, named.auth_info?))).collect();
        let address = |context: kube::config::NamedContext| {
            let reference = context.context?;
            let cluster = servers.get(&reference.cluster)?;
            let user = reference.user.and_then(|user| users.get(&user));
            let address = Address {
                server: cluster.server.clone()?.trim_end_matches('/').to_owned(),
                token: user.map(token).unwrap_or_default(),
                ca_pem: cluster.certificate_authority_data.as_deref().and_then(decode).unwrap_or_default(),
            };
            Some((context.name, address))
        };
        Ok(Self { clusters: config.contexts.into_iter().filter_map(address).collect() })
    }
}

/// The token of a user; its type gives it away when it is written out alone.
fn token(user: &kube::config::AuthInfo) -> String {
    let written = serde_json::to_value(user).unwrap_or_default();
    written["token"].as_str().unwrap_or_default().to_owned()
}

fn decode(base64: &str) -> Option<String> {
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(base64).ok()?).ok()
}
