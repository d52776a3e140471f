//! Histograms as an HDR interval log (`.hlog`), which HdrHistogram's tools in every language read.
//!
//! One line per kind of change and hop, tagged `KIND.HOP`, values in microseconds.

use crate::measure::{ChangeKind, Histogram, Hop, Latencies};
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, Tag};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};
use std::time::Duration;

pub(super) fn write(latencies: &Latencies, seconds: f64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut builder = IntervalLogWriterBuilder::new();
    builder.add_comment("flamboyance: latency of changes by kind and hop, microseconds").with_max_value_divisor(1e6);
    let mut log = builder.begin_log_with(&mut bytes, &mut serializer).map_err(|e| e.to_string())?;
    let length = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    for (kind, hops) in latencies.by_kind() {
        for hop in Hop::ALL {
            let name = tag(kind, hop);
            let micros = hops[hop as usize].micros();
            if let (Some(tag), false) = (Tag::new(&name), micros.is_empty()) {
                log.write_histogram(micros, Duration::ZERO, length, Some(tag)).map_err(|e| format!("{e:?}"))?;
            }
        }
    }
    Ok(bytes)
}

/// The histograms of a log; lines of tags that this version does not know are left out.
pub(super) fn read(bytes: &[u8]) -> Result<Latencies, String> {
    let mut latencies = Latencies::default();
    let mut deserializer = Deserializer::new();
    for entry in IntervalLogIterator::new(bytes) {
        let LogEntry::Interval(interval) = entry.map_err(|e| format!("{e:?}"))? else { continue };
        let Some((kind, hop)) = interval.tag().and_then(|t| known(t.as_str())) else { continue };
        let packed = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, interval.encoded_histogram())
            .map_err(|e| e.to_string())?;
        let micros = deserializer.deserialize(&mut packed.as_slice()).map_err(|e| e.to_string())?;
        latencies.insert(kind, hop, Histogram::from_micros(micros));
    }
    Ok(latencies)
}

fn tag(kind: ChangeKind, hop: Hop) -> String {
    format!("{}.{}", kind.name(), hop.name())
}

fn known(tag: &str) -> Option<(ChangeKind, Hop)> {
    let (kind, hop) = tag.split_once('.')?;
    let kind = ChangeKind::ALL.into_iter().find(|k| k.name() == kind)?;
    Some((kind, Hop::ALL.into_iter().find(|h| h.name() == hop)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::synthetic;

    #[test]
    fn histograms_survive_their_log() {
        let latencies = synthetic::outcome().latencies;
        let read = read(&write(&latencies, 60.0).unwrap()).unwrap();
        for ((kind, written), (read_kind, read)) in latencies.by_kind().zip(read.by_kind()) {
            assert_eq!(kind, read_kind);
            for hop in Hop::ALL {
                assert_eq!(written[hop as usize].quantiles(), read[hop as usize].quantiles(), "{kind:?} {hop:?}");
            }
        }
        assert_eq!(latencies.by_kind().count(), read.by_kind().count());
    }

    #[test]
    fn a_torn_log_is_an_error_not_a_panic() {
        let bytes = write(&synthetic::outcome().latencies, 60.0).unwrap();
        assert!(read(&bytes[..bytes.len() - 30]).is_err());
        assert!(read(b"not a log").is_err());
    }
}
