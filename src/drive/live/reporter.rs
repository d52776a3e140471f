//! The child's side of the measuring pipe: signals from any thread, written by one.
//!
//! Nothing here blocks the threads that work: a signal that finds the queue full is counted, and the harness calls the
//! run invalid.
//!
//! Arithmetic: 40,000 apps x 25 signals x 40 bytes = 40 MB over a run of 60 s; 65,536 signals of queue are half a second
//! of the densest load ever needed (160,000/s).

use super::frame;
use super::notice::Notice;
use crate::measure::{Batch, Figures, Role, Signal};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Signals that may wait for the pipe.
const QUEUE: usize = 1 << 16;
/// Signals are collected so long before they are written: one by one they cost a wake-up and two system calls on either
/// side (measured: 300 switches of context per cluster of an install, 5 % of all CPU).
const HOLD: Duration = Duration::from_millis(10);

enum Said {
    Signal(Signal),
    Notice(Box<Notice>),
    End,
}

/// Tells the harness what happened. Cheap to clone and to call.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    queue: Option<SyncSender<Said>>,
    dropped: Arc<AtomicU64>,
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Said")
    }
}

/// The thread that writes; waiting for it lets the last words out.
#[derive(Debug)]
pub(crate) struct Writer(std::thread::JoinHandle<io::Result<()>>);

impl Reporter {
    /// A reporter that writes frames to `out` from a thread of its own.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(out: impl Write + Send + 'static) -> io::Result<(Self, Writer)> {
        let (queue, said) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("reporter".to_owned()).spawn(move || write_all(&said, out))?;
        Ok((Self { queue: Some(queue), dropped: Arc::default() }, Writer(thread)))
    }

    /// A reporter to nobody, for a process without a harness.
    pub(crate) fn silent() -> Self {
        Self { queue: None, dropped: Arc::default() }
    }

    /// Tells a signal; counts it as dropped when the queue is full.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(queue) = &self.queue
            && queue.try_send(Said::Signal(signal)).is_err()
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tells a notice; waits for room, for a notice is never dropped.
    pub(crate) fn notice(&self, notice: Notice) {
        if let Some(queue) = &self.queue {
            // The harness is gone: the end of our input will tell.
            let _ = queue.send(Said::Notice(Box::new(notice)));
        }
    }

    /// Tells what this process counted, and how many signals were lost.
    pub(crate) fn farewell(&self, figures: Vec<(Role, Figures)>) {
        self.farewell_of_server(figures, Vec::new());
    }

    /// The same of a server that programs of others called.
    pub(crate) fn farewell_of_server(&self, figures: Vec<(Role, Figures)>, callers: Vec<(String, Figures)>) {
        self.notice(Notice::Final { figures, callers, dropped: self.dropped.load(Ordering::Relaxed) });
    }

    /// Says no more.
    pub(crate) fn end(&self) {
        if let Some(queue) = &self.queue {
            let _ = queue.send(Said::End);
        }
    }
}

impl Writer {
    /// Waits until everything said is written.
    pub(crate) fn finish(self) {
        // A harness that no longer reads is gone, and with it the reason to write.
        let _ = self.0.join();
    }
}

fn write_all(said: &Receiver<Said>, mut out: impl Write) -> io::Result<()> {
    let mut batch = Batch::default();
    while let Ok(mut next) = said.recv() {
        if matches!(next, Said::Signal(_)) {
            // Nobody unparks this thread; should it wake early, the batch is smaller.
            std::thread::park_timeout(HOLD);
        }
        loop {
            match next {
                Said::Signal(signal) => {
                    if batch.is_full() {
                        flush(&mut batch, &mut out)?;
                    }
                    let _has_room = batch.push(&signal);
                }
                Said::Notice(notice) => {
                    flush(&mut batch, &mut out)?;
                    frame::write(&mut out, frame::NOTICE, &serde_json::to_vec(&notice)?)?;
                }
                Said::End => return flush(&mut batch, &mut out),
            }
            match said.try_recv() {
                Ok(more) => next = more,
                Err(_) => break,
            }
        }
        flush(&mut batch, &mut out)?;
    }
    Ok(())
}

fn flush(batch: &mut Batch, out: &mut impl Write) -> io::Result<()> {
    if !batch.is_empty() {
        frame::write(out, frame::SIGNALS, batch.bytes())?;
        batch.clear();
    }
    out.flush()
}
