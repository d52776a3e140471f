//! The tables of the page.

use super::first_upper;
use crate::calls::{Target, Verb};
use crate::measure::{ChangeKind, Hop, Role};
use crate::record::{AssumptionKind, Latency, Provenance, RunRecord};
use crate::report::numbers::{bytes, count, maybe, per, percent, time};
use crate::report::terminal::provenance;
use maud::{Markup, html};
use std::collections::BTreeMap;

/// A number that shows how it was come by.
fn number(kind: Provenance, text: &str) -> Markup {
    html! { span.(provenance(kind)) { (text) } }
}

fn table(head: &[&str], rows: &Markup) -> Markup {
    html! {
        div.scroll { table { thead { tr { @for cell in head { th { (cell) } } } } tbody { (rows) } } }
    }
}

fn latency_row(name: &str, latency: &Latency, sum: bool) -> Markup {
    let values = [latency.min_s, latency.p50_s, latency.p90_s, latency.p99_s, latency.p999_s, latency.max_s];
    html! {
        tr.sum[sum] { th { (name) } td { (count(latency.count)) }
            @for value in values { td { (number(latency.provenance, &time(value))) } } }
    }
}

pub(super) fn latency(record: &RunRecord) -> Markup {
    let head = ["", "count", "min", "p50", "p90", "p99", "p99.9", "max"];
    let rows = |hops: &BTreeMap<String, Latency>| {
        html! {
            @for hop in Hop::ALL {
                @if let Some(latency) = hops.get(hop.name()).filter(|l| l.count > 0) {
                    (latency_row(&hop.name().replace('_', " "), latency, hop == Hop::EndToEnd))
                }
            }
        }
    };
    html! {
        @if !record.latency.is_empty() {
            section { h2 { "Latency" }
                p.dim { "From the intended time of each change, split by hop; a hop is the time since the one before. "
                    (count(record.counts.superseded)) " of " (count(record.counts.changes))
                    " changes were superseded and are not in here. The harness sent 99% of them at most "
                    (time(record.generator_lag.p99_s)) " late." }
                h3 { "All changes" } (table(&head, &rows(&record.latency)))
                @for kind in ChangeKind::ALL {
                    @if let Some(hops) = record.latency_by.get(kind.name()) {
                        details { summary { (first_upper(kind.name())) } (table(&head, &rows(hops))) }
                    }
                }
            }
        }
    }
}

pub(super) fn processes(record: &RunRecord) -> Markup {
    let head = [
        "",
        "role",
        "CPU",
        "user",
        "system",
        "share",
        "memory max",
        "memory end",
        "fds",
        "threads",
        "connections",
        "watches",
        "objects",
        "in",
        "out",
        "calls",
    ];
    let all: f64 = record.processes.iter().map(|p| p.cpu_s).sum();
    let rows = html! {
        @for p in &record.processes {
            @let cells = [
                time(Some(p.cpu_s)), time(Some(p.user_s)), time(Some(p.sys_s)),
                if all > 0.0 { percent(p.cpu_s / all) } else { "-".to_owned() },
                bytes(p.rss_max_bytes), bytes(p.rss_end_bytes), maybe(p.fds_max), count(p.threads_max),
                maybe(p.connections_max), maybe(p.watches_max), maybe(p.cached_objects_max),
                bytes(p.bytes_in), bytes(p.bytes_out), count(p.total_calls()),
            ];
            tr { th { (p.name) } td { (p.role.name()) }
                @for cell in cells { td { (number(p.provenance, &cell)) } } }
        }
    };
    html! {
        @if !record.processes.is_empty() {
            section { h2 { "Processes" }
                p.dim { "Clients (harness, flux-model, managers) count the calls they made, servers those they served. "
                    "Threads that are another role's work have no memory of their own." }
                (table(&head, &rows))
            }
        }
    }
}

/// One row of the calls: who, to which server, what, with which answer.
type CallRow = (Role, Target, Verb, String, bool, u16);

pub(super) fn calls(record: &RunRecord) -> Markup {
    const OPEN: usize = 25;
    let mut sums: BTreeMap<CallRow, u64> = BTreeMap::new();
    for p in record.processes.iter().filter(|p| p.is_client()) {
        for call in &p.calls {
            let resource = match call.subresource.as_str() {
                "" => call.resource.clone(),
                sub => format!("{}/{sub}", call.resource),
            };
            *sums.entry((p.role, call.target, call.verb, resource, call.dry_run, call.code)).or_default() += call.count;
        }
    }
    let mut rows: Vec<_> = sums.into_iter().collect();
    rows.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let apps = installed(record);
    let row = |((who, target, verb, resource, dry_run, code), n): &(CallRow, u64)| {
        let (target, verb) = (format!("{target:?}").to_lowercase(), format!("{verb:?}").to_lowercase());
        let dry = if *dry_run { " (dry run)" } else { "" };
        let code = if *code == 0 { "no answer".to_owned() } else { code.to_string() };
        html! { tr { th { (who.name()) } td { (target) } td { (verb) (dry) } td { (resource) } td { (code) }
        td { (count(*n)) } td { (per(*n, apps)) } } }
    };
    let head = ["by", "to", "verb", "resource", "code", "calls", "per app"];
    html! {
        @if !rows.is_empty() {
            section { h2 { "Calls" }
                p.dim { "Made by clients, most frequent first; per app of " (count(apps)) "." }
                (table(&head, &html! { @for r in rows.iter().take(OPEN) { (row(r)) } }))
                @if rows.len() > OPEN {
                    details { summary { (rows.len() - OPEN) " more" }
                        (table(&head, &html! { @for r in rows.iter().skip(OPEN) { (row(r)) } })) }
                }
            }
        }
    }
}

/// Apps that were installed at some time.
fn installed(record: &RunRecord) -> u64 {
    let installs = record.latency_by.get(ChangeKind::Install.name()).and_then(|hops| hops.get(Hop::EndToEnd.name()));
    record.counts.apps.max(installs.map_or(0, |latency| latency.count))
}

pub(super) fn managers(record: &RunRecord) -> Markup {
    let head = ["", "clusters", "apps", "longest queue", "waits", "wait p50", "wait p99", "wait max"];
    let rows = html! {
        @for m in &record.managers {
            @let wait = &m.queue_wait;
            tr { th { (m.name) } td { (count(m.clusters)) } td { (count(m.apps)) } td { (count(m.queue_depth_max)) }
                td { (count(wait.count)) }
                @for value in [wait.p50_s, wait.p99_s, wait.max_s] { td { (number(wait.provenance, &time(value))) } } }
        }
    };
    html! { @if !record.managers.is_empty() { section { h2 { "Managers" } (table(&head, &rows)) } } }
}

pub(super) fn counts(record: &RunRecord) -> Markup {
    let c = &record.counts;
    let cells = [
        ("clusters", c.clusters),
        ("managers", c.managers),
        ("apps at the end", c.apps),
        ("healthy", c.apps_healthy),
        ("changes", c.changes),
        ("superseded", c.superseded),
        ("failed", c.failed),
        ("rounds", c.rounds),
        ("retries", c.retries),
        ("conflicts", c.conflicts),
        ("throttled", c.throttled),
        ("calls", c.calls),
        ("objects at most", c.objects),
        ("watch events", c.watch_events),
        ("moved", c.moved),
        ("double owned", c.double_owned),
        ("lost records", c.dropped_records),
    ];
    html! {
        section { h2 { "Counts" }
            div.tiles { @for (name, n) in cells { div.tile { div.dim { (name) } strong { (number(record.provenance, &count(n))) } } } }
        }
    }
}

pub(super) fn assumptions(record: &RunRecord) -> Markup {
    let rows = html! {
        @for a in &record.assumptions {
            @let class = if a.kind == AssumptionKind::Assumed { "assumed" } else { "measured" };
            tr { th { code { (a.id) } } td.text { span.(class) { (a.value) } } td.text { (a.unit) } td.text { (a.source) } }
        }
    };
    html! {
        @if !record.assumptions.is_empty() {
            section { h2 { "Taken for granted" }
                p.dim { "About systems that are modelled here. A real Flux may be slower." }
                (table(&["", "value", "unit", "source"], &rows)) }
        }
        @if !record.sensitivity.is_empty() {
            section { h2 { "What the times depend on" }
                p.dim { "The same run with one constant that nobody measured another, the largest effect first: times over those of this run." }
                (table(&["", "value", "instead", "all healthy", "p99"], &sensitivity(record))) }
        }
    }
}

fn sensitivity(record: &RunRecord) -> Markup {
    let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), |ratio| format!("x {ratio:.2}"));
    html! {
        @for one in &record.sensitivity {
            tr { th { code { (one.id) } } td.text { (one.value) } td.text { (one.other) }
                td { (ratio(one.all_healthy)) } td { (ratio(one.end_to_end_p99)) } }
        }
    }
}

pub(super) fn setting(record: &RunRecord) -> Markup {
    let (host, build) = (&record.host, &record.build);
    let dirty = if build.dirty { ", with uncommitted changes" } else { "" };
    let facts = [
        ("CPUs", host.cpus.to_string()),
        ("memory", bytes(Some(host.memory_bytes))),
        ("kernel", host.kernel.clone()),
        ("CPU time used", percent(host.busy_share)),
        ("build", format!("{} {} ({}{dirty})", build.version, build.profile, build.commit)),
        ("setup", time(Some(record.time.setup_s))),
        ("shutdown", time(Some(record.time.shutdown_s))),
        ("scenario hash", record.scenario.hash.clone()),
        ("overrides", record.scenario.set.join(", ")),
    ];
    html! {
        section { h2 { "Machine and build" }
            div.scroll { table { tbody {
                @for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
                    tr { th { (name) } td.text { (value) } }
                }
            } } }
        }
    }
}
