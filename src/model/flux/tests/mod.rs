//! The machines against what was recorded of the real controllers (`tests/data/flux`).

mod rules;
pub(super) mod server;

use super::{Change, Kind};
use crate::units::Span;
use server::{Lab, addon};

/// Calls as recorded, one per line: agent, verb, resource, number of the object, `dry`, `force`, `{}`, code.
fn recorded(case: &str) -> Vec<String> {
    let path = format!("{}/tests/data/flux/{case}.txt", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).expect(&path).lines().map(str::to_owned).collect()
}

/// What can be compared: one agent's calls without conflicts (races of the recording) and without events (sent from a
/// goroutine of their own; counted instead), calls that went out together in the order of their text.
fn comparable(calls: &[String], agents: &[&str]) -> (Vec<String>, usize) {
    let ours = calls.iter().filter(|c| agents.iter().any(|a| c.starts_with(a)) && !c.ends_with(" 409"));
    let (events, calls): (Vec<String>, Vec<String>) = ours.cloned().partition(|c| c.contains(" events "));
    let mut out: Vec<String> = Vec::new();
    let mut run: Vec<String> = Vec::new();
    for call in calls {
        let together = call.starts_with("kustomize get") || call.contains(" dry ") && call.starts_with("kustomize");
        let sdk = call.starts_with("sdk apply") && !call.contains("force") || call.starts_with("sdk delete");
        if together || sdk {
            run.push(call);
            continue;
        }
        run.sort();
        out.append(&mut run);
        out.push(call);
    }
    run.sort();
    out.append(&mut run);
    (out, events.len())
}

#[track_caller]
fn check(case: &str, lab: &Lab, agents: &[&str]) {
    let (want, want_events) = comparable(&recorded(case), agents);
    let (got, got_events) = comparable(&lab.calls, agents);
    assert_eq!(got.join("\n"), want.join("\n"), "{case}");
    assert_eq!(got_events, want_events, "{case}: events");
}

#[track_caller]
fn check_count(case: &str, lab: &Lab, agents: &[&str], want: usize) {
    let count = lab.calls.iter().filter(|c| agents.iter().any(|a| c.starts_with(a)) && !c.ends_with(" 409")).count();
    assert_eq!(count, want, "{case}: {:#?}", lab.calls);
}

const SOURCE: &[&str] = &["source"];
const KUSTOMIZE: &[&str] = &["kustomize"];
const HELM: &[&str] = &["helm", "sdk"];

#[test]
fn a_git_repository_makes_the_recorded_calls() {
    let mut lab = Lab::new(addon(1, 0));
    lab.git("10m");
    lab.run(Span::from_secs(5));
    check("gitrepository-first", &lab, SOURCE);
    assert_eq!(lab.now.0, 750_000_000, "the finalizer costs one back-off");

    lab.fresh().request(Kind::GIT_REPOSITORY);
    check("gitrepository-noop", &lab, SOURCE);
    lab.fresh().commit().request(Kind::GIT_REPOSITORY);
    check("gitrepository-revision", &lab, SOURCE);
    lab.fresh().run(Span::from_secs(631));
    check("gitrepository-noop-interval", &lab, SOURCE);
}

#[test]
fn a_helm_repository_makes_the_recorded_calls() {
    let mut lab = Lab::new(addon(3, 1).helm());
    lab.helm_repository();
    lab.run(Span::from_secs(5));
    check("helmrepository-first", &lab, SOURCE);
    lab.fresh().request(Kind::HELM_REPOSITORY);
    check("helmrepository-noop", &lab, SOURCE);
}

#[test]
fn a_kustomization_makes_the_recorded_calls_at_every_size() {
    for (n, maps, deployments) in [(1, 1, 0), (4, 3, 1), (10, 9, 1)] {
        for (wait, word) in [(false, "nowait"), (true, "wait")] {
            let mut lab = Lab::new(addon(maps, deployments));
            lab.git("10m").run(Span::from_secs(5));
            lab.fresh().kustomization("10m", wait, true).run(Span::from_secs(30));
            let case = format!("kustomization-n{n}-{word}-first");
            check(&case, &lab, KUSTOMIZE);
            lab.fresh().request(Kind::KUSTOMIZATION);
            check(&format!("kustomization-n{n}-{word}-noop"), &lab, KUSTOMIZE);
        }
    }
}

#[test]
fn a_kustomization_follows_its_source_its_drift_and_its_interval_as_recorded() {
    for (wait, word) in [(false, "nowait"), (true, "wait")] {
        let mut lab = Lab::new(addon(3, 1));
        lab.git("10m").kustomization("10m", wait, true).run(Span::from_secs(30));
        lab.fresh().commit().request(Kind::GIT_REPOSITORY);
        check(&format!("kustomization-n4-{word}-change1"), &lab, KUSTOMIZE);
    }
    let mut lab = Lab::new(addon(3, 1));
    lab.git("1h").kustomization("10m", false, true).run(Span::from_secs(30));
    lab.fresh().run(Span::from_secs(631));
    check("kustomization-noop-interval", &lab, KUSTOMIZE);
    lab.fresh().drift(0);
    lab.request(Kind::KUSTOMIZATION);
    check("kustomization-n4-nowait-drift1", &lab, KUSTOMIZE);
    lab.fresh().delete(Kind::KUSTOMIZATION);
    check("kustomization-n4-nowait-delete", &lab, KUSTOMIZE);
}

#[test]
fn a_helm_release_makes_the_recorded_calls() {
    let mut lab = Lab::new(addon(3, 1).helm());
    lab.helm_repository().run(Span::from_secs(5));
    // The first look came before the Deployment was Available.
    lab.missed_looks = 1;
    lab.fresh().release("10m", "{}", false).run(Span::from_secs(30));
    check("helmrelease-n4-install", &lab, HELM);
    check("helmrelease-n4-install", &lab, SOURCE);
    lab.fresh().request(Kind::HELM_RELEASE);
    check("helmrelease-n4-noop", &lab, HELM);
    lab.fresh().values(r#"{"value":"2"}"#);
    check("helmrelease-n4-upgrade-values", &lab, HELM);
    lab.fresh().run(Span::from_secs(631));
    check("helmrelease-noop-interval", &lab, HELM);
    lab.fresh().delete(Kind::HELM_RELEASE);
    check("helmrelease-n4-uninstall", &lab, HELM);
    check("helmrelease-n4-uninstall", &lab, SOURCE);
}

#[test]
fn a_new_chart_version_makes_the_recorded_calls() {
    let mut lab = Lab::new(addon(3, 1).helm());
    lab.helm_repository().release("10m", "{}", false).run(Span::from_secs(30));
    // The index changes, then the release names the new version, as the recording did it.
    lab.fresh().commit_elsewhere().request(Kind::HELM_REPOSITORY);
    lab.upgrade();
    check("helmrelease-n4-upgrade-chart", &lab, HELM);
    check("helmrelease-n4-upgrade-chart", &lab, SOURCE);
}

#[test]
fn drift_detection_reads_every_object_in_turn() {
    let mut lab = Lab::new(addon(3, 1).helm());
    lab.helm_repository().run(Span::from_secs(5));
    lab.fresh().release("10m", "{}", true).run(Span::from_secs(30));
    check("helmrelease-n4-drift-install", &lab, HELM);
    lab.fresh().request(Kind::HELM_RELEASE);
    check("helmrelease-n4-drift-noop", &lab, HELM);
    lab.fresh().drift(0);
    lab.request(Kind::HELM_RELEASE);
    check_count("one object created anew, one event", &lab, HELM, 17 + 2);
}

#[test]
fn counts_per_reconcile_follow_the_measured_formulas() {
    for (maps, deployments) in [(1, 0), (3, 1), (9, 1), (20, 3)] {
        let (n, d) = (maps as usize + deployments as usize, deployments as usize);
        for wait in [false, true] {
            let mut lab = Lab::new(addon(maps, deployments));
            lab.git("10m").run(Span::from_secs(5));
            lab.fresh().kustomization("10m", wait, true).run(Span::from_secs(5));
            let first = if wait { 4 * n + 2 * d + 16 } else { 3 * n + 11 };
            check_count("first", &lab, KUSTOMIZE, first);
            lab.fresh().request(Kind::KUSTOMIZATION);
            let noop = if wait { 3 * n + 2 * d + 13 } else { 2 * n + 9 };
            check_count("no-op", &lab, KUSTOMIZE, noop);
            lab.fresh().commit().request(Kind::GIT_REPOSITORY);
            check_count("one changed", &lab, KUSTOMIZE, noop + if wait { 3 } else { 2 });
            lab.fresh().delete(Kind::KUSTOMIZATION);
            check_count("delete", &lab, KUSTOMIZE, 2 * n + 4);
        }
    }
}

#[test]
fn what_is_already_there_is_low_priority() {
    let mut lab = Lab::new(addon(1, 0));
    lab.git_as("10m", Change::Listed);
    lab.run(Span::from_secs(5));
    check("gitrepository-first", &lab, SOURCE);
}
