//! Quantities in files: the same texts that people write, and a JSON Schema that tells an editor their form.

use super::{Bytes, Rate, Share, Span};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

macro_rules! text {
    ($type:ty, $format:literal, $pattern:literal, $example:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format, "pattern": $pattern, "examples": [$example] })
            }
        }
    };
}

text!(Span, "duration-go", r"^(0|([0-9]*\.?[0-9]+(ns|us|µs|μs|ms|s|m|h))+)$", "1m30s");
text!(Bytes, "quantity", r"^[0-9]*\.?[0-9]+(Ti|T|Gi|G|Mi|M|Ki|k)?$", "512Mi");
text!(Rate, "rate", r"^[0-9]*\.?[0-9]+/s$", "50/s");
text!(Share, "percent", r"^(100(\.0+)?|[0-9]{0,2}\.?[0-9]+)%$", "5%");
