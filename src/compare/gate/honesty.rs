//! Whether gates are honest, tried with recorded runs: one program against itself, again and again, and against itself with
//! managers that are slower by a known share.
//!
//! `tests/data/gate/runs.csv` has the runs, and in its head how they were made. A gate here draws pairs of runs that
//! followed each other, in either order, so that what drifts over minutes is in the pairs as it is in a real gate.

use super::*;

const RUNS: &str = include_str!("../../../tests/data/gate/runs.csv");
const EFFORT: Effort = Effort { min: 6, max: 20, precision: 0.05 };

/// What was recorded: metrics, their values by run, and whether somebody else used the machine.
struct Recorded {
    names: Vec<&'static str>,
    runs: Vec<(Vec<f64>, bool)>,
}

fn recorded() -> Recorded {
    let mut lines = RUNS.lines().filter(|line| !line.starts_with('#'));
    let mut names: Vec<_> = lines.next().unwrap().split(',').collect();
    assert_eq!(names.pop(), Some("disturbed"));
    let run = |line: &str| {
        let mut values: Vec<f64> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
        let disturbed = values.pop() == Some(1.0);
        (values, disturbed)
    };
    Recorded { names, runs: lines.map(run).collect() }
}

/// Whether the gate is told that somebody else used the machine.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// As it was: such pairs do not count for times.
    Yes,
    /// Not at all: what others did is noise like any other.
    No,
}

/// How many gates of so many end as each verdict, the head's managers using so many times the CPU.
fn verdicts(gates: u64, slower: f64, told: Told) -> [u64; 4] {
    let Recorded { names, runs } = recorded();
    let share = |name: &str| USUAL.iter().find(|(usual, _)| name.starts_with(usual)).unwrap().1;
    let budgets: Vec<Budget> =
        names.iter().map(|name| Budget { metric: (*name).to_owned(), share: share(name) }).collect();
    let unit = |name: &str| if name.ends_with("_bytes") { "B" } else { "s" };
    let mut ends = [0; 4];
    for number in 0..gates {
        let seed = Seed::new(number).child("resampled");
        let mut gate = Gate::new(budgets.clone(), EFFORT, Against::Interleaved, Vec::new(), Seed::new(number)).unwrap();
        while let Step::Pair { .. } = gate.step() {
            let n = gate.pairs.len() as u64;
            let at = usize::try_from(seed.below(2 * n, runs.len() as u64 - 1)).unwrap();
            let (base, head) = if seed.below(2 * n + 1, 2) == 0 { (at, at + 1) } else { (at + 1, at) };
            let metric = |(column, name): (usize, &&'static str)| {
                let more = if *name == "processes.manager.cpu_s" { slower } else { 1.0 };
                let pair = (runs[base].0[column], runs[head].0[column] * more);
                Metric { unit: unit(name), ..super::tests::noisy(pair) }
            };
            let metrics = names.iter().enumerate().map(metric).collect();
            let disturbed = told == Told::Yes && (runs[base].1 || runs[head].1);
            gate.pairs.push(Pair { metrics, disturbed });
        }
        ends[gate.answer().verdict as usize] += 1;
    }
    ends
}

const fn regressed(ends: [u64; 4]) -> u64 {
    ends[Verdict::Regressed as usize]
}

#[test]
fn gates_of_one_program_against_itself_hardly_ever_alarm() {
    assert!(recorded().runs.len() >= 60);
    for told in [Told::Yes, Told::No] {
        let ends = verdicts(100, 1.0, told);
        assert!(regressed(ends) <= 2, "better, same, inconclusive, regressed: {ends:?}");
    }
}

#[test]
#[ignore = "minutes: cargo test --lib honesty -- --ignored --nocapture"]
fn the_share_of_false_alarms_and_the_power_over_thousands_of_gates() {
    let mut told = String::new();
    for (name, told_of) in [("told of others", Told::Yes), ("not told", Told::No)] {
        let equal = verdicts(5_000, 1.0, told_of);
        told.push_str(&format!("{name}: better, same, inconclusive, regressed of 5,000 equal {equal:?}\n"));
        for slower in [1.05, 1.10, 1.20] {
            let ends = verdicts(500, slower, told_of);
            told.push_str(&format!("{name}: of 500 with managers {slower} as dear {ends:?}\n"));
        }
        assert!(regressed(equal) <= 50, "{told}");
    }
    // Read by whoever runs it: the README states these shares.
    assert!(std::io::Write::write_all(&mut std::io::stderr(), told.as_bytes()).is_ok());
}
