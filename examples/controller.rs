//! A kube-runtime controller against a thousand clusters, without a socket.
//!
//! Every Deployment shall have a PodDisruptionBudget of its own. Each cluster starts with three Deployments and gets a
//! controller; when all budgets are there, one is deleted in every cluster, and the controllers bring it back.
//!
//! `cargo run --release --example controller [CLUSTERS]`

#![expect(clippy::print_stdout, reason = "an example for the terminal, not part of the program")]

use flamboyance::apiserver::Fleet;
use flamboyance::clock;
use futures_util::stream::{Stream, StreamExt, select_all};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use kube_runtime::controller::{Action, Controller};
use kube_runtime::watcher;
use serde_json::{Value, json};
use std::sync::Arc;

const MANAGER: &str = "budgets";
const DEPLOYMENTS: u32 = 3;

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let clusters: u32 = std::env::args().nth(1).map_or(Ok(1_000), |text| text.parse())?;
    let start = clock::now();
    let mut builder = Fleet::builder().clusters(clusters).housekeeping();
    for number in 0..DEPLOYMENTS {
        builder = builder.object(&deployment(&format!("web-{number}")));
    }
    let fleet = builder.start()?;
    let clients: Vec<Client> = (0..clusters).map(|id| Client::new(fleet.service(id), "default")).collect();
    let told = |what: &str| println!("{what} after {}", clock::now().since(start));
    told(&format!("{clusters} clusters with {DEPLOYMENTS} Deployments each"));

    let mut rounds = select_all(clients.iter().cloned().map(control));
    let deployments = (clusters * DEPLOYMENTS) as usize;
    // The budget that a round writes causes another, which finds nothing to do.
    take(&mut rounds, 2 * deployments).await?;
    told(&format!("{} budgets", count(&clients).await?));

    for client in &clients {
        let budgets = Api::<PodDisruptionBudget>::default_namespaced(client.clone());
        budgets.delete("web-1", &DeleteParams::default()).await?;
    }
    told(&format!("{clusters} budgets deleted behind their backs, {} left", count(&clients).await?));
    take(&mut rounds, 2 * clients.len()).await?;
    told(&format!("{} budgets again", count(&clients).await?));

    for (key, calls) in fleet.clusters().calls().read() {
        println!("{:>8} {} {} ({})", calls.count, key.verb.name(), key.plural, key.code);
    }
    Ok(())
}

/// Waits for so many rounds of all controllers.
async fn take(rounds: &mut (impl Stream<Item = Result<(), Error>> + Unpin), count: usize) -> Result<(), Error> {
    for _ in 0..count {
        rounds.next().await.ok_or("the controllers have ended")??;
    }
    Ok(())
}

/// The controller of one cluster, as anybody would write it.
fn control(client: Client) -> impl Stream<Item = Result<(), Error>> + Unpin {
    let watched = watcher::Config::default;
    let deployments = Api::<Deployment>::default_namespaced(client.clone());
    let budgets = Api::<PodDisruptionBudget>::default_namespaced(client.clone());
    let failed =
        |_: Arc<Deployment>, _: &kube::Error, _: Arc<Client>| Action::requeue(std::time::Duration::from_secs(1));
    Controller::new(deployments, watched())
        .owns(budgets, watched())
        .run(reconcile, failed, Arc::new(client))
        .map(|round| round.map(drop).map_err(Error::from))
        .boxed()
}

async fn reconcile(deployment: Arc<Deployment>, client: Arc<Client>) -> Result<Action, kube::Error> {
    let name = deployment.name_any();
    let budgets = Api::<PodDisruptionBudget>::default_namespaced((*client).clone());
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": { "name": name, "ownerReferences": [deployment.controller_owner_ref(&())] },
        "spec": { "maxUnavailable": 1, "selector": { "matchLabels": { "app": name } } },
    });
    budgets.patch(&name, &PatchParams::apply(MANAGER), &Patch::Apply(&budget)).await?;
    Ok(Action::await_change())
}

async fn count(clients: &[Client]) -> Result<usize, kube::Error> {
    let mut count = 0;
    for client in clients {
        let budgets = Api::<PodDisruptionBudget>::default_namespaced(client.clone());
        count += budgets.list_metadata(&ListParams::default()).await?.items.len();
    }
    Ok(count)
}

fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": name, "namespace": "default" },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{ "name": name, "image": "web:1" }] },
            },
        },
    })
}
