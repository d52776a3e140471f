//! Requests of API servers as the record counts them.
//!
//! In: what a server knows of a request. Out: the key under which it is counted, the same wherever the server is.

use crate::apiserver::request::Verb;
use crate::calls::{self, CallKey, Kind, Target};

/// What a request was about.
pub(super) struct About<'a> {
    pub(super) verb: Verb,
    pub(super) group: &'a str,
    pub(super) plural: &'a str,
    pub(super) subresource: &'a str,
    pub(super) dry_run: bool,
}

impl About<'_> {
    /// The key of a request to a kind of cluster that was answered with a code.
    pub(super) fn key(&self, target: Target, code: u16) -> CallKey {
        CallKey {
            target,
            verb: verb(self.verb),
            kind: Kind::find_plural(self.group, self.plural),
            status: self.subresource == "status",
            dry_run: self.dry_run,
            code,
        }
    }
}

const fn verb(verb: Verb) -> calls::Verb {
    match verb {
        Verb::Get => calls::Verb::Get,
        Verb::List => calls::Verb::List,
        Verb::Watch => calls::Verb::Watch,
        Verb::Create => calls::Verb::Create,
        Verb::Update => calls::Verb::Update,
        Verb::Patch => calls::Verb::Patch,
        Verb::Delete | Verb::DeleteCollection => calls::Verb::Delete,
    }
}
