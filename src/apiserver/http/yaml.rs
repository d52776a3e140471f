//! Bodies in YAML as JSON values.
//!
//! In: text. Out: a value, and the keys that were said twice, in the words of Go's YAML reader; the last one counts.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::{DuplicateKeyPolicy, Error, Spanned};

/// A value, with a line of text for each key that its map had already.
pub(super) fn read(text: &str) -> Result<(Value, Vec<String>), Error> {
    let error = match serde_saphyr::from_str(text) {
        Ok(value) => return Ok((value, Vec::new())),
        Err(error) => error,
    };
    if !matches!(error.without_snippet(), Error::DuplicateMappingKey { .. }) {
        return Err(error);
    }
    let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::PassThrough };
    let mut twice: Twice = serde_saphyr::from_str_with_options(text, options)?;
    twice.keys.sort();
    let said = |(line, key): &(u64, String)| format!("line {line}: key {key:?} already set in map");
    Ok((twice.value, twice.keys.iter().map(said).collect()))
}

/// A value whose maps may say a key twice.
#[derive(Default)]
struct Twice {
    value: Value,
    /// The lines of keys that were there already.
    keys: Vec<(u64, String)>,
}

impl From<Value> for Twice {
    fn from(value: Value) -> Self {
        Self { value, keys: Vec::new() }
    }
}

impl<'de> Deserialize<'de> for Twice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Twice;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Twice, E> {
        Ok(Value::from(value).into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Twice, E> {
        Ok(Value::from(value).into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Twice, E> {
        Ok(Value::from(value).into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Twice, E> {
        Ok(Value::from(value).into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Twice, E> {
        Ok(Value::from(value).into())
    }

    fn visit_unit<E>(self) -> Result<Twice, E> {
        Ok(Twice::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Twice, A::Error> {
        let (mut list, mut keys) = (Vec::new(), Vec::new());
        while let Some(mut item) = items.next_element::<Twice>()? {
            keys.append(&mut item.keys);
            list.push(item.value);
        }
        Ok(Twice { value: list.into(), keys })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Twice, A::Error> {
        let (mut map, mut keys) = (Map::new(), Vec::new());
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let mut value = entries.next_value::<Twice>()?;
            if map.insert(key.value.clone(), value.value).is_some() {
                keys.push((key.referenced.line(), key.value));
            }
            keys.append(&mut value.keys);
        }
        Ok(Twice { value: map.into(), keys })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_key_that_is_said_twice_is_told_with_its_line_and_the_last_one_counts() {
        let text = "data:\n  k: a\n  k: [1, {x: 1.5, x: null}]\n  j: true\n";
        let (value, said) = read(text).unwrap();
        assert_eq!(value, json!({ "data": { "k": [1, { "x": null }], "j": true } }));
        assert_eq!(said, ["line 3: key \"k\" already set in map", "line 3: key \"x\" already set in map"]);
        assert!(read("{a: 1}").unwrap().1.is_empty());
        assert!(read("a: [").is_err());
    }
}
