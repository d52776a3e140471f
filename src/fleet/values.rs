//! Values laid over an add-on's own by scale steps. Apps with the same history share one set.

use std::collections::BTreeMap;

/// A set of values laid over an add-on's own. `ValuesId::NONE` lays nothing over them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValuesId(pub u32);

impl ValuesId {
    /// The empty set.
    pub const NONE: Self = Self(0);
}

/// What makes a set from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    /// The scale step at this index of the timeline.
    Step(usize),
    /// Churn, every odd and every even time.
    Churn(bool),
}

#[derive(Clone, Debug)]
struct Set {
    values: BTreeMap<String, String>,
    /// The set without churn's mark, and the mark.
    plain: u32,
    mark: Option<bool>,
}

/// All sets of a run.
#[derive(Clone, Debug)]
pub(super) struct ValueSets {
    sets: Vec<Set>,
    made: BTreeMap<(u32, Origin), u32>,
}

/// Name of the value that churn changes on add-ons with a single version.
const CHURN: &str = "churn";
/// Name of the value that carries a scale step's replicas.
const REPLICAS: &str = "replicas";

impl ValueSets {
    pub(super) fn new() -> Self {
        Self { sets: vec![Set { values: BTreeMap::new(), plain: 0, mark: None }], made: BTreeMap::new() }
    }

    pub(super) fn get(&self, id: ValuesId) -> &BTreeMap<String, String> {
        &self.sets[id.0 as usize].values
    }

    /// `base` with the values and replicas of a scale step over it.
    pub(super) fn scale(
        &mut self,
        base: ValuesId,
        step: usize,
        values: &BTreeMap<String, String>,
        replicas: Option<u32>,
    ) -> ValuesId {
        self.make(base.0, Origin::Step(step), |set| {
            set.values.extend(values.iter().map(|(name, value)| (name.clone(), value.clone())));
            set.values.extend(replicas.map(|replicas| (REPLICAS.to_owned(), replicas.to_string())));
            set.mark = None;
        })
    }

    /// `base` with churn's value changed: it alternates between two.
    pub(super) fn churn(&mut self, base: ValuesId) -> ValuesId {
        let Set { plain, mark, .. } = self.sets[base.0 as usize];
        let mark = !mark.unwrap_or(false);
        self.make(plain, Origin::Churn(mark), |set| {
            set.values.insert(CHURN.to_owned(), if mark { "odd" } else { "even" }.to_owned());
            set.mark = Some(mark);
        })
    }

    fn make(&mut self, base: u32, origin: Origin, change: impl FnOnce(&mut Set)) -> ValuesId {
        if let Some(&id) = self.made.get(&(base, origin)) {
            return ValuesId(id);
        }
        let id = crate::ids::DocId::from_index(self.sets.len()).0;
        let mut set = self.sets[base as usize].clone();
        change(&mut set);
        set.plain = if set.mark.is_some() { base } else { id };
        self.sets.push(set);
        self.made.insert((base, origin), id);
        ValuesId(id)
    }
}
