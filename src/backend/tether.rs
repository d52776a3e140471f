//! Foreign programs that never outlive whoever started them, however that ended.
//!
//! Our own children read the end of a pipe; programs of others do not. So this program is started in their place, asks
//! the kernel to be killed with its parent, and becomes the other program: the request survives that. What is asked
//! for is tied to the *thread* that started it, which must live as long.

use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The hidden command of this program that becomes another one.
pub const COMMAND: &str = "tether";

/// A command that starts `program` and ends it with the calling thread.
///
/// # Errors
/// When this program cannot be found.
pub fn command(program: &Path) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(COMMAND).arg(std::process::id().to_string()).arg("--").arg(program);
    // A group of its own: Ctrl-C in a terminal is for the harness.
    command.process_group(0);
    Ok(command)
}

/// Becomes another program that is killed with `parent`; returns only if that is not possible.
#[must_use]
pub fn become_program<A: AsRef<OsStr>>(parent: u32, program: &OsStr, arguments: &[A]) -> io::Error {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.into();
    }
    // It may have ended before we asked.
    if getppid().is_none_or(|pid| pid.as_raw_nonzero().get().unsigned_abs() != parent) {
        return io::Error::other("whoever started this is gone");
    }
    Command::new(program).args(arguments).exec()
}
