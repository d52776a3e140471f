//! Durations and instants as expressions write and take them apart.

use super::value::{Stop, error};
use crate::apiserver::object::instant::days;

const SECOND: i64 = 1_000_000_000;

/// A duration as Go writes it, in nanoseconds.
pub(super) fn duration(text: &str) -> Result<i64, Stop> {
    crate::apiserver::duration::parse(text).map_err(Stop::Error)
}

/// A duration as CEL prints it: seconds.
pub(super) fn shown_duration(nanos: i64) -> String {
    let (whole, part) = (nanos / SECOND, (nanos % SECOND).abs());
    if part == 0 {
        return format!("{whole}s");
    }
    let sign = if nanos < 0 && whole == 0 { "-" } else { "" };
    let digits = format!("{part:09}");
    format!("{sign}{whole}.{}s", digits.trim_end_matches('0'))
}

/// An instant of RFC 3339, or a date, in nanoseconds since 1970.
pub(super) fn timestamp(text: &str) -> Result<i128, Stop> {
    parse(text).ok_or_else(|| {
        Stop::Error(format!(
            "parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\""
        ))
    })
}

fn parse(text: &str) -> Option<i128> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let date = days(year, month, day);
    if text.len() == 10 {
        return Some(i128::from(date * 86_400) * i128::from(SECOND));
    }
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let rest = text.get(19..)?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|one: char| !one.is_ascii_digit())?),
        None => ("", rest),
    };
    let nanos: i64 = if fraction.is_empty() { 0 } else { format!("{fraction:0<9}").get(..9)?.parse().ok()? };
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            sign * (zone.get(1..3)?.parse::<i64>().ok()? * 3_600 + zone.get(4..6)?.parse::<i64>().ok()? * 60)
        }
    };
    let seconds = date * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    Some(i128::from(seconds) * i128::from(SECOND) + i128::from(nanos))
}

/// Year, month and day of a number of days since 1970 (`civil_from_days`).
fn date_of(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted - era * 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// An instant as RFC 3339 has it.
pub(super) fn shown_timestamp(nanos: i128) -> String {
    let seconds = i64::try_from(nanos.div_euclid(i128::from(SECOND))).unwrap_or_default();
    let part = nanos.rem_euclid(i128::from(SECOND));
    let (date, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date_of(date);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    let fraction = if part == 0 { String::new() } else { format!(".{part:09}").trim_end_matches('0').to_owned() };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// One part of an instant, in UTC or at an offset such as `+02:00`.
pub(super) fn part(name: &str, nanos: i128, zone: Option<&str>) -> Result<i64, Stop> {
    let offset = match zone {
        None | Some("UTC" | "") => 0,
        Some(zone) => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            let bare = zone.trim_start_matches(['+', '-']);
            let parsed = bare.split_once(':').and_then(|(hours, minutes)| {
                Some(hours.parse::<i64>().ok()? * 3_600 + minutes.parse::<i64>().ok()? * 60)
            });
            match parsed {
                Some(seconds) => sign * seconds,
                None => return error(format!("unknown time zone {zone}")),
            }
        }
    };
    let nanos = nanos + i128::from(offset) * i128::from(SECOND);
    let seconds = i64::try_from(nanos.div_euclid(i128::from(SECOND))).unwrap_or_default();
    let (date, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date_of(date);
    Ok(match name {
        "getFullYear" => year,
        "getMonth" => month - 1,
        "getDayOfYear" => date - days(year, 1, 1),
        "getDayOfMonth" => day - 1,
        "getDate" => day,
        "getDayOfWeek" => (date + 4).rem_euclid(7),
        "getHours" => of_day / 3_600,
        "getMinutes" => of_day / 60 % 60,
        "getSeconds" => of_day % 60,
        _ => i64::try_from(nanos.rem_euclid(i128::from(SECOND)) / 1_000_000).unwrap_or_default(),
    })
}
