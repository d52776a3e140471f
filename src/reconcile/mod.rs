//! The loopback reconciler: what an Argo CD Application with the Flux subsystem asks for, and which calls bring it about.
//!
//! In: an Application as JSON (translation), or the few facts of it that count (the machine), and time as an argument.
//! Out: two Flux documents, or batches of calls and an outcome. Everything here is pure: no clock, no randomness, no
//! socket, and inside the machine no JSON either. The live rim (`drive::live::manager`) and the virtual one
//! (`drive::virtual_time`) run the same machines.
//!
//! ```text
//! translate  Application -> Plan (mode, kinds, names, documents)      values  helm.values + helm.parameters
//! compare    does the live object have what the document asks for     health  of an object, of an app
//! status     the Application's status as a value                      render  the same as JSON
//! machine    Reconcile: step(replies, now) -> calls | outcome         queue   client-go's work queue, resync, limiter
//! agenda     why an app is looked at, and when again
//! relay      an Application on a hub and its copy on a leaf
//! ```

mod agenda;
mod compare;
mod health;
mod limiter;
mod machine;
mod queue;
pub mod relay;
pub mod render;
mod status;
mod translate;
mod values;

pub use agenda::{Agenda, Glance};
pub use compare::{LAST_APPLIED, apply_patch, covers};
pub use health::{Facts, Health, Ready, assess, worst};
pub use limiter::TokenBucket;
pub use machine::{
    App, Batch, Body, DETAIL_DELAY, Ids, Next, Outcome, POLL, Reconcile, Rules, Seen, SourceRef, Verdict, View, Why,
};
pub use queue::{Backoff, Queue, Resync};
pub use status::{Phase, Problem, Resource, Status, Sync, Urgency};
pub use translate::{Mode, Plan, Slot, TranslateError, flux_version, mode, translate};
pub use values::ValuesError;

use crate::calls::ContentId;

/// The fingerprint of a text or document: equal content, equal id. Empty content is the default id.
#[must_use]
pub fn fingerprint(bytes: &[u8]) -> ContentId {
    if bytes.is_empty() {
        return ContentId::default();
    }
    let mut hasher = rustc_hash::FxHasher::default();
    std::hash::Hasher::write(&mut hasher, bytes);
    ContentId(std::hash::Hasher::finish(&hasher) | 1)
}
