//! What a fresh cluster holds before anybody writes to it.

use crate::apiserver::schema::{Data, bootstrap_objects};
use serde_json::Value;

/// The objects that the original makes at its first start, in the order of their resource versions: namespaces, RBAC,
/// flow control, priority classes, the `kubernetes` Service and its like. They carry no uid and no resourceVersion.
#[must_use]
pub fn objects() -> &'static [Value] {
    bootstrap_objects()
}

/// The body of `/version` of the release that the data was taken from.
#[must_use]
pub fn version() -> &'static Value {
    &Data::get().version
}
