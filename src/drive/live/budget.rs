//! Does the machine hold what the scenario asks for? Told before the start, with the arithmetic.
//!
//! In: counts of the world and what the machine has. Out: nothing, or the sum that does not fit. Pure: the caller reads
//! the machine.
//!
//! The constants are fitted to the most resident memory of all processes together (release build, 2 cores, Linux 6):
//!
//! ```text
//! clusters x apps each   processes   measured   by the sum below
//!   1,000 x 4                    4    605 MiB    594 MiB
//!   3,000 x 4                    4  1,281 MiB  1,270 MiB
//!   3,000 x 1                    4    572 MiB    562 MiB
//!  10,000 x 4                    4  3,111 MiB  3,083 MiB
//!  10,000 x 4, four managers     7  3,460 MiB  3,275 MiB (not part of the fit)
//! ```

use crate::backend::control_plane::BYTES as CONTROL_PLANE_BYTES;
use crate::units::Span;

/// What a run will hold at its peak, from the scenario.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// Managed clusters.
    pub clusters: u64,
    /// Apps at the peak.
    pub apps: u64,
    /// Objects of one installation, Flux objects included, on average.
    pub objects_per_app: u64,
    /// Watches that managers hold per cluster.
    pub watches_per_cluster: u64,
    /// Limit of history over both servers, bytes.
    pub history_bytes: u64,
    /// Processes with sockets of their own.
    pub processes: u64,
    /// HTTP/2 connections per manager.
    pub connections: u64,
    /// Control planes of others.
    pub control_planes: u64,
}

impl Need {
    /// Objects at the peak.
    #[must_use]
    pub const fn objects(self) -> u64 {
        self.apps * self.objects_per_app
    }

    /// Watches at the peak.
    #[must_use]
    pub const fn watches(self) -> u64 {
        self.clusters * self.watches_per_cluster
    }

    /// Memory of all processes together, bytes.
    #[must_use]
    pub const fn memory_bytes(self) -> u64 {
        let at_rest = self.clusters * CLUSTER_BYTES + self.objects() * OBJECT_BYTES;
        at_rest
            + self.control_planes * CONTROL_PLANE_BYTES
            + self.all_processes() * PROCESS_BYTES
            + self.watches() * WATCH_BYTES
            + self.history()
    }

    /// With the harness, which has no sockets that last.
    const fn all_processes(self) -> u64 {
        self.processes + 1
    }

    /// What histories will hold: each object is written some times, up to the limit.
    const fn history(self) -> u64 {
        let written = self.objects() * HISTORY_BYTES;
        if written < self.history_bytes { written } else { self.history_bytes }
    }
}

/// What the machine has.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// `MemAvailable`.
    pub memory_bytes: u64,
    /// The limit of open files after raising it.
    pub files: u64,
}

/// Why the scenario does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// Memory.
    #[error(
        "this scenario needs about {need_mib} MiB and the machine has {have_mib} MiB available: {processes} processes x {} MiB \
         + {clusters} clusters x {CLUSTER_BYTES} B + {objects} objects x {OBJECT_BYTES} B + {watches} watches x {WATCH_BYTES} B \
         + {history_mib} MiB of history + {control_planes} control planes x {} MiB; lower fleet.clusters or run.history, or free memory",
        PROCESS_BYTES >> 20, CONTROL_PLANE_BYTES >> 20
    )]
    Memory {
        /// Needed, MiB.
        need_mib: u64,
        /// Available, MiB.
        have_mib: u64,
        /// Processes, the harness included.
        processes: u64,
        /// Clusters.
        clusters: u64,
        /// Objects at the peak.
        objects: u64,
        /// Watches at the peak.
        watches: u64,
        /// History, MiB.
        history_mib: u64,
        /// Control planes of others.
        control_planes: u64,
    },
    /// Open files.
    #[error("this scenario needs about {need} open files and the limit is {have}: raise it with `ulimit -n {need}`")]
    Files {
        /// Needed in the hungriest process.
        need: u64,
        /// The limit.
        have: u64,
    },
}

/// A process without any cluster: program, runtimes, buffers, what the allocator holds back. Measured, see above.
const PROCESS_BYTES: u64 = 64 << 20;
/// A cluster with its namespaces. Measured, see above.
const CLUSTER_BYTES: u64 = 5 << 10;
/// An object at rest with its Events, its entry in a client cache and its share of an app's index. Measured, see above.
const OBJECT_BYTES: u64 = 5_632;
/// What the histories hold of an object's versions after an install. Measured, see above.
const HISTORY_BYTES: u64 = 3_482;
/// A watch on both ends: 2.2 KiB in the server, 3 KiB in the client, 8 KiB in kube's line reader (measured, idle).
const WATCH_BYTES: u64 = 14 << 10;
/// Files a process has open beside its connections: pipes, epoll, listeners, libraries.
const FILES_BESIDE: u64 = 64;

/// Compares need and machine.
///
/// # Errors
/// The first sum that does not fit.
pub fn check(need: Need, machine: Machine) -> Result<(), TooMuch> {
    let (objects, watches, bytes) = (need.objects(), need.watches(), need.memory_bytes());
    if bytes > machine.memory_bytes {
        return Err(TooMuch::Memory {
            need_mib: bytes >> 20,
            have_mib: machine.memory_bytes >> 20,
            processes: need.all_processes(),
            clusters: need.clusters,
            objects,
            watches,
            history_mib: need.history() >> 20,
            control_planes: need.control_planes,
        });
    }
    let files = need.processes * need.connections * 2 + FILES_BESIDE;
    if files > machine.files {
        return Err(TooMuch::Files { need: files, have: machine.files });
    }
    Ok(())
}

/// How long each process of the run may take to be ready: assumed, generous. A control plane needs 4 core-seconds
/// (measured), on a machine that others may use.
#[must_use]
pub fn patience(clusters: u64, control_planes: u64) -> Span {
    Span::from_secs(30) + Span::from_millis(clusters * 5) + Span::from_secs(control_planes * 30)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEED: Need = Need {
        clusters: 10_000,
        apps: 40_000,
        objects_per_app: 7,
        watches_per_cluster: 4,
        history_bytes: 512 << 20,
        processes: 4,
        connections: 4,
        control_planes: 0,
    };

    #[test]
    fn the_premise_of_the_talk_fits_a_machine_of_24_gib() {
        let machine = Machine { memory_bytes: 22 << 30, files: 1_024 };
        assert_eq!(check(NEED, machine), Ok(()));
    }

    #[test]
    fn the_sum_is_what_was_measured() {
        for (clusters, apps, watches, processes, measured_mib) in [
            (1_000, 4_000, 4, 3, 605),
            (3_000, 12_000, 4, 3, 1_281),
            (3_000, 3_000, 2, 3, 572),
            (10_000, 40_000, 4, 3, 3_111),
            (10_000, 40_000, 4, 6, 3_460),
        ] {
            let need = Need { clusters, apps, objects_per_app: 8, watches_per_cluster: watches, processes, ..NEED };
            let mib = need.memory_bytes() >> 20;
            assert!(mib.abs_diff(measured_mib) * 15 < measured_mib, "{clusters} x {apps}: {mib} of {measured_mib} MiB");
        }
    }

    #[test]
    fn what_does_not_fit_is_told_with_the_sum() {
        let small = Machine { memory_bytes: 1 << 30, files: 1_024 };
        let error = check(NEED, small).unwrap_err();
        assert!(error.to_string().contains("280000 objects x 5632 B"), "{error}");
        assert!(error.to_string().contains("5 processes x 64 MiB"), "{error}");
        let planes = check(Need { control_planes: 3, ..NEED }, small).unwrap_err();
        assert!(planes.to_string().contains("3 control planes x 460 MiB"), "{planes}");
        let few_files = Machine { memory_bytes: 22 << 30, files: 64 };
        assert_eq!(check(NEED, few_files), Err(TooMuch::Files { need: 96, have: 64 }));
    }
}
