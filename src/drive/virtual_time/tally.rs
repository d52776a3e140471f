//! Calls counted in a flat table: a count is one addition.

use crate::calls::{CallKey, Kind, Op, Tally, Target, Verb};

const VERBS: [Verb; 9] = [
    Verb::Get,
    Verb::List,
    Verb::Watch,
    Verb::Create,
    Verb::Update,
    Verb::Patch,
    Verb::Apply,
    Verb::Delete,
    Verb::Discover,
];
/// The codes that the rules give; the last place is for no answer.
const CODES: [u16; 7] = [200, 201, 404, 409, 422, 429, 0];

/// Calls of one role.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    kinds: usize,
    table: Vec<u64>,
    /// Places counted up since somebody wanted to have them.
    log: Option<Vec<u32>>,
}

impl Counts {
    pub(super) fn new() -> Self {
        let kinds = Kind::all().count();
        Self { kinds, table: vec![0; 2 * VERBS.len() * kinds * 4 * CODES.len()], log: None }
    }

    /// Counts a call.
    pub(super) fn add<B>(&mut self, op: &Op<B>, code: u16) {
        self.add_key(op.target, op.verb, op.kind, (op.status, op.dry_run), code);
    }

    pub(super) fn add_key(&mut self, target: Target, verb: Verb, kind: Kind, flags: (bool, bool), code: u16) {
        let code = CODES.iter().position(|c| *c == code).unwrap_or(CODES.len() - 1);
        let row = (usize::from(target == Target::Leaf) * VERBS.len() + verb as usize) * self.kinds + kind.index();
        let place = (row * 4 + usize::from(flags.0) * 2 + usize::from(flags.1)) * CODES.len() + code;
        self.table[place] += 1;
        if let Some(log) = &mut self.log {
            log.push(u32::try_from(place).unwrap_or(u32::MAX));
        }
    }

    /// Keeps what is counted from now on.
    pub(super) fn listen(&mut self) {
        self.log = Some(Vec::new());
    }

    /// What was counted since somebody listened: places of the table, and how much each grew.
    pub(super) fn heard(&mut self) -> Vec<(u32, u64)> {
        let mut places = self.log.take().unwrap_or_default();
        places.sort_unstable();
        places.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u64)).collect()
    }

    /// Counts the same again, so many times.
    pub(super) fn add_again(&mut self, grown: &[(u32, u64)], times: u64) {
        for (place, count) in grown {
            self.table[*place as usize] += count * times;
        }
    }

    /// Adds the calls of others.
    pub(super) fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.table.iter_mut().zip(&other.table) {
            *ours += theirs;
        }
    }

    /// The same in the words of the record.
    pub(super) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        // Nearly all of it is empty.
        for (place, count) in self.table.iter().enumerate().filter(|(_, count)| **count > 0) {
            let (row, code) = (place / CODES.len(), CODES[place % CODES.len()]);
            let (status, dry_run) = (row & 2 != 0, row & 1 != 0);
            let (verb, kind) = (row / 4 / self.kinds, row / 4 % self.kinds);
            let target = if verb < VERBS.len() { Target::Hub } else { Target::Leaf };
            let verb = VERBS[verb % VERBS.len()];
            let kind = Kind::all().nth(kind).filter(|_| verb != Verb::Discover);
            tally.add_key(CallKey { target, verb, kind, status, dry_run, code }, *count);
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told_by_the_same_key() {
        let mut counts = Counts::new();
        for (n, verb) in VERBS.into_iter().enumerate() {
            assert_eq!(verb as usize, n, "the table is in the order of the verbs");
            for (kind, code) in [(Kind::APPLICATION, 200), (Kind::CUSTOM_RESOURCE_DEFINITION, 404), (Kind::EVENT, 0)] {
                counts.add_key(Target::Leaf, verb, kind, (true, false), code);
            }
        }
        let tally = counts.tally();
        assert_eq!(tally.total(), 27);
        for (key, _) in tally.iter() {
            assert_eq!((key.target, key.status, key.dry_run), (Target::Leaf, true, false));
        }
        assert_eq!(tally.iter().filter(|(key, n)| key.kind.is_none() && *n == 1).count(), 3, "of discovery, by code");
    }
}
