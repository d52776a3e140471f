//! The messages of conditions and events, as the controllers spell them. None holds a character that JSON escapes.

use super::Pen;
use crate::model::flux::{Object, Revision, Text};
use crate::units::Span;
use std::fmt::Write as _;

impl Pen<'_> {
    /// Appends a message.
    pub(super) fn words(self, out: &mut String, object: &Object, text: Text) {
        match text {
            Text::NewGeneration { from, to } => {
                let _ = write!(out, "processing object: new generation {from} -> {to}");
            }
            Text::NewUpstream(r) => self.around(out, "building artifact: new upstream revision '", r, "'"),
            Text::Stored(r) => self.around(out, "stored artifact for revision '", r, "'"),
            Text::UpToDate(r) => {
                self.around(out, "no changes since last reconcilation: observed revision '", r, "'");
            }
            Text::Fetching(r) => {
                self.around(out, "Fetching manifests for revision ", r, " with a timeout of ");
                let _ = write!(out, "{}", timeout(object));
            }
            Text::Building(r) => {
                self.around(out, "Building manifests for revision ", r, " with a timeout of ");
                let _ = write!(out, "{}", timeout(object));
            }
            Text::DetectingDrift(r) => {
                self.around(out, "Detecting drift for revision ", r, " with a timeout of ");
                let _ = write!(out, "{}", timeout(object));
            }
            Text::HealthChecks(r) => {
                self.around(out, "Running health checks for revision ", r, " with a timeout of ");
                let _ = write!(out, "{}", timeout(object));
            }
            Text::HealthPassed(r) => self.around(out, "Health check passed for revision ", r, ""),
            Text::Applied(r) => self.around(out, "Applied revision: ", r, ""),
            Text::Configured(r) => self.around(out, "Objects configured for revision ", r, ""),
            Text::Finished { millis } => {
                let took = Span::from_millis(u64::from(millis));
                let next = object.spec.common().map_or(Span::ZERO, |c| c.interval);
                let _ = write!(out, "Reconciliation finished in {took}, next run in {next}");
            }
            Text::ApplyFailed { code } => {
                let _ = write!(out, "the API server refused an object with code {code}");
            }
            Text::RunningAction { upgrade } => {
                let action = if upgrade { "upgrade" } else { "install" };
                let _ = write!(out, "Running '{action}' action with timeout of {}", timeout(object));
            }
            Text::ActionSucceeded { upgrade, release } => {
                let action = if upgrade { "upgrade" } else { "install" };
                let _ = write!(out, "Helm {action} succeeded for release ");
                self.release_words(out, object, release);
            }
            Text::ActionFailed { upgrade, release } => {
                let action = if upgrade { "upgrade" } else { "install" };
                let _ = write!(out, "Helm {action} failed for release ");
                self.release_words(out, object, release);
            }
            fixed => out.push_str(fixed_words(fixed)),
        }
    }

    fn around(self, out: &mut String, before: &str, revision: Revision, after: &str) {
        out.push_str(before);
        self.catalogue.write_revision(out, revision);
        out.push_str(after);
    }

    /// `ns/name.v1 with chart demo@1.0.0`.
    fn release_words(self, out: &mut String, object: &Object, release: u32) {
        let name = super::release_name(object);
        let _ = write!(out, "{}/{name}.v{release} with chart ", object.meta.namespace);
        if let Some(revision) = object.status.attempted {
            out.push_str(self.catalogue.chart_name(revision));
            out.push('@');
            self.catalogue.write_revision(out, revision);
        }
    }
}

/// Messages without parameters.
const fn fixed_words(text: Text) -> &'static str {
    match text {
        Text::BuildingArtifact => "building artifact",
        Text::FetchFailed => "failed to checkout and determine revision: repository or reference not found",
        Text::GarbageCollected => "garbage collected artifacts for deleted resource",
        Text::HealthFailed => "health check failed: timeout waiting for objects to become current",
        Text::Pruned => "Objects of the inventory deleted",
        Text::SourceMissing => "Source not found",
        Text::NoArtifact => "Source artifact not found, retrying in 30s",
        Text::NoBuild => "the path or chart does not exist in the artifact",
        Text::Dependency => "dependencies do not meet ready condition, retrying",
        Text::Fulfilling => "Fulfilling prerequisites",
        Text::ChartChanged => "HelmChart of this release changed",
        Text::ChartNotReady => "HelmChart is not ready: latest generation of object has not been reconciled",
        Text::Remediated => "Helm uninstall remediation succeeded",
        Text::Uninstalled => "Helm uninstall succeeded for release",
        Text::DriftCorrected => "Cluster state of release has been corrected",
        _ => "reconciliation in progress",
    }
}

fn timeout(object: &Object) -> Span {
    match &object.spec {
        crate::model::flux::spec::Spec::Kustomization(spec) => spec.timeout,
        crate::model::flux::spec::Spec::Release(spec) => spec.timeout,
        _ => Span::from_secs(60),
    }
}
