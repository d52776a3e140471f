//! `metav1.Time` in a header: whole seconds since 1970, read from and written as RFC 3339 in UTC.

use crate::units;

/// The text of an instant.
#[must_use]
pub fn format(unix_secs: u64) -> String {
    units::rfc3339(unix_secs).map(char::from).into_iter().collect()
}

/// Appends the text of an instant: what [`format()`] says, without a text in between.
pub fn write(unix_secs: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&units::rfc3339(unix_secs));
}

/// The instant of a text, as RFC 3339 has it; `None` if it is before 1970.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    u64::try_from(seconds(text)?).ok()
}

/// Seconds since 1970 of a text: `2026-01-02T03:04:05Z`, optionally with a fraction (dropped) and a numeric offset. `None`
/// if it is something else.
pub(in crate::apiserver) fn seconds(text: &str) -> Option<i64> {
    let b = text.as_bytes();
    if b.len() < 20 || b[4] != b'-' || b[7] != b'-' || !matches!(b[10], b'T' | b't') || b[13] != b':' || b[16] != b':' {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = &b[from..to];
        digits.iter().all(u8::is_ascii_digit).then(|| digits.iter().fold(0, |n, d| n * 10 + i64::from(d - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut at = 19;
    if b[at] == b'.' {
        at += 1;
        while at < b.len() && b[at].is_ascii_digit() {
            at += 1;
        }
    }
    let offset = match b.get(at)? {
        b'Z' | b'z' if at + 1 == b.len() => 0,
        sign @ (b'+' | b'-') if at + 6 == b.len() && b[at + 3] == b':' => {
            let seconds = number(at + 1, at + 3)? * 3600 + number(at + 4, at + 6)? * 60;
            if *sign == b'+' { seconds } else { -seconds }
        }
        _ => return None,
    };
    Some(days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

/// Days since 1970 of a date: Howard Hinnant's `days_from_civil`.
pub(in crate::apiserver) const fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn written_is_what_is_formatted_and_read_again(secs in 0..18_446_744_073_u64) {
            let mut out = Vec::new();
            write(secs, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), format(secs));
            prop_assert_eq!(parse(&format(secs)), Some(secs));
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for secs in [0, 951_782_400, 1_700_000_000, 4_102_444_799] {
            assert_eq!(parse(&format(secs)), Some(secs));
        }
    }

    #[test]
    fn fractions_are_dropped_and_offsets_applied() {
        for (text, secs) in [
            ("1970-01-01T00:00:01.999Z", Some(1)),
            ("1970-01-01T02:00:00+02:00", Some(0)),
            ("1970-01-01T00:00:00-01:30", Some(5400)),
            ("1969-12-31T23:59:59Z", None),
            ("1970-13-01T00:00:00Z", None),
            ("1970-01-01 00:00:00Z", None),
            ("1970-01-01T00:00:00", None),
        ] {
            assert_eq!(parse(text), secs, "{text}");
        }
    }
}
