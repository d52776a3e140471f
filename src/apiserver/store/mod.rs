//! What one cluster keeps of one resource: the objects, their recent history, and who watches.
//!
//! In: committed versions, in resourceVersion order. Out: reads at the current or a recent version, and subscriptions.
//! Never: rules (they stand in `life` and `clusters`), a socket, a task or a timer per watch.
//!
//! A subscription is a cursor into the history, not a queue: publishing appends one entry and wakes; an idle watch is
//! its cursor, a waker and an alarm entry. Who falls behind further than the history reaches gets 410 and lists again.
//! Pages and exact reads of a past version undo the history, so no snapshot is ever taken.

mod feed;
mod history;
mod objects;
mod subscription;
mod wheel;

pub use history::{Event, EventKind, History};
pub use subscription::{Subscription, WatchEvent};

pub(in crate::apiserver) use feed::Feed;
pub(in crate::apiserver) use history::Budget;
pub(in crate::apiserver) use objects::{Found, Objects, Range};
pub(in crate::apiserver) use subscription::Start;
pub(in crate::apiserver) use wheel::{Alarm, Wheel};
