use super::*;
use crate::measure::{ChangeKind, Histogram};
use crate::record::synthetic;
use crate::units::Span;
use std::path::PathBuf;

/// A result whose end-to-end times are so many tenths of a millisecond and a little more.
fn played(tenths: u64, busy: f64, rounds: u64) -> Played {
    let mut record = synthetic::record();
    record.time.wall_s = 1_000.0;
    record.host.cpus = 2;
    record.host.busy_share = busy;
    let clients = record.processes.len() as f64;
    record.processes.iter_mut().for_each(|process| process.cpu_s = busy * 2_000.0 / clients);
    record.counts.rounds = rounds * record.counts.apps;
    let mut latencies = crate::measure::Latencies::default();
    let mut histogram = Histogram::default();
    (0..1_000).for_each(|n| histogram.record(Span::from_micros(tenths * 100 + n / 10)));
    latencies.insert(ChangeKind::Install, Hop::EndToEnd, histogram);
    let stored = Stored {
        path: PathBuf::new(),
        record,
        latencies,
        windows: Vec::new(),
        samples: Vec::new(),
        scenario: String::new(),
    };
    Played { stored, objects: Map::new() }
}

fn check(live: &[(u64, f64, u64)], simulated: u64, expected: Verdict) {
    let live = live.iter().map(|(tenths, busy, rounds)| played(*tenths, *busy, *rounds)).collect();
    let pair = Pair { name: "as written", live, simulated: played(simulated, 0.1, 20) };
    let twin = compare(std::slice::from_ref(&pair)).unwrap();
    assert_eq!(twin.verdict, expected, "{:#?}", twin.parts[0].why);
    let (page, table) = (page(&twin, &[pair]), table(&twin, crate::report::Style { colour: false }));
    assert!(page.contains(expected.name()) && page.contains("curves-0-0"), "{page}");
    assert!(table.contains("end to end p99") && table.contains(twin.parts[0].verdict.name()), "{table}");
}

#[test]
fn a_tenth_is_the_same_and_more_is_not() {
    check(&[(1000, 0.4, 20)], 1000, Verdict::Agree);
    check(&[(1000, 0.4, 20)], 1090, Verdict::Agree);
    check(&[(1000, 0.4, 20)], 1120, Verdict::Differ);
    check(&[(1000, 0.4, 20), (500, 0.4, 20), (1200, 0.4, 20)], 950, Verdict::Agree);
    // Below the tick of a timer nothing can be told.
    check(&[(20, 0.4, 20)], 29, Verdict::Agree);
}

#[test]
fn a_machine_that_was_saturated_proves_nothing() {
    check(&[(1000, 0.95, 20)], 2000, Verdict::Inconclusive);
    check(&[(1000, 0.95, 20)], 1000, Verdict::Agree);
    // A run on a quiet machine counts instead of one on a busy one.
    check(&[(3000, 0.95, 20), (1000, 0.4, 20)], 1000, Verdict::Agree);
}

#[test]
fn other_counts_differ_unless_a_race_decides_them() {
    check(&[(1000, 0.4, 40)], 1000, Verdict::Differ);
    check(&[(1000, 0.4, 21)], 1000, Verdict::Agree);
    check(&[(1000, 0.4, 19), (1000, 0.4, 40)], 1000, Verdict::Agree);
}
