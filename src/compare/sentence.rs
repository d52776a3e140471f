//! A verdict in words.

use super::{Metric, Verdict};

/// How a headline is called.
const WORDS: [(&str, &str); 6] = [
    ("time.all_healthy_s", "all healthy after"),
    ("latency.end_to_end.p99_s", "99% of the changes end to end in"),
    ("processes.cpu_s", "CPU in all"),
    ("processes.rss_max_bytes", "memory in all"),
    ("counts.apps_healthy", "healthy apps"),
    ("counts.failed", "failed changes"),
];

/// One sentence on a result against the base.
pub(super) fn sentence(base: &str, head: &str, metrics: &[Metric], verdict: Verdict) -> String {
    let told = |wanted: Verdict| -> Vec<String> {
        let told = WORDS.iter().filter_map(|(name, words)| {
            let metric = metrics.iter().find(|metric| metric.name == *name && metric.verdict == wanted)?;
            Some(format!("{words} {} instead of {}", value(metric, &metric.head), value(metric, &metric.base)))
        });
        told.collect()
    };
    let (better, worse, open) = (told(Verdict::Better), told(Verdict::Regressed), told(Verdict::Inconclusive));
    let mut sentence = match (verdict, better.is_empty()) {
        (Verdict::Same, _) => format!("{head} and {base} do not differ by more than the noise"),
        (Verdict::Better, _) => format!("{head} is better than {base}: {}", better.join(", ")),
        (Verdict::Regressed, true) => format!("{head} is worse than {base}: {}", worse.join(", ")),
        (Verdict::Regressed, false) => {
            format!("{head} trades against {base}: better are {}; worse are {}", better.join(", "), worse.join(", "))
        }
        (Verdict::Inconclusive, _) => format!("{head} against {base} cannot be told"),
    };
    if verdict != Verdict::Same && !open.is_empty() {
        sentence.push_str("; open is ");
        sentence.push_str(&open.join(", "));
    }
    sentence
}

/// A value with its unit, three digits.
fn value(metric: &Metric, value: &serde_json::Value) -> String {
    let Some(number) = value.as_f64() else { return "none".to_owned() };
    match metric.unit {
        "s" if number >= 100.0 => format!("{number:.0} s"),
        "s" if number >= 1.0 => format!("{number:.1} s"),
        "s" => format!("{:.1} ms", number * 1e3),
        "B" => format!("{:.2} GiB", number / f64::from(1 << 30)),
        _ => format!("{number}"),
    }
}
