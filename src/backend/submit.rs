//! Documents to a cluster of somebody's, once.
//!
//! In: a context of a kubeconfig, documents. Out: the same objects on the cluster, all of them new; or none, and why.

use kube::api::{Api, DynamicObject, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind, TypeMeta};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Why nothing was created.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The kubeconfig.
    #[error("cannot use kubeconfig {}: {reason}", path.display())]
    Kubeconfig {
        /// Its file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A document is no object.
    #[error("a document is no object: {0}")]
    Document(String),
    /// An object of that name is there.
    #[error("{kind} {name} is there already: `kubectl delete {kind} {name}` removes it")]
    Exists {
        /// Its kind, in small letters.
        kind: String,
        /// Its name.
        name: String,
    },
    /// The cluster refuses.
    #[error("the cluster refuses {kind} {name}: {reason}")]
    Refused {
        /// Its kind, in small letters.
        kind: String,
        /// Its name.
        name: String,
        /// In its words.
        reason: String,
    },
    /// No runtime.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
}

/// Creates namespaced objects in order and gives the namespace; those without one go where the context says.
///
/// # Errors
/// The first that could not be created. Those before it are deleted again.
pub fn create(kubeconfig: &Path, context: Option<&str>, documents: &[Value]) -> Result<String, SubmitError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let created = runtime.block_on(async {
        let client = client(kubeconfig, context).await?;
        let objects = documents.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        for (at, (object, resource)) in objects.iter().enumerate() {
            if let Err(error) = api(&client, object, resource).create(&PostParams::default(), object).await {
                for (object, resource) in &objects[..at] {
                    // What could not be created is the news; this would only hide it.
                    let _ =
                        api(&client, object, resource).delete(&name(object), &kube::api::DeleteParams::default()).await;
                }
                return Err(refused(object, resource, &error));
            }
        }
        let named = objects.first().and_then(|(object, _)| object.metadata.namespace.clone());
        Ok(named.unwrap_or_else(|| client.default_namespace().to_owned()))
    });
    runtime.shutdown_background();
    created
}

async fn client(path: &Path, context: Option<&str>) -> Result<kube::Client, SubmitError> {
    let bad = |reason: String| SubmitError::Kubeconfig { path: path.to_owned(), reason };
    let file = Kubeconfig::read_from(path).map_err(|e| bad(e.to_string()))?;
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let config = kube::Config::from_custom_kubeconfig(file, &options).await.map_err(|e| bad(e.to_string()))?;
    kube::Client::try_from(config).map_err(|e| bad(e.to_string()))
}

fn read(document: &Value) -> Result<(DynamicObject, ApiResource), SubmitError> {
    let bad = |reason: String| SubmitError::Document(reason);
    let object: DynamicObject = serde_json::from_value(document.clone()).map_err(|e| bad(e.to_string()))?;
    let types: &TypeMeta = object.types.as_ref().ok_or_else(|| bad("it has no kind".to_owned()))?;
    let kind = GroupVersionKind::try_from(types).map_err(|e| bad(e.to_string()))?;
    let resource = ApiResource::from_gvk(&kind);
    Ok((object, resource))
}

fn api(client: &kube::Client, object: &DynamicObject, resource: &ApiResource) -> Api<DynamicObject> {
    match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, resource),
        None => Api::default_namespaced_with(client.clone(), resource),
    }
}

fn name(object: &DynamicObject) -> String {
    object.metadata.name.clone().unwrap_or_default()
}

fn refused(object: &DynamicObject, resource: &ApiResource, error: &kube::Error) -> SubmitError {
    let (kind, name) = (resource.kind.to_ascii_lowercase(), name(object));
    match error {
        kube::Error::Api(status) if status.reason == "AlreadyExists" => SubmitError::Exists { kind, name },
        _ => SubmitError::Refused { kind, name, reason: error.to_string() },
    }
}
