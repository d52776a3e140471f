//! Programs of others that run beside a run: started from a description, watched, killed at the end.
//!
//! In: command lines and a folder for logs. Out: process ids, and the last words of one that ended. They are killed when
//! the value is dropped or the thread that started them ends, whichever comes first.

use super::tether;
use crate::clock;
use crate::units::Span;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

/// Lines of a log that a failure shows.
const LAST_WORDS: usize = 5;
/// How often programs are looked after once they work.
const LOOK: Span = Span::from_secs(1);
/// How often a port is tried that nobody listens at yet.
const PAUSE: Span = Span::from_millis(100);

/// A program with everything that it is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name in the record; programs of one name are told together.
    pub name: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables beside those of this process.
    pub environment: Vec<(&'static str, String)>,
}

/// A program ended that should not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{program} ended ({how}); its last words: {words}")]
pub struct Ended {
    /// Which.
    pub program: &'static str,
    /// Exit status.
    pub how: String,
    /// The end of its log.
    pub words: String,
}

/// Running programs.
#[derive(Debug)]
pub struct Running {
    folder: PathBuf,
    processes: Vec<Process>,
}

#[derive(Debug)]
struct Process {
    name: &'static str,
    log: PathBuf,
    child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        // In the order of dependence, or logs fill with complaints about what is gone.
        for process in self.processes.iter_mut().rev() {
            // One that has ended already does not mind.
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}

impl Running {
    /// None yet; their logs will be in `folder`, which is there.
    #[must_use]
    pub fn below(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), processes: Vec::new() }
    }

    /// Starts one more. The calling thread must outlive it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&mut self, program: &Program) -> io::Result<()> {
        let alike = self.processes.iter().filter(|process| process.name == program.name).count();
        let name = if alike == 0 { format!("{}.log", program.name) } else { format!("{}-{alike}.log", program.name) };
        let path = self.folder.join(name);
        let log = File::create(&path)?;
        let child = tether::command(&program.path)?
            .args(&program.arguments)
            .envs(program.environment.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.processes.push(Process { name: program.name, log: path, child });
        Ok(())
    }

    /// Names and ids.
    pub fn processes(&self) -> impl Iterator<Item = (&'static str, u32)> + '_ {
        self.processes.iter().map(|process| (process.name, process.child.id()))
    }

    /// Whether all of them still run.
    ///
    /// # Errors
    /// The first that does not.
    pub fn all_alive(&mut self) -> Result<(), Ended> {
        let ended = self.processes.iter_mut().find_map(|process| {
            let status = process.child.try_wait().ok().flatten()?;
            Some((process.name, status.to_string(), last_words(&process.log)))
        });
        ended.map_or(Ok(()), |(program, how, words)| Err(Ended { program, how, words }))
    }

    /// Waits until one of them ends, which none should.
    pub async fn until_one_ends(&mut self) -> Ended {
        loop {
            if let Err(ended) = self.all_alive() {
                return ended;
            }
            tokio::time::sleep(LOOK.to_std()).await;
        }
    }

    /// Waits until somebody listens at a port of loopback; `false`: not within `patience`.
    ///
    /// # Errors
    /// When one of them ends meanwhile.
    pub async fn until_served(&mut self, port: u16, patience: Span) -> Result<bool, Ended> {
        let deadline = clock::now() + patience;
        loop {
            self.all_alive()?;
            if tokio::net::TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.is_ok() {
                return Ok(true);
            }
            if clock::now() >= deadline {
                return Ok(false);
            }
            tokio::time::sleep(PAUSE.to_std()).await;
        }
    }

    /// The end of the log of a program.
    #[must_use]
    pub fn last_words(&self, name: &str) -> String {
        self.processes.iter().find(|process| process.name == name).map_or_else(String::new, |it| last_words(&it.log))
    }
}

fn last_words(log: &Path) -> String {
    let log = std::fs::read(log).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LAST_WORDS)..].join(" | ")
}

/// Ports of loopback that nobody listened at a moment ago.
///
/// # Errors
/// When the system has none.
pub fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    let held: Vec<TcpListener> =
        (0..N).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<io::Result<_>>()?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}
