//! Is it worse: runs of two programs (or settings) in pairs, a verdict per metric that has a budget.
//!
//! In: budgets, then pairs of results. Out: whether another pair is wanted and which side goes first, at last
//! [`Gated`]. Never: a process, a file, a clock.
//!
//! What may go wrong in a gate is one false alarm in any metric, so the certainty is shared out: with `m` metrics each
//! interval is wrong on the bad side once in `m / FALSE_ALARM`. Pairs are added until every interval is as narrow as
//! asked, which depends on how the runs scatter and not on which side wins. A pair during which somebody else used the
//! machine says nothing about clocked metrics and is not used for them.

use super::interval::Ratio;
use super::metrics::{self, Better, Class, Metric};
use super::trials::{at_least, paired, predicted};
use super::{Question, Refusal, Verdict, fit, overall};
use crate::record::{Clock, Stored};
use crate::seed::Seed;
use serde::Serialize;
use serde_json::Value;

/// Gates that fail although nothing changed, all metrics together: 1 %.
pub const FALSE_ALARM: f64 = 0.01;

/// What is judged where nobody says what: time, calls, CPU and memory, in shares of more. The times of a live run scatter
/// most.
pub const USUAL: [(&str, f64); 6] = [
    ("time.all_healthy", 0.10),
    ("latency.end_to_end.p50", 0.10),
    ("latency.end_to_end.p99", 0.10),
    ("calls.per_app", 0.02),
    ("processes.manager.cpu", 0.05),
    ("processes.rss_max", 0.10),
];

/// A metric and how much worse it may get.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// Its name; the unit at the end may be left out.
    pub metric: String,
    /// A share: 0.05 is 5 %.
    pub share: f64,
}

/// How hard it tries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// Pairs at least.
    pub min: usize,
    /// Pairs at most.
    pub max: usize,
    /// How wide an interval may be to either side, as a share: a regression of the budget and so much more is found.
    pub precision: f64,
}

/// Where the base comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// It is run now, in turns with the head.
    Interleaved,
    /// One result from earlier.
    Stored,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Run another pair.
    Pair {
        /// The head runs before the base: the sides take turns in going first.
        head_first: bool,
    },
    /// Nothing: there is enough to answer, or there have been as many as there may be.
    Done,
}

/// Why a gate cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// The results do not compare.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A budget for something that is not measured.
    #[error("there is no metric `{name}` in these runs{}", near.as_ref().map_or_else(String::new, |near| format!("; did you mean `{near}`?")))]
    Unknown {
        /// What was asked.
        name: String,
        /// What it may have meant.
        near: Option<String>,
    },
    /// No budget at all.
    #[error("no metric has a budget: add some under spec.gate of the scenario, or with --budget")]
    Nothing,
}

/// A gate under way.
#[derive(Debug)]
pub struct Gate {
    budgets: Vec<Budget>,
    effort: Effort,
    against: Against,
    question: Question,
    seed: Seed,
    simulated: bool,
    pairs: Vec<Pair>,
    conditions: Vec<String>,
    broken: Option<String>,
}

/// How the interval of pairs is come by.
type Interval = fn(&[f64], f64, Seed) -> Option<Ratio>;

/// What a pair says of the metrics with budgets, in their order.
#[derive(Debug)]
struct Pair {
    metrics: Vec<Metric>,
    disturbed: bool,
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Gated {
    /// Regressed if any metric is; else inconclusive if any is; else better if any is; else the same.
    pub verdict: Verdict,
    /// Why the head did not even end, where the base did.
    pub broken: Option<String>,
    /// Every metric with a budget.
    pub metrics: Vec<Metric>,
    /// Pairs that were run.
    pub pairs: usize,
    /// Of those, with somebody else on the machine.
    pub disturbed: usize,
    /// What must be known to trust this.
    pub conditions: Vec<String>,
}

impl Gate {
    /// A gate without runs. The sides may differ in the paths of the scenario that `across` names, and no others.
    ///
    /// # Errors
    /// When nothing has a budget.
    pub fn new(
        budgets: Vec<Budget>,
        effort: Effort,
        against: Against,
        across: Vec<String>,
        seed: Seed,
    ) -> Result<Self, GateError> {
        if budgets.is_empty() {
            return Err(GateError::Nothing);
        }
        let seed = seed.child("gate");
        let question = Question { across, ..Question::default() };
        let (pairs, conditions) = (Vec::new(), Vec::new());
        Ok(Self { budgets, effort, against, question, seed, simulated: false, pairs, conditions, broken: None })
    }

    /// Whether results like this one have every metric that has a budget.
    ///
    /// # Errors
    /// When one is missing.
    pub fn knows(&self, result: &Stored) -> Result<(), GateError> {
        let all = metrics::all(result, result, 1, 0.0);
        self.budgets.iter().try_for_each(|budget| find(&all, &budget.metric).map(drop))
    }

    /// Takes a pair.
    ///
    /// # Errors
    /// When the results do not compare, or have no metric of a budget's name. The gate is as before then.
    pub fn take(&mut self, base: &Stored, head: &Stored) -> Result<(), GateError> {
        fit::fits(base, base, 1, &self.question)?;
        fit::fits(base, head, 2, &self.question)?;
        let all = metrics::all(base, head, 1, 0.0);
        let metrics = self.budgets.iter().map(|budget| find(&all, &budget.metric)).collect::<Result<_, _>>()?;
        self.simulated = base.record.clock == Clock::Virtual;
        let disturbed =
            !self.simulated && [base, head].into_iter().any(|result| metrics::was_disturbed(&result.record));
        self.pairs.push(Pair { metrics, disturbed });
        self.conditions = fit::size(&base.record);
        self.conditions.extend(fit::doubts(&[&base.record, &head.record]));
        Ok(())
    }

    /// The base's run ended and the head's did not: nothing more needs to be asked.
    pub fn broke(&mut self, why: String) {
        self.broken = Some(why);
    }

    /// Pairs so far.
    #[must_use]
    pub fn pairs(&self) -> usize {
        self.pairs.len()
    }

    /// What is to be done next. A simulated run happens the same way every time, so one pair is enough.
    #[must_use]
    pub fn step(&self) -> Step {
        if self.broken.is_some() {
            return Step::Done;
        }
        let (have, clean) = (self.pairs.len(), self.clean().count());
        let enough = if self.simulated && have > 0 { 1 } else { self.effort.min };
        let precise = |interval| self.judged(interval).all(|metric| self.is_precise(&metric));
        if have >= self.effort.max.max(enough) || (clean >= enough && precise(at_least) && precise(paired)) {
            return Step::Done;
        }
        // A-B, B-A, A-B: what one side gains by going second, the other gains next time.
        Step::Pair { head_first: have % 2 == 1 }
    }

    fn clean(&self) -> impl Iterator<Item = &Pair> {
        self.pairs.iter().filter(|pair| !pair.disturbed)
    }

    fn is_precise(&self, metric: &Metric) -> bool {
        match metric.interval {
            Some([Some(low), Some(high)]) => self.is_narrow(low, high),
            Some(_) => false,
            None => true,
        }
    }

    /// An interval of a ratio that reaches no further to either side than asked.
    fn is_narrow(&self, low: f64, high: f64) -> bool {
        high / low <= (1.0 + self.effort.precision) * (1.0 + self.effort.precision)
    }

    /// The answer that the pairs so far give.
    #[must_use]
    pub fn answer(&self) -> Gated {
        let metrics: Vec<Metric> = self.judged(paired).collect();
        Gated {
            verdict: match &self.broken {
                Some(_) => Verdict::Regressed,
                None if metrics.is_empty() => Verdict::Inconclusive,
                None => overall(metrics.iter().map(|metric| metric.verdict)),
            },
            broken: self.broken.clone(),
            metrics,
            pairs: self.pairs.len(),
            disturbed: self.pairs.iter().filter(|pair| pair.disturbed).count(),
            conditions: self.told(),
        }
    }

    fn told(&self) -> Vec<String> {
        let mut told = self.conditions.clone();
        if !self.simulated {
            told.push(format!(
                "intervals hold together with {:.0}% certainty; a regression is found if it exceeds its budget by {:.1}%",
                (1.0 - FALSE_ALARM) * 100.0,
                self.effort.precision * 100.0
            ));
        }
        told
    }

    fn judged(&self, interval: Interval) -> impl Iterator<Item = Metric> {
        let known = self.pairs.first().map(|pair| pair.metrics.as_slice()).unwrap_or_default();
        known.iter().enumerate().map(move |(at, metric)| self.judge(at, metric, interval))
    }

    fn judge(&self, at: usize, any: &Metric, interval: Interval) -> Metric {
        let budget = self.budgets[at].share;
        let every = self.pairs.iter().map(|pair| &pair.metrics[at]);
        // Memory and counts do not care who else is busy.
        let used: Vec<&Metric> =
            if any.unit == "s" { self.clean().map(|pair| &pair.metrics[at]).collect() } else { every.collect() };
        let mut judged = Metric { budget: Some(budget), n: used.len() as u64, ..any.clone() };
        judged.base = middle(used.iter().map(|metric| &metric.base));
        judged.head = middle(used.iter().map(|metric| &metric.head));
        let found = if judged.class == Class::Exact { exact(&used) } else { self.noisy(&used, at, interval) };
        let (ratio, verdict, why) = match found {
            Ok(ratio) => {
                let (verdict, why) = self.verdict(ratio, judged.better, budget);
                (Some(ratio), verdict, why)
            }
            Err((verdict, why)) => (None, verdict, why.to_owned()),
        };
        let bound = |value: f64| value.is_finite().then_some(value);
        judged.ratio = ratio.map(|ratio| ratio.value);
        judged.interval = ratio.map(|ratio| [bound(ratio.low), bound(ratio.high)]);
        Metric { verdict, why, ..judged }
    }

    fn noisy(&self, used: &[&Metric], at: usize, interval: Interval) -> Result<Ratio, (Verdict, &'static str)> {
        if self.against == Against::Stored && used.first().is_some_and(|metric| metric.unit != "1") {
            let why = "clocked then and now; give a binary or a revision, which runs in turns with this one";
            return Err((Verdict::Inconclusive, why));
        }
        if used.is_empty() {
            return Err((Verdict::Inconclusive, "somebody else used the machine during every pair"));
        }
        let logs = used.iter().map(|metric| {
            let [base, head] = [&metric.base, &metric.head].map(|value| value.as_f64().unwrap_or_default());
            (base > 0.0 && head > 0.0).then(|| libm::log(head / base))
        });
        let Some(logs) = logs.collect::<Option<Vec<f64>>>() else { return exact(used) };
        // Half of what may go wrong lies on the good side, which is no alarm.
        let level = 1.0 - 2.0 * FALSE_ALARM / self.budgets.len() as f64;
        let ratio = match self.against {
            Against::Interleaved if logs.len() < self.effort.min => None,
            Against::Interleaved => interval(&logs, level, self.seed.entity(at as u64)),
            Against::Stored => predicted(&logs, level),
        };
        ratio.ok_or((Verdict::Inconclusive, "too few runs that nobody disturbed"))
    }

    fn verdict(&self, ratio: Ratio, better: Better, budget: f64) -> (Verdict, String) {
        // As if less were always better; what may go neither way is worse on both sides.
        let Ratio { low, high, .. } = match better {
            Better::Lower => ratio,
            Better::Higher => Ratio { value: 1.0 / ratio.value, low: 1.0 / ratio.high, high: 1.0 / ratio.low },
            Better::None if ratio.value < 1.0 => Ratio { value: 0.0, low: 1.0 / ratio.high, high: 1.0 / ratio.low },
            Better::None => ratio,
        };
        let precision = self.effort.precision;
        let percent = |share: f64| format!("{:.1}%", share * 100.0);
        if low > 1.0 + budget {
            return (Verdict::Regressed, format!("worse by at least {}", percent(low - 1.0)));
        }
        if high < 1.0 && better != Better::None {
            return (Verdict::Better, format!("better by at least {}", percent(1.0 - high)));
        }
        if high <= 1.0 + budget {
            return (Verdict::Same, format!("worse by at most {}", percent((high - 1.0).max(0.0))));
        }
        if self.is_narrow(low, high) {
            return (Verdict::Same, format!("not worse; {} more than the budget would show", percent(precision)));
        }
        (
            Verdict::Inconclusive,
            "the runs scatter too much: more pairs, a longer scenario, or a quieter machine".to_owned(),
        )
    }
}

/// What is counted alike in every run: the worst pair counts.
fn exact(used: &[&Metric]) -> Result<Ratio, (Verdict, &'static str)> {
    if used.iter().all(|metric| metric.base == metric.head) {
        return Err((Verdict::Same, "equal"));
    }
    let ratios = used.iter().map(|metric| match (metric.base.as_f64()?, metric.head.as_f64()?) {
        (base, head) if base > 0.0 && head > 0.0 => Some(head / base),
        (base, head) => (base == head).then_some(1.0),
    });
    let Some(ratios) = ratios.collect::<Option<Vec<f64>>>() else { return Err(incomparable(used)) };
    let badness = |ratio: &f64| match used[0].better {
        Better::Lower => libm::log(*ratio),
        Better::Higher => -libm::log(*ratio),
        Better::None => libm::fabs(libm::log(*ratio)),
    };
    let worst = ratios.into_iter().max_by(|one, other| badness(one).total_cmp(&badness(other))).unwrap_or(1.0);
    Ok(Ratio { value: worst, low: worst, high: worst })
}

/// There is no ratio, and yet something to say.
fn incomparable(used: &[&Metric]) -> (Verdict, &'static str) {
    let numbers = |metric: &&Metric| Some((metric.base.as_f64()?, metric.head.as_f64()?));
    let worse = |(base, head)| match used[0].better {
        Better::Lower => head > base,
        Better::Higher => head < base,
        Better::None => head != base,
    };
    if used.iter().any(|metric| metric.base.is_string() && metric.base != metric.head) {
        (Verdict::Regressed, "other things happened")
    } else if used.iter().filter_map(numbers).any(worse) {
        (Verdict::Regressed, "one side has none")
    } else if used.iter().all(|metric| numbers(metric).is_some()) {
        (Verdict::Better, "one side has none")
    } else {
        (Verdict::Inconclusive, "only one side has it")
    }
}

/// The metric of a name, with or without its unit.
fn find(all: &[Metric], name: &str) -> Result<Metric, GateError> {
    let is = |metric: &&Metric| {
        let rest = metric.name.strip_prefix(name);
        rest.is_some_and(|rest| matches!(rest, "" | "_s" | "_bytes"))
    };
    all.iter().find(is).cloned().ok_or_else(|| {
        let close = |metric: &&Metric| strsim::jaro_winkler(&metric.name, name);
        let near = all.iter().max_by(|one, other| close(one).total_cmp(&close(other)));
        GateError::Unknown {
            name: name.to_owned(),
            near: near.filter(|near| close(near) > 0.8).map(|near| near.name.clone()),
        }
    })
}

/// The middle of several values; the first if they are no numbers.
fn middle<'a>(values: impl Iterator<Item = &'a Value> + Clone) -> Value {
    let mut numbers: Vec<&Value> = values.clone().filter(|value| value.is_number()).collect();
    numbers.sort_by(|one, other| one.as_f64().unwrap_or_default().total_cmp(&other.as_f64().unwrap_or_default()));
    numbers.get(numbers.len() / 2).copied().or_else(|| values.into_iter().next()).cloned().unwrap_or_default()
}

#[cfg(test)]
mod honesty;
#[cfg(test)]
mod tests;
