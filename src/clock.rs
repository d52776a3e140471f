//! The only reader of the operating system's clocks, and the only sleeper.

use crate::units::{Span, Time};
use rustix::time::{ClockId, clock_gettime};

/// Now on `CLOCK_MONOTONIC`, which all processes of this machine share.
#[must_use]
pub fn now() -> Time {
    read(ClockId::Monotonic)
}

/// CPU time that this process has used so far.
#[must_use]
pub fn process_cpu() -> Span {
    Span(read(ClockId::ProcessCPUTime).0)
}

/// CPU time that this thread has used so far.
#[must_use]
pub fn thread_cpu() -> Span {
    Span(read(ClockId::ThreadCPUTime).0)
}

/// Nanoseconds since 1970, UTC.
#[must_use]
pub fn unix() -> Time {
    read(ClockId::Realtime)
}

fn read(id: ClockId) -> Time {
    let t = clock_gettime(id);
    // These clocks never go below zero on a running system.
    Time(t.tv_sec.unsigned_abs() * 1_000_000_000 + t.tv_nsec.unsigned_abs())
}

/// `unix` nanoseconds as RFC 3339 in UTC with whole seconds, the form of Kubernetes `metav1.Time`.
#[must_use]
pub fn rfc3339(unix: Time) -> String {
    let mut text = String::with_capacity(20);
    unix.write_rfc3339(&mut text);
    text
}

/// `unix` nanoseconds as RFC 3339 in UTC with microseconds, the form of Kubernetes `metav1.MicroTime`.
#[must_use]
pub fn rfc3339_micros(unix: Time) -> String {
    let mut text = rfc3339(unix);
    text.pop();
    format!("{text}.{:06}Z", unix.0 / 1_000 % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_print_as_kubernetes_prints_them() {
        for (secs, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (4_102_444_799, "2099-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(Time(secs * 1_000_000_000)), text);
        }
        assert_eq!(rfc3339_micros(Time(1_500)), "1970-01-01T00:00:00.000001Z");
    }
}
