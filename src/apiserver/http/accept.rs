//! Which form of an answer the client takes.
//!
//! In: the text of `Accept`. Out: the first acceptable form in the client's order, or nothing (406). The rules are those
//! of `k8s.io/apiserver/pkg/endpoints/handlers/negotiation`: clauses by falling `q`, each with its `as`, `g`, `v`
//! parameters; a clause that asks for something not served is skipped, not refused.

use super::protobuf::MEDIA_TYPE;

/// How an object or list is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is.
    #[default]
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
    /// `PartialObjectMetadataList`.
    MetadataList,
    /// `Table`.
    Table,
    /// `APIGroupDiscoveryList` (discovery only).
    Discovery,
}

/// What was agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub(crate) form: Form,
    /// `meta.k8s.io/v1beta1` instead of `v1`; Table and metadata only.
    pub(crate) beta: bool,
    pub(crate) yaml: bool,
    pub(crate) protobuf: bool,
}

/// What a route can answer beside the whole object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// Nothing else.
    Whole,
    /// Tables and metadata. Of what is custom there is no protobuf but for metadata.
    Objects { custom: bool },
    /// A stream of them: no YAML.
    Events { custom: bool },
    /// Aggregated discovery.
    Discovery,
}

/// The media types named in a 406, in kube-apiserver's order.
pub(crate) const MEDIA_TYPES: [&str; 3] =
    ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

struct Clause<'a> {
    media: &'a str,
    quality: u32,
    kind: &'a str,
    group: &'a str,
    version: &'a str,
}

impl<'a> Clause<'a> {
    fn read(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let mut clause = Self { media, quality: 1_000, kind: "", group: "", version: "" };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim() {
                "q" => clause.quality = thousandths(value.trim()),
                "as" => clause.kind = value.trim(),
                "g" => clause.group = value.trim(),
                "v" => clause.version = value.trim(),
                _ => {}
            }
        }
        clause
    }

    fn agree(&self, offer: Offer) -> Option<Agreed> {
        let (yaml, protobuf) = match self.media {
            "application/json" | "application/*" | "*/*" => (false, false),
            "application/yaml" if !matches!(offer, Offer::Events { .. }) => (true, false),
            MEDIA_TYPE if offer != Offer::Discovery => (false, true),
            _ => return None,
        };
        let beta = self.version == "v1beta1";
        let meta = self.group == "meta.k8s.io" && (beta || self.version == "v1");
        let objects = meta && matches!(offer, Offer::Objects { .. } | Offer::Events { .. });
        let custom = matches!(offer, Offer::Objects { custom: true } | Offer::Events { custom: true });
        let form = match self.kind {
            "" if !(protobuf && custom) => Form::Whole,
            "Table" if objects && !protobuf => Form::Table,
            "PartialObjectMetadata" if objects => Form::Metadata,
            "PartialObjectMetadataList" if objects => Form::MetadataList,
            "APIGroupDiscoveryList"
                if offer == Offer::Discovery && self.group == "apidiscovery.k8s.io" && self.version == "v2" =>
            {
                Form::Discovery
            }
            _ => return None,
        };
        Some(Agreed { form, beta, yaml, protobuf })
    }
}

/// A `q` value in thousandths; what is no number counts as 1, as Go's parser has it.
fn thousandths(text: &str) -> u32 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{:0<3.3}", fraction);
    digits.parse().unwrap_or(1_000)
}

/// The first acceptable form, in the client's order; `None` is a 406.
pub(crate) fn agree(accept: Option<&str>, offer: Offer) -> Option<Agreed> {
    let accept = accept.unwrap_or_default();
    if accept.is_empty() || accept == "application/json" || accept == "*/*" {
        return Some(Agreed::default());
    }
    let mut clauses: Vec<Clause<'_>> = accept.split(',').map(|text| Clause::read(text.trim())).collect();
    clauses.sort_by_key(|clause| std::cmp::Reverse(clause.quality));
    clauses.iter().find_map(|clause| clause.agree(offer))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECTS: Offer = Offer::Objects { custom: false };
    const CUSTOM: Offer = Offer::Objects { custom: true };
    const EVENTS: Offer = Offer::Events { custom: false };

    fn check(accept: &str, offer: Offer, expected: Option<(Form, bool, bool)>) {
        let got = agree(Some(accept), offer).map(|agreed| (agreed.form, agreed.beta, agreed.yaml));
        assert_eq!(got, expected, "{accept}");
    }

    #[test]
    fn the_first_form_that_is_served_wins() {
        let whole = Some((Form::Whole, false, false));
        check("application/vnd.kubernetes.protobuf,application/json", CUSTOM, whole);
        check("application/vnd.kubernetes.protobuf, */*", CUSTOM, whole);
        check("application/json;q=0.5, application/yaml", OBJECTS, Some((Form::Whole, false, true)));
        check("application/yaml, application/json", EVENTS, whole);
        check("text/html, application/xml;q=0.9, */*;q=0.8", Offer::Whole, whole);
        check("application/vnd.kubernetes.protobuf", CUSTOM, None);
        for (accept, offer, expected) in [
            ("application/vnd.kubernetes.protobuf,application/json", OBJECTS, true),
            ("application/json,application/vnd.kubernetes.protobuf", OBJECTS, false),
            ("application/vnd.kubernetes.protobuf", Offer::Whole, true),
            ("application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", CUSTOM, true),
            ("application/vnd.kubernetes.protobuf,application/json", CUSTOM, false),
        ] {
            assert_eq!(agree(Some(accept), offer).map(|agreed| agreed.protobuf), Some(expected), "{accept}");
        }
        check("application/cbor", OBJECTS, None);
        assert_eq!(agree(None, OBJECTS), Some(Agreed::default()));
    }

    #[test]
    fn tables_and_metadata_are_offered_where_objects_are() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        check(kubectl, OBJECTS, Some((Form::Table, false, false)));
        check(kubectl, EVENTS, Some((Form::Table, false, false)));
        check(kubectl, Offer::Whole, Some((Form::Whole, false, false)));
        check("application/json;as=Table;v=v1beta1;g=meta.k8s.io", OBJECTS, Some((Form::Table, true, false)));
        check("application/json;as=Table;v=v2;g=meta.k8s.io", OBJECTS, None);
        let metadata = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
        check(metadata, OBJECTS, Some((Form::MetadataList, false, false)));
    }

    #[test]
    fn aggregated_discovery_is_version_two_or_nothing() {
        let go = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        check(go, Offer::Discovery, Some((Form::Discovery, false, false)));
        let peer =
            "application/json;as=APIGroupDiscoveryList;v=v2;profile=nopeer;g=apidiscovery.k8s.io,application/json";
        check(peer, Offer::Discovery, Some((Form::Discovery, false, false)));
        let old = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        check(old, Offer::Discovery, Some((Form::Whole, false, false)));
    }
}
