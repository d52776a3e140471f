//! How far does it go, what stops it, and what would stop it next.
//!
//! In: a scenario, what must hold, what is made larger and how far; and somebody who plays scenarios in virtual time. Out: a
//! [`Plan`], equal for equal inputs. It draws nothing and knows no clock.
//!
//! ```text
//! axis    what is made larger, as overrides        search  which sizes to try, and where it ends
//! slo     what must hold, and how far from it      lift    what widens a limit or varies a constant
//! stops   what stops it, and what comes next       answer  what is said, as it is printed
//! check   a size played with real processes
//! words   the answer in five sentences and tables
//! ```
//!
//! A trial goes on until the last change is as old as the longest time that is allowed: whatever is open then has broken
//! the limit for certain. Nothing at rest is played, for it comes after every change.
//!
//! What is used up is not always what stops it: workers that wait for an API server are busy too. So everything that was
//! used for the most part is widened in turn, and the limit is what made the times shorter.

mod answer;
mod axis;
mod check;
mod lift;
mod search;
mod slo;
mod stops;
mod words;

pub use answer::{Found, Knee, Next, Plan, Probe, Sensitive, Size, Takes, Tried};
pub use axis::{Axis, Unfit, Upto};
pub use check::{Check, Confirmation};
pub use slo::{BadSlo, Held, Slo};
pub use words::{checked, line, sentences, table};

use super::sensitivity;
use crate::fleet::World;
use crate::measure::limit::Limit;
use crate::measure::{self, Role};
use crate::record::{AssumptionKind, ProcessRecord, RunRecord};
use crate::scenario::{self, Errors, Scenario, TopologyKind};
use crate::topology::{self, Layout};
use crate::units::{Span, Time};
use search::{Bracket, Search};
use std::collections::BTreeMap;

/// A scenario as it is written.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its text.
    pub text: String,
    /// Its name in messages.
    pub name: String,
    /// Overrides.
    pub sets: Vec<String>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// What must hold.
    pub slos: Vec<Slo>,
    /// What is made larger.
    pub upto: Upto,
    /// How close the answer shall be, as a share.
    pub tolerance: f64,
    /// Every assumed constant is varied.
    pub sensitivity: bool,
    /// Topologies to be sized beside that of the scenario.
    pub beside: Vec<(TopologyKind, u32)>,
}

/// What a played scenario came to.
#[derive(Debug)]
pub struct Played {
    /// Every change.
    pub outcome: measure::Outcome,
    /// The record.
    pub record: RunRecord,
    /// It went on to its end or until time was up: nothing got stuck, no backlog grew.
    pub ended: bool,
    /// What was used, and how much of it.
    pub used: Vec<Limit>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A size makes no scenario.
    #[error("{size} {unit} make no scenario")]
    Bad {
        /// Which.
        size: u64,
        /// Of what.
        unit: &'static str,
        /// Why.
        errors: Errors,
    },
    /// The scenario has not what the plan would change.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// A size cannot be simulated.
    #[error("{size} {unit} cannot be simulated: {why}")]
    Impossible {
        /// Which.
        size: u64,
        /// Of what.
        unit: &'static str,
        /// Why.
        why: String,
    },
    /// The user stopped it.
    #[error("interrupted: no answer")]
    Interrupted,
}

/// Why somebody who plays did not.
#[derive(Debug)]
pub enum NotPlayed {
    /// The scenario cannot be simulated.
    Impossible(String),
    /// The user stopped it.
    Interrupted,
}

/// Who plays scenarios: on so many threads, from any thread.
pub type Play<'a> = dyn Fn(&Scenario, &World, usize) -> Result<Played, NotPlayed> + Sync + 'a;

/// A plan being made.
pub struct Planner<'a> {
    source: &'a Source,
    question: &'a Question,
    base: Scenario,
    min: u64,
    threads: usize,
    play: &'a Play<'a>,
    tell: &'a (dyn Fn(&str) + Sync),
}

/// Makes a plan.
///
/// # Errors
/// When the question does not fit the scenario, a size cannot be played, or the user stops it.
pub fn plan(
    source: &Source,
    question: &Question,
    threads: usize,
    play: &Play<'_>,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Plan, PlanError> {
    Planner::new(source, question, threads, play, tell)?.plan()
}

/// Asks real processes about a plan: `live` plays the largest size that `fits` this machine, from where the plan ends
/// downwards; the simulation is taken from the plan where it has that size. `None` if nothing held, or nothing fits.
///
/// # Errors
/// When it cannot be played, or the user stops it.
pub fn check(
    source: &Source,
    question: &Question,
    plan: &Plan,
    (play, live): (&Play<'_>, &Play<'_>),
    fits: impl Fn(&Scenario, &World) -> bool,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Option<Check>, PlanError> {
    let planner = Planner::new(source, question, 1, play, tell)?;
    let Some(holds) = plan.knee.holds else { return Ok(None) };
    for size in planner.checkable(holds) {
        let scenario = planner.scenario(size, &[])?;
        if fits(&scenario, &World::generate(&scenario)) {
            let tell_live = |line: &str| tell(&format!("live: {line}"));
            let live = Planner::new(source, question, 1, live, &tell_live)?;
            let simulated = match plan.probes.iter().find(|probe| probe.size == size && probe.with.is_empty()) {
                Some(probe) => probe.slos.clone(),
                None => planner.probe(size, &[], 1)?.0.slos,
            };
            return live.check(&simulated, size).map(Some);
        }
    }
    Ok(None)
}

impl<'a> Planner<'a> {
    fn new(
        source: &'a Source,
        question: &'a Question,
        threads: usize,
        play: &'a Play<'a>,
        tell: &'a (dyn Fn(&str) + Sync),
    ) -> Result<Self, PlanError> {
        let axis = question.upto.axis;
        let parsed = scenario::parse(&source.text, &source.name, &source.sets);
        let base = parsed.map_err(|errors| PlanError::Bad { size: 0, unit: axis.unit(), errors })?;
        let min = axis.smallest(&base, question.upto.max)?;
        Ok(Planner { source, question, base, min, threads, play, tell })
    }
}

impl Planner<'_> {
    fn plan(&self) -> Result<Plan, PlanError> {
        let upto = self.question.upto;
        let (search, probes) = self.search(&[], self.search_from(self.min), None)?;
        let knee = self.knee(&search);
        let limit = self.limit(&knee, &probes)?;
        let next = limit.as_ref().map(|found| self.next(found, &knee)).transpose()?.flatten();
        let (varied_at, sensitivity) = self.sensitivity(&knee, &probes)?;
        let sizing = self.sizing(&knee, &probes)?;
        let written = self.written();
        let constants = constants(&probes);
        let mut plan = Plan {
            scenario: self.base.name.clone(),
            axis: upto.axis,
            max: upto.max,
            slo: self.question.slos.iter().map(Slo::to_string).collect(),
            sentences: Vec::new(),
            knee,
            written,
            headroom: knee.holds.zip(written).map(|(holds, written)| match upto.axis.falls() {
                true => written as f64 / holds as f64,
                false => holds as f64 / written as f64,
            }),
            limit,
            next,
            exceptions: search.exceptions().into_iter().map(|place| self.size(place)).collect(),
            probes: probes.into_values().map(|(probe, _)| probe).collect(),
            sizing,
            sensitivity,
            varied_at,
            constants,
            check: None,
        };
        plan.sentences = sentences(&plan);
        Ok(plan)
    }

    /// The search works on places from easy to hard; for managers the last is one manager.
    fn size(&self, place: u64) -> u64 {
        if self.question.upto.axis.falls() { self.question.upto.max + self.min - place } else { place }
    }

    fn search_from(&self, min: u64) -> Search {
        let max = self.question.upto.max;
        Search::new(min, max, self.question.tolerance, (max / 64).max(min))
    }

    fn knee(&self, search: &Search) -> Knee {
        let Bracket { holds, breaks } = search.bracket();
        Knee { holds: holds.map(|place| self.size(place)), breaks: breaks.map(|place| self.size(place)) }
    }

    /// The size as the scenario is written.
    fn written(&self) -> Option<u64> {
        match self.question.upto.axis {
            Axis::Clusters => Some(self.base.fleet.clusters.into()),
            Axis::Apps => Some(self.base.addons.len() as u64),
            Axis::Managers => Some(self.base.topology.shards.into()),
            Axis::Churn => self.base.timeline.iter().find_map(|step| match step.action {
                scenario::Action::Churn { rate_milli, .. } => Some((rate_milli / 1_000).max(1)),
                _ => None,
            }),
        }
    }

    /// Searches to the end; `with` are overrides beside those of the size.
    fn search(
        &self,
        with: &[String],
        mut search: Search,
        known: Option<(u64, search::Trial)>,
    ) -> Result<(Search, Probes), PlanError> {
        let mut probes = Probes::new();
        if let Some((place, trial)) = known {
            search.tried(place, trial);
        }
        loop {
            let places = search.next();
            if places.is_empty() {
                return Ok((search, probes));
            }
            let wanted: Vec<(u64, Vec<String>)> =
                places.iter().map(|place| (self.size(*place), with.to_vec())).collect();
            for (place, (probe, record)) in places.iter().zip(self.probes(&wanted)?) {
                search.tried(*place, slo::trial(&probe.slos, probe.ended));
                probes.insert(probe.size, (probe, record));
            }
        }
    }

    /// Plays several sizes, side by side as far as there are cores.
    fn probes(&self, wanted: &[(u64, Vec<String>)]) -> Result<Vec<(Probe, RunRecord)>, PlanError> {
        let mut all = Vec::with_capacity(wanted.len());
        for some in wanted.chunks(self.threads.clamp(1, 2)) {
            let threads = (self.threads / some.len()).max(1);
            let played: Vec<_> = std::thread::scope(|scope| {
                let start = |(size, with): &'_ (u64, Vec<String>)| {
                    let (size, with) = (*size, with.clone());
                    scope.spawn(move || self.probe(size, &with, threads))
                };
                let running: Vec<_> = some.iter().map(start).collect();
                let end = |thread: std::thread::ScopedJoinHandle<'_, _>| match thread.join() {
                    Ok(end) => end,
                    Err(panic) => std::panic::resume_unwind(panic),
                };
                running.into_iter().map(end).collect()
            });
            all.extend(played.into_iter().collect::<Result<Vec<_>, _>>()?);
        }
        Ok(all)
    }

    fn probe(&self, size: u64, with: &[String], threads: usize) -> Result<(Probe, RunRecord), PlanError> {
        let unit = self.question.upto.axis.unit();
        let mut scenario = self.scenario(size, with)?;
        let world = World::generate(&scenario);
        let last = world.changes().last().map_or(Span::ZERO, |change| change.at);
        let patience = self.question.slos.iter().filter_map(Slo::patience).max();
        scenario.run.duration = Span::ZERO;
        if let Some(patience) = patience {
            // Rounded up: a change that is done at the very end has held.
            scenario.run.timeout = (Time(0) + last + patience + Span::from_millis(1)).since(Time(0));
        }
        let played = (self.play)(&scenario, &world, threads).map_err(|error| match error {
            NotPlayed::Impossible(why) => PlanError::Impossible { size, unit, why },
            NotPlayed::Interrupted => PlanError::Interrupted,
        })?;
        let slos = slo::judge(&self.question.slos, &played.outcome, &played.record);
        let mut used = played.used;
        used.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.place.cmp(&b.place)));
        let probe = Probe {
            size,
            with: with.to_vec(),
            clusters: scenario.fleet.clusters.into(),
            apps: world.apps(),
            holds: slo::trial(&slos, played.ended).holds,
            slos,
            ended: played.ended,
            used,
            takes: takes(&scenario, &world, &played.record),
        };
        (self.tell)(&line(&probe, unit));
        Ok((probe, played.record))
    }

    fn sensitivity(&self, knee: &Knee, probes: &Probes) -> Result<(Option<u64>, Vec<Sensitive>), PlanError> {
        let at = self.representative(knee, probes).filter(|_| self.question.sensitivity);
        let Some((at, (_, record))) = at.and_then(|at| Some((at, probes.get(&at.size)?))) else {
            return Ok((None, Vec::new()));
        };
        let before = slo::trial(&at.slos, at.ended).score.unwrap_or(1.0);
        let varied = sensitivity::vary(&record.assumptions);
        let each = varied.iter().flat_map(|vary| vary.others.iter().map(move |other| (vary, other)));
        let each: Vec<_> = each
            .filter(|(vary, other)| {
                // A value that the scenario's rules refuse is none that could be meant.
                let set = [self.source.sets.as_slice(), &[format!("{}={other}", vary.id)]].concat();
                scenario::parse(&self.source.text, &self.source.name, &set).is_ok()
            })
            .collect();
        let wanted: Vec<_> = each.iter().map(|(vary, other)| (at.size, vec![format!("{}={other}", vary.id)])).collect();
        let mut all: Vec<Sensitive> = each
            .iter()
            .zip(self.probes(&wanted)?)
            .map(|((vary, other), (probe, _))| Sensitive {
                id: vary.id.clone(),
                value: vary.value.clone(),
                other: (*other).clone(),
                ratio: slo::trial(&probe.slos, probe.ended).score.map(|after| after / before),
            })
            .collect();
        let effect = |one: &Sensitive| one.ratio.map_or(f64::INFINITY, |ratio| libm::fabs(libm::log(ratio)));
        all.sort_by(|a, b| effect(b).total_cmp(&effect(a)));
        Ok((Some(at.size), all))
    }

    /// That of the scenario, and those that were asked for beside it.
    fn sizing(&self, knee: &Knee, probes: &Probes) -> Result<Vec<Size>, PlanError> {
        let topology = &self.base.topology;
        let mut all = vec![size(topology.kind, topology.shards, *knee, probes)];
        for (kind, shards) in &self.question.beside {
            let with = [format!("topology.kind={}", kind.name()), format!("topology.shards={shards}")];
            (self.tell)(&format!("{} x {shards}:", kind.name()));
            // No cell without a cluster.
            let clusters = self.question.upto.axis == Axis::Clusters;
            let min = if clusters { u64::from(*shards).min(self.question.upto.max) } else { self.min };
            let (search, probes) = self.search(&with, self.search_from(min), None)?;
            all.push(size(*kind, *shards, self.knee(&search), &probes));
        }
        Ok(all)
    }
}

type Probes = BTreeMap<u64, (Probe, RunRecord)>;

fn size(kind: TopologyKind, shards: u32, knee: Knee, probes: &Probes) -> Size {
    let at = |size: Option<u64>| size.and_then(|size| probes.get(&size)).map(|(probe, _)| probe);
    Size {
        topology: kind.name(),
        shards,
        knee,
        most_used: at(knee.breaks.or(knee.holds)).and_then(|probe| probe.used.first().cloned()),
        takes: at(knee.holds).map(|probe| probe.takes.clone()),
    }
}

/// Constants of the model, and how many of them are assumed; the same in every probe.
fn constants(probes: &Probes) -> [u64; 2] {
    let Some((_, record)) = probes.values().next() else { return [0, 0] };
    let all = &record.assumptions;
    let assumed = all.iter().filter(|assumption| assumption.kind == AssumptionKind::Assumed);
    [all.len() as u64, assumed.count() as u64]
}

fn takes(scenario: &Scenario, world: &World, record: &RunRecord) -> Takes {
    let over = record.time.simulated_s.unwrap_or(record.time.wall_s).max(1e-9);
    let of = |role: Role| record.processes.iter().filter(move |process| process.role == role);
    let most = |role: Role, get: fn(&ProcessRecord) -> Option<u64>| of(role).filter_map(get).max().unwrap_or(0);
    let layout = Layout::of(world, &scenario.topology);
    let members = topology::members(world, &scenario.topology);
    Takes {
        managers: record.counts.managers,
        hub_cores: of(Role::Hub).map(|hub| hub.cpu_s).sum::<f64>() / over,
        hub_memory_bytes: of(Role::Hub).filter_map(|hub| hub.rss_max_bytes).sum(),
        manager_cores: of(Role::Manager).map(|manager| manager.cpu_s).fold(0.0, f64::max) / over,
        manager_memory_bytes: most(Role::Manager, |manager| manager.rss_max_bytes),
        manager_objects: most(Role::Manager, |manager| manager.cached_objects_max),
        real_memory_bytes: layout.bill(&members).hubs.memory_bytes,
    }
}
