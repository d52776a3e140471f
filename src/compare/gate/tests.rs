use super::*;

const EFFORT: Effort = Effort { min: 6, max: 20, precision: 0.05 };

fn metric(unit: &'static str, better: Better, class: Class, (base, head): (f64, f64)) -> Metric {
    Metric {
        result: 1,
        name: "latency.end_to_end.p50_s".to_owned(),
        unit,
        better,
        class,
        base: base.into(),
        head: head.into(),
        ratio: None,
        interval: None,
        n: 1,
        budget: None,
        verdict: Verdict::Inconclusive,
        why: String::new(),
        headline: false,
    }
}

/// A gate over `metrics` equal budgets.
fn gate(metrics: usize, share: f64, against: Against) -> Gate {
    let budgets = vec![Budget { metric: "m".to_owned(), share }; metrics];
    Gate::new(budgets, EFFORT, against, Vec::new(), Seed::new(1)).unwrap()
}

pub(super) fn noisy(pair: (f64, f64)) -> Metric {
    metric("s", Better::Lower, Class::Noisy, pair)
}

fn verdict(share: f64, pairs: &[(f64, f64)]) -> Verdict {
    let mut gate = gate(1, share, Against::Interleaved);
    gate.pairs = pairs.iter().map(|&pair| Pair { metrics: vec![noisy(pair)], disturbed: false }).collect();
    gate.answer().verdict
}

#[test]
fn a_verdict_follows_from_where_the_interval_lies_around_the_budget() {
    let around = |ratio: f64| [0.99, 1.0, 1.01, 0.995, 1.005, 1.0, 0.99, 1.01].map(|noise| (1.0, ratio * noise));
    let wild = [0.5, 2.0, 0.6, 1.9, 0.7, 1.6, 1.0, 1.0].map(|head| (1.0, head));
    let table = [
        (0.05, &around(1.2)[..], Verdict::Regressed),
        (0.05, &around(1.0), Verdict::Same),
        (0.05, &around(0.8), Verdict::Better),
        // Worse, but within the budget.
        (0.30, &around(1.2), Verdict::Same),
        // Nothing may get worse, and nothing that five percent would hide.
        (0.0, &around(1.0), Verdict::Same),
        (0.05, &wild, Verdict::Inconclusive),
        // Too few to know.
        (0.05, &around(1.2)[..5], Verdict::Inconclusive),
        (0.05, &[(1.0, 1.2); 6], Verdict::Regressed),
    ];
    for (share, pairs, wanted) in table {
        assert_eq!(verdict(share, pairs), wanted, "{share} {pairs:?}");
    }
}

#[test]
fn what_is_counted_is_judged_by_its_worst_pair() {
    let of = |better, pairs: &[(f64, f64)], share| {
        let mut gate = gate(1, share, Against::Interleaved);
        let metrics = pairs.iter().map(|&pair| vec![metric("1", better, Class::Exact, pair)]);
        gate.pairs = metrics.map(|metrics| Pair { metrics, disturbed: true }).collect();
        gate.answer().verdict
    };
    let table = [
        (Better::Lower, &[(5.0, 5.0), (5.0, 5.0)][..], 0.0, Verdict::Same),
        (Better::Lower, &[(5.0, 5.0), (5.0, 6.0)], 0.0, Verdict::Regressed),
        (Better::Lower, &[(5.0, 5.0), (5.0, 4.0)], 0.0, Verdict::Same),
        (Better::Lower, &[(5.0, 4.0)], 0.0, Verdict::Better),
        (Better::Lower, &[(0.0, 1.0)], 0.5, Verdict::Regressed),
        (Better::Lower, &[(1.0, 0.0)], 0.0, Verdict::Better),
        (Better::Higher, &[(100.0, 99.0)], 0.0, Verdict::Regressed),
        (Better::Higher, &[(100.0, 99.0)], 0.02, Verdict::Same),
        (Better::Higher, &[(100.0, 101.0)], 0.0, Verdict::Better),
        (Better::None, &[(100.0, 101.0)], 0.0, Verdict::Regressed),
        (Better::None, &[(100.0, 99.0)], 0.0, Verdict::Regressed),
        (Better::None, &[(100.0, 99.0)], 0.02, Verdict::Same),
    ];
    for (better, pairs, share, wanted) in table {
        assert_eq!(of(better, pairs, share), wanted, "{better:?} {pairs:?} {share}");
    }
}

#[test]
fn pairs_that_somebody_disturbed_do_not_count_for_times_but_for_memory() {
    let pairs = |unit, disturbed| {
        let mut gate = gate(1, 0.05, Against::Interleaved);
        let metric = metric(unit, Better::Lower, Class::Noisy, (1.0, 2.0));
        gate.pairs = (0..20).map(|_| Pair { metrics: vec![metric.clone()], disturbed }).collect();
        gate
    };
    assert_eq!(pairs("s", true).answer().verdict, Verdict::Inconclusive);
    assert_eq!(pairs("B", true).answer().verdict, Verdict::Regressed);
    assert_eq!(pairs("s", false).answer().verdict, Verdict::Regressed);
    assert_eq!(pairs("s", true).step(), Step::Done, "twenty are enough even of these");
}

#[test]
fn times_from_earlier_say_nothing_and_calls_do() {
    let against = |unit, heads: &[f64]| {
        let mut gate = gate(1, 0.02, Against::Stored);
        let metrics = heads.iter().map(|&head| vec![metric(unit, Better::Lower, Class::Noisy, (100.0, head))]);
        gate.pairs = metrics.map(|metrics| Pair { metrics, disturbed: false }).collect();
        gate.answer().verdict
    };
    let heads = [120.0, 120.1, 119.9, 120.0, 120.1, 119.9];
    assert_eq!(against("s", &heads), Verdict::Inconclusive);
    assert_eq!(against("1", &heads), Verdict::Regressed);
    assert_eq!(against("1", &heads.map(|head| head - 20.0)), Verdict::Same);
}

#[test]
fn sides_take_turns_until_the_interval_is_narrow_enough() {
    let mut gate = gate(1, 0.05, Against::Interleaved);
    let mut first = Vec::new();
    while let Step::Pair { head_first } = gate.step() {
        first.push(head_first);
        let spread = if gate.pairs.len().is_multiple_of(2) { 1.02 } else { 0.98 };
        gate.pairs.push(Pair { metrics: vec![noisy((1.0, spread))], disturbed: false });
    }
    assert!((6..20).contains(&first.len()), "{}", first.len());
    assert!(first.iter().enumerate().all(|(at, head_first)| *head_first == (at % 2 == 1)));
}

/// A run's noise: normal, or with the long tail of a machine that stumbles now and then.
fn noise(draws: Seed, n: u64, spread: f64, stumbles: bool) -> f64 {
    let normal =
        libm::sqrt(-2.0 * libm::log(draws.unit(3 * n))) * libm::cos(std::f64::consts::TAU * draws.unit(3 * n + 1));
    let stumble = if stumbles && draws.below(3 * n + 2, 20) == 0 { 5.0 * spread } else { 0.0 };
    libm::exp(spread * normal + stumble)
}

/// Plays gates of six metrics to their end and counts how many end `regressed`, and how many `inconclusive`.
fn play(gates: u64, worse: f64, spread: f64, stumbles: bool) -> (u64, u64) {
    let (mut regressed, mut open) = (0, 0);
    for number in 0..gates {
        let seed = Seed::new(number).child("honesty");
        let mut gate = gate(6, 0.05, Against::Interleaved);
        while let Step::Pair { .. } = gate.step() {
            let at = gate.pairs.len() as u64;
            let value = |side: u64, metric: u64| noise(seed.entity(side * 100 + metric), at, spread, stumbles);
            let metrics = (0..6).map(|metric| noisy((value(0, metric), value(1, metric) * worse))).collect();
            gate.pairs.push(Pair { metrics, disturbed: false });
        }
        match gate.answer().verdict {
            Verdict::Regressed => regressed += 1,
            Verdict::Inconclusive => open += 1,
            Verdict::Better | Verdict::Same => {}
        }
    }
    (regressed, open)
}

#[test]
fn a_gate_over_equal_programs_hardly_ever_alarms_and_a_slow_one_is_found() {
    // One more than the budget of 5 % would be the edge where 1 % may alarm: equal programs are further away, so the
    // edge itself is tried.
    for stumbles in [false, true] {
        let (alarms, _) = play(150, 1.05, 0.02, stumbles);
        assert!(alarms <= 6, "{alarms} of 150 at the edge of the budget, stumbling: {stumbles}");
    }
    assert_eq!(play(50, 1.0, 0.02, true).0, 0);
    let (found, _) = play(40, 1.15, 0.02, false);
    assert!(found >= 38, "{found} of 40 that are 15 % slower");
    let (_, open) = play(10, 1.0, 0.3, false);
    assert_eq!(open, 10, "runs that scatter by 30 % cannot tell 5 %");
}
