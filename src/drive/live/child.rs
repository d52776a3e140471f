//! A child process of the harness: started with a role and a file of settings, heard on its standard output, spoken to
//! and kept alive by its standard input.
//!
//! The child ends when its input ends, so nothing survives the harness, however that died. One thread per child reads
//! its frames; the queue behind it is bounded, so a slow harness makes the child count dropped signals instead of
//! growing without limit.

use super::event::Event;
use super::frame;
use super::notice::Notice;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::SyncSender;

/// Where a child stands in the harness's list.
pub(crate) type ChildIndex = usize;

/// What the harness hears.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Encoded signals.
    Signals(Vec<u8>),
    /// A notice.
    Notice(Notice),
    /// The process ended.
    Ended(ExitStatus),
    /// Its output made no sense.
    Garbled(String),
}

/// A running child.
#[derive(Debug)]
pub(crate) struct Child {
    /// `hub`, `leaves`, `manager-2`.
    pub(crate) name: String,
    /// The operating system's id.
    pub(crate) pid: rustix::process::Pid,
    input: Option<ChildStdin>,
}

/// Starts this same program in a role and listens to it on a thread of its own.
///
/// # Errors
/// When the process or its thread cannot be started.
pub(crate) fn start(
    name: &str,
    role: &str,
    settings: &Path,
    index: ChildIndex,
    heard: SyncSender<Event>,
) -> io::Result<Child> {
    let mut process = Command::new(std::env::current_exe()?)
        .arg("role")
        .arg(role)
        .arg(settings)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // A group of its own: Ctrl-C in a terminal is for the harness, which sends its children home with their figures.
        .process_group(0)
        .spawn()?;
    let pid = i32::try_from(process.id()).ok().and_then(rustix::process::Pid::from_raw);
    let (Some(input), Some(output), Some(pid)) = (process.stdin.take(), process.stdout.take(), pid) else {
        return Err(io::Error::other("the child has no pipes"));
    };
    // A megabyte of signals may wait while the harness is busy; the default is 64 KiB. Best effort.
    let _ = rustix::pipe::fcntl_setpipe_size(&output, 1 << 20);
    std::thread::Builder::new().name(format!("hear-{name}")).spawn(move || {
        listen(index, io::BufReader::with_capacity(1 << 16, output), &heard);
        if let Ok(status) = process.wait() {
            // The harness may have stopped listening: then nobody needs to know.
            let _ = heard.send(Event::Child(index, Heard::Ended(status)));
        }
    })?;
    Ok(Child { name: name.to_owned(), pid, input: Some(input) })
}

fn listen(index: ChildIndex, mut output: impl io::Read, heard: &SyncSender<Event>) {
    loop {
        let mut payload = Vec::new();
        let said = match frame::read(&mut output, &mut payload) {
            Ok(None) => return,
            Ok(Some(frame::SIGNALS)) => Heard::Signals(payload),
            Ok(Some(_)) => match serde_json::from_slice(&payload) {
                Ok(notice) => Heard::Notice(notice),
                Err(error) => Heard::Garbled(error.to_string()),
            },
            Err(error) => Heard::Garbled(error.to_string()),
        };
        let garbled = matches!(said, Heard::Garbled(_));
        if heard.send(Event::Child(index, said)).is_err() || garbled {
            return;
        }
    }
}

impl Child {
    /// Tells the child something, one line of JSON. A child that is gone does not hear it.
    pub(crate) fn tell(&mut self, order: &super::notice::Order) {
        if let (Some(input), Ok(mut line)) = (&mut self.input, serde_json::to_vec(order)) {
            line.push(b'\n');
            let _ = input.write_all(&line).and_then(|()| input.flush());
        }
    }

    /// Asks the child to end: its input ends, it says its final figures and exits.
    pub(crate) fn dismiss(&mut self) {
        self.input = None;
    }

    /// Sends it a signal. One that is gone does not mind.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let _ = rustix::process::kill_process(self.pid, signal);
    }
}
