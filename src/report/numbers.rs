//! Numbers as people read them: three digits, the unit beside them.

use crate::record::Provenance;

/// Seconds as `850 us`, `12.3 ms`, `1.23 s`, `2m05s`; a dash for nothing.
pub(super) fn time(secs: Option<f64>) -> String {
    let Some(secs) = secs else { return "-".to_owned() };
    if secs >= 99.95 {
        let whole = secs.round();
        return format!("{}m{:02}s", (whole / 60.0).floor(), whole % 60.0);
    }
    let (value, unit) = if secs >= 0.9995 {
        (secs, "s")
    } else if secs >= 0.000_999_5 {
        (secs * 1e3, "ms")
    } else {
        (secs * 1e6, "us")
    };
    format!("{} {unit}", three_digits(value))
}

/// The shortest text with three significant digits.
pub(super) fn three_digits(value: f64) -> String {
    let decimals = if value == 0.0 || value.abs() >= 99.95 {
        0
    } else if value.abs() >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.decimals$}")
}

/// `12,345`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes as `512 B`, `12.3 MiB`; a dash for nothing.
pub(super) fn bytes(n: Option<u64>) -> String {
    let Some(n) = n else { return "-".to_owned() };
    let mut value = n as f64;
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if value < 999.5 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    if unit == "B" { format!("{n} B") } else { format!("{} {unit}", three_digits(value)) }
}

/// A count that may be unknown.
pub(super) fn maybe(n: Option<u64>) -> String {
    n.map_or_else(|| "-".to_owned(), count)
}

/// `part / whole` with three digits; a dash when there is no whole.
pub(super) fn per(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { three_digits(part as f64 / whole as f64) }
}

/// A share as `12%`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

/// What stands before a number that was not measured.
pub(super) const fn mark(provenance: Provenance) -> &'static str {
    match provenance {
        Provenance::Measured => "",
        Provenance::Modelled => "~",
        Provenance::Assumed => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        for (secs, text) in [
            (0.0, "0 us"),
            (0.000_85, "850 us"),
            (0.001, "1.00 ms"),
            (0.012_34, "12.3 ms"),
            (0.999_9, "1.00 s"),
            (61.23, "61.2 s"),
            (125.4, "2m05s"),
            (3_599.9, "60m00s"),
        ] {
            assert_eq!(time(Some(secs)), text);
        }
        assert_eq!((time(None), bytes(None), maybe(None), per(1, 0)), ("-".into(), "-".into(), "-".into(), "-".into()));
        assert_eq!(
            (count(0), count(999), count(1_000), count(1_234_567)),
            ("0".into(), "999".into(), "1,000".into(), "1,234,567".into())
        );
        assert_eq!(
            (bytes(Some(512)), bytes(Some(1 << 20)), bytes(Some(12_900_000))),
            ("512 B".into(), "1.00 MiB".into(), "12.3 MiB".into())
        );
        assert_eq!((per(31, 2), percent(0.914)), ("15.5".into(), "91%".into()));
    }
}
