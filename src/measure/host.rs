//! The machine that a run runs on, and how busy it was.
//!
//! In: the moments when a run starts and ends. Out: what it is and which share of its CPU time was used. Reads `/proc`
//! alone.

use procfs::{Current, CurrentSI, KernelStats, Meminfo};

/// What the machine is.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Host {
    /// CPUs that processes may use.
    pub cpus: u32,
    /// Memory, bytes.
    pub memory_bytes: u64,
    /// Kernel release.
    pub kernel: String,
    /// Share of all CPU time that anybody used during the run, 0 to 1.
    pub busy_share: f64,
}

/// Jiffies of all CPUs since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Jiffies {
    busy: u64,
    all: u64,
}

/// Observes the machine from now on.
#[derive(Clone, Debug)]
pub struct HostWatch {
    start: Jiffies,
    available_min: u64,
}

impl HostWatch {
    /// Starts to observe.
    #[must_use]
    pub fn start() -> Self {
        Self { start: jiffies(), available_min: available() }
    }

    /// Looks at the free memory.
    pub fn sample(&mut self) {
        self.available_min = self.available_min.min(available());
    }

    /// The least memory that was available without swapping, bytes.
    #[must_use]
    pub const fn available_min(&self) -> u64 {
        self.available_min
    }

    /// What the machine is and how busy it was since the start.
    #[must_use]
    pub fn finish(&self) -> Host {
        let now = jiffies();
        let (busy, all) = (now.busy.saturating_sub(self.start.busy), now.all.saturating_sub(self.start.all));
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Host {
            cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
            memory_bytes: Meminfo::current().map_or(0, |memory| memory.mem_total),
            kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            busy_share: if all == 0 { 0.0 } else { busy as f64 / all as f64 },
        }
    }
}

fn jiffies() -> Jiffies {
    let Ok(stats) = KernelStats::current() else { return Jiffies::default() };
    let cpu = stats.total;
    let idle = cpu.idle + cpu.iowait.unwrap_or(0);
    let busy =
        cpu.user + cpu.nice + cpu.system + cpu.irq.unwrap_or(0) + cpu.softirq.unwrap_or(0) + cpu.steal.unwrap_or(0);
    Jiffies { busy, all: busy + idle }
}

/// Memory that is available without swapping now, bytes; 0 when the kernel does not tell.
#[must_use]
pub fn available() -> u64 {
    Meminfo::current().ok().and_then(|memory| memory.mem_available).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_described() {
        let mut watch = HostWatch::start();
        watch.sample();
        let host = watch.finish();
        assert!(host.cpus >= 1 && host.memory_bytes > 1 << 20 && !host.kernel.is_empty(), "{host:?}");
        assert!((0.0..=1.0).contains(&host.busy_share));
        assert!(watch.available_min() <= host.memory_bytes);
    }
}
