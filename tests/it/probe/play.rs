//! Plays probes against the API server of a kubeconfig and writes down what it answers.

use super::script::{File, Probe, Step, Variables};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request, Response, header};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long an answer or an event may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a condition of `until` may take.
const ATTEMPTS: usize = 150;
/// Headers that every transcript has if the answer has them.
const USUAL: [&str; 3] = ["content-type", "retry-after", "warning"];

/// A client for the current context of a kubeconfig.
pub(crate) async fn connect(kubeconfig: &std::path::Path) -> Client {
    let config = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
    let mut config =
        kube::Config::from_custom_kubeconfig(config, &kube::config::KubeConfigOptions::default()).await.unwrap();
    // An answer is what the server says the first time.
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

/// A watch that is being read.
struct Stream {
    body: Body,
    buffer: Vec<u8>,
}

impl Stream {
    /// The next event; `None` at the end of the stream, an error text if none comes in time.
    async fn next(&mut self) -> Result<Option<Value>, String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(Some(parse(&line)));
            }
            match tokio::time::timeout(PATIENCE, self.body.frame()).await {
                Err(_) => return Err("no event in time".to_owned()),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(format!("broken stream: {error}")),
                Ok(Some(Ok(frame))) => self.buffer.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            }
        }
    }
}

/// The JSON of a body, or its text.
fn parse(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()))
}

/// Makes what the probes of a file stand on: its custom resource definitions, established and served.
pub(crate) async fn prepare(client: &Client, group: &str, file: &File, crds: &BTreeMap<String, Value>) {
    let variables = Variables([("group".to_owned(), group.to_owned())].into());
    for crd in &file.crds {
        let crd = variables.fill_value(crds.get(crd).unwrap_or_else(|| panic!("no {crd} in crds.yaml")));
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let step = |method: &str, path: &str| Step { r#do: Some(format!("{method} {path}")), ..Step::default() };
        let made = call(client, &Step { body: Some(crd.clone()), ..step("POST", path) }, &variables).await.unwrap();
        let accepted = made.status().is_success() || made.status() == http::StatusCode::CONFLICT;
        let answer = read(made).await;
        assert!(accepted, "{answer}");
        let (group, plural) =
            (crd["spec"]["group"].as_str().unwrap(), crd["spec"]["names"]["plural"].as_str().unwrap());
        let version = crd["spec"]["versions"][0]["name"].as_str().unwrap();
        for attempt in 0.. {
            let served =
                call(client, &step("GET", &format!("/apis/{group}/{version}/{plural}")), &variables).await.unwrap();
            if served.status().is_success() {
                break;
            }
            assert!(attempt < ATTEMPTS, "{plural}.{group} is not served");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Plays one probe in the namespace `ns` and gives one entry per step.
pub(crate) async fn play(client: &Client, group: &str, ns: &str, probe: &Probe) -> Vec<Value> {
    let known = [("ns", ns.to_owned()), ("group", group.to_owned())];
    let mut variables = Variables(known.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    let body = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": ns } });
    let create = Step { r#do: Some("POST /api/v1/namespaces".to_owned()), body: Some(body), ..Step::default() };
    let made = call(client, &create, &variables).await.unwrap();
    assert!(made.status().is_success(), "namespace {ns}: {}", made.status());
    let mut streams = BTreeMap::new();
    let mut transcript = Vec::new();
    for step in &probe.steps {
        let entry = match step {
            Step { events: Some(name), count, .. } => events(streams.get_mut(name), Some(*count)).await,
            Step { ended: Some(name), .. } => events(streams.get_mut(name), None).await,
            Step { watch: Some(name), .. } => watch(client, step, name, &variables, &mut streams).await,
            _ => answer(client, step, &mut variables).await,
        };
        transcript.push(entry);
    }
    transcript
}

async fn watch(
    client: &Client,
    step: &Step,
    name: &str,
    variables: &Variables,
    streams: &mut BTreeMap<String, Stream>,
) -> Value {
    let response = match call(client, step, variables).await {
        Ok(response) => response,
        Err(problem) => return json!({ "problem": problem }),
    };
    let mut entry = head(&response, step);
    if response.status().is_success() {
        streams.insert(name.to_owned(), Stream { body: response.into_body(), buffer: Vec::new() });
    } else {
        entry["body"] = read(response).await;
    }
    entry
}

/// The next `count` events, or all up to the end of the stream.
async fn events(stream: Option<&mut Stream>, count: Option<usize>) -> Value {
    let Some(stream) = stream else { return json!({ "problem": "no such stream" }) };
    let mut events = Vec::new();
    while count.is_none_or(|count| events.len() < count) {
        match stream.next().await {
            Ok(Some(event)) => events.push(event),
            Ok(None) if count.is_none() => break,
            Ok(None) => return json!({ "events": events, "problem": "the stream ended" }),
            Err(problem) => return json!({ "events": events, "problem": problem }),
        }
    }
    json!({ "events": events })
}

async fn answer(client: &Client, step: &Step, variables: &mut Variables) -> Value {
    for attempt in 0.. {
        let response = match call(client, step, variables).await {
            Ok(response) => response,
            Err(problem) => return json!({ "problem": problem }),
        };
        let mut entry = head(&response, step);
        let body = read(response).await;
        let fits = |(pointer, value): (&String, &Value)| body.pointer(pointer) == Some(&variables.fill_value(value));
        if !step.until.iter().all(fits) && attempt < ATTEMPTS {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        }
        for (name, pointer) in &step.keep {
            let kept = match body.pointer(pointer) {
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => "missing".to_owned(),
            };
            variables.0.insert(name.clone(), kept);
        }
        entry["body"] = chosen(body, step, variables);
        return entry;
    }
    unreachable!("the loop ends by an answer")
}

/// The parts of a body that the step asks for.
fn chosen(mut body: Value, step: &Step, variables: &Variables) -> Value {
    if !step.only.is_empty() {
        let parts =
            step.only.iter().map(|p| (p.clone(), body.pointer(&variables.fill(p)).cloned().unwrap_or(Value::Null)));
        return parts.collect();
    }
    for pointer in &step.without {
        let Some((parent, key)) = pointer.rsplit_once('/') else { continue };
        if let Some(Value::Object(map)) = body.pointer_mut(parent) {
            map.remove(key);
        }
    }
    body
}

fn head<B>(response: &Response<B>, step: &Step) -> Value {
    let mut headers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for name in USUAL.iter().copied().chain(step.show.iter().map(String::as_str)) {
        let values = response.headers().get_all(name).iter();
        let values: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        if !values.is_empty() {
            headers.insert(name, values);
        }
    }
    json!({ "code": response.status().as_u16(), "headers": headers })
}

async fn read(response: Response<Body>) -> Value {
    match tokio::time::timeout(PATIENCE, response.into_body().collect()).await {
        Ok(Ok(body)) => parse(&body.to_bytes()),
        Ok(Err(error)) => json!({ "problem": format!("broken body: {error}") }),
        Err(_) => json!({ "problem": "no end of the body in time" }),
    }
}

async fn call(client: &Client, step: &Step, variables: &Variables) -> Result<Response<Body>, String> {
    let line = variables.fill(step.r#do.as_deref().unwrap_or_default());
    let (method, path) = line.split_once(' ').unwrap_or_else(|| panic!("`{line}` is not METHOD PATH"));
    let method: Method = method.parse().unwrap();
    let kind = match step.patch.as_deref() {
        Some("json") => "application/json-patch+json",
        Some("merge") => "application/merge-patch+json",
        Some("strategic") => "application/strategic-merge-patch+json",
        Some("apply") => "application/apply-patch+yaml",
        Some(other) => panic!("unknown patch type {other}"),
        None => "application/json",
    };
    let body = match (&step.body, &step.text, &step.bytes) {
        (Some(body), ..) => variables.fill_value(body).to_string().into_bytes(),
        (None, Some(text), _) => variables.fill(text).into_bytes(),
        (None, None, Some(bytes)) => STANDARD.decode(bytes).unwrap(),
        (None, None, None) => Vec::new(),
    };
    let mut request = Request::builder().method(method).uri(path).header(header::USER_AGENT, "probe/1.0");
    let given = |name: header::HeaderName| step.headers.keys().any(|key| key.eq_ignore_ascii_case(name.as_str()));
    if !given(header::ACCEPT) {
        request = request.header(header::ACCEPT, "application/json");
    }
    if !body.is_empty() && !given(header::CONTENT_TYPE) {
        request = request.header(header::CONTENT_TYPE, kind);
    }
    for (name, value) in &step.headers {
        request = request.header(name, variables.fill(value));
    }
    let request = request.body(Body::from(body)).unwrap();
    match tokio::time::timeout(PATIENCE, client.send(request)).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}
