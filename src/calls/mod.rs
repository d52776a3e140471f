//! The words in which machines speak to API servers.
//!
//! A machine *asks* for a batch of [`Op`]s and is *told* a [`Reply`] to each; it never sees a socket, a URL or JSON.
//! Objects are opaque [`ObjectId`]s: the rim that runs the machine (live or virtual) knows what they stand for. `B` is
//! what a machine family writes (its bodies), `V` what it is shown of an object (its views).

mod kind;
mod tally;

pub use kind::{Kind, KindInfo, group_path};
pub use tally::{CallKey, Tally};

/// An object of some cluster. Opaque: live rims index a table with it, virtual ones compute it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub u64);

/// A fingerprint of an object's content: everything but status and server-set metadata. Equal ids mean equal content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId(pub u64);

/// Which API server a call goes to.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The management cluster.
    Hub,
    /// The managed cluster.
    Leaf,
}

/// What a call does.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// GET of one object.
    Get,
    /// GET of a collection.
    List,
    /// GET of a collection with `watch`.
    Watch,
    /// POST.
    Create,
    /// PUT.
    Update,
    /// PATCH with a JSON, merge or strategic merge patch.
    Patch,
    /// PATCH by server-side apply.
    Apply,
    /// DELETE.
    Delete,
    /// GET of discovery, OpenAPI, health or version: no object.
    Discover,
}

/// How a deletion treats dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Propagation {
    /// The garbage collector removes them afterwards.
    Background,
    /// They go first; the object waits.
    Foreground,
    /// They stay.
    Orphan,
}

/// One API request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Op<B> {
    /// Which API server.
    pub target: Target,
    /// What to do.
    pub verb: Verb,
    /// The kind of the object or collection.
    pub kind: Kind,
    /// The object; for a list or watch the object whose collection is meant.
    pub object: ObjectId,
    /// The call goes to the `status` subresource.
    pub status: bool,
    /// `dryRun=All`: the whole pipeline, nothing stored.
    pub dry_run: bool,
    /// What is written.
    pub body: B,
}

/// The answer to one [`Op`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply<V> {
    /// The HTTP status; 0 when the call never got an answer (no connection, timeout).
    pub code: u16,
    /// What the machine family sees of the object, when there is one.
    pub object: Option<V>,
}

impl<V> Reply<V> {
    /// Whether the call did what it asked.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.code >= 200 && self.code < 300
    }

    /// Whether the object does not exist.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        self.code == 404
    }

    /// Whether somebody else wrote first.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        self.code == 409
    }

    /// Whether waiting may help: no answer, overload, a server's own failure.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        self.code == 0 || self.code == 429 || self.code >= 500
    }
}
