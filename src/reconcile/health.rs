//! Health of a Flux object, and of an app as the worst of its two.
//!
//! In: the few facts of an object that count ([`Facts`]). Out: an Argo CD health and the text shown with it.
//! `faithful` is the table of the original's scripts; `fixed` also looks at generations, suspension and waiting for
//! dependencies.

use crate::calls::Kind;
use crate::scenario::Behaviour;
use std::borrow::Cow;

/// Argo CD's health, from best to worst in its own order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Health {
    /// Works.
    Healthy,
    /// Switched off on purpose.
    Suspended,
    /// On its way.
    Progressing,
    /// Not there.
    Missing,
    /// Failed.
    Degraded,
    /// Cannot be told.
    Unknown,
}

impl Health {
    /// Argo CD's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Suspended => "Suspended",
            Self::Progressing => "Progressing",
            Self::Missing => "Missing",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
        }
    }

    /// The health of Argo CD's word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Healthy, Self::Suspended, Self::Progressing, Self::Missing, Self::Degraded, Self::Unknown]
            .into_iter()
            .find(|health| health.word() == word)
    }
}

/// The Ready condition.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ready<'a> {
    /// `True`, `False` or `Unknown`.
    pub status: &'a str,
    /// Machine-readable reason.
    pub reason: &'a str,
    /// Text for people.
    pub message: &'a str,
    /// The generation it speaks of, if it says so.
    pub observed_generation: Option<i64>,
}

/// What of an object decides its health.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// `spec.type` of a HelmRepository is `oci`.
    pub oci_helm_repository: bool,
    /// `spec.suspend`.
    pub suspended: bool,
    /// `metadata.generation`.
    pub generation: i64,
    /// `status.observedGeneration`.
    pub observed_generation: Option<i64>,
    /// `status.conditions` exists.
    pub has_conditions: bool,
    /// The Ready condition, if there is one.
    pub ready: Option<Ready<'a>>,
}

/// Reasons of a false Ready that mean waiting, not failure: kustomize-controller and helm-controller poll on.
const WAITING: [&str; 2] = ["DependencyNotReady", "ArtifactFailed"];

/// Health and text of an object; `None` for kinds without a health check (Bucket, HelmChart).
#[must_use]
pub fn assess<'a>(kind: Kind, facts: &Facts<'a>, behaviour: Behaviour) -> Option<(Health, Cow<'a, str>)> {
    match kind {
        Kind::KUSTOMIZATION
        | Kind::HELM_RELEASE
        | Kind::GIT_REPOSITORY
        | Kind::OCI_REPOSITORY
        | Kind::HELM_REPOSITORY => {}
        _ => return None,
    }
    if facts.oci_helm_repository {
        return Some((Health::Healthy, "OCI HelmRepository is ready to use.".into()));
    }
    let fixed = behaviour == Behaviour::Fixed;
    if fixed && facts.suspended {
        return Some((Health::Suspended, format!("{} is suspended", kind.info().kind).into()));
    }
    let stale = |seen: Option<i64>| fixed && seen.is_some_and(|seen| seen < facts.generation);
    let waiting = || Cow::Owned(format!("Waiting for {} to reconcile ...", kind.info().kind));
    if !facts.has_conditions {
        return Some((Health::Progressing, waiting()));
    }
    let Some(ready) = facts.ready else {
        // Argo CD's fixed text for a script that returns nothing valid; a Flux object gets here before its first Ready.
        return Some(if fixed {
            (Health::Progressing, waiting())
        } else {
            (Health::Unknown, "Lua returned an invalid health status".into())
        });
    };
    if stale(facts.observed_generation) || stale(ready.observed_generation) {
        return Some((Health::Progressing, waiting()));
    }
    let health = match ready.status {
        "True" => Health::Healthy,
        "False" if fixed && WAITING.contains(&ready.reason) => Health::Progressing,
        "False" => Health::Degraded,
        _ => Health::Progressing,
    };
    Some((health, Cow::Borrowed(ready.message)))
}

/// The worst of several; `Healthy` of none.
#[must_use]
pub fn worst(healths: impl IntoIterator<Item = Health>) -> Health {
    healths.into_iter().max().unwrap_or(Health::Healthy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Behaviour::{Faithful, Fixed};

    fn ready(status: &'static str, reason: &'static str, generation: i64) -> Facts<'static> {
        let ready = Ready { status, reason, message: "text", observed_generation: Some(generation) };
        Facts {
            generation: 2,
            observed_generation: Some(2),
            has_conditions: true,
            ready: Some(ready),
            ..Facts::default()
        }
    }

    #[track_caller]
    fn check(kind: Kind, facts: Facts<'_>, behaviour: Behaviour, want: Option<(Health, &str)>) {
        let got = assess(kind, &facts, behaviour);
        assert_eq!(got.as_ref().map(|(health, text)| (*health, &**text)), want, "{kind:?} {facts:?} {behaviour:?}");
    }

    #[test]
    fn health_follows_the_ready_condition() {
        for behaviour in [Faithful, Fixed] {
            for (status, health) in
                [("True", Health::Healthy), ("False", Health::Degraded), ("Unknown", Health::Progressing)]
            {
                check(Kind::KUSTOMIZATION, ready(status, "X", 2), behaviour, Some((health, "text")));
            }
            let fresh = Facts { generation: 1, ..Facts::default() };
            let waiting = Some((Health::Progressing, "Waiting for GitRepository to reconcile ..."));
            check(Kind::GIT_REPOSITORY, fresh, behaviour, waiting);
            let oci = Facts { oci_helm_repository: true, ..fresh };
            check(
                Kind::HELM_REPOSITORY,
                oci,
                behaviour,
                Some((Health::Healthy, "OCI HelmRepository is ready to use.")),
            );
            check(Kind::BUCKET, ready("True", "X", 2), behaviour, None);
        }
    }

    #[test]
    fn only_fixed_looks_at_generation_suspension_and_waiting() {
        let old = ready("True", "X", 1);
        check(Kind::HELM_RELEASE, old, Faithful, Some((Health::Healthy, "text")));
        check(Kind::HELM_RELEASE, old, Fixed, Some((Health::Progressing, "Waiting for HelmRelease to reconcile ...")));
        let unseen = Facts { observed_generation: Some(1), ..ready("True", "X", 2) };
        check(
            Kind::HELM_RELEASE,
            unseen,
            Fixed,
            Some((Health::Progressing, "Waiting for HelmRelease to reconcile ...")),
        );
        let suspended = Facts { suspended: true, ..ready("True", "X", 2) };
        check(Kind::KUSTOMIZATION, suspended, Faithful, Some((Health::Healthy, "text")));
        check(Kind::KUSTOMIZATION, suspended, Fixed, Some((Health::Suspended, "Kustomization is suspended")));
        let waits = ready("False", "DependencyNotReady", 2);
        check(Kind::KUSTOMIZATION, waits, Faithful, Some((Health::Degraded, "text")));
        check(Kind::KUSTOMIZATION, waits, Fixed, Some((Health::Progressing, "text")));
        let no_ready = Facts { ready: None, ..ready("True", "X", 2) };
        check(
            Kind::KUSTOMIZATION,
            no_ready,
            Faithful,
            Some((Health::Unknown, "Lua returned an invalid health status")),
        );
    }

    #[test]
    fn the_worst_object_decides() {
        assert_eq!(worst([]), Health::Healthy);
        assert_eq!(worst([Health::Healthy, Health::Progressing]), Health::Progressing);
        assert_eq!(worst([Health::Missing, Health::Degraded, Health::Healthy]), Health::Degraded);
        assert_eq!(worst([Health::Suspended, Health::Missing]), Health::Missing);
    }
}
