//! Machines: who gets which core when, in integer nanoseconds.
//!
//! In: work as it becomes ready, in the order of the simulation. Out: the instant at which it is done, at once: work is
//! never taken back, so an answer stays true whatever comes later. Never a clock, never a draw.
//!
//! [`Cpu`] is what one process may use: whole cores, or a share of one (a container's limit), which makes work slower. Work
//! takes the core that is free first, in the order in which it comes, and runs to its end: what saturates it makes
//! everything behind wait. Pieces of work are tens of microseconds to milliseconds, about the slice of a real scheduler (3 ms),
//! so taking turns within one would change little; over longer spans both share evenly.
//!
//! [`Host`] is a machine under several processes: work waits for a core of its process and then for one of the host. A
//! process that may use one core only leaves holes on the host, which work of others fills.

use crate::units::{Span, Time};
use smallvec::SmallVec;
use std::collections::VecDeque;

/// What one process may use of a machine.
#[derive(Clone, Debug)]
pub struct Cpu {
    /// When each core is free.
    free_at: SmallVec<[Time; 2]>,
    /// How fast each of them is, in thousandths.
    speed: u32,
    busy: Span,
}

impl Cpu {
    /// So many thousandths of a core, at least one. 2,500 are three cores at five sixths of their speed.
    #[must_use]
    pub fn new(milli: u32) -> Self {
        let milli = milli.max(1);
        let cores = milli.div_ceil(1000);
        Self { free_at: SmallVec::from_elem(Time(0), cores as usize), speed: milli / cores, busy: Span::ZERO }
    }

    /// When work that is ready at `at` and takes `cost` of a whole core is done.
    pub fn work(&mut self, at: Time, cost: Span) -> Time {
        let (core, begin, cost) = self.take(at, cost);
        let done = begin + cost;
        self.give(core, cost, done);
        done
    }

    /// The same on a host that others use too. Nothing is asked for a time before `now` any more.
    pub fn work_on(&mut self, host: &mut Host, now: Time, at: Time, cost: Span) -> Time {
        let (core, begin, cost) = self.take(at, cost);
        let done = host.work(now, begin, cost);
        self.give(core, cost, done);
        done
    }

    /// CPU time that it gave.
    #[must_use]
    pub const fn busy(&self) -> Span {
        self.busy
    }

    /// It worked so long, and is done with it.
    pub fn was_busy(&mut self, span: Span) {
        self.busy += span;
    }

    /// From when on no core has work.
    #[must_use]
    pub fn idle_from(&self) -> Time {
        self.free_at.iter().copied().max().unwrap_or(Time(0))
    }

    /// The same in seconds of a whole core.
    #[must_use]
    pub fn spent(&self) -> Span {
        self.busy.scaled(u64::from(self.speed), 1000)
    }

    /// How many cores work at the same time.
    #[must_use]
    pub fn cores(&self) -> u32 {
        u32::try_from(self.free_at.len()).unwrap_or(u32::MAX)
    }

    /// Which part of a span, in millionths, it was at work.
    #[must_use]
    pub fn busy_ppm(&self, of: Span) -> u64 {
        let all = of.0.saturating_mul(u64::from(self.cores()));
        u64::try_from(u128::from(self.busy.0) * 1_000_000 / u128::from(all.max(1))).unwrap_or(u64::MAX)
    }

    /// The core that is free first, from when on, and the time that the work takes there.
    fn take(&self, at: Time, cost: Span) -> (usize, Time, Span) {
        let cores = self.free_at.iter().enumerate();
        let (core, free) = cores.min_by_key(|(_, free)| **free).map_or((0, Time(0)), |(core, free)| (core, *free));
        let cost = if self.speed == 1000 { cost } else { cost.scaled(1000, u64::from(self.speed)) };
        (core, if cost == Span::ZERO { at } else { free.max(at) }, cost)
    }

    fn give(&mut self, core: usize, cost: Span, done: Time) {
        if cost == Span::ZERO {
            return;
        }
        self.busy += cost;
        self.free_at[core] = done;
    }
}

/// A machine under several processes.
#[derive(Clone, Debug)]
pub struct Host {
    cores: Vec<Core>,
    busy: Span,
}

#[derive(Clone, Debug, Default)]
struct Core {
    /// Nothing is planned from here on.
    free_at: Time,
    /// Holes before, in order.
    holes: VecDeque<(Time, Time)>,
}

impl Core {
    /// When work could begin.
    fn begin(&self, at: Time, cost: Span) -> Time {
        let fits = |(from, to): &&(Time, Time)| (*from).max(at) + cost <= *to;
        self.holes.iter().find(fits).map_or(self.free_at.max(at), |(from, _)| (*from).max(at))
    }

    fn plan(&mut self, begin: Time, cost: Span) {
        let end = begin + cost;
        let Some(n) = self.holes.iter().position(|(from, to)| *from <= begin && end <= *to) else {
            if begin > self.free_at {
                self.holes.push_back((self.free_at, begin));
            }
            self.free_at = end;
            return;
        };
        let (from, to) = self.holes[n];
        self.holes[n] = (end, to);
        if from < begin {
            self.holes.insert(n, (from, begin));
        }
    }
}

impl Host {
    /// So many whole cores, at least one.
    #[must_use]
    pub fn new(cores: u32) -> Self {
        Self { cores: vec![Core::default(); cores.max(1) as usize], busy: Span::ZERO }
    }

    /// When work that is ready at `at` is done. Nothing is asked for a time before `now` any more.
    pub fn work(&mut self, now: Time, at: Time, cost: Span) -> Time {
        if cost == Span::ZERO {
            return at;
        }
        self.busy += cost;
        for core in &mut self.cores {
            while core.holes.front().is_some_and(|(_, to)| *to <= now) {
                core.holes.pop_front();
            }
        }
        let begins = self.cores.iter().map(|core| core.begin(at, cost)).enumerate();
        let (core, begin) = begins.min_by_key(|(_, begin)| *begin).unwrap_or((0, at));
        self.cores[core].plan(begin, cost);
        begin + cost
    }

    /// CPU time that it gave.
    #[must_use]
    pub const fn busy(&self) -> Span {
        self.busy
    }

    /// Which part of a span, in millionths, it was at work.
    #[must_use]
    pub fn busy_ppm(&self, of: Span) -> u64 {
        let all = u128::from(of.0) * self.cores.len() as u128;
        u64::try_from(u128::from(self.busy.0) * 1_000_000 / all.max(1)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn done(cpu: &mut Cpu, work: &[(u64, u64)]) -> Vec<u64> {
        work.iter().map(|(at, cost)| cpu.work(Time(*at), Span(*cost)).0).collect()
    }

    #[test]
    fn work_waits_for_the_core_that_is_free_first() {
        let mut cpu = Cpu::new(2_000);
        assert_eq!(done(&mut cpu, &[(0, 10), (0, 4), (0, 4), (20, 1), (20, 0)]), [10, 4, 8, 21, 20]);
        assert_eq!((cpu.busy(), cpu.busy_ppm(Span(19))), (Span(19), 500_000));
    }

    #[test]
    fn a_share_of_a_core_makes_work_slower() {
        for (milli, cores, expected) in
            [(1_000, 1, [10, 20, 30]), (500, 1, [20, 40, 60]), (2_500, 3, [12, 12, 12]), (3_000, 3, [10, 10, 10])]
        {
            let mut cpu = Cpu::new(milli);
            assert_eq!((cpu.cores(), done(&mut cpu, &[(0, 10), (0, 10), (0, 10)])), (cores, expected.to_vec()));
        }
    }

    #[test]
    fn a_process_with_one_core_leaves_the_other_to_the_rest() {
        let (mut host, mut one, mut two) = (Host::new(2), Cpu::new(1_000), Cpu::new(2_000));
        let now = Time(0);
        let first: Vec<u64> = (0..3).map(|_| one.work_on(&mut host, now, now, Span(10)).0).collect();
        assert_eq!(first, [10, 20, 30], "one after the other, with a core to spare");
        let second: Vec<u64> = [20, 10, 10].map(|cost| two.work_on(&mut host, now, now, Span(cost)).0).to_vec();
        assert_eq!(second, [20, 30, 40], "the core to spare, then whatever is free");
        assert_eq!(host.busy(), Span(70));
    }

    #[test]
    fn a_hole_is_filled_and_forgotten_when_its_time_has_passed() {
        let mut host = Host::new(1);
        assert_eq!(host.work(Time(0), Time(100), Span(10)), Time(110));
        assert_eq!(host.work(Time(0), Time(0), Span(60)), Time(60));
        assert_eq!(host.work(Time(0), Time(0), Span(50)), Time(160), "does not fit before");
        assert_eq!(host.work(Time(0), Time(0), Span(40)), Time(100), "fits exactly");
        assert_eq!(host.work(Time(500), Time(500), Span(1)), Time(501));
        assert_eq!(host.cores[0].holes.len(), 1);
        host.work(Time(501), Time(501), Span(1));
        assert!(host.cores[0].holes.is_empty());
    }

    proptest! {
        #[test]
        fn a_host_never_does_more_at_once_than_it_has_cores(
            work in prop::collection::vec((0_u64..20, 1_u64..30, 0_usize..3), 1..60), cores in 1_u32..4,
        ) {
            let mut host = Host::new(cores);
            let mut processes = [Cpu::new(1_000), Cpu::new(1_000), Cpu::new(4_000)];
            let (mut now, mut spans) = (0, Vec::new());
            for (gap, cost, process) in work {
                now += gap;
                let done = processes[process].work_on(&mut host, Time(now), Time(now), Span(cost)).0;
                prop_assert!(done >= now + cost);
                spans.push((done - cost, done, process));
            }
            for (begin, _, _) in &spans {
                let at_once = |only: Option<usize>| {
                    spans.iter().filter(|(b, e, p)| b <= begin && begin < e && only.is_none_or(|only| only == *p)).count()
                };
                prop_assert!(at_once(None) <= cores as usize);
                prop_assert!(at_once(Some(0)) <= 1 && at_once(Some(1)) <= 1 && at_once(Some(2)) <= 4);
            }
        }
    }
}
