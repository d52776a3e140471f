//! Quantities with their unit in the type: instants, spans, sizes, rates, shares.
//!
//! In: integers and the texts people write (`1h30m`, `512Mi`, `50/s`, `5%`). Out: integers and the same texts. Never a
//! float in state, never the clock: an instant is whatever its rim says.

mod quantity;
mod text;

pub use quantity::{BadQuantity, Bytes, Rate, Share};

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// An instant: nanoseconds since the start of the run (virtual) or since boot (`CLOCK_MONOTONIC`, live).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

/// A length of time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of whole seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000_000_000)
    }

    /// A span of whole milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    /// A span of whole microseconds.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros * 1_000)
    }

    /// Seconds, for output only.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The span scaled by `numerator / denominator`, rounded down, saturating.
    #[must_use]
    pub fn scaled(self, numerator: u64, denominator: u64) -> Self {
        let wide = u128::from(self.0) * u128::from(numerator) / u128::from(denominator.max(1));
        Self(u64::try_from(wide).unwrap_or(u64::MAX))
    }

    /// The same span for the standard library.
    #[must_use]
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.0)
    }
}

impl Time {
    /// How long ago `earlier` was; zero if it is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

/// How the clock of a part of a run stands beside that of the run: it is behind by `later`, and ahead by `earlier`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offset {
    /// Added to a time of the part.
    pub later: Span,
    /// Taken from it.
    pub earlier: Span,
}

impl Offset {
    /// A time of the part on the run's clock; its beginning if it was before that.
    #[must_use]
    pub fn to_run(self, at: Time) -> Time {
        at + self.later - self.earlier
    }

    /// A time of the run on the part's clock; its beginning if it was before that.
    #[must_use]
    pub fn to_part(self, at: Time) -> Time {
        at + self.earlier - self.later
    }
}

impl Time {
    /// Appends nanoseconds since 1970 (UTC) as RFC 3339 with whole seconds, the form of Kubernetes `metav1.Time`.
    pub fn write_rfc3339(self, out: &mut String) {
        out.extend(rfc3339(self.0 / 1_000_000_000).map(char::from));
    }
}

/// Seconds since 1970 (UTC) as `2026-01-02T03:04:05Z`; what lies behind the year 9999 is its last second.
#[must_use]
pub fn rfc3339(unix_secs: u64) -> [u8; 20] {
    const LAST: u64 = 253_402_300_799;
    const DIGITS: &[u8; 10] = b"0123456789";
    let secs = unix_secs.min(LAST);
    let (year, month, day) = civil(secs / 86_400);
    let parts = [year / 100, year % 100, month, day, secs / 3_600 % 24, secs / 60 % 60, secs % 60];
    let mut text = *b"0000-00-00T00:00:00Z";
    for (part, at) in parts.into_iter().zip([0, 2, 5, 8, 11, 14, 17]) {
        text[at] = DIGITS[(part / 10 % 10) as usize];
        text[at + 1] = DIGITS[(part % 10) as usize];
    }
    text
}

/// Days since 1970 as (year, month, day): Howard Hinnant's `civil_from_days` for days after the epoch.
const fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

impl Add<Span> for Time {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Span> for Time {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Sub<Span> for Time {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Span {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl fmt::Display for Span {
    /// Go's form: `1h30m0s`, `2.5s`, `250ms`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0;
        if ns == 0 {
            return f.write_str("0s");
        }
        if ns < 1_000_000_000 {
            let (unit, name) = if ns < 1_000 {
                (1, "ns")
            } else if ns < 1_000_000 {
                (1_000, "us")
            } else {
                (1_000_000, "ms")
            };
            return write!(f, "{}{name}", decimal(ns, unit));
        }
        let whole = ns / 1_000_000_000;
        let (hours, minutes) = (whole / 3600, whole / 60 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{}s", decimal(ns % 60_000_000_000, 1_000_000_000))
    }
}

/// `value / unit` as a decimal without trailing zeros; `unit` is a power of ten.
fn decimal(value: u64, unit: u64) -> String {
    let (whole, rest) = (value / unit, value % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let digits = unit.ilog10() as usize;
    format!("{whole}.{rest:0digits$}").trim_end_matches('0').to_owned()
}

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a duration: write a number and a unit, such as 250ms, 1.5s or 1h30m")]
pub struct BadSpan {
    text: String,
}

impl std::str::FromStr for Span {
    type Err = BadSpan;

    /// Go's `time.ParseDuration` without signs.
    fn from_str(text: &str) -> Result<Self, BadSpan> {
        parse_span(text).ok_or_else(|| BadSpan { text: text.to_owned() })
    }
}

fn parse_span(text: &str) -> Option<Span> {
    if text == "0" {
        return Some(Span::ZERO);
    }
    let mut rest = text;
    let mut total = 0_u128;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let unit: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        total = total.checked_add(scaled_decimal(number, unit)?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(())?;
    u64::try_from(total).ok().map(Span)
}

/// `number` (decimal digits with at most one point) times `unit`, rounded down.
fn scaled_decimal(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || whole.len() > 20 || fraction.len() > 18 || fraction.contains('.') {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let fraction: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    Some(whole * unit + fraction * unit / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print_as_go_writes_them() {
        for (text, ns, printed) in [
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("250ms", 250_000_000, "250ms"),
            ("1.5s", 1_500_000_000, "1.5s"),
            ("90m", 5_400_000_000_000, "1h30m0s"),
            ("1h0m0.5s", 3_600_500_000_000, "1h0m0.5s"),
            ("10us", 10_000, "10us"),
            (".5s", 500_000_000, "500ms"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span, Span(ns), "{text}");
            assert_eq!(span.to_string(), printed);
            assert_eq!(printed.parse(), Ok(span));
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused_with_the_form_to_write() {
        for text in ["", "5", "5 s", "s", "-1s", "1.2.3s", ".s", "1d", "99999999999999999999h"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
