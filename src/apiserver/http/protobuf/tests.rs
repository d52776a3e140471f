use super::*;
use crate::apiserver::schema::Catalog;

fn varint(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
    out
}

/// A field of bytes. From number 16 on its key takes two bytes.
fn bytes(number: usize, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    [varint(number << 3 | 2), varint(content.len()), content.to_vec()].concat()
}

fn number(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let types = [bytes(1, api_version), bytes(2, kind)].concat();
    [MAGIC.to_vec(), bytes(1, types), bytes(2, raw), bytes(3, ""), bytes(4, "")].concat()
}

fn check(group: &str, plural: &str, body: &[u8], expected: Value) {
    let resource = Catalog::builtin().find(group, "v1", plural).unwrap();
    let json: Value = serde_json::from_slice(&to_json(body, resource).unwrap()).unwrap();
    assert_eq!(json, expected);
}

/// What gogo-protobuf writes for an `ObjectMeta` with only a name: every field that is no pointer is there.
fn metadata(name: &str) -> Vec<u8> {
    [bytes(1, name), bytes(2, ""), bytes(3, ""), bytes(4, ""), bytes(5, ""), bytes(6, ""), number(7, 0), bytes(8, "")]
        .concat()
}

#[test]
fn what_the_client_did_not_set_is_left_out() {
    let entry = [bytes(1, "k"), bytes(2, "v")].concat();
    let raw = [bytes(1, metadata("a")), bytes(2, entry), number(4, 0)].concat();
    check(
        "",
        "configmaps",
        &body("v1", "ConfigMap", &raw),
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" }, "data": { "k": "v" }, "immutable": false }),
    );
}

#[test]
fn a_pointer_to_zero_is_kept_and_a_plain_zero_is_not() {
    // DeploymentSpec: replicas is a pointer, minReadySeconds is not.
    let template =
        bytes(3, [bytes(1, metadata("")), bytes(2, bytes(2, [bytes(1, "c"), bytes(2, "i")].concat()))].concat());
    let spec = [number(1, 0), template, number(5, 0), number(7, 0)].concat();
    let raw = [bytes(1, metadata("d")), bytes(2, spec), bytes(3, "")].concat();
    check(
        "apps",
        "deployments",
        &body("apps/v1", "Deployment", &raw),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "d" }, "status": {},
            "spec": {
                "replicas": 0, "template": { "metadata": { "name": "" }, "spec": { "containers": [{ "name": "c", "image": "i" }] } },
            },
        })
        .as_object_mut()
        .map(|object| {
            // An empty name is left out as well.
            object["spec"]["template"]["metadata"] = json!({});
            Value::Object(object.clone())
        })
        .unwrap(),
    );
}

#[test]
fn embedded_structs_quantities_and_unions_have_their_json_forms() {
    // Volume { name, configMap { name (embedded LocalObjectReference) } }, requests { cpu: 100m }, a probe with a port.
    let volume = [bytes(1, "v"), bytes(2, bytes(19, bytes(1, bytes(1, "cm"))))].concat();
    let quantity = [bytes(1, "cpu"), bytes(2, bytes(1, "100m"))].concat();
    let resources = bytes(2, quantity);
    let port = [number(1, 0), number(2, 80), bytes(3, "")].concat();
    let get = [bytes(1, "/"), bytes(2, port)].concat();
    let probe = bytes(1, bytes(2, get));
    let container = [bytes(1, "c"), bytes(8, resources), bytes(10, probe)].concat();
    let spec = [bytes(1, volume), bytes(2, container)].concat();
    let raw = [bytes(1, metadata("p")), bytes(2, spec)].concat();
    check(
        "",
        "pods",
        &body("v1", "Pod", &raw),
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p" },
            "spec": {
                "volumes": [{ "name": "v", "configMap": { "name": "cm" } }],
                "containers": [{
                    "name": "c", "resources": { "requests": { "cpu": "100m" } },
                    "livenessProbe": { "httpGet": { "path": "/", "port": 80 } },
                }],
            },
        }),
    );
}

#[test]
fn times_secrets_and_delete_options_are_read() {
    let time = [vec![8, 0x80, 0xe2, 0xcf, 0xaa, 0x06], number(2, 0)].concat();
    let raw = [bytes(1, metadata("l")), bytes(2, [bytes(1, "me"), number(2, 15), bytes(4, time)].concat())].concat();
    check(
        "coordination.k8s.io",
        "leases",
        &body("coordination.k8s.io/v1", "Lease", &raw),
        json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": "l" },
            "spec": { "holderIdentity": "me", "leaseDurationSeconds": 15, "renewTime": "2023-11-14T22:13:20.000000Z" },
        }),
    );
    let data = [bytes(1, "k"), bytes(2, b"\xff\x00")].concat();
    let raw = [bytes(1, metadata("s")), bytes(2, data), bytes(3, "Opaque")].concat();
    check(
        "",
        "secrets",
        &body("v1", "Secret", &raw),
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s" }, "type": "Opaque", "data": { "k": "/wA=" } }),
    );
    let raw = [number(1, 0), bytes(4, "Background"), bytes(2, bytes(1, "uid"))].concat();
    check(
        "apps",
        "deployments",
        &body("apps/v1", "DeleteOptions", &raw),
        json!({
            "apiVersion": "apps/v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "propagationPolicy": "Background",
            "preconditions": { "uid": "uid" },
        }),
    );
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(raw in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let resource = Catalog::builtin().find("apps", "v1", "deployments").unwrap();
        let _ = to_json(&raw, resource);
        let _ = to_json(&[&MAGIC[..], &raw].concat(), resource);
        let _ = to_json(&body("apps/v1", "Deployment", &raw), resource);
    }
}

/// Both forms of objects and lists as kube-apiserver 1.36.3 answered them.
#[test]
fn answers_are_encoded_byte_for_byte_as_the_original_does() {
    for line in include_str!("answers.jsonl").lines() {
        let (json, encoded): (String, String) = serde_json::from_str(line).unwrap();
        let expected = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap();
        let got = from_json(json.as_bytes()).unwrap();
        let at = got.iter().zip(&expected).position(|(a, b)| a != b);
        assert!(got == expected, "{json}\nat {at:?} of {} and {} bytes", got.len(), expected.len());
    }
}
