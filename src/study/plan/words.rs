//! A plan as people read it: five sentences, tables, a line per trial.

use super::{Axis, Check, Confirmation, Held, Knee, Plan, Probe, Size, Tried};
use crate::report::{Style, Table, count};
use std::fmt::Write;

fn value(name: &str, value: f64) -> String {
    match name.split_once('.') {
        Some((_, "memory")) => bytes(value),
        Some((_, "objects")) => format!("{value:.0} objects"),
        _ => time(value),
    }
}

fn time(secs: f64) -> String {
    match secs {
        s if s >= 99.95 => format!("{:.0}m{:02.0}s", (s.round() / 60.0).floor(), s.round() % 60.0),
        s if s >= 9.95 => format!("{s:.0} s"),
        s if s >= 0.995 => format!("{s:.1} s"),
        s => format!("{:.0} ms", s * 1e3),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes of memory are positive")]
fn bytes(value: f64) -> String {
    match value {
        v if v >= f64::from(1 << 30) * 1024.0 => format!("{:.1} TiB", v / f64::from(1 << 30) / 1024.0),
        v if v >= f64::from(1 << 30) => format!("{:.1} GiB", v / f64::from(1 << 30)),
        v => format!("{} MiB", (v / f64::from(1 << 20)).ceil() as u64),
    }
}

fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

/// What must hold and what it came to: `end_to_end.p99 1m12s of 5m00s`.
fn held(held: &Held) -> String {
    let found = held.value.map_or_else(|| "more than that".to_owned(), |found| value(&held.name, found));
    format!("{} {found} of {}", held.name, value(&held.name, held.most))
}

/// A trial in one line.
#[must_use]
pub fn line(probe: &Probe, unit: &str) -> String {
    let with = if probe.with.is_empty() { String::new() } else { format!(" with {}", probe.with.join(" ")) };
    let all: Vec<String> = probe.slos.iter().map(held).collect();
    let ends = if probe.ended { "" } else { ", and it never ends" };
    let holds = if probe.holds { "holds" } else { "too many" };
    let holds = if unit == Axis::Managers.unit() && !probe.holds { "too few" } else { holds };
    format!("{} {unit}{with}: {holds}: {}{ends}", count(probe.size), all.join(", "))
}

/// The answer in five sentences: how far, what stops it, what comes next, what it takes, how sure that is.
#[must_use]
pub fn sentences(plan: &Plan) -> Vec<String> {
    vec![how_far(plan), what_stops_it(plan), what_comes_next(plan), what_it_takes(plan), how_sure(plan)]
}

fn own(plan: &Plan) -> Option<&Size> {
    plan.sizing.first()
}

fn setting(plan: &Plan) -> String {
    let Some(own) = own(plan) else { return plan.scenario.clone() };
    let shards = if own.shards > 1 { format!(" x {}", own.shards) } else { String::new() };
    format!("{} ({}{shards})", plan.scenario, own.topology)
}

fn how_far(plan: &Plan) -> String {
    let (who, slo, unit) = (setting(plan), plan.slo.join(" and "), plan.axis.unit());
    let apps = |size| plan.probes.iter().find(|probe| probe.size == size).map_or(0, |probe| probe.apps);
    match (plan.knee, plan.axis.falls()) {
        (Knee { holds: Some(holds), breaks: Some(breaks) }, true) => {
            format!("{} needs {holds} managers to hold {slo}: with {breaks} it does not.", plan.scenario)
        }
        (Knee { holds: Some(holds), breaks: None }, true) => {
            format!("{} holds {slo} with {holds} manager, so nobody needs more.", plan.scenario)
        }
        (Knee { holds: None, .. }, true) => {
            format!("{} does not hold {slo} with {} managers.", plan.scenario, plan.max)
        }
        (Knee { holds: Some(holds), breaks: Some(breaks) }, false) => format!(
            "{who} holds {slo} up to {} {unit} ({} apps); {} are too many.",
            count(holds),
            count(apps(holds)),
            count(breaks)
        ),
        (Knee { holds: Some(holds), breaks: None }, false) => format!(
            "{who} holds {slo} at all sizes up to {} {unit} ({} apps), the most that was asked for.",
            count(holds),
            count(apps(holds))
        ),
        (Knee { holds: None, breaks }, false) => {
            let smallest = breaks.unwrap_or(plan.max);
            format!("{who} does not hold {slo} at {} {unit}, the smallest size there is.", count(smallest))
        }
    }
}

/// `1m12s of 5m` is 24 %.
fn helped(tried: &Tried) -> String {
    let after = tried.after.map_or_else(|| "no less".to_owned(), percent);
    format!("{} instead of {} of what is allowed", after, percent(tried.before))
}

fn what_stops_it(plan: &Plan) -> String {
    let Some(found) = &plan.limit else {
        let most = plan.probes.iter().filter(|probe| Some(probe.size) == plan.knee.breaks).find_map(|p| p.used.first());
        return match most {
            Some(most) => format!("Most used where it breaks: {} of {}, {}.", most.resource, most.place, most.evidence),
            None => "Nothing stopped it.".to_owned(),
        };
    };
    let at = count(found.at);
    let unit = plan.axis.unit();
    let evidence = &found.limit.evidence;
    match (found.tried.first(), &found.lifted) {
        (Some(best), Some(lifted)) => {
            let others = found.tried.len() - 1;
            let others = match others {
                0 => String::new(),
                1 => "; the other thing that was busy brings less".to_owned(),
                n => format!("; the {n} other things that were busy bring less"),
            };
            format!(
                "What stops it is {}: {evidence}, and {lifted} needs {} at {at} {unit}{others}.",
                found.named,
                helped(best)
            )
        }
        (Some(best), None) => format!(
            "No single thing stops it: {} is used most ({evidence}), but {} needs {} at {at} {unit}.",
            found.named,
            best.lifted,
            helped(best)
        ),
        (None, _) => format!("What stops it is {}: {evidence}.", found.named),
    }
}

fn what_comes_next(plan: &Plan) -> String {
    let Some(next) = &plan.next else {
        return match plan.limit {
            Some(_) => "What would stop it next was not looked for: no single number lifts this limit.".to_owned(),
            None => "There is no limit to lift.".to_owned(),
        };
    };
    let unit = plan.axis.unit();
    let used = next
        .used
        .as_ref()
        .map_or_else(String::new, |(named, limit)| format!("; {named} is used most then ({})", limit.evidence));
    match (next.knee.holds, next.knee.breaks) {
        (Some(holds), Some(breaks)) => {
            format!("With that out of the way it ends between {} and {} {unit}{used}.", count(holds), count(breaks))
        }
        (Some(holds), None) => {
            format!(
                "With that out of the way it still holds at {} {unit}, the most that was asked for{used}.",
                count(holds)
            )
        }
        _ => format!("With that out of the way nothing is gained{used}."),
    }
}

fn what_it_takes(plan: &Plan) -> String {
    let Some(takes) = own(plan).and_then(|own| own.takes.as_ref()) else {
        return "There is no size that could be paid for.".to_owned();
    };
    let size = plan.knee.holds.unwrap_or_default();
    let room = match (plan.headroom, plan.axis.falls(), plan.written) {
        (Some(room), false, Some(written)) if room >= 1.0 => {
            format!("; the {} as written are {} of that", count(written), percent(1.0 / room))
        }
        (Some(room), false, Some(written)) => {
            format!("; the {} as written are {:.1} times too many", count(written), 1.0 / room)
        }
        (Some(_), true, Some(written)) => format!("; {written} as written"),
        _ => String::new(),
    };
    let at = match plan.axis.falls() {
        true => "With those".to_owned(),
        false => format!("At {} {}", count(size), plan.axis.unit()),
    };
    format!(
        "{at} the hub takes {:.1} cores and {}, the busiest manager {:.1} cores, {} and {} cached objects (modelled){room}.",
        takes.hub_cores,
        bytes(takes.hub_memory_bytes as f64),
        takes.manager_cores,
        bytes(takes.manager_memory_bytes as f64),
        count(takes.manager_objects)
    )
}

fn how_sure(plan: &Plan) -> String {
    let [all, assumed] = plan.constants;
    let tries = plan.probes.len();
    let order = if plan.knee.breaks.is_none() {
        "every one holds".to_owned()
    } else if plan.exceptions.is_empty() {
        "every size tried below holds and every one above does not".to_owned()
    } else {
        let sizes: Vec<String> = plan.exceptions.iter().map(|size| count(*size)).collect();
        format!("beware, larger sizes hold again ({}), so sizes between were not all seen", sizes.join(", "))
    };
    let most = match plan.sensitivity.first() {
        Some(most) => {
            let ratio = most.ratio.map_or_else(|| "out of sight".to_owned(), |ratio| format!("by {ratio:.2}"));
            format!(
                "; most depends on {}: {} instead of {} multiplies the times {ratio}",
                most.id, most.other, most.value
            )
        }
        None => "; --sensitivity says which matter".to_owned(),
    };
    format!("Of {tries} sizes tried, {order}; {assumed} of the {all} constants of the model are assumed{most}.")
}

/// What real processes said, in a sentence.
#[must_use]
pub fn checked(check: &Check, unit: &str) -> String {
    let pairs = check.simulated.iter().zip(&check.live).map(|(simulated, live)| {
        let found = |held: &Held| held.value.map_or_else(|| "more than that".to_owned(), |v| value(&held.name, v));
        format!(
            "{} {} live, {} simulated, of {}",
            live.name,
            found(live),
            found(simulated),
            value(&live.name, live.most)
        )
    });
    let verdict = match check.verdict {
        Confirmation::Confirmed => "confirms the plan",
        Confirmation::Inconclusive => "cannot tell",
        Confirmation::Refuted => "contradicts the plan",
    };
    format!(
        "A live run with {} {unit} ({} apps, backend {}, the machine {} busy) {verdict}: {}.",
        count(check.size),
        count(check.apps),
        check.backend,
        percent(check.busy_share),
        pairs.collect::<Vec<_>>().join("; ")
    )
}

/// The answer for a terminal.
#[must_use]
pub fn table(plan: &Plan, style: Style) -> String {
    let mut text = plan.sentences.join("\n");
    text.push('\n');
    if let Some(check) = &plan.check {
        let _infallible = writeln!(text, "{}", checked(check, plan.axis.unit()));
    }
    let own = plan.axis == Axis::Clusters;
    let head: &[&str] = &[
        "apps",
        "needs",
        "hub",
        "hub memory",
        "managers",
        "busiest",
        "its memory",
        "its objects",
        "real control plane",
    ];
    let more: &[&str] = if own { &[] } else { &["clusters"] };
    let unit: &[&str] = &[plan.axis.unit()];
    let mut sizes = Table::new(&[unit, more, head].concat());
    for probe in &plan.probes {
        let needs = probe.slos.iter().map(|held| match held.value {
            Some(found) => value(&held.name, found),
            None => format!("> {}", value(&held.name, held.most)),
        });
        let needs: Vec<String> = needs.collect();
        let mark = if probe.holds { "" } else { " x" };
        let takes = &probe.takes;
        let mut row = vec![count(probe.size) + mark];
        row.extend((!own).then(|| count(probe.clusters)));
        row.extend([
            count(probe.apps),
            needs.join(", "),
            format!("~{:.1} cores", takes.hub_cores),
            format!("~{}", bytes(takes.hub_memory_bytes as f64)),
            count(takes.managers),
            format!("~{:.1} cores", takes.manager_cores),
            format!("~{}", bytes(takes.manager_memory_bytes as f64)),
            format!("~{}", count(takes.manager_objects)),
            format!("~{}", bytes(takes.real_memory_bytes as f64)),
        ]);
        sizes.row(row);
    }
    let _infallible = write!(text, "\n{}x does not hold; ~ is modelled\n", sizes.render(style));
    if plan.sizing.len() > 1 {
        let _infallible = write!(text, "\n{}", sizing(plan).render(style));
    }
    if let Some(at) = plan.varied_at {
        let _infallible = write!(text, "\nat {} {}\n{}", count(at), plan.axis.unit(), sensitivity(plan).render(style));
    }
    text
}

fn sizing(plan: &Plan) -> Table {
    let mut table =
        Table::new(&["topology", "holds", "breaks", "most used", "hub", "hub memory", "busiest manager", "its memory"]);
    let or = |size: Option<u64>| size.map_or_else(|| "-".to_owned(), count);
    for row in &plan.sizing {
        let takes = row.takes.clone().unwrap_or_default();
        let used = row.most_used.as_ref();
        table.row(vec![
            format!("{} x {}", row.topology, row.shards),
            or(row.knee.holds),
            or(row.knee.breaks),
            used.map_or_else(|| "-".to_owned(), |used| format!("{} of {}", used.resource, used.place)),
            format!("~{:.1} cores", takes.hub_cores),
            format!("~{}", bytes(takes.hub_memory_bytes as f64)),
            format!("~{:.1} cores", takes.manager_cores),
            format!("~{}", bytes(takes.manager_memory_bytes as f64)),
        ]);
    }
    table
}

fn sensitivity(plan: &Plan) -> Table {
    let mut table = Table::new(&["constant", "is", "instead", "times"]);
    for one in &plan.sensitivity {
        let ratio = one.ratio.map_or_else(|| "too long to see".to_owned(), |ratio| format!("x {ratio:.2}"));
        table.row(vec![one.id.clone(), one.value.clone(), one.other.clone(), ratio]);
    }
    table
}
