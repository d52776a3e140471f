//! Signals as bytes: one fixed-size record per event, through one inherited pipe.
//!
//! In: [`Signal`]s. Out: [`RECORD_BYTES`] bytes each, and back. Never blocks, allocates per record or touches a
//! descriptor: the bounded sender and the reader belong to `drive`.
//!
//! 10,000 clusters x 4 add-ons give about 15 records per app and install: 600,000 x 40 B = 24 MB per run, 0.4 MB/s of
//! a minute's run; encoding is a few stores, so the cost is the `write` of a batch of 102.

use super::signal::{FluxObject, Health, ObjectChange, RoundOutcome, Signal, Sync};
use crate::ids::AppId;
use crate::units::{Span, Time};

/// Size of every encoded [`Signal`]. The rest of a shorter one is zero.
pub const RECORD_BYTES: usize = 40;

/// Bytes that no process of this version sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "record {index} of the measuring pipe is corrupt: byte {byte:#04x} where {what} should be; the run cannot be used"
)]
pub struct Corrupt {
    index: u64,
    what: &'static str,
    byte: u8,
}

/// A place in a record that grows from the left.
struct Put {
    bytes: [u8; RECORD_BYTES],
    len: usize,
}

impl Put {
    fn raw<const N: usize>(mut self, value: [u8; N]) -> Self {
        self.bytes[self.len..self.len + N].copy_from_slice(&value);
        self.len += N;
        self
    }

    fn u8(self, value: u8) -> Self {
        self.raw([value])
    }

    fn u32(self, value: u32) -> Self {
        self.raw(value.to_le_bytes())
    }

    fn u64(self, value: u64) -> Self {
        self.raw(value.to_le_bytes())
    }
}

impl Signal {
    /// The record of this signal.
    #[must_use]
    pub fn encode(&self) -> [u8; RECORD_BYTES] {
        let put = Put { bytes: [0; RECORD_BYTES], len: 0 };
        match *self {
            Self::AppCommitted { app, at, generation, deleted, health, sync, compared, revision } => put
                .u8(1)
                .u32(app.0)
                .u64(at.0)
                .u64(generation)
                .u8(deleted.into())
                .u8(health as u8)
                .u8(sync as u8)
                .u64(compared)
                .u64(revision),
            Self::Seen { app, at, generation, shard } => put.u8(2).u32(app.0).u64(at.0).u64(generation).u32(shard),
            Self::Round { app, shard, at, queue_wait, took, calls, outcome } => {
                put.u8(3).u32(app.0).u32(shard).u64(at.0).u64(queue_wait.0).u64(took.0).u32(calls).u8(outcome as u8)
            }
            Self::QueueDepth { shard, at, ready, waiting } => put.u8(4).u32(shard).u64(at.0).u32(ready).u32(waiting),
            Self::Written { app, at, object, generation } => {
                put.u8(5).u32(app.0).u64(at.0).u8(object as u8).u64(generation)
            }
            Self::Fetched { app, at, generation, revision } => {
                put.u8(6).u32(app.0).u64(at.0).u64(generation).u64(revision)
            }
            Self::Applied { app, at, generation, revision } => {
                put.u8(7).u32(app.0).u64(at.0).u64(generation).u64(revision)
            }
            Self::FluxReady { app, at, ready, generation, revision } => {
                put.u8(8).u32(app.0).u64(at.0).u8(ready.into()).u64(generation).u64(revision)
            }
            Self::ObjectChanged { app, at, object, change, by_controller } => {
                put.u8(9).u32(app.0).u64(at.0).u64(object).u8(change as u8).u8(by_controller.into())
            }
            Self::Owns { shard, at, clusters, gained } => put.u8(11).u32(shard).u64(at.0).u32(clusters).u32(gained),
            Self::Gone { app, at, object } => put.u8(10).u32(app.0).u64(at.0).u8(object as u8),
        }
        .bytes
    }

    /// The signal of a record; `Err` names what no process of this version writes.
    fn decode(record: &[u8; RECORD_BYTES]) -> Result<Self, (&'static str, u8)> {
        let mut take = Take { rest: record };
        Ok(match take.u8() {
            1 => Self::AppCommitted {
                app: AppId(take.u32()),
                at: Time(take.u64()),
                generation: take.u64(),
                deleted: take.choice(&[false, true], "a yes or no")?,
                health: take.choice(&HEALTHS, "a health")?,
                sync: take.choice(&SYNCS, "a sync status")?,
                compared: take.u64(),
                revision: take.u64(),
            },
            2 => Self::Seen { app: AppId(take.u32()), at: Time(take.u64()), generation: take.u64(), shard: take.u32() },
            3 => Self::Round {
                app: AppId(take.u32()),
                shard: take.u32(),
                at: Time(take.u64()),
                queue_wait: Span(take.u64()),
                took: Span(take.u64()),
                calls: take.u32(),
                outcome: take.choice(&OUTCOMES, "the outcome of a round")?,
            },
            4 => Self::QueueDepth { shard: take.u32(), at: Time(take.u64()), ready: take.u32(), waiting: take.u32() },
            11 => Self::Owns { shard: take.u32(), at: Time(take.u64()), clusters: take.u32(), gained: take.u32() },
            tag @ 5..=10 => Self::decode_leaf(tag, &mut take)?,
            tag => return Err(("the kind of a record", tag)),
        })
    }

    /// The records that start with an app and a time.
    fn decode_leaf(tag: u8, take: &mut Take<'_>) -> Result<Self, (&'static str, u8)> {
        let (app, at) = (AppId(take.u32()), Time(take.u64()));
        Ok(match tag {
            5 => {
                Self::Written { app, at, object: take.choice(&FLUX_OBJECTS, "a Flux object")?, generation: take.u64() }
            }
            6 => Self::Fetched { app, at, generation: take.u64(), revision: take.u64() },
            7 => Self::Applied { app, at, generation: take.u64(), revision: take.u64() },
            8 => Self::FluxReady {
                app,
                at,
                ready: take.choice(&[false, true], "a yes or no")?,
                generation: take.u64(),
                revision: take.u64(),
            },
            9 => Self::ObjectChanged {
                app,
                at,
                object: take.u64(),
                change: take.choice(&CHANGES, "a change of an object")?,
                by_controller: take.choice(&[false, true], "a yes or no")?,
            },
            _ => Self::Gone { app, at, object: take.choice(&FLUX_OBJECTS, "a Flux object")? },
        })
    }
}

// Every table is in the order of its enum, as `as u8` numbers it; a test holds them.
const HEALTHS: [Health; 6] =
    [Health::Unknown, Health::Healthy, Health::Progressing, Health::Degraded, Health::Missing, Health::Suspended];
const SYNCS: [Sync; 3] = [Sync::Unknown, Sync::Synced, Sync::OutOfSync];
const OUTCOMES: [RoundOutcome; 5] =
    [RoundOutcome::Ok, RoundOutcome::Retry, RoundOutcome::Conflict, RoundOutcome::Failed, RoundOutcome::Throttled];
const FLUX_OBJECTS: [FluxObject; 2] = [FluxObject::Source, FluxObject::Workload];
const CHANGES: [ObjectChange; 3] = [ObjectChange::Added, ObjectChange::Modified, ObjectChange::Deleted];
/// The unread rest of a record. The layouts above fit by construction, so reading never runs out.
struct Take<'a> {
    rest: &'a [u8],
}

impl Take<'_> {
    fn raw<const N: usize>(&mut self) -> [u8; N] {
        let mut value = [0; N];
        let (head, rest) = self.rest.split_at(N);
        value.copy_from_slice(head);
        self.rest = rest;
        value
    }

    fn u8(&mut self) -> u8 {
        self.raw::<1>()[0]
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.raw())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.raw())
    }

    fn choice<T: Copy>(&mut self, table: &[T], what: &'static str) -> Result<T, (&'static str, u8)> {
        let byte = self.u8();
        table.get(usize::from(byte)).copied().ok_or((what, byte))
    }
}

/// Records on their way out: as many as fit into one atomic write to a pipe (`PIPE_BUF` is 4,096 bytes on Linux), so
/// that several threads may write to one pipe without mixing records.
#[derive(Debug)]
pub struct Batch {
    bytes: Vec<u8>,
}

impl Default for Batch {
    fn default() -> Self {
        Self { bytes: Vec::with_capacity(Self::CAPACITY * RECORD_BYTES) }
    }
}

impl Batch {
    /// Records per batch.
    pub const CAPACITY: usize = 4096 / RECORD_BYTES;

    /// Adds a record. False, and nothing added, when the batch is full: write it and clear it first.
    #[must_use]
    pub fn push(&mut self, signal: &Signal) -> bool {
        if self.is_full() {
            return false;
        }
        self.bytes.extend_from_slice(&signal.encode());
        true
    }

    /// No record fits any more.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.bytes.len() >= Self::CAPACITY * RECORD_BYTES
    }

    /// Records held.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len() / RECORD_BYTES
    }

    /// No record is held.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What to write, in one piece.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets what was written.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// Turns what a pipe delivers, in pieces of any size, back into signals.
#[derive(Debug, Default)]
pub struct Decoder {
    partial: Vec<u8>,
    decoded: u64,
}

impl Decoder {
    /// Takes the next bytes and hands every complete signal to `each`, in order.
    ///
    /// # Errors
    /// [`Corrupt`] at the first record that no process of this version writes; the rest of `bytes` is lost.
    pub fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(Signal)) -> Result<(), Corrupt> {
        if !self.partial.is_empty() {
            let missing = (RECORD_BYTES - self.partial.len()).min(bytes.len());
            self.partial.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if let Ok(record) = <[u8; RECORD_BYTES]>::try_from(self.partial.as_slice()) {
                self.partial.clear();
                each(self.one(&record)?);
            }
        }
        let (records, rest) = bytes.as_chunks::<RECORD_BYTES>();
        for record in records {
            each(self.one(record)?);
        }
        self.partial.extend_from_slice(rest);
        Ok(())
    }

    fn one(&mut self, record: &[u8; RECORD_BYTES]) -> Result<Signal, Corrupt> {
        let index = self.decoded;
        self.decoded += 1;
        Signal::decode(record).map_err(|(what, byte)| Corrupt { index, what, byte })
    }

    /// The pipe ended inside a record: its writer died.
    #[must_use]
    pub const fn is_torn(&self) -> bool {
        !self.partial.is_empty()
    }
}

#[cfg(test)]
mod tests;
