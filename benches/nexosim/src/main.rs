//! The hold model on our queue of events and on nexosim, in one run: so many events wait; one is taken and another comes, a
//! drawn time later.
//!
//! The delays are those of `benches/engine.rs`: half of them 200 us, the others exponential with a mean of a second. nexosim
//! plays it as its documentation suggests: one model that schedules its own events, on one thread.

// As it is in the product. It wants of `units` no more than a time.
#[allow(dead_code, reason = "the product uses all of it")]
#[path = "../../../src/drive/virtual_time/queue.rs"]
mod queue;

mod units {
    /// Nanoseconds.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub struct Time(pub u64);
}

use nexosim::model::{Context, Model, schedulable};
use nexosim::simulation::{Mailbox, SimInit, SimulationError};
use nexosim::time::MonotonicTime;
use queue::{Heap, Wheel};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use units::Time;

/// Events that are taken; as many delays are drawn beforehand.
const HOLDS: u64 = 1_000_000;
const DRAWN: u64 = 1 << 16;

/// What an event carries.
type Event = [u64; 3];

/// SplitMix64.
fn bits(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// Exponential with a mean of a second, in nanoseconds, at least one.
fn exponential(n: u64) -> u64 {
    let unit = (bits(n) >> 11) as f64 / (1_u64 << 53) as f64;
    ((-(1.0 - unit).ln() * 1e9) as u64).max(1)
}

fn delay(n: u64) -> u64 {
    if n.is_multiple_of(2) { 200_000 } else { exponential(n) }
}

macro_rules! hold {
    ($queue:ident, $pending:expr, $delays:expr) => {{
        let mut queue: $queue<Event> = $queue::default();
        (0..$pending).for_each(|n| queue.push(Time(exponential(!n)), [n; 3]));
        let began = Instant::now();
        for delay in $delays.iter().cycle().take(HOLDS as usize) {
            if let Some((at, event)) = queue.pop() {
                queue.push(Time(at.0 + delay), event);
            }
        }
        began.elapsed()
    }};
}

static HANDLED: AtomicU64 = AtomicU64::new(0);

#[derive(Serialize, Deserialize)]
struct Hold {
    pending: u64,
    delays: Vec<Duration>,
}

#[Model]
impl Hold {
    #[nexosim(init)]
    async fn init(&mut self, cx: &Context<Self>) {
        for n in 0..self.pending {
            let at = Duration::from_nanos(exponential(!n));
            cx.schedule_event(at, schedulable!(Self::hold), [n; 3]).expect("a later time");
        }
    }

    #[nexosim(schedulable)]
    fn hold(&mut self, event: Event, cx: &Context<Self>) {
        let n = HANDLED.fetch_add(1, Ordering::Relaxed);
        let delay = self.delays[(n % DRAWN) as usize];
        cx.schedule_event(delay, schedulable!(Self::hold), event).expect("a later time");
    }
}

fn nexosim(pending: u64, delays: &[u64]) -> Result<Duration, SimulationError> {
    let model = Hold { pending, delays: delays.iter().copied().map(Duration::from_nanos).collect() };
    let mut simulation = SimInit::with_num_threads(1)
        .add_model(model, Mailbox::new(), "hold")
        .init(MonotonicTime::EPOCH)?;
    HANDLED.store(0, Ordering::Relaxed);
    let began = Instant::now();
    while HANDLED.load(Ordering::Relaxed) < HOLDS {
        simulation.step()?;
    }
    Ok(began.elapsed())
}

fn main() -> Result<(), SimulationError> {
    let delays: Vec<u64> = (0..DRAWN).map(delay).collect();
    let rate = |took: Duration| HOLDS as f64 / took.as_secs_f64() / 1e6;
    println!("{:>9}  {:>12}  {:>12}  {:>12}  {:>7}", "pending", "wheel", "heap", "nexosim", "ratio");
    for pending in [1_000, 1_000_000] {
        // The best of five, in turns: whatever else runs on the machine costs all of them alike.
        let mut best = [Duration::MAX; 3];
        for _ in 0..5 {
            let took = [hold!(Wheel, pending, delays), hold!(Heap, pending, delays), nexosim(pending, &delays)?];
            for (best, took) in best.iter_mut().zip(took) {
                *best = took.min(*best);
            }
        }
        let [wheel, heap, theirs] = best.map(rate);
        println!(
            "{pending:>9}  {wheel:>8.2} M/s  {heap:>8.2} M/s  {theirs:>8.2} M/s  {:>6.1}x",
            wheel / theirs
        );
    }
    Ok(())
}
