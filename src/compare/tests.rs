use super::interval::{Estimate, Ratio};
use super::{Comparison, Question, Refusal, Verdict, compare};
use crate::measure::Histogram;
use crate::measure::Role;
use crate::record::{Clock, Observer, Provenance, Status, Stored, load, synthetic};
use crate::seed::Seed;
use crate::units::Span;
use std::path::Path;

/// The made-up run as if it had been read, on a machine of its own.
fn stored() -> Stored {
    let outcome = synthetic::outcome();
    let mut record = synthetic::record();
    record.warnings.clear();
    Stored {
        path: "result".into(),
        record,
        latencies: outcome.latencies,
        windows: outcome.windows,
        samples: Vec::new(),
        scenario: synthetic::scenario().effective,
    }
}

/// A committed result.
fn committed(name: &str) -> Stored {
    load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("results").join(name)).unwrap()
}

fn verdict(comparison: &Comparison, name: &str) -> Verdict {
    comparison.metrics.iter().find(|metric| metric.name == name).unwrap_or_else(|| panic!("no {name}")).verdict
}

#[test]
fn a_result_is_the_same_as_itself() {
    let result = committed("ten-thousand");
    let comparison = compare(&[result.clone(), result], &Question::default()).unwrap();
    assert_eq!(comparison.verdict, Verdict::Same);
    assert!(comparison.metrics.len() > 50, "{}", comparison.metrics.len());
    let others: Vec<_> = comparison.metrics.iter().filter(|metric| metric.verdict != Verdict::Same).collect();
    assert!(others.is_empty(), "{others:?}");
    assert!(comparison.sentences[0].contains("do not differ"), "{:?}", comparison.sentences);
    assert_eq!(comparison.results.iter().map(|r| r.label.as_str()).collect::<Vec<_>>(), ["result 1", "result 2"]);
}

#[test]
fn runs_of_two_topologies_compare_and_others_do_not() {
    let (single, sharded, quickstart) =
        (committed("ten-thousand"), committed("ten-thousand-sharded"), committed("quickstart"));
    let comparison = compare(&[single.clone(), sharded], &Question::default()).unwrap();
    let [base, head] = &comparison.results[..] else { panic!("two results") };
    assert_eq!((base.label.as_str(), head.label.as_str()), ("single", "sharded x 4 (consistent-hashing)"));
    assert_eq!(verdict(&comparison, "counts.apps"), Verdict::Same);
    assert_eq!(verdict(&comparison, "counts.double_owned"), Verdict::Same);
    assert!(comparison.metrics.iter().any(|metric| metric.name == "latency.end_to_end.p99_s" && metric.n == 40_000));
    let Err(Refusal::Scenario { index: 2, paths }) = compare(&[single, quickstart], &Question::default()) else {
        panic!("another scenario");
    };
    assert!(!paths.is_empty() && paths.iter().all(|path| path.starts_with("spec.")), "{paths:?}");
}

#[test]
fn what_may_differ_is_named() {
    let (one, mut other) = (stored(), stored());
    other.scenario = other.scenario.replace("concurrency: 20", "concurrency: 40");
    other.record.scenario.hash = "another".to_owned();
    assert_ne!(one.scenario, other.scenario);
    let refused = compare(&[one.clone(), other.clone()], &Question::default()).unwrap_err();
    assert_eq!(refused, Refusal::Scenario { index: 2, paths: vec!["spec.manager.concurrency".to_owned()] });
    for path in ["manager", "manager.concurrency", "spec.manager.concurrency"] {
        let question = Question { across: vec![path.to_owned()], ..Question::default() };
        assert!(compare(&[one.clone(), other.clone()], &question).is_ok(), "{path}");
    }
    let question = Question { across: vec!["manager.conc".to_owned()], ..Question::default() };
    assert!(compare(&[one.clone(), other.clone()], &question).is_err());
    other.scenario.clear();
    assert_eq!(compare(&[one, other], &Question::default()).unwrap_err(), Refusal::Unknown { index: 2 });
}

#[test]
fn what_does_not_compare_is_refused_by_name() {
    type Change = fn(&mut Stored);
    let cases: [(&str, Change); 8] = [
        ("another clock", |s| s.record.clock = Clock::Virtual),
        ("another observer", |s| s.record.observer = Observer::Watch),
        ("another backend", |s| s.record.backend = "kind".to_owned()),
        ("another schema", |s| s.record.schema_version += 1),
        ("another model", |s| s.record.model_version.push('x')),
        ("another machine", |s| s.record.host.cpus += 1),
        ("another build profile", |s| s.record.build.profile.push('x')),
        ("is invalid", |s| s.record.status = Status::Invalid),
    ];
    for (words, change) in cases {
        let mut other = stored();
        change(&mut other);
        let refused = compare(&[stored(), other], &Question::default()).unwrap_err().to_string();
        assert!(refused.contains(words), "{words}: {refused}");
    }
    assert_eq!(compare(&[stored()], &Question::default()).unwrap_err(), Refusal::Count(1));
    assert_eq!(compare(&vec![stored(); 9], &Question::default()).unwrap_err(), Refusal::Count(9));
}

#[test]
fn machines_do_not_matter_where_time_is_simulated_and_nothing_is_noise() {
    let (mut one, mut other) = (stored(), stored());
    (one.record.clock, other.record.clock) = (Clock::Virtual, Clock::Virtual);
    other.record.host.cpus += 2;
    // The simulator itself takes a little more or less every time.
    for process in &mut other.record.processes {
        process.provenance = if process.role == Role::Harness { Provenance::Measured } else { Provenance::Modelled };
        process.cpu_s += if process.role == Role::Harness { 1.0 } else { 0.0 };
    }
    one.record.processes.clone_from(&other.record.processes);
    one.record.processes.iter_mut().filter(|p| p.role == Role::Harness).for_each(|p| p.cpu_s -= 1.0);
    let same = compare(&[one.clone(), other.clone()], &Question::default()).unwrap();
    assert!(same.metrics.iter().all(|metric| metric.verdict == Verdict::Same), "{:?}", same.metrics);
    assert!(same.metrics.iter().any(|metric| metric.name == "processes.manager.cpu_s"));
    other.record.time.all_healthy_s = one.record.time.all_healthy_s.map(|secs| secs * 1.001);
    let worse = compare(&[one, other], &Question::default()).unwrap();
    assert_eq!((worse.verdict, verdict(&worse, "time.all_healthy_s")), (Verdict::Regressed, Verdict::Regressed));
}

#[test]
fn a_loss_is_a_loss_and_a_trade_is_told_as_one() {
    let (one, mut other) = (stored(), stored());
    other.record.counts.apps_healthy -= 1;
    other.record.time.all_healthy_s = one.record.time.all_healthy_s.map(|secs| secs / 2.0);
    let comparison = compare(&[one, other], &Question::default()).unwrap();
    assert_eq!(comparison.verdict, Verdict::Regressed);
    let sentence = &comparison.sentences[0];
    assert!(sentence.contains("trades") && sentence.contains("healthy apps 559 instead of 560"), "{sentence}");
}

#[test]
fn a_busy_neighbour_leaves_clocked_numbers_open() {
    let (one, mut other) = (committed("ten-thousand"), committed("ten-thousand-sharded"));
    let verdicts = |other: &Stored| {
        let comparison = compare(&[one.clone(), other.clone()], &Question::default()).unwrap();
        ["time.all_healthy_s", "processes.rss_max_bytes", "counts.failed"].map(|name| verdict(&comparison, name))
    };
    assert_eq!(verdicts(&other), [Verdict::Regressed, Verdict::Regressed, Verdict::Same]);
    let mut warning = other.record.warnings[0].clone();
    warning.code = "host-shared".to_owned();
    other.record.warnings.push(warning);
    assert_eq!(verdicts(&other), [Verdict::Inconclusive, Verdict::Regressed, Verdict::Same]);
}

#[test]
fn a_record_without_its_histograms_is_taken_at_its_word() {
    let bare = Stored { latencies: crate::measure::Latencies::default(), ..committed("ten-thousand") };
    let told = bare.record.latency["end_to_end"].quantiles.p99_s;
    let comparison = compare(&[bare.clone(), bare], &Question::default()).unwrap();
    let metric = comparison.metrics.iter().find(|metric| metric.name == "latency.end_to_end.p99_s").unwrap();
    assert_eq!((metric.base.as_f64(), metric.n, metric.verdict), (told, 40_000, Verdict::Same));
}

#[test]
fn a_ratio_is_judged_by_its_interval() {
    let ratio = |low, high| Ratio { value: 1.0, low, high }.verdict();
    assert_eq!(ratio(0.7, 0.99), Verdict::Better);
    assert_eq!(ratio(1.01, 1.5), Verdict::Regressed);
    assert_eq!(ratio(0.95, 1.05), Verdict::Same);
    assert_eq!(ratio(0.4, 1.05), Verdict::Inconclusive);
    assert_eq!(ratio(0.9, f64::INFINITY), Verdict::Inconclusive);
}

#[test]
fn noise_widens_a_ratio_on_both_sides() {
    let ratio = Ratio::of(Estimate::single(10.0), Estimate::single(11.0), 0.1).unwrap();
    assert!((ratio.low - 1.0).abs() < 1e-9 && (ratio.high - 1.21).abs() < 1e-9, "{ratio:?}");
    assert_eq!(Ratio::of(Estimate::single(0.0), Estimate::single(1.0), 0.1), None);
}

/// Exponential samples with a mean of one second.
fn samples(seed: u64, count: u64) -> Histogram {
    let seed = Seed::new(seed).child("samples");
    let mut histogram = Histogram::default();
    (0..count).for_each(|n| histogram.record(seed.exponential(n, Span::from_secs(1))));
    histogram
}

#[test]
fn nineteen_of_twenty_intervals_hold_the_true_quantile() {
    for (share, count) in [(0.5, 400), (0.9, 400), (0.99, 2_000)] {
        let truth = -f64::ln(1.0 - share);
        let holds = |seed: &u64| {
            let estimate = Estimate::quantile(&samples(*seed, count), share).unwrap();
            assert!(estimate.low <= estimate.value && estimate.value <= estimate.high);
            (estimate.low..=estimate.high).contains(&truth)
        };
        let held = (0..400).filter(holds).count();
        assert!(held >= 372, "{share}: {held} of 400");
    }
}

#[test]
fn a_quantile_beyond_the_samples_has_no_upper_bound() {
    assert_eq!(Estimate::quantile(&samples(1, 50), 0.99).unwrap().high, f64::INFINITY);
    assert_eq!(Estimate::quantile(&Histogram::default(), 0.5), None);
}
