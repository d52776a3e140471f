//! The client-side rate limiter: client-go's token bucket (`golang.org/x/time/rate`), as a machine.
//!
//! In: the instant of a call. Out: how long it must wait. Integers only: the bucket is kept as the instant at which it
//! will be full again.

use crate::units::{Span, Time};

/// A bucket of `burst` tokens that refills evenly. Twenty-four bytes, so that each of 10,000 leaves can have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    /// Nanoseconds per token; 0 is unlimited.
    interval: u64,
    burst: u32,
    full_at: Time,
}

impl TokenBucket {
    /// A full bucket. `qps_milli` is thousandths of a token per second, 0 for no limit; `burst` is at least one.
    #[must_use]
    pub fn new(qps_milli: u64, burst: u32) -> Self {
        let interval = 1_000_000_000_000_u64.checked_div(qps_milli).unwrap_or(0);
        Self { interval, burst: burst.max(1), full_at: Time(0) }
    }

    /// Takes a token, if need be one that is yet to come, and says how long until it is there.
    pub fn reserve(&mut self, now: Time) -> Span {
        if self.interval == 0 {
            return Span::ZERO;
        }
        self.full_at = self.full_at.max(now) + Span(self.interval);
        let capacity = Span(self.interval.saturating_mul(u64::from(self.burst)));
        (self.full_at - capacity).since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let mut bucket = TokenBucket::new(10_000, 3);
        let start = Time(5_000_000_000);
        let waits: Vec<u64> = (0..6).map(|_| bucket.reserve(start).0 / 1_000_000).collect();
        assert_eq!(waits, [0, 0, 0, 100, 200, 300]);
        // Three tokens of the six are owed; after 400 ms one is back.
        let later = start + Span::from_millis(400);
        assert_eq!(bucket.reserve(later), Span::ZERO);
        assert_eq!(bucket.reserve(later), Span::from_millis(100));
        // A long rest fills it no further than its burst.
        let rested = start + Span::from_secs(1_000);
        let waits: Vec<u64> = (0..4).map(|_| bucket.reserve(rested).0).collect();
        assert_eq!(waits, [0, 0, 0, 100_000_000]);
    }

    #[test]
    fn no_rate_is_no_limit() {
        let mut bucket = TokenBucket::new(0, 1);
        assert!((0..1_000).all(|_| bucket.reserve(Time(1)) == Span::ZERO));
    }
}
