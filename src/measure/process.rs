//! What a process costs, as the operating system says: CPU, memory, descriptors, threads.
//!
//! In: process ids and the moment to look. Out: readings. Reads `/proc` alone, when it is told to; sampling is driven
//! from outside.
//!
//! A process's own CPU time comes in ticks of 10 ms, too coarse for a run of a second. The scheduler knows that of each
//! thread in nanoseconds, so both are read: what the threads add up to counts as long as it is more. It is less only by
//! what threads used between the last reading and their end.

use super::signal::Role;
use crate::units::{Span, Time};
use procfs::process::Process;
use std::collections::BTreeMap;

/// Threads of one process that are another role's work, told apart by the start of their names.
#[derive(Clone, Debug)]
struct Group {
    prefix: &'static str,
    name: String,
    role: Role,
    threads: BTreeMap<i32, Cpu>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cpu {
    user: Span,
    sys: Span,
}

impl Cpu {
    fn of_ticks(user: u64, sys: u64) -> Self {
        let tick = 1_000_000_000 / procfs::ticks_per_second().max(1);
        Self { user: Span(user * tick), sys: Span(sys * tick) }
    }

    fn plus(self, other: Self) -> Self {
        Self { user: self.user + other.user, sys: self.sys + other.sys }
    }

    /// The same with what the scheduler counted, where that is more: ticks are rounded down.
    fn refined(self, exact: Span) -> Self {
        let rest = exact.0.saturating_sub((self.user + self.sys).0);
        Self { user: self.user + Span(rest), ..self }
    }

    fn minus(self, other: Self) -> Self {
        let less = |a: Span, b: Span| Span(a.0.saturating_sub(b.0));
        Self { user: less(self.user, other.user), sys: less(self.sys, other.sys) }
    }
}

/// One reading of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub at: Time,
    /// CPU used so far, user and system.
    pub cpu: Span,
    /// Resident memory, bytes.
    pub rss: u64,
    /// Open file descriptors.
    pub fds: u64,
    /// Threads.
    pub threads: u64,
}

/// What a process cost in all.
#[derive(Clone, Debug, PartialEq)]
pub struct Usage {
    /// Its name in the record.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// CPU in user mode.
    pub user: Span,
    /// CPU in the kernel.
    pub sys: Span,
    /// Most resident memory, bytes; `None` for threads of another process.
    pub rss_max: Option<u64>,
    /// Resident memory at the last reading, bytes.
    pub rss_end: Option<u64>,
    /// Most open descriptors.
    pub fds_max: Option<u64>,
    /// Most threads.
    pub threads_max: u64,
    /// The readings, oldest first.
    pub samples: Vec<Sample>,
}

impl Usage {
    /// CPU in all.
    #[must_use]
    pub fn cpu(&self) -> Span {
        self.user + self.sys
    }

    /// Both processes told as one, under the name of the first. Readings are taken at the same times.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        let sum = |a: Option<u64>, b: Option<u64>| a.zip(b).map(|(a, b)| a + b);
        self.user += other.user;
        self.sys += other.sys;
        self.rss_max = sum(self.rss_max, other.rss_max);
        self.rss_end = sum(self.rss_end, other.rss_end);
        self.fds_max = sum(self.fds_max, other.fds_max);
        self.threads_max += other.threads_max;
        for (own, more) in self.samples.iter_mut().zip(&other.samples) {
            own.cpu += more.cpu;
            own.rss += more.rss;
            own.fds += more.fds;
            own.threads += more.threads;
        }
        self
    }
}

/// The process cannot be read: it ended.
#[derive(Debug, thiserror::Error)]
#[error("process {pid} ({name}) cannot be read from /proc: has it ended?")]
pub struct Vanished {
    name: String,
    pid: i32,
    source: procfs::ProcError,
}

/// A process under observation.
#[derive(Clone, Debug)]
pub struct Watched {
    name: String,
    role: Role,
    pid: i32,
    groups: Vec<Group>,
    /// CPU of all threads that were ever seen, as the scheduler counts it.
    threads: BTreeMap<i32, Span>,
    /// CPU of earlier processes of this name.
    earlier: Cpu,
    /// CPU that does not count.
    before: Cpu,
    now: Cpu,
    rss_max: u64,
    fds_max: u64,
    threads_max: u64,
    samples: Vec<Sample>,
}

impl Watched {
    /// Observes a process from its start.
    #[must_use]
    pub const fn new(name: String, role: Role, pid: i32) -> Self {
        Self {
            name,
            role,
            pid,
            groups: Vec::new(),
            threads: BTreeMap::new(),
            earlier: Cpu { user: Span::ZERO, sys: Span::ZERO },
            before: Cpu { user: Span::ZERO, sys: Span::ZERO },
            now: Cpu { user: Span::ZERO, sys: Span::ZERO },
            rss_max: 0,
            fds_max: 0,
            threads_max: 0,
            samples: Vec::new(),
        }
    }

    /// Counts threads whose names start with `prefix` as a role of their own. Linux keeps 15 bytes of a name.
    #[must_use]
    pub fn with_threads(mut self, prefix: &'static str, name: String, role: Role) -> Self {
        self.groups.push(Group { prefix, name, role, threads: BTreeMap::new() });
        self
    }

    /// Counts CPU from now on: what it used before is nobody's. One that cannot be read counts from its start.
    #[must_use]
    pub fn from_now(mut self) -> Self {
        if self.read(Time(0)).is_ok() {
            self.before = self.now;
            self.samples.clear();
        }
        self
    }

    /// The process was started anew under another id: what it cost so far is kept.
    pub fn replace(&mut self, pid: i32) {
        self.earlier = self.earlier.plus(self.now);
        self.now = Cpu::default();
        self.threads.clear();
        self.pid = pid;
    }

    /// Takes a reading.
    ///
    /// # Errors
    /// [`Vanished`] when the process ended; what was read before is kept.
    pub fn sample(&mut self, at: Time) -> Result<Sample, Vanished> {
        self.read(at).map_err(|source| Vanished { name: self.name.clone(), pid: self.pid, source })
    }

    fn read(&mut self, at: Time) -> Result<Sample, procfs::ProcError> {
        let process = Process::new(self.pid)?;
        let stat = process.stat()?;
        let ticks = Cpu::of_ticks(stat.utime, stat.stime);
        let rss = stat.rss * procfs::page_size();
        let peak = process.status()?.vmhwm.map_or(rss, |kib| kib * 1024);
        let fds = process.fd_count()? as u64;
        let threads = stat.num_threads.unsigned_abs();
        self.rss_max = self.rss_max.max(peak).max(rss);
        self.fds_max = self.fds_max.max(fds);
        self.threads_max = self.threads_max.max(threads);
        self.read_threads(&process)?;
        self.now = ticks.refined(self.threads.values().fold(Span::ZERO, |sum, span| sum + *span));
        let spent = self.earlier.plus(self.now).minus(self.before);
        let sample = Sample { at, cpu: spent.user + spent.sys, rss, fds, threads };
        self.samples.push(sample);
        Ok(sample)
    }

    fn read_threads(&mut self, process: &Process) -> Result<(), procfs::ProcError> {
        // A thread may end between the listing and the reading; its last reading counts.
        for task in process.tasks()?.flatten() {
            // A kernel without scheduler statistics tells nothing here: ticks remain.
            let exact = task.schedstat().map_or(Span::ZERO, |schedstat| Span(schedstat.sum_exec_runtime));
            self.threads.insert(task.tid, exact);
            if self.groups.is_empty() {
                continue;
            }
            let Ok(stat) = task.stat() else { continue };
            if let Some(group) = self.groups.iter_mut().find(|group| stat.comm.starts_with(group.prefix)) {
                group.threads.insert(task.tid, Cpu::of_ticks(stat.utime, stat.stime).refined(exact));
            }
        }
        Ok(())
    }

    /// What it cost: the process first, without the threads that are counted apart, then each group of those.
    #[must_use]
    pub fn usage(self) -> Vec<Usage> {
        let sum = |group: &Group| group.threads.values().fold(Cpu::default(), |sum, cpu| sum.plus(*cpu));
        let apart = self.groups.iter().map(sum).fold(Cpu::default(), Cpu::plus);
        let own = self.earlier.plus(self.now).minus(self.before).minus(apart);
        let mut all = vec![Usage {
            name: self.name,
            role: self.role,
            user: own.user,
            sys: own.sys,
            rss_max: Some(self.rss_max),
            rss_end: self.samples.last().map(|sample| sample.rss),
            fds_max: Some(self.fds_max),
            threads_max: self.threads_max,
            samples: self.samples,
        }];
        all.extend(self.groups.iter().map(|group| Usage {
            name: group.name.clone(),
            role: group.role,
            user: sum(group).user,
            sys: sum(group).sys,
            rss_max: None,
            rss_end: None,
            fds_max: None,
            threads_max: group.threads.len() as u64,
            samples: Vec::new(),
        }));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_pid() -> i32 {
        i32::try_from(std::process::id()).unwrap()
    }

    #[test]
    fn this_process_is_read_with_all_it_holds() {
        let mut watched = Watched::new("me".into(), Role::Harness, own_pid());
        let sample = watched.sample(Time(5)).unwrap();
        assert!(sample.rss > 100_000 && sample.fds >= 3 && sample.threads >= 1, "{sample:?}");
        let usage = watched.usage();
        assert_eq!((usage.len(), usage[0].role, usage[0].samples.len()), (1, Role::Harness, 1));
        assert!(usage[0].rss_max >= usage[0].rss_end);
    }

    #[test]
    fn cpu_time_is_finer_than_a_tick_and_never_less_than_the_ticks() {
        let tick = Span(1_000_000_000 / procfs::ticks_per_second());
        let ticks = Cpu { user: tick, sys: tick };
        let exact = Span(2 * tick.0 + 1_234_567);
        assert_eq!(ticks.refined(exact), Cpu { user: Span(tick.0 + 1_234_567), sys: tick });
        assert_eq!(ticks.refined(tick), ticks);
    }

    #[test]
    fn threads_of_another_role_are_taken_out_of_the_process() {
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("flux-model-0".into()).spawn(move || {
            ready.send(()).unwrap();
            let _closed = stopped.recv();
        });
        is_ready.recv().unwrap();
        let mut watched =
            Watched::new("me".into(), Role::Leaves, own_pid()).with_threads("flux-", "flux".into(), Role::FluxModel);
        watched.sample(Time(5)).unwrap();
        drop(stop);
        thread.unwrap().join().unwrap();
        let usage = watched.usage();
        assert_eq!((usage[1].role, usage[1].threads_max, usage[1].rss_max), (Role::FluxModel, 1, None));
    }

    #[test]
    fn what_a_process_used_before_it_was_of_interest_does_not_count() {
        let mut watched = Watched::new("me".into(), Role::Hub, own_pid()).from_now();
        let before = watched.before;
        assert!(before != Cpu::default() && watched.samples.is_empty());
        watched.now = before.plus(Cpu { user: Span(5), sys: Span(1) });
        assert_eq!(watched.usage().remove(0).cpu(), Span(6));
    }

    #[test]
    fn a_process_that_ended_is_an_error_with_its_name() {
        let error = Watched::new("gone".into(), Role::Manager, i32::MAX).sample(Time(0)).unwrap_err();
        assert!(error.to_string().contains("gone"));
    }

    #[test]
    fn a_restarted_process_keeps_what_its_predecessor_cost() {
        let mut watched = Watched::new("me".into(), Role::Manager, own_pid());
        watched.now = Cpu { user: Span(70), sys: Span(7) };
        watched.replace(own_pid());
        watched.now = Cpu { user: Span(30), sys: Span(3) };
        let usage = watched.usage().remove(0);
        assert_eq!((usage.user, usage.sys, usage.cpu()), (Span(100), Span(10), Span(110)));
    }
}
