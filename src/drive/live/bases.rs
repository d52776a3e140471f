//! What the API servers of a fleet hold before anything happens, in runs and in `serve` alike.

use crate::apiserver::clusters::{BadBase, Base};
use crate::fleet::{ARGOCD_NAMESPACE, World, namespace};
use serde_json::Value;
use std::sync::Arc;

/// A hub with these custom resources: Argo CD's namespace and project, and `objects` beside them.
pub(super) fn hub(
    world: &World,
    crds: &[Value],
    objects: impl IntoIterator<Item = Value>,
) -> Result<Arc<Base>, BadBase> {
    let mut all = vec![namespace(ARGOCD_NAMESPACE), world.project()];
    all.extend(objects);
    Base::new(crds, &all)
}

/// A leaf with these custom resources: the namespaces that the add-ons are installed into.
pub(super) fn leaf(world: &World, crds: &[Value]) -> Result<Arc<Base>, BadBase> {
    let namespaces: Vec<Value> = world.namespaces().into_iter().map(namespace).collect();
    Base::new(crds, &namespaces)
}
