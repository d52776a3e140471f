//! What the harness's loop is told, by whom ever it is told: one queue, one reader, one order.

use super::child::{ChildIndex, Heard};
use std::sync::mpsc::SyncSender;

/// Events that may wait for the loop. A full queue makes the teller wait; children then count dropped signals.
pub(super) const WAITING: usize = 8_192;

/// One thing that happened.
#[derive(Debug)]
pub(super) enum Event {
    /// A child said something or ended.
    Child(ChildIndex, Heard),
    /// A change is about to be made.
    Intend {
        /// Index in the world's changes.
        index: usize,
    },
    /// The change is written.
    Stored {
        /// Index in the world's changes.
        index: usize,
        /// The Application's generation; 0 where none was written.
        generation: u64,
    },
    /// The change could not be written.
    Refused {
        /// Index in the world's changes.
        index: usize,
        /// In which way: verb, resource and code.
        sort: String,
        /// Why.
        message: String,
    },
    /// A fault of the timeline begins or ends.
    Fault {
        /// Whose process.
        victim: crate::scenario::Victim,
        /// How.
        fault: crate::scenario::Fault,
        /// It begins; else it ends.
        begins: bool,
    },
    /// So many managers shall come, or go if negative.
    Managers {
        /// How many.
        delta: i64,
    },
    /// Something that the timeline asks for could not be done.
    Undone {
        /// Why.
        message: String,
    },
    /// A part of the timeline has been played: every change was made or refused, every fault is over, every shift begun.
    Driven,
    /// The user wants to stop.
    Interrupted,
}

/// Tells the loop. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Events(pub(super) SyncSender<Event>);

impl Events {
    /// Tells one event; when the loop has ended nobody needs to know.
    pub(super) fn send(&self, event: Event) {
        let _ = self.0.send(event);
    }
}
