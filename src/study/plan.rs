//! How far does it go, what stops it, and what would stop it next.
//!
//! In: a scenario, what must hold, what is made larger and how far; and somebody who plays scenarios in virtual time. Out: a
//! [`Plan`], equal for equal inputs. It draws nothing and knows no clock.
//!
//! ```text
//! axis    what is made larger, as overrides        search  which sizes to try, and where it ends
//! slo     what must hold, and how far from it      lift    what widens a limit or varies a constant
//! check   a size played with real processes
//! words   the answer in five sentences and tables
//! ```
//!
//! A trial goes on until the last change is as old as the longest time that is allowed: whatever is open then has broken
//! the limit for certain. Nothing at rest is played, for it comes after every change.
//!
//! What is used up is not always what stops it: workers that wait for an API server are busy too. So everything that was
//! used for the most part is widened in turn, and the limit is what made the times shorter.

mod axis;
mod check;
mod lift;
mod search;
mod slo;
mod words;

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
use lift::Lift;
use search::{Bracket, Search};
use serde::Serialize;
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

/// A trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Probe {
    /// Of what the plan makes larger.
    pub size: u64,
    /// Overrides beside those of the size.
    pub with: Vec<String>,
    /// Clusters.
    pub clusters: u64,
    /// Apps of the install.
    pub apps: u64,
    /// Whether everything held.
    pub holds: bool,
    /// What must hold, and what it came to.
    pub slos: Vec<Held>,
    /// The run neither got stuck nor grew a backlog.
    pub ended: bool,
    /// What was used, most first.
    pub used: Vec<Limit>,
    /// What it took.
    pub takes: Takes,
}

/// What the control plane takes while the changes are made, all modelled.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Takes {
    /// Managers.
    pub managers: u64,
    /// Cores busy on average, all hubs.
    pub hub_cores: f64,
    /// Memory of all hubs' API servers, bytes.
    pub hub_memory_bytes: u64,
    /// Cores busy on average, the busiest process of managers.
    pub manager_cores: f64,
    /// Memory of the largest process of managers, bytes.
    pub manager_memory_bytes: u64,
    /// Objects in its caches.
    pub manager_objects: u64,
    /// Memory of everything on hubs as the real programs took it at rest, bytes.
    pub real_memory_bytes: u64,
}

/// A limit that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// What was used up, with evidence.
    pub limit: Limit,
    /// In words.
    pub named: String,
    /// What was changed to make sure; null where a scenario has no such number.
    pub lifted: Option<String>,
    /// At this size.
    pub at: u64,
    /// So much of what is allowed was used before and after: the limits that were tried, the best first.
    pub tried: Vec<Tried>,
}

/// What widening something brought.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tried {
    /// What.
    pub named: String,
    /// The override in words.
    pub lifted: String,
    /// The share of what is allowed that was used before.
    pub before: f64,
    /// And with it; null is more than could be seen.
    pub after: Option<f64>,
    #[serde(skip)]
    sets: Vec<String>,
    #[serde(skip)]
    limit: Limit,
}

/// Where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Knee {
    /// The last size that holds; null when none does.
    pub holds: Option<u64>,
    /// The first that does not; null when all do.
    pub breaks: Option<u64>,
}

/// The next limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Next {
    /// Where it ends with the first limit out of the way.
    pub knee: Knee,
    /// What is used most then, and its name in words.
    pub used: Option<(String, Limit)>,
}

/// What a topology takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Size {
    /// `single`, `sharded`, `cells`, `hub-and-spoke`.
    pub topology: &'static str,
    /// Managers or cells.
    pub shards: u32,
    /// Where it ends.
    pub knee: Knee,
    /// What is used most where it ends.
    pub most_used: Option<Limit>,
    /// What it takes at the last size that holds.
    pub takes: Option<Takes>,
}

/// What a constant does to the answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sensitive {
    /// Its path in the scenario.
    pub id: String,
    /// Its value.
    pub value: String,
    /// Another value.
    pub other: String,
    /// How much of what is allowed is used then, over how much was; null is more than could be seen.
    pub ratio: Option<f64>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Name of the scenario.
    pub scenario: String,
    /// What was made larger.
    pub axis: Axis,
    /// How far at most.
    pub max: u64,
    /// What must hold.
    pub slo: Vec<String>,
    /// The answer in five sentences.
    pub sentences: Vec<String>,
    /// Where it ends.
    pub knee: Knee,
    /// The size as the scenario is written.
    pub written: Option<u64>,
    /// The knee over that size; null when unknown.
    pub headroom: Option<f64>,
    /// What stops it; null when nothing did.
    pub limit: Option<Found>,
    /// What would stop it next.
    pub next: Option<Next>,
    /// Sizes that hold although a smaller one does not: the search rests on there being none.
    pub exceptions: Vec<u64>,
    /// All trials by size.
    pub probes: Vec<Probe>,
    /// Topologies and how far they go.
    pub sizing: Vec<Size>,
    /// What constants that nobody measured do to the times, if it was asked; largest effect first.
    pub sensitivity: Vec<Sensitive>,
    /// The size at which constants were varied.
    pub varied_at: Option<u64>,
    /// Constants that the answer rests on, and how many of them nobody measured.
    pub constants: [u64; 2],
    /// What real processes say of it, if they were asked.
    pub check: Option<Check>,
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

/// Something is used for the most part from here on.
const MOSTLY: f64 = 0.5;
/// So many things are widened in turn.
const SUSPECTS: usize = 4;
/// What is widened is the limit if times get shorter by so much.
const HELPS: f64 = 0.95;
/// The search for what comes behind the limit is not as fine.
const COARSE: f64 = 0.2;

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
/// downwards. `None` if nothing held, or nothing fits.
///
/// # Errors
/// When it cannot be played, or the user stops it.
pub fn check(
    source: &Source,
    question: &Question,
    knee: Knee,
    (play, live): (&Play<'_>, &Play<'_>),
    fits: impl Fn(&Scenario, &World) -> bool,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Option<Check>, PlanError> {
    let planner = Planner::new(source, question, 1, play, tell)?;
    let Some(holds) = knee.holds else { return Ok(None) };
    for size in planner.checkable(holds) {
        let scenario = planner.scenario(size, &[])?;
        if fits(&scenario, &World::generate(&scenario)) {
            let tell_live = |line: &str| tell(&format!("live: {line}"));
            let live = Planner::new(source, question, 1, live, &tell_live)?;
            return planner.check(&live, size).map(Some);
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

    /// A size at which widening something tells as much as at the end, and costs less: times grow in proportion from there.
    fn representative<'p>(&self, knee: &Knee, probes: &'p Probes) -> Option<&'p Probe> {
        let score = |probe: &Probe| slo::trial(&probe.slos, probe.ended).score;
        let last = &probes.get(&knee.holds?)?.0;
        let most = score(last)?;
        let tells = |probe: &&Probe| {
            let share = score(probe).unwrap_or(0.0) / most;
            let expected = probe.size as f64 / last.size as f64;
            probe.holds && expected >= 0.1 && (0.7..1.4).contains(&(share / expected))
        };
        let falls = self.question.upto.axis.falls();
        probes.values().map(|(probe, _)| probe).filter(|_| !falls).find(tells).or(Some(last))
    }

    /// What stops it: everything that was used for the most part where it broke is widened in turn.
    fn limit(&self, knee: &Knee, probes: &Probes) -> Result<Option<Found>, PlanError> {
        let (Some(breaks), Some(at)) = (knee.breaks, self.representative(knee, probes)) else { return Ok(None) };
        let Some((broke, _)) = probes.get(&breaks) else { return Ok(None) };
        let memory = broke.slos.iter().find(|held| !held.holds && !is_time(&held.name));
        let Some(most) = broke.used.first() else { return Ok(None) };
        if let Some(memory) = memory.filter(|_| broke.slos.iter().all(|held| held.holds || !is_time(&held.name))) {
            return Ok(Some(held_back(memory, breaks)));
        }
        let mut suspects: Vec<(&Limit, Lift)> = Vec::new();
        for limit in broke.used.iter().filter(|limit| limit.share >= MOSTLY) {
            let lift = lift::limit(&self.base, limit);
            if let Some(lift) = lift.filter(|lift| suspects.iter().all(|(_, known)| known != lift)) {
                suspects.push((limit, lift));
            }
        }
        suspects.truncate(SUSPECTS);
        let wanted: Vec<_> = suspects.iter().map(|(_, lift)| (at.size, lift.sets.clone())).collect();
        let before = slo::trial(&at.slos, at.ended).score.unwrap_or(1.0);
        let tried = suspects.iter().zip(self.probes(&wanted)?).map(|((limit, lift), (probe, _))| Tried {
            named: lift::named(&self.base, limit),
            lifted: lift.words.clone(),
            before,
            after: slo::trial(&probe.slos, probe.ended).score,
            sets: lift.sets.clone(),
            limit: (*limit).clone(),
        });
        let mut tried: Vec<Tried> = tried.collect();
        tried.sort_by(|a, b| a.after.unwrap_or(f64::MAX).total_cmp(&b.after.unwrap_or(f64::MAX)));
        let best = tried.first().filter(|tried| tried.after.is_some_and(|after| after < HELPS * before));
        let limit = best.map_or_else(|| most.clone(), |best| best.limit.clone());
        let named = lift::named(&self.base, &limit);
        Ok(Some(Found { named, limit, lifted: best.map(|best| best.lifted.clone()), at: at.size, tried }))
    }

    /// Where it would end with the limit out of the way.
    fn next(&self, found: &Found, knee: &Knee) -> Result<Option<Next>, PlanError> {
        let (Some(_), Some(best), Some(holds)) = (&found.lifted, found.tried.first(), knee.holds) else {
            return Ok(None);
        };
        let falls = self.question.upto.axis.falls();
        let place = self.size(holds);
        if place >= self.question.upto.max {
            return Ok(None);
        }
        // It held without the help. What the help brings where it was tried says where to look.
        let grown = holds as f64 / found.at as f64;
        let score = best.after.map(|after| after * grown).filter(|score| *score < 1.0 && !falls);
        let known = search::Trial { holds: true, score };
        let hint = best.after.filter(|_| !falls).map(|after| holds as f64 * best.before / after);
        let search = Search::new(place, self.question.upto.max, COARSE, place).unchecked(hint);
        let (search, probes) = self.search(&best.sets, search, Some((place, known)))?;
        let knee = self.knee(&search);
        let end = knee.breaks.or(knee.holds).and_then(|size| probes.get(&size));
        let used = end.and_then(|(probe, _)| probe.used.first().cloned());
        Ok(Some(Next { knee, used: used.map(|limit| (lift::named(&self.base, &limit), limit)) }))
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

fn is_time(name: &str) -> bool {
    !name.contains('.') || name.starts_with("end_to_end")
}

/// The user's own limit stops it, before any time does.
fn held_back(held: &Held, at: u64) -> Found {
    let named = format!("the limit of {}", held.name);
    let share = held.value.map_or(1.0, |value| value / held.most);
    let evidence = format!("{:.0}% of what is allowed would be needed, and all times hold", share * 100.0);
    let (place, resource) = held.name.split_once('.').unwrap_or(("", &held.name));
    let limit = Limit { resource: resource.to_owned(), place: place.to_owned(), share: share.min(1.0), evidence };
    Found { limit, named, lifted: None, at, tried: Vec::new() }
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
