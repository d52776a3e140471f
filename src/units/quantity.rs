//! Sizes, rates and shares: integers that people write with a unit.

use super::scaled_decimal;
use std::fmt;
use std::str::FromStr;

/// A number of bytes, written as a Kubernetes quantity (`512Mi`, `1.5Gi`, `2M`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

/// Events per second in thousandths, written `50/s` or `0.5/s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate {
    /// Thousandths of an event per second.
    pub milli: u64,
}

/// A share of a whole in parts per million, at most the whole, written `5%` or `0.25%`; none may be written `0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share {
    /// Parts per million, 0 to 1,000,000.
    pub ppm: u32,
}

impl Share {
    /// The whole.
    pub const ALL: Self = Self { ppm: 1_000_000 };
}

/// Why a text is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}")]
pub struct BadQuantity {
    text: String,
    what: &'static str,
}

/// Suffixes of apimachinery's `resource.Quantity` that make sense for bytes, larger first.
const SUFFIXES: [(&str, u64); 8] = [
    ("Ti", 1 << 40),
    ("T", 1_000_000_000_000),
    ("Gi", 1 << 30),
    ("G", 1_000_000_000),
    ("Mi", 1 << 20),
    ("M", 1_000_000),
    ("Ki", 1 << 10),
    ("k", 1_000),
];

impl FromStr for Bytes {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Self, BadQuantity> {
        let (number, unit) =
            SUFFIXES.iter().find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, *unit))).unwrap_or((text, 1));
        scaled_decimal(number, u128::from(unit))
            .and_then(|bytes| u64::try_from(bytes).ok())
            .map(Self)
            .ok_or_else(|| BadQuantity { text: text.to_owned(), what: "a size: write one such as 512Mi or 1.5Gi" })
    }
}

impl fmt::Display for Bytes {
    /// The largest binary unit that divides it, so that nothing is rounded.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = SUFFIXES.iter().filter(|(suffix, _)| suffix.ends_with('i'));
        match binary.into_iter().find(|(_, unit)| self.0 >= *unit && self.0.is_multiple_of(*unit)) {
            Some((suffix, unit)) => write!(f, "{}{suffix}", self.0 / unit),
            None => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for Rate {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Self, BadQuantity> {
        text.strip_suffix("/s")
            .and_then(|number| scaled_decimal(number, 1_000))
            .and_then(|milli| u64::try_from(milli).ok())
            .map(|milli| Self { milli })
            .ok_or_else(|| BadQuantity { text: text.to_owned(), what: "a rate: write one such as 50/s or 0.5/s" })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", super::decimal(self.milli, 1_000))
    }
}

impl FromStr for Share {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Self, BadQuantity> {
        text.strip_suffix('%')
            .and_then(|number| scaled_decimal(number, 10_000))
            .and_then(|ppm| u32::try_from(ppm).ok())
            .filter(|ppm| *ppm <= Self::ALL.ppm)
            .or_else(|| (text == "0").then_some(0))
            .map(|ppm| Self { ppm })
            .ok_or_else(|| BadQuantity { text: text.to_owned(), what: "a share: write one from 0% to 100%" })
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", super::decimal(u64::from(self.ppm), 10_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check<T: FromStr + fmt::Display>(text: &str, printed: Option<&str>) {
        let read = text.parse::<T>().ok().map(|value| value.to_string());
        assert_eq!(read.as_deref(), printed, "{text}");
    }

    #[test]
    fn sizes_read_as_kubernetes_quantities() {
        check::<Bytes>("512Mi", Some("512Mi"));
        check::<Bytes>("1.5Gi", Some("1536Mi"));
        check::<Bytes>("2M", Some("2000000"));
        check::<Bytes>("0", Some("0"));
        check::<Bytes>("18446744073709551615", Some("18446744073709551615"));
        check::<Bytes>("18446744073709551616", None);
        check::<Bytes>("1024", Some("1Ki"));
        for bad in ["", "Mi", "-1", "1 Mi", "1Mb", "1.2.3", "99999999999Ti"] {
            check::<Bytes>(bad, None);
        }
    }

    #[test]
    fn rates_are_per_second_with_three_decimals() {
        check::<Rate>("50/s", Some("50/s"));
        check::<Rate>("0.5/s", Some("0.5/s"));
        check::<Rate>("1.500/s", Some("1.5/s"));
        for bad in ["50", "50/m", "/s", "-1/s", "5 /s"] {
            check::<Rate>(bad, None);
        }
    }

    #[test]
    fn shares_are_percent_of_a_whole() {
        check::<Share>("5%", Some("5%"));
        check::<Share>("0.25%", Some("0.25%"));
        check::<Share>("100%", Some("100%"));
        check::<Share>("0", Some("0%"));
        for bad in ["100.0001%", "5", "%", "0.5", "-1%"] {
            check::<Share>(bad, None);
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(bytes: u64, milli: u64, ppm in 0..=1_000_000_u32) {
            prop_assert_eq!(Bytes(bytes).to_string().parse(), Ok(Bytes(bytes)));
            prop_assert_eq!(Rate { milli }.to_string().parse(), Ok(Rate { milli }));
            prop_assert_eq!(Share { ppm }.to_string().parse(), Ok(Share { ppm }));
        }

        #[test]
        fn no_text_is_a_panic(text: String) {
            let _ = (text.parse::<Bytes>(), text.parse::<Rate>(), text.parse::<Share>());
        }
    }
}
