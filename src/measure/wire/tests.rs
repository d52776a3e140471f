use super::*;
use proptest::prelude::*;

fn pick<T: Copy + std::fmt::Debug + 'static>(table: &'static [T]) -> impl Strategy<Value = T> {
    (0..table.len()).prop_map(|i| table[i])
}

fn app() -> impl Strategy<Value = AppId> {
    any::<u32>().prop_map(AppId)
}

fn at() -> impl Strategy<Value = Time> {
    any::<u64>().prop_map(Time)
}

fn of_apps() -> impl Strategy<Value = Signal> {
    let (n, b) = (any::<u64>(), any::<bool>());
    prop_oneof![
        (app(), at(), n, b, pick(&HEALTHS), pick(&SYNCS), n, n).prop_map(
            |(app, at, generation, deleted, health, sync, compared, revision)| {
                Signal::AppCommitted { app, at, generation, deleted, health, sync, compared, revision }
            }
        ),
        (app(), at(), n, any::<u32>()).prop_map(|(app, at, generation, shard)| Signal::Seen {
            app,
            at,
            generation,
            shard
        }),
        (app(), any::<u32>(), at(), n, n, any::<u32>(), pick(&OUTCOMES)).prop_map(
            |(app, shard, at, wait, took, calls, outcome)| {
                Signal::Round { app, shard, at, queue_wait: Span(wait), took: Span(took), calls, outcome }
            }
        ),
        (app(), at(), pick(&FLUX_OBJECTS), n).prop_map(|(app, at, object, generation)| Signal::Written {
            app,
            at,
            object,
            generation
        }),
        (app(), at(), n, n).prop_map(|(app, at, generation, revision)| Signal::Fetched {
            app,
            at,
            generation,
            revision
        }),
        (app(), at(), n, n).prop_map(|(app, at, generation, revision)| Signal::Applied {
            app,
            at,
            generation,
            revision
        }),
        (app(), at(), b, n, n).prop_map(|(app, at, ready, generation, revision)| {
            Signal::FluxReady { app, at, ready, generation, revision }
        }),
        (app(), at(), n, pick(&CHANGES), b).prop_map(|(app, at, object, change, by_controller)| {
            Signal::ObjectChanged { app, at, object, change, by_controller }
        }),
        (app(), at(), pick(&FLUX_OBJECTS)).prop_map(|(app, at, object)| Signal::Gone { app, at, object }),
    ]
}

fn signal() -> impl Strategy<Value = Signal> {
    prop_oneof![
        9 => of_apps(),
        1 => (any::<u32>(), at(), any::<u32>(), any::<u32>())
            .prop_map(|(shard, at, ready, waiting)| Signal::QueueDepth { shard, at, ready, waiting }),
        1 => (any::<u32>(), at(), any::<u32>(), any::<u32>())
            .prop_map(|(shard, at, clusters, gained)| Signal::Owns { shard, at, clusters, gained }),
    ]
}

proptest! {
    #[test]
    fn signals_survive_the_pipe_in_pieces_of_any_size(
        signals in prop::collection::vec(signal(), 0..40),
        piece in 1_usize..100,
    ) {
        let bytes: Vec<u8> = signals.iter().flat_map(Signal::encode).collect();
        let (mut decoder, mut read) = (Decoder::default(), Vec::new());
        for part in bytes.chunks(piece) {
            decoder.feed(part, |s| read.push(s)).unwrap();
        }
        prop_assert_eq!(read, signals);
        prop_assert!(!decoder.is_torn());
    }
}

#[test]
fn bytes_that_nobody_writes_are_named_not_guessed() {
    let mut record = Signal::QueueDepth { shard: 0, at: Time(1), ready: 2, waiting: 3 }.encode();
    record[0] = 99;
    let mut decoder = Decoder::default();
    decoder.feed(&Signal::QueueDepth { shard: 0, at: Time(0), ready: 1, waiting: 0 }.encode(), |_| ()).unwrap();
    let error = decoder.feed(&record, |_| panic!("nothing to hand out")).unwrap_err();
    assert_eq!(error, Corrupt { index: 1, what: "the kind of a record", byte: 99 });
}

#[test]
fn a_batch_is_one_atomic_write_and_refuses_more() {
    let mut batch = Batch::default();
    let signal = Signal::QueueDepth { shard: 0, at: Time(1), ready: 2, waiting: 3 };
    while batch.push(&signal) {}
    assert_eq!((batch.len(), batch.bytes().len()), (102, 4080));
    batch.clear();
    assert!(batch.is_empty() && batch.push(&signal));
}

#[test]
fn a_writer_that_died_inside_a_record_is_noticed() {
    let mut decoder = Decoder::default();
    decoder.feed(&[4, 0, 0], |_| ()).unwrap();
    assert!(decoder.is_torn());
}
