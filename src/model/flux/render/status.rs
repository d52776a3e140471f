//! Merge patches of a Flux object's status.

use super::{Pen, quote, release_name};
use crate::calls::Kind;
use crate::model::flux::{Condition, Fields, Object, Revision, Snapshot, Truth};
use crate::units::Span;
use std::fmt::Write as _;

impl Pen<'_> {
    /// `status.conditions` under the resourceVersion of the cached object.
    pub(super) fn conditions(self, out: &mut String, object: &Object) {
        let _ =
            write!(out, r#"{{"metadata":{{"resourceVersion":"{}"}},"status":{{"conditions":["#, object.meta.version);
        for (n, condition) in object.status.conditions.iter().enumerate() {
            if n > 0 {
                out.push(',');
            }
            self.condition(out, object, condition);
        }
        out.push_str("]}}");
    }

    fn condition(self, out: &mut String, object: &Object, c: &Condition) {
        out.push_str(r#"{"lastTransitionTime":""#);
        self.time(out, c.since);
        out.push_str(r#"","message":""#);
        self.words(out, object, c.text);
        let truth = match c.truth {
            Truth::True => "True",
            Truth::False => "False",
            Truth::Unknown => "Unknown",
        };
        let _ = write!(
            out,
            r#"","observedGeneration":{},"reason":"{:?}","status":"{truth}","type":"{:?}"}}"#,
            c.generation, c.reason, c.kind
        );
    }

    /// The other fields that changed.
    pub(super) fn fields(self, out: &mut String, object: &Object, fields: Fields) {
        out.push_str(r#"{"status":{"#);
        let start = out.len();
        if fields.contains(Fields::GENERATION) {
            let _ = write!(out, r#","observedGeneration":{}"#, object.status.generation);
        }
        if fields.contains(Fields::HANDLED) {
            out.push_str(r#","lastHandledReconcileAt":"#);
            quote(out, object.status.handled.as_deref().unwrap_or_default());
        }
        if fields.contains(Fields::ARTIFACT) {
            self.artifact(out, object);
        }
        if fields.contains(Fields::ATTEMPTED) {
            self.attempted(out, object);
        }
        if fields.contains(Fields::APPLIED) {
            self.revision(out, "lastAppliedRevision", object.status.applied);
        }
        if fields.contains(Fields::INVENTORY) {
            self.inventory(out, object);
        }
        if fields.contains(Fields::HISTORY) {
            self.history(out, object);
        }
        if fields.contains(Fields::CHART) {
            let (namespace, name) = (&object.meta.namespace, &object.meta.name);
            let _ = write!(out, r#","helmChart":"{namespace}/{namespace}-{name}","storageNamespace":"{namespace}""#);
        }
        if fields.contains(Fields::OBSERVED) {
            self.revision(out, "observedSourceArtifactRevision", object.status.attempted);
        }
        if fields.contains(Fields::FAILURES) {
            let failures = object.status.failures;
            let _ = write!(out, r#","failures":{failures}"#);
        }
        // Every field begins with a comma; the first one's goes.
        if out.len() > start {
            out.remove(start);
        }
        out.push_str("}}");
    }

    fn revision(self, out: &mut String, field: &str, revision: Option<Revision>) {
        let Some(revision) = revision else { return };
        let _ = write!(out, r#","{field}":""#);
        self.catalogue.write_revision(out, revision);
        out.push('"');
    }

    fn artifact(self, out: &mut String, object: &Object) {
        let Some(artifact) = object.status.artifact else {
            out.push_str(r#","artifact":null"#);
            return;
        };
        let (namespace, name) = (&object.meta.namespace, &object.meta.name);
        let mut path = object.kind.info().kind.to_ascii_lowercase();
        let _ = write!(path, "/{namespace}/{name}/");
        self.catalogue.write_digest(&mut path, artifact.revision);
        path.push_str(if object.kind == Kind::HELM_REPOSITORY { ".yaml" } else { ".tar.gz" });
        out.push_str(r#","artifact":{"digest":"sha256:"#);
        self.catalogue.write_digest(out, artifact.revision);
        out.push_str(r#"","lastUpdateTime":""#);
        self.time(out, artifact.at);
        let _ = write!(out, r#"","path":"{path}""#);
        self.revision(out, "revision", Some(artifact.revision));
        // Where source-controller serves it inside the cluster.
        let url = "http://source-controller.flux-system.svc.cluster.local.";
        let _ = write!(out, r#","size":4096,"url":"{url}/{path}"}}"#);
        if object.kind != Kind::GIT_REPOSITORY {
            let _ = write!(out, r#","url":"{url}/{path}""#);
        }
    }

    fn attempted(self, out: &mut String, object: &Object) {
        self.revision(out, "lastAttemptedRevision", object.status.attempted);
        if object.kind == Kind::HELM_RELEASE {
            let upgrade = object.status.latest().is_some_and(|l| !l.superseded);
            let action = if upgrade { "upgrade" } else { "install" };
            let _ = write!(
                out,
                r#","lastAttemptedConfigDigest":"sha256:{:064x}","lastAttemptedGeneration":{},"lastAttemptedReleaseAction":"{action}""#,
                object.status.config, object.meta.generation
            );
        }
    }

    fn inventory(self, out: &mut String, object: &Object) {
        out.push_str(r#","inventory":{"entries":["#);
        let addon = object.status.inventory;
        for (n, item) in addon.map_or(&[][..], |a| self.catalogue.items(a)).iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            let info = item.kind.info();
            let namespace = addon.map_or("", |a| &self.catalogue.entry(a).addon.namespace);
            let _ = write!(
                out,
                r#"{comma}{{"id":"{namespace}_{}_{}_{}","v":"{}"}}"#,
                item.name, info.group, info.kind, info.version
            );
        }
        out.push_str("]}");
    }

    fn history(self, out: &mut String, object: &Object) {
        out.push_str(r#","history":["#);
        for (n, snapshot) in object.status.history.iter().enumerate() {
            if n > 0 {
                out.push(',');
            }
            if object.kind == Kind::HELM_RELEASE {
                self.release_snapshot(out, object, snapshot);
            } else {
                self.snapshot(out, snapshot);
            }
        }
        out.push(']');
    }

    fn snapshot(self, out: &mut String, s: &Snapshot) {
        let _ = write!(out, r#"{{"digest":"sha256:{:064x}","firstReconciled":""#, s.digest);
        self.time(out, s.first);
        out.push_str(r#"","lastReconciled":""#);
        self.time(out, s.last);
        let (took, result) = (Span::from_millis(u64::from(s.millis)), if s.ok { "Succeeded" } else { "Failed" });
        let _ = write!(out, r#"","lastReconciledDuration":"{took}","lastReconciledStatus":"Reconciliation{result}","#);
        out.push_str(r#""metadata":{"revision":""#);
        self.catalogue.write_revision(out, s.revision);
        let _ = write!(out, r#""}},"totalReconciliations":{}}}"#, s.count);
    }

    fn release_snapshot(self, out: &mut String, object: &Object, s: &Snapshot) {
        let (name, namespace) = (release_name(object), &object.meta.namespace);
        let _ = write!(out, r#"{{"chartName":"{}","chartVersion":""#, self.catalogue.chart_name(s.revision));
        self.catalogue.write_revision(out, s.revision);
        let (config, release) = (s.digest, s.release);
        let _ = write!(
            out,
            r#"","configDigest":"sha256:{config:064x}","digest":"sha256:{release:064x}","firstDeployed":""#
        );
        self.time(out, s.first);
        out.push_str(r#"","lastDeployed":""#);
        self.time(out, s.last);
        let state = if s.superseded { "superseded" } else { "deployed" };
        let _ = write!(out, r#"","name":"{name}","namespace":"{namespace}","status":"{state}","version":{release}}}"#);
    }
}
