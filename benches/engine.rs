//! The hold model: so many events wait; one is taken and another pushed, a drawn time later.
//!
//! `cargo bench --bench engine`. Times are exponential with a mean of one second, and half of the events come 200 us later
//! instead, as calls do.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flamboyance::drive::virtual_time::queue::{Heap, Wheel};
use flamboyance::seed::Seed;
use flamboyance::units::{Span, Time};

const HOLDS: usize = 1_000_000;

/// The payload of a simulation's event.
type Event = [u64; 3];

/// Delays drawn beforehand: drawing is not what is measured.
fn delays() -> Vec<Span> {
    let seed = Seed::new(1).child("hold");
    let draw = |n: u64| {
        if n.is_multiple_of(2) { Span::from_micros(200) } else { seed.exponential(n, Span::from_secs(1)) }
    };
    (0..1 << 16).map(draw).collect()
}

fn starts(pending: u64) -> impl Iterator<Item = Time> {
    let seed = Seed::new(2).child("start");
    (0..pending).map(move |n| Time(0) + seed.exponential(n, Span::from_secs(1)))
}

macro_rules! hold {
    ($group:expr, $name:literal, $queue:ident, $pending:expr, $delays:expr) => {
        $group.bench_function(BenchmarkId::new($name, $pending), |b| {
            let filled = || {
                let mut queue: $queue<Event> = $queue::default();
                starts($pending).for_each(|at| queue.push(at, [at.0; 3]));
                queue
            };
            b.iter_batched_ref(
                filled,
                |queue| {
                    for delay in $delays.iter().cycle().take(HOLDS) {
                        if let Some((at, event)) = queue.pop() {
                            queue.push(at + *delay, event);
                        }
                    }
                },
                BatchSize::LargeInput,
            );
        });
    };
}

fn hold(c: &mut Criterion) {
    let delays = delays();
    let mut group = c.benchmark_group("hold");
    group.throughput(Throughput::Elements(HOLDS as u64)).sample_size(10);
    for pending in [1_000, 1_000_000] {
        hold!(group, "wheel", Wheel, pending, delays);
        hold!(group, "heap", Heap, pending, delays);
    }
    group.finish();
}

criterion_group!(benches, hold);
criterion_main!(benches);
