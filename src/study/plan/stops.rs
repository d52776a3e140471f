//! What stops it, and what would stop it next.
//!
//! In: where it ends, and the trials on the way. Out: the limit, with what widening it brought; where it would end without.

use super::answer::{Found, Knee, Next, Probe, Tried};
use super::lift::{self, Lift};
use super::search::{self, Search};
use super::{Held, PlanError, Planner, Probes, slo};
use crate::measure::limit::Limit;

/// Something is used for the most part from here on.
const MOSTLY: f64 = 0.5;
/// So many things are widened in turn.
const SUSPECTS: usize = 4;
/// What is widened is the limit if times get shorter by so much.
const HELPS: f64 = 0.95;
/// The search for what comes behind the limit is not as fine.
const COARSE: f64 = 0.2;

impl Planner<'_> {
    /// A size at which widening something tells as much as at the end, and costs less: times grow in proportion from there.
    pub(super) fn representative<'p>(&self, knee: &Knee, probes: &'p Probes) -> Option<&'p Probe> {
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
    pub(super) fn limit(&self, knee: &Knee, probes: &Probes) -> Result<Option<Found>, PlanError> {
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
    pub(super) fn next(&self, found: &Found, knee: &Knee) -> Result<Option<Next>, PlanError> {
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
