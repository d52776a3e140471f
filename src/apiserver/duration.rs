//! Durations as Go writes them (`time.ParseDuration`): `1h30m`, `-1.5s`, `300ms`.
//!
//! In: a text. Out: nanoseconds, or Go's words for what is wrong with it.

/// Units and what they are worth, nanoseconds.
const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)];

/// The largest duration that Go has, nanoseconds, rounded down.
const MOST: f64 = 9.2e18;

/// Nanoseconds of a duration.
///
/// # Errors
/// Go's message.
pub(super) fn parse(text: &str) -> Result<i64, String> {
    let bad = || format!("time: invalid duration {text:?}");
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    let mut total = 0.0;
    if rest.is_empty() {
        return Err(bad());
    }
    let is_number = |one: char| one.is_ascii_digit() || one == '.';
    while !rest.is_empty() {
        let digits = rest.find(|one| !is_number(one)).unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let unit = &rest[..rest.find(is_number).unwrap_or(rest.len())];
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let known = UNITS.iter().find(|(name, _)| *name == unit);
        let (_, worth) = known.ok_or_else(|| format!("time: unknown unit {unit:?} in duration {text:?}"))?;
        rest = &rest[unit.len()..];
        total += number * worth;
    }
    if total > MOST {
        return Err(bad());
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked against the largest duration")]
    Ok((sign * total).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_refused_as_go_does() {
        for (text, nanos) in [
            ("0", 0),
            ("1h30m", 5_400_000_000_000),
            ("-1.5s", -1_500_000_000),
            ("+2us3ns", 2_003),
            ("100ms", 100_000_000),
            (".5s", 500_000_000),
        ] {
            assert_eq!(parse(text), Ok(nanos), "{text}");
        }
        // As Go 1.26 says it.
        for (text, words) in [
            ("", r#"time: invalid duration """#),
            ("xyz", r#"time: invalid duration "xyz""#),
            ("5", r#"time: missing unit in duration "5""#),
            ("5x", r#"time: unknown unit "x" in duration "5x""#),
            ("1h5", r#"time: missing unit in duration "1h5""#),
            ("300000000h", r#"time: invalid duration "300000000h""#),
        ] {
            assert_eq!(parse(text), Err(words.to_owned()), "{text}");
        }
    }
}
