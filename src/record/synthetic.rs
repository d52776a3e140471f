//! A made-up run with something of everything, for tests of what reads records.

use super::{Clock, Observer, Ran, RunRecord, begin, finish};
use crate::calls::{Target, Verb};
use crate::ids::AppId;
use crate::measure::host::Host;
use crate::measure::process::{Sample, Usage};
use crate::measure::{CallCount, ChangeKind, Figures, Finished, Histogram, Outcome, Progress, Role, Shard, Window};
use crate::scenario::{self, Scenario};
use crate::seed::Seed;
use crate::units::{Span, Time};

/// The shipped quickstart.
pub(crate) fn scenario() -> Scenario {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/quickstart.yaml");
    scenario::load(path, &[]).expect("the shipped scenario is good")
}

/// 2026-11-22T12:00:00Z.
pub(crate) fn begun() -> RunRecord {
    begin(&scenario(), Time(1_795_348_800_000_000_000), Clock::Real, Observer::CommitLog)
}

/// That run as it is read back.
pub(crate) fn stored() -> super::Stored {
    let outcome = outcome();
    super::Stored {
        path: std::path::PathBuf::new(),
        record: record(),
        latencies: outcome.latencies,
        windows: outcome.windows,
        samples: Vec::new(),
        scenario: scenario().effective,
    }
}

/// Numbers of a plausible run: 700 installs and some of every other kind.
pub(crate) fn outcome() -> Outcome {
    let mut outcome = Outcome {
        progress: Progress {
            changes: 1_320,
            finished: 1_300,
            superseded: 20,
            apps: 560,
            healthy: 560,
            ..Progress::default()
        },
        all_healthy: Some(Span::from_millis(3_120)),
        signals: 21_000,
        ..Outcome::default()
    };
    let seed = Seed::new(1).child("synthetic");
    let kinds = [(ChangeKind::Install, 700), (ChangeKind::Upgrade, 200), (ChangeKind::Commit, 30)];
    let more = [(ChangeKind::Scale, 200), (ChangeKind::Decommission, 150), (ChangeKind::Drift, 20)];
    for (kind, count) in kinds.into_iter().chain(more) {
        for n in 0..count {
            outcome.latencies.record(&finished(kind, seed.child(kind.name()).entity(n)));
        }
    }
    for n in 0..1_320 {
        outcome.lag.record(seed.child("lag").exponential(n, Span::from_micros(300)));
    }
    outcome.windows = (1..=52).map(window).collect();
    outcome.shards = (0..2).map(|n| shard(seed.child("queue").entity(n))).collect();
    outcome
}

fn finished(kind: ChangeKind, seed: Seed) -> Finished {
    let means: [Option<u64>; 6] = match kind {
        ChangeKind::Install => [Some(4), Some(9), Some(25), Some(12), Some(90), Some(15)],
        ChangeKind::Upgrade => [Some(3), Some(6), Some(22), Some(10), Some(120), Some(14)],
        ChangeKind::Commit => [None, None, Some(900), Some(11), Some(100), Some(12)],
        ChangeKind::Scale => [Some(3), Some(7), None, Some(9), Some(95), Some(11)],
        ChangeKind::Decommission => [Some(3), None, None, Some(40), None, Some(20)],
        ChangeKind::Drift => [None, None, None, Some(1_100), None, None],
    };
    let mut n = 0;
    let hops = means.map(|mean| {
        n += 1;
        mean.map(|ms| Span::from_micros(200) + seed.exponential(n, Span::from_millis(ms)))
    });
    let end_to_end = Span(hops.iter().flatten().map(|span| span.0).sum());
    Finished { app: AppId(0), kind, at: Time(end_to_end.0), hops, end_to_end }
}

fn window(n: u64) -> Window {
    let healthy = (n * 25).min(700) - if n > 40 { (n - 40) * 12 } else { 0 };
    Window {
        at: Span::from_millis(n * 100),
        apps: healthy + if n < 30 { 90 } else { 0 },
        healthy,
        open: if n < 45 { 90 } else { 0 },
        finished: 25,
        rounds: 60 + n % 7 * 9,
        queue: (30 - n.min(30)) * 3,
        p50: (!n.is_multiple_of(9)).then(|| Span::from_millis(110 + n % 5 * 7)),
        p99: (!n.is_multiple_of(9)).then(|| Span::from_millis(420 + n % 4 * 60)),
    }
}

fn shard(seed: Seed) -> Shard {
    let mut queue_wait = Histogram::default();
    (0..2_000).for_each(|n| queue_wait.record(seed.exponential(n, Span::from_millis(2))));
    Shard { rounds: [1_900, 40, 10, 2, 0], busy: Span::from_millis(9_300), queue_wait, queue_max: 88, managers: 1 }
}

/// What five processes cost.
pub(crate) fn usages() -> Vec<Usage> {
    let of = |name: &str, role, cpu_ms: u64, mib: u64| {
        let sample = |n: u64| Sample {
            at: Time(Span::from_millis(n * 250).0),
            cpu: Span::from_millis(cpu_ms * n / 20),
            rss: (mib << 20) * (10 + n) / 30,
            fds: 20 + n,
            threads: 6,
        };
        Usage {
            name: name.to_owned(),
            role,
            user: Span::from_millis(cpu_ms * 3 / 4),
            sys: Span::from_millis(cpu_ms / 4),
            rss_max: Some(mib << 20),
            rss_end: Some((mib << 20) * 9 / 10),
            fds_max: Some(40),
            threads_max: 6,
            samples: (0..=20).map(sample).collect(),
        }
    };
    let flux = of("flux-model", Role::FluxModel, 1_900, 1);
    vec![
        of("harness", Role::Harness, 600, 42),
        of("hub", Role::Hub, 1_400, 61),
        of("leaves", Role::Leaves, 1_100, 118),
        Usage { rss_max: None, rss_end: None, fds_max: None, samples: Vec::new(), ..flux },
        of("manager-0", Role::Manager, 1_600, 57),
        of("manager-1", Role::Manager, 1_500, 55),
    ]
}

fn figures(role: Role) -> Figures {
    let call = |target, verb, resource: &str, subresource: &str, code, count| CallCount {
        target,
        verb,
        resource: resource.to_owned(),
        subresource: subresource.to_owned(),
        dry_run: false,
        code,
        count,
    };
    let on_hub = vec![
        call(Target::Hub, Verb::List, "applications", "", 200, 2),
        call(Target::Hub, Verb::Patch, "applications", "", 200, 2_610),
        call(Target::Hub, Verb::Patch, "applications", "", 409, 10),
    ];
    let on_leaves = vec![
        call(Target::Leaf, Verb::Apply, "gitrepositories", "", 201, 700),
        call(Target::Leaf, Verb::Apply, "kustomizations", "", 201, 700),
    ];
    let calls = match role {
        Role::Harness => vec![call(Target::Hub, Verb::Create, "applications", "", 201, 720)],
        Role::Manager => [on_hub, on_leaves].concat(),
        Role::FluxModel => vec![
            call(Target::Leaf, Verb::Patch, "kustomizations", "status", 200, 2_900),
            call(Target::Leaf, Verb::Apply, "deployments", "", 201, 1_400),
            call(Target::Leaf, Verb::Get, "kustomizations", "", 200, 1_450),
        ],
        Role::Hub => on_hub,
        Role::Leaves => on_leaves,
    };
    Figures {
        calls,
        bytes_in: Some(1_400_000),
        bytes_out: Some(9_800_000),
        connections_max: Some(8),
        watches_max: Some(804),
        cached_objects_max: Some(4_200),
        watch_events: 2_500,
    }
}

/// What a run came to.
pub(crate) fn ran<'a>(outcome: &'a Outcome, processes: &'a [(Usage, Figures)]) -> Ran<'a> {
    Ran {
        cut_short: None,
        digest: None,
        outcome,
        processes,
        managers: 2,
        shares: &[(104, 291), (96, 269)],
        clusters: 200,
        objects: 9_400,
        events: None,
        host: Host { cpus: 2, memory_bytes: 24 << 30, kernel: "6.1.0".to_owned(), busy_share: 0.91 },
        available_min: 20 << 30,
        epoch: Time(0),
        setup: Span::from_millis(640),
        warmup: Span::ZERO,
        wall: Span::from_millis(5_200),
        time_of_day: Span::from_millis(5_201),
        simulated: None,
        shutdown: Span::from_millis(210),
        used: &[],
        assumptions: &[],
        limits: &[],
    }
}

/// The finished record, of a build that is always the same.
pub(crate) fn record() -> RunRecord {
    let outcome = outcome();
    let processes: Vec<_> = usages().into_iter().map(|usage| (usage.clone(), figures(usage.role))).collect();
    let mut begun = begun();
    begun.build = super::Build {
        version: "0.1.0".to_owned(),
        commit: "0123456789ab".to_owned(),
        dirty: false,
        profile: "release".to_owned(),
    };
    finish(begun, &scenario(), &ran(&outcome, &processes))
}
