//! Fields that a body says twice.
//!
//! In: JSON text. Out: their paths. The reader of values keeps the last of them and tells nobody, so the text is gone through
//! once more; without values that costs about a third of reading it.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::fmt;

/// The paths of fields that were there before, such as `spec.containers[0].image`; none for what is no JSON.
pub(super) fn said_twice(text: &[u8]) -> Vec<String> {
    serde_json::from_slice::<Paths>(text).map(|paths| paths.0).unwrap_or_default()
}

/// Paths below a value, as they go on after its own.
struct Paths(Vec<String>);

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walk)
    }
}

/// A key as it stands in the text, if it has no escapes.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(Read)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = Paths;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Paths, E> {
        Ok(Paths(Vec::new()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Paths, E> {
        Ok(Paths(Vec::new()))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Paths, E> {
        Ok(Paths(Vec::new()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Paths, E> {
        Ok(Paths(Vec::new()))
    }

    fn visit_str<E>(self, _: &str) -> Result<Paths, E> {
        Ok(Paths(Vec::new()))
    }

    fn visit_unit<E>(self) -> Result<Paths, E> {
        Ok(Paths(Vec::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Paths, A::Error> {
        let (mut all, mut at) = (Vec::new(), 0);
        while let Some(Paths(inner)) = items.next_element()? {
            all.extend(inner.into_iter().map(|rest| format!("[{at}]{rest}")));
            at += 1;
        }
        Ok(Paths(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Paths, A::Error> {
        let mut all = Vec::new();
        let mut keys: SmallVec<[Key<'de>; 16]> = SmallVec::new();
        while let Some(key) = entries.next_key::<Key<'de>>()? {
            let Paths(inner) = entries.next_value()?;
            all.extend(inner.into_iter().map(|rest| format!(".{}{rest}", key.0)));
            keys.push(key);
        }
        keys.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let twice = keys.windows(2).filter(|pair| pair[0].0 == pair[1].0);
        all.extend(twice.map(|pair| format!(".{}", pair[0].0)));
        Ok(Paths(all))
    }
}

#[cfg(test)]
mod tests {
    use super::said_twice;

    #[test]
    fn paths_lead_to_what_was_said_twice() {
        for (text, expected) in [
            (r#"{"a": 1, "b": [{"c": 1, "c": 2}], "a": null}"#, &[".b[0].c", ".a"][..]),
            (r#"{"a": {"b": true, "\u0062": 1.5}}"#, &[".a.b"]),
            (r#"{"a": {"b": "x"}, "b": []}"#, &[]),
            ("[", &[]),
        ] {
            assert_eq!(said_twice(text.as_bytes()), expected, "{text}");
        }
    }
}
