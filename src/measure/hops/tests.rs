//! Scripts of what happened, one event per line, times in milliseconds; what is expected is what the tracker says.

use super::*;
use crate::measure::fingerprint;
use crate::units::Span;
use proptest::prelude::*;

/// `T intend KIND [key=value]..` | `T stored CHANGE GENERATION` | `T abandon CHANGE` | `T SIGNAL ..`
fn play(tracker: &mut Tracker, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |text: &str| text.parse::<u64>().unwrap();
    let value = |key: &str| words.iter().find_map(|w| w.strip_prefix(key)?.strip_prefix('='));
    let print = |key: &str| value(key).map_or(0, fingerprint);
    let (app, at) = (AppId(value("app").map_or(0, |a| u32::try_from(number(a)).unwrap())), ms(number(words[0])));
    let arg = |n: usize| number(words[n]);
    let shard = value("shard").map_or(0, |s| u32::try_from(number(s)).unwrap());
    let signal = match words[1] {
        "intend" => {
            let kind = ChangeKind::ALL.into_iter().find(|k| k.name() == words[2]).unwrap();
            tracker.intend(Change {
                app,
                kind,
                intended: at,
                source: print("src"),
                revision: print("rev"),
                object: print("object"),
                through_flux: !words.contains(&"plain"),
                cascade: words.contains(&"cascade"),
            });
            return;
        }
        "stored" => return tracker.stored(ChangeId(u32::try_from(arg(2)).unwrap()), arg(3)),
        "abandon" => return tracker.abandon(ChangeId(u32::try_from(arg(2)).unwrap())),
        word @ ("healthy" | "progressing" | "deleted") => Signal::AppCommitted {
            app,
            at,
            generation: 0,
            deleted: word == "deleted",
            health: if word == "healthy" { Health::Healthy } else { Health::Progressing },
            sync: Sync::Synced,
            compared: print("src"),
            revision: print("rev"),
        },
        "seen" => Signal::Seen { app, at, generation: arg(2), shard },
        "round" => Signal::Round {
            app,
            shard,
            at,
            queue_wait: Span::ZERO,
            took: Span::from_millis(arg(2)),
            calls: 3,
            outcome: RoundOutcome::Ok,
        },
        "source" => Signal::Written { app, at, object: FluxObject::Source, generation: arg(2) },
        "workload" => Signal::Written { app, at, object: FluxObject::Workload, generation: arg(2) },
        "fetched" => Signal::Fetched { app, at, generation: 1, revision: print("rev") },
        "applied" => Signal::Applied { app, at, generation: arg(2), revision: print("rev") },
        "ready" => Signal::FluxReady { app, at, ready: true, generation: arg(2), revision: print("rev") },
        "unready" => Signal::FluxReady { app, at, ready: false, generation: arg(2), revision: print("rev") },
        "source-gone" => Signal::Gone { app, at, object: FluxObject::Source },
        "workload-gone" => Signal::Gone { app, at, object: FluxObject::Workload },
        word @ ("add" | "edit" | "remove") => Signal::ObjectChanged {
            app,
            at,
            object: fingerprint(words[2]),
            change: match word {
                "add" => ObjectChange::Added,
                "edit" => ObjectChange::Modified,
                _ => ObjectChange::Deleted,
            },
            by_controller: !words.contains(&"stranger"),
        },
        other => panic!("no such word: {other}"),
    };
    tracker.observe(&signal);
}

fn ms(n: u64) -> Time {
    Time(Span::from_millis(n).0)
}

fn say(finished: &Finished) -> String {
    let hop = |hop: Hop| finished.hop(hop).map(|span| format!("{}={}", hop.name(), span.0 / 1_000_000));
    let hops: Vec<String> = Hop::ALL.into_iter().filter_map(hop).collect();
    format!("{} {}", finished.kind.name(), hops.join(" "))
}

fn run(script: &str) -> Tracker {
    let mut tracker = Tracker::new(3, [AppId(0)]);
    script.lines().map(str::trim).filter(|line| !line.is_empty()).for_each(|line| play(&mut tracker, line));
    tracker
}

fn check(script: &str, expected: &[&str]) {
    let finished: Vec<String> = run(script).take_finished().iter().map(say).collect();
    assert_eq!(finished, expected, "{script}");
}

const INSTALL: &str = "
    10 intend install src=s1 rev=r1
    11 healthy src=other
    12 stored 0 1
    13 seen 1
    15 source 1
    16 workload 1
    18 fetched rev=r1
    20 add a
    21 applied 1 rev=r1
    22 progressing src=s1
    25 ready 1 rev=r1
    29 healthy src=s1 rev=r1
";

#[test]
fn an_install_passes_every_hop() {
    check(INSTALL, &["install seen=3 written=3 fetched=2 applied=3 ready=4 reported=4 end_to_end=19"]);
}

#[test]
fn a_change_that_the_manager_saw_before_the_writer_had_its_reply_keeps_its_hop() {
    check(
        "10 intend install src=s1
         12 seen 1
         14 stored 0 1
         15 source 1
         16 workload 1
         20 ready 1
         22 healthy src=s1",
        &["install seen=2 written=4 ready=4 reported=2 end_to_end=12"],
    );
}

#[test]
fn a_status_that_says_yes_before_flux_is_ready_again_does_not_count() {
    let upgrade = format!(
        "{INSTALL}
         40 intend upgrade src=s2 rev=r2
         41 stored 1 2
         42 seen 2
         44 source 2
         45 healthy src=s2
         46 ready 1 rev=r1
         50 fetched rev=r2
         51 applied 1 rev=r2
         53 ready 1 rev=r2
         54 healthy src=s2 rev=r1"
    );
    let installed = "install seen=3 written=3 fetched=2 applied=3 ready=4 reported=4 end_to_end=19";
    check(&upgrade, &[installed]);
    check(
        &format!("{upgrade}\n 57 healthy src=s2 rev=r2"),
        &[installed, "upgrade seen=2 written=2 fetched=6 applied=1 ready=2 reported=4 end_to_end=17"],
    );
}

#[test]
fn a_report_that_came_before_fluxs_last_word_counts_when_that_is_said() {
    let until = |report: &str| {
        format!(
            "0 intend install src=s1 rev=r1\n1 stored 0 1\n2 seen 1\n3 source 1\n3 workload 1\n4 fetched rev=r1\n{report}\n8 ready 1 rev=r1"
        )
    };
    check(
        &until("5 applied 1 rev=r1\n7 healthy src=s1 rev=r1"),
        &["install seen=2 written=1 fetched=1 applied=1 ready=3 reported=0 end_to_end=8"],
    );
    // What names no revision, another one, or is older than the objects may speak of what was before.
    for report in [
        "5 applied 1 rev=r1\n7 healthy src=s1",
        "5 applied 1 rev=r1\n7 healthy src=s1 rev=r0",
        "4 healthy src=s1 rev=r1\n5 applied 1 rev=r1",
    ] {
        check(&until(report), &[]);
    }
}

#[test]
fn a_round_that_had_nothing_to_write_reports_as_well() {
    let scale = "
         10 intend scale src=s2
         11 stored 0 2
         12 seen 2
         14 workload 2
         15 healthy src=s2
         16 applied 1
         17 applied 2
         19 ready 2
         20 round 5";
    check(scale, &[]);
    check(&format!("{scale}\n 26 round 4"), &["scale seen=2 written=2 applied=3 ready=2 reported=7 end_to_end=16"]);
}

#[test]
fn a_commit_has_no_seen_and_no_written() {
    check(
        "10 intend commit rev=r2
         12 fetched rev=r1
         13 healthy rev=r1
         14 fetched rev=r2
         16 applied 1 rev=r2
         17 ready 1 rev=r2
         21 healthy rev=r2",
        &["commit fetched=4 applied=2 ready=1 reported=4 end_to_end=11"],
    );
}

#[test]
fn where_nobody_observes_the_leaf_the_report_ends_the_change() {
    check(
        "10 intend install plain src=s1
         11 stored 0 1
         14 progressing src=s1
         20 healthy src=s1",
        &["install reported=10 end_to_end=10"],
    );
}

#[test]
fn a_decommission_ends_when_the_last_object_is_gone() {
    let script = "
         1 healthy
         2 source 1
         2 workload 1
         3 add a
         3 add b
         10 intend decommission cascade
         11 stored 0 5
         12 seen 5
         13 remove a
         14 workload-gone
         15 source-gone
         16 deleted";
    check(script, &[]);
    check(&format!("{script}\n 19 remove b"), &["decommission seen=2 applied=7 reported=0 end_to_end=9"]);
    let plain = script.replace("cascade", "");
    check(&plain, &["decommission seen=2 applied=1 reported=3 end_to_end=6"]);
}

#[test]
fn a_drift_ends_at_the_write_that_restores() {
    check(
        "10 intend drift object=a
         11 edit a
         12 edit b stranger
         13 remove a stranger
         15 add b
         18 add a",
        &["drift applied=8 end_to_end=8"],
    );
}

#[test]
fn what_a_younger_change_overtakes_is_counted_not_measured() {
    let tracker = run("10 intend upgrade src=s2 rev=r2
         11 intend drift object=a
         12 intend upgrade src=s3 rev=r3
         13 stored 2 3
         14 source 3
         15 fetched rev=r3
         16 applied 1 rev=r3
         17 ready 1 rev=r3
         18 healthy src=s3 rev=r3");
    let progress = tracker.progress();
    assert_eq!((progress.finished, progress.superseded, progress.open()), (1, 1, 1));
    assert_eq!(tracker.open_changes(9).map(|c| c.kind).collect::<Vec<_>>(), [ChangeKind::Drift]);
}

#[test]
fn a_decommission_overtakes_everything() {
    let tracker = run("1 healthy
         10 intend upgrade src=s2
         11 intend drift object=a
         12 intend decommission
         15 deleted");
    let progress = tracker.progress();
    assert_eq!((progress.finished, progress.superseded, progress.open(), progress.apps), (1, 2, 0, 0));
}

#[test]
fn a_write_that_failed_never_happened() {
    let tracker = run("10 intend install\n 12 abandon 0\n 13 abandon 0");
    assert_eq!((tracker.progress().abandoned, tracker.progress().open()), (1, 0));
    assert!(tracker.is_settled());
}

#[test]
fn lost_hops_leave_the_rest_in_order() {
    check(
        "10 intend install src=s1 rev=r1
         16 workload 1
         25 ready 1 rev=r1
         29 healthy src=s1 rev=r1",
        &["install written=6 ready=9 reported=4 end_to_end=19"],
    );
}

#[test]
fn health_is_counted_per_app_and_the_install_ends_once() {
    let mut tracker = run("1 progressing\n 2 healthy\n 3 healthy app=1\n 4 progressing");
    let progress = tracker.progress();
    assert_eq!((progress.apps, progress.healthy, tracker.all_healthy()), (2, 1, Some(ms(2))));
    assert_eq!(tracker.unhealthy(9).collect::<Vec<_>>(), [AppId(0)]);
    play(&mut tracker, "5 deleted");
    play(&mut tracker, "6 healthy app=77");
    assert_eq!((tracker.progress().apps, tracker.progress().healthy), (1, 1));
    assert!(tracker.is_settled());
}

#[test]
fn an_install_does_not_wait_for_apps_that_were_removed() {
    let mut tracker = Tracker::new(3, [AppId(0), AppId(1)]);
    for line in ["1 healthy", "2 progressing app=1", "3 progressing app=2"] {
        play(&mut tracker, line);
    }
    assert_eq!(tracker.all_healthy(), None);
    play(&mut tracker, "9 deleted app=1");
    assert_eq!(tracker.all_healthy(), Some(ms(9)));
    let mut tracker = Tracker::new(1, [AppId(0)]);
    play(&mut tracker, "1 progressing");
    play(&mut tracker, "2 deleted");
    assert_eq!(tracker.all_healthy(), None, "nothing was ever healthy");
}

#[test]
fn rounds_of_two_managers_at_once_are_double_ownership() {
    let moved = |script: &str| {
        let progress = run(script).progress();
        (progress.moved, progress.double_owned)
    };
    assert_eq!(moved("10 round 5 shard=0\n 20 round 5 shard=0"), (0, 0));
    assert_eq!(moved("10 round 5 shard=0\n 20 round 5 shard=1"), (1, 0));
    assert_eq!(moved("10 round 5 shard=0\n 12 round 5 shard=1\n 13 round 5 shard=0"), (2, 1));
}

proptest! {
    #[test]
    fn hops_sum_to_the_whole_whatever_is_missing_or_out_of_order(
        intended in 0_u64..1000,
        reached in prop::array::uniform6(prop::option::of(0_u64..2000)),
    ) {
        let change = Change {
            app: AppId(0), kind: ChangeKind::Install, intended: Time(intended), source: 0, revision: 0, object: 0,
            through_flux: true, cascade: false,
        };
        let finished = Finished::new(&change, &reached.map(|at| at.map(Time)));
        let sum: u64 = finished.hops.iter().flatten().map(|span| span.0).sum();
        prop_assert_eq!(sum, finished.end_to_end.0);
        prop_assert_eq!(finished.at.since(Time(intended)), finished.end_to_end);
        let latest = reached.iter().flatten().copied().max().unwrap_or(0).max(intended);
        prop_assert_eq!(finished.at, Time(latest));
    }

    #[test]
    fn counts_stay_consistent_under_any_history(events in prop::collection::vec(0_usize..16, 0..120)) {
        const WORDS: [&str; 16] = [
            "intend install src=a", "intend upgrade src=b rev=2", "intend scale src=c", "intend drift object=o",
            "intend decommission cascade", "healthy src=a", "healthy src=b rev=2", "progressing", "deleted",
            "source 1", "workload 2", "ready 2", "ready 2 rev=2", "edit o stranger", "edit o", "workload-gone",
        ];
        let mut tracker = Tracker::new(1, [AppId(0)]);
        for (at, word) in events.iter().enumerate() {
            play(&mut tracker, &format!("{at} {}", WORDS[*word]));
        }
        let progress = tracker.progress();
        prop_assert_eq!(progress.open(), tracker.open_changes(usize::MAX).count() as u64);
        prop_assert!(progress.healthy <= progress.apps && progress.apps <= 1);
        prop_assert_eq!(progress.apps - progress.healthy, tracker.unhealthy(9).count() as u64);
    }
}
