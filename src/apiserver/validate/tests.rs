//! Replays what a real API server said about the same objects (see `testdata/`).

use super::*;
use crate::apiserver::object::Kept;
use crate::apiserver::schema::Catalog;
use crate::apiserver::{defaults::defaults, prune::prune};
use serde::Deserialize;
use std::collections::BTreeSet;

/// One object and the verdict, recorded from kube-apiserver 1.36.
#[derive(Deserialize)]
struct Vector {
    title: String,
    resource: (String, String, String),
    old: Option<Value>,
    object: Value,
    message: Option<String>,
    causes: Option<Vec<Cause>>,
}

#[derive(Deserialize)]
struct Cause {
    reason: String,
    message: String,
    #[serde(default)]
    field: String,
}

/// What is known to be said otherwise, each with the reason.
const OTHERWISE: [&str; 13] = [
    // Needs the object's neighbours in the store, or the preconditions of the request.
    "uid changed",
    "widget no rv",
    // Upstream prints its internal structure, or a second error about an internal conversion.
    "deployment strategy",
    "pdb",
    "widget float",
    "widget spec type",
    // The values in the order of upstream's code; the schema has them sorted.
    "deployment unknown restart policy",
    // No pattern engine here.
    "widget pattern",
    // Kinds whose own rules are not written down.
    "ingress path type",
    "ingress empty",
    "pvc",
    "lease",
    "hpa",
];

#[test]
fn every_recorded_verdict_is_given_with_the_recorded_causes() {
    let crd: Value = serde_json::from_str(include_str!("../apply/testdata/widgets.json")).unwrap();
    let catalog = Catalog::builtin().with_crds(&[crd]).unwrap();
    let packed = include_bytes!("testdata/verdicts.json.zst");
    let all: Vec<Vector> = serde_json::from_slice(&zstd::decode_all(&packed[..]).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for one in all.iter().filter(|one| !OTHERWISE.contains(&one.title.as_str())) {
        let (group, version, plural) = &one.resource;
        let resource = catalog.find(group, version, plural).unwrap();
        let mut object = one.object.clone();
        prune(resource, &mut object);
        defaults(resource, &mut object, Kept::default());
        let errors = validate(resource, one.old.as_ref(), &object, Kept::default()).err().unwrap_or_default();
        let got: BTreeSet<String> =
            errors.iter().map(|one| format!("{} {} {}", one.reason.as_str(), one.field, one.detail)).collect();
        let causes = one.causes.as_deref().unwrap_or_default();
        let expected: BTreeSet<String> =
            causes.iter().map(|cause| format!("{} {} {}", cause.reason, cause.field, cause.message)).collect();
        if got != expected {
            wrong.push(format!("{}\n got {got:#?}\n expected {expected:#?}", one.title));
        } else if let [only] = errors.as_slice() {
            let name = object["metadata"]["name"].as_str().unwrap_or("");
            assert_eq!(Some(message(resource, name, std::slice::from_ref(only))), one.message);
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), all.len(), wrong.join("\n"));
}
