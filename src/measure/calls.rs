//! What only a process itself can count: its calls, bytes, connections, watches, objects.
//!
//! In: a tally of a machine, or what a server or client counted. Out: the same in the words of the record. Pure.

use crate::calls::{Tally, Target, Verb};

/// Calls of one kind: made by a client, served by a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct CallCount {
    /// Which API server.
    pub target: Target,
    /// What the call did.
    pub verb: Verb,
    /// Plural name of the resource, empty for discovery and the like.
    pub resource: String,
    /// `status`, or empty.
    pub subresource: String,
    /// `dryRun=All`.
    pub dry_run: bool,
    /// HTTP status, 0 when there was no answer.
    pub code: u16,
    /// How many.
    pub count: u64,
}

/// What one process counted. `None` where it cannot know.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Figures {
    /// Calls.
    pub calls: Vec<CallCount>,
    /// Bytes read from sockets.
    pub bytes_in: Option<u64>,
    /// Bytes written to sockets.
    pub bytes_out: Option<u64>,
    /// Most connections open at the same time.
    pub connections_max: Option<u64>,
    /// Most watches open at the same time.
    pub watches_max: Option<u64>,
    /// Most objects held at the same time: in the stores of a server, in the caches of a client.
    pub cached_objects_max: Option<u64>,
    /// Watch events sent or received.
    pub watch_events: u64,
}

impl Figures {
    /// The calls of a machine's tally.
    #[must_use]
    pub fn of_tally(tally: &Tally) -> Self {
        let call = |(key, count): (crate::calls::CallKey, u64)| CallCount {
            target: key.target,
            verb: key.verb,
            resource: key.kind.map_or_else(String::new, |kind| kind.info().plural.to_owned()),
            subresource: if key.status { "status".to_owned() } else { String::new() },
            dry_run: key.dry_run,
            code: key.code,
            count,
        };
        Self { calls: tally.iter().map(call).collect(), ..Self::default() }
    }

    /// All calls.
    #[must_use]
    pub fn total_calls(&self) -> u64 {
        self.calls.iter().map(|call| call.count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::{CallKey, Kind};

    #[test]
    fn a_tally_is_told_in_the_words_of_the_record() {
        let mut tally = Tally::default();
        let key = CallKey {
            target: Target::Leaf,
            verb: Verb::Apply,
            kind: Some(Kind::KUSTOMIZATION),
            status: true,
            dry_run: false,
            code: 201,
        };
        tally.add_key(key, 3);
        tally.add_key(CallKey { verb: Verb::Discover, kind: None, ..key }, 1);
        let figures = Figures::of_tally(&tally);
        let words: Vec<_> =
            figures.calls.iter().map(|c| (c.resource.as_str(), c.subresource.as_str(), c.count)).collect();
        assert_eq!((words, figures.total_calls()), (vec![("kustomizations", "status", 3), ("", "status", 1)], 4));
    }
}
