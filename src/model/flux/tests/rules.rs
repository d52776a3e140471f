//! Rules that no recording shows.

use super::server::{Lab, addon};
use crate::calls::Kind;
use crate::model::flux::{ConditionType, Status, Truth};
use crate::units::{Span, Time};

fn status(lab: &Lab, kind: Kind) -> &Status {
    let slot = lab.controllers.find(kind, "web", "web").expect("the object exists");
    &lab.controllers.object(slot).expect("the slot is taken").status
}

#[test]
fn a_conflict_is_tried_again_and_changes_nothing_else() {
    let mut lab = Lab::new(addon(1, 0));
    lab.conflicts = 2;
    lab.git("10m").run(Span::from_secs(5));
    assert!(status(&lab, Kind::GIT_REPOSITORY).is_ready(1));
    assert_eq!(lab.calls.iter().filter(|c| c.ends_with("409")).count(), 2);
    assert_eq!(lab.calls.len(), 10 + 2);
    assert_eq!(lab.now, Time(950_000_000), "each conflict pauses 100 ms");
}

#[test]
fn a_kustomization_waits_for_its_source_and_wakes_with_the_artifact() {
    let mut lab = Lab::new(addon(1, 0));
    lab.kustomization("10m", true, true).run(Span::from_secs(5));
    let ready = *status(&lab, Kind::KUSTOMIZATION).condition(ConditionType::Ready).unwrap();
    assert_eq!(ready.truth, Truth::False);
    lab.fresh().git("10m").run(Span::from_secs(5));
    // The source takes its 0.75 s, then the Kustomization follows at once, far before its poll of 30 s.
    assert!(status(&lab, Kind::KUSTOMIZATION).is_ready(1));
    assert_eq!(lab.now, Time(2_500_000_000));
}

#[test]
fn a_kustomization_that_looks_before_the_artifact_is_there_costs_two_writes_more() {
    let calls = |early: bool| {
        let mut lab = Lab::new(addon(3, 1));
        if early {
            lab.kustomization("10m", true, true).run(Span::ZERO);
            lab.now += Span::from_millis(1);
            lab.git("10m");
        } else {
            lab.git("10m").kustomization("10m", true, true);
        }
        lab.run(Span::from_secs(5));
        assert!(status(&lab, Kind::KUSTOMIZATION).is_ready(1));
        lab.calls
    };
    let (early, usual) = (calls(true), calls(false));
    assert_eq!(early.len(), usual.len() + 2);
    let statuses =
        |calls: &[String]| calls.iter().filter(|c| c.starts_with("kustomize patch kustomizations/status")).count();
    assert_eq!(statuses(&early), statuses(&usual) + 2, "{early:#?}");
}

#[test]
fn an_object_that_goes_while_it_is_queued_leaves_its_place_clean_for_one_of_another_kind() {
    let mut lab = Lab::new(addon(3, 1));
    lab.git("10m").gone(Kind::GIT_REPOSITORY);
    // It takes the place of the first, whose queue must not take it.
    lab.kustomization("10m", true, true).run(Span::ZERO);
    lab.git("10m").run(Span::from_secs(5));
    assert!(status(&lab, Kind::KUSTOMIZATION).is_ready(1));
    assert!(status(&lab, Kind::GIT_REPOSITORY).is_ready(1));
}

#[test]
fn suspended_objects_make_no_calls() {
    let mut lab = Lab::new(addon(1, 0));
    lab.git("10m").kustomization("10m", true, true).run(Span::from_secs(5));
    lab.fresh().suspend(Kind::KUSTOMIZATION, true).commit();
    lab.suspend(Kind::GIT_REPOSITORY, true).run(Span::from_secs(2000));
    assert_eq!(lab.calls, Vec::<String>::new());
    lab.suspend(Kind::GIT_REPOSITORY, false).suspend(Kind::KUSTOMIZATION, false).run(Span::from_secs(5));
    assert!(lab.calls.len() > 20);
}

#[test]
fn health_is_polled_every_five_seconds_until_the_timeout() {
    let mut lab = Lab::new(addon(1, 0));
    lab.git("10m").run(Span::from_secs(5));
    lab.missed_looks = u32::MAX;
    let began = lab.now;
    lab.kustomization("10m", true, true).run(Span::from_secs(150));
    let health = *status(&lab, Kind::KUSTOMIZATION).condition(ConditionType::Ready).unwrap();
    assert_eq!(health.truth, Truth::False);
    assert_eq!(health.since.since(began), Span::from_millis(120_750), "the timeout of 2m after the finalizer's 0.75 s");
}

#[test]
fn an_unknown_repository_backs_off_from_750_ms_to_15_minutes() {
    let mut lost = Lab::new(addon(1, 0));
    lost.world.settings.backoff_max = Span::from_secs(6);
    lost.world.catalogue = crate::model::flux::Catalogue::new(&[]);
    lost.git("10m").run(Span::from_secs(17));
    // Finalizer at 0, then tries at 0.75, 2.25, 5.25, 11.25 s: 0.75 doubles and stops at 6.
    assert_eq!(lost.now, Time(11_250_000_000));
}

#[test]
fn intervals_jitter_by_five_percent_and_differ_between_rounds() {
    let mut lab = Lab::new(addon(1, 0));
    lab.git("100s").run(Span::from_secs(1));
    let mut gaps = vec![];
    for _ in 0..20 {
        let before = lab.now;
        let next = lab.controllers.next_deadline(&lab.world).unwrap();
        gaps.push(next.since(before));
        lab.now = next;
        lab.run(Span::ZERO);
    }
    assert!(gaps.iter().all(|g| (Span::from_secs(95)..=Span::from_secs(105)).contains(g)), "{gaps:?}");
    assert!(gaps.windows(2).all(|w| w[0] != w[1]));
}

#[test]
fn a_zero_back_off_means_no_delay_and_no_less_work() {
    let mut slow = Lab::new(addon(3, 1));
    slow.git("10m").run(Span::from_secs(5));
    let mut fast = Lab::new(addon(3, 1));
    fast.world.settings.backoff_base = Span::ZERO;
    fast.git("10m").run(Span::ZERO);
    assert_eq!(fast.now, Time(0));
    assert_eq!(fast.calls, slow.calls);
}

#[test]
fn pruning_follows_a_change_of_path_only_with_prune() {
    let mut lab = Lab::new(addon(2, 0));
    lab.git("10m").kustomization("10m", false, false).run(Span::from_secs(5));
    lab.fresh().delete(Kind::KUSTOMIZATION);
    assert!(!lab.calls.iter().any(|c| c.contains("delete")), "{:?}", lab.calls);
}
