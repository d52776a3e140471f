//! Quantities: numbers with a unit, such as `100m` or `1.5Gi`, in billionths (`k8s.io/apimachinery/pkg/api/resource`).

use super::library::text;
use super::value::{Outcome, Stop, Val, error};

const UNIT: i128 = 1_000_000_000;

/// A quantity's text in billionths.
fn parse(given: &str) -> Option<i128> {
    let (negative, unsigned) = match given.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, given.strip_prefix('+').unwrap_or(given)),
    };
    let digits = unsigned.find(|one: char| !one.is_ascii_digit() && one != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(digits);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let (base, power): (i128, i32) = match suffix {
        "" => (10, 0),
        "n" => (10, -9),
        "u" => (10, -6),
        "m" => (10, -3),
        "k" => (10, 3),
        "M" => (10, 6),
        "G" => (10, 9),
        "T" => (10, 12),
        "P" => (10, 15),
        "E" => (10, 18),
        "Ki" => (1_024, 1),
        "Mi" => (1_024, 2),
        "Gi" => (1_024, 3),
        "Ti" => (1_024, 4),
        "Pi" => (1_024, 5),
        "Ei" => (1_024, 6),
        _ => (10, suffix.strip_prefix(['e', 'E'])?.parse().ok().filter(|power| (-27..=18).contains(power))?),
    };
    let mantissa: i128 = format!("0{whole}{fraction}").parse().ok()?;
    let scale = i32::try_from(fraction.len()).ok()?;
    let scaled = mantissa.checked_mul(UNIT)?.checked_mul(base.checked_pow(power.max(0).unsigned_abs())?)?;
    let divisor =
        10_i128.checked_pow(scale.unsigned_abs())?.checked_mul(10_i128.checked_pow(power.min(0).unsigned_abs())?)?;
    // What is finer than a billionth is rounded up.
    let value = scaled / divisor + i128::from(scaled % divisor != 0);
    Some(if negative { -value } else { value })
}

fn quantity(given: &str) -> Result<i128, Stop> {
    parse(given).map_or_else(
        || error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
        Ok,
    )
}

pub(super) fn call<'a>(name: &str, given: &[Val<'a>]) -> Option<Outcome<'a>> {
    use Val::{Bool, Double, Int, Quantity};
    let whole = |value: i128| i64::try_from(value / UNIT).ok().filter(|_| value % UNIT == 0);
    let other = |value: &Val<'a>| match value {
        Quantity(value) => Some(*value),
        Int(value) => Some(i128::from(*value) * UNIT),
        _ => None,
    };
    Some(match (name, given) {
        ("quantity", [value]) => quantity(text(value)?).map(Quantity),
        ("isQuantity", [value]) => Ok(Bool(parse(text(value)?).is_some())),
        ("isInteger", [Quantity(value)]) => Ok(Bool(whole(*value).is_some())),
        ("asInteger", [Quantity(value)]) => {
            whole(*value).map_or_else(|| error("cannot convert value to integer"), |value| Ok(Int(value)))
        }
        ("asApproximateFloat", [Quantity(value)]) =>
        {
            #[expect(clippy::cast_precision_loss, reason = "an approximation is what is asked for")]
            Ok(Double(*value as f64 / UNIT as f64))
        }
        ("sign", [Quantity(value)]) => Ok(Int(i64::try_from(value.signum()).unwrap_or(0))),
        ("add", [Quantity(a), b]) => Ok(Quantity(a.saturating_add(other(b)?))),
        ("sub", [Quantity(a), b]) => Ok(Quantity(a.saturating_sub(other(b)?))),
        ("isLessThan", [Quantity(a), Quantity(b)]) => Ok(Bool(a < b)),
        ("isGreaterThan", [Quantity(a), Quantity(b)]) => Ok(Bool(a > b)),
        ("compareTo", [Quantity(a), Quantity(b)]) => Ok(Int(a.cmp(b) as i64)),
        _ => return None,
    })
}
