mod applied;
mod lists;
mod writes;

use super::*;
use crate::apiserver::request::{Body, Options, PatchType};
use crate::apiserver::schema::flux_crds;
use serde_json::{Value, json};

/// A cluster under test: one call per method, the clock in its hand.
struct World {
    clusters: Clusters,
    cluster: Arc<Cluster>,
    now: Now,
}

fn base() -> Arc<Base> {
    static BASE: std::sync::OnceLock<Arc<Base>> = std::sync::OnceLock::new();
    BASE.get_or_init(|| Base::new(flux_crds(), &[]).unwrap()).clone()
}

impl World {
    fn new(settings: Settings) -> Self {
        let start = Time(1_800_000_000 * 1_000_000_000);
        let now = Now { monotonic: start, unix: start };
        let mut clusters = Clusters::new(settings, Vec::new());
        let cluster = clusters.add(&base(), now);
        Self { clusters, cluster, now }
    }

    fn bare() -> Self {
        Self::new(Settings::default())
    }

    fn tidy() -> Self {
        Self::new(Settings { housekeeping: true, ..Settings::default() })
    }

    /// Lets time pass, with the ticks that a rim would give.
    fn pass(&mut self, secs: u64) {
        for _ in 0..secs * 10 {
            for time in [&mut self.now.monotonic, &mut self.now.unix] {
                *time += Span::from_millis(100);
            }
            self.clusters.turn(self.now);
        }
    }

    /// `deployments` or `kustomizations` by plural: the first resource of that name.
    fn resource(&self, plural: &str) -> Arc<Resource> {
        let catalog = self.cluster.catalog();
        catalog.resources().iter().find(|one| one.plural == plural).unwrap().clone()
    }

    fn call(
        &self,
        verb: Verb,
        plural: &str,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut Request<'_>),
    ) -> Response {
        let resource = self.resource(plural);
        let mut request = Request::new(verb, &resource, "test/1").on(namespace, name);
        change(&mut request);
        self.cluster.handle(&request, self.now)
    }

    fn create(&self, plural: &str, namespace: &str, value: Value) -> Response {
        self.call(Verb::Create, plural, namespace, "", |r| r.body = Body::Value(leak(value)))
    }

    fn update(&self, plural: &str, namespace: &str, name: &str, value: Value) -> Response {
        self.call(Verb::Update, plural, namespace, name, |r| r.body = Body::Value(leak(value)))
    }

    fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        match self.call(Verb::Get, plural, namespace, name, |_| {}) {
            Response::Object { object, .. } => Some(object.to_value(&object.resource)),
            _ => None,
        }
    }

    fn merge(&self, plural: &str, namespace: &str, name: &str, sub: Option<&'static str>, patch: Value) -> Response {
        let bytes: &'static [u8] = Vec::leak(patch.to_string().into_bytes());
        self.call(Verb::Patch, plural, namespace, name, |r| {
            r.body = Body::Patch(PatchType::Merge, bytes);
            r.subresource = sub;
        })
    }

    fn delete(&self, plural: &str, namespace: &str, name: &str, options: Value) -> Response {
        self.call(Verb::Delete, plural, namespace, name, |r| r.body = Body::Value(leak(options)))
    }

    fn list(&self, plural: &str, namespace: &str, options: Options<'static>) -> Result<List, Box<Failure>> {
        match self.call(Verb::List, plural, namespace, "", |r| r.options = options) {
            Response::List(list) => Ok(list),
            Response::Failure(failure) => Err(failure),
            other => panic!("{other:?}"),
        }
    }

    fn watch(&self, plural: &str, namespace: &str, options: Options<'static>) -> crate::apiserver::store::Subscription {
        match self.call(Verb::Watch, plural, namespace, "", |r| r.options = options) {
            Response::Watch(subscription) => *subscription,
            other => panic!("{other:?}"),
        }
    }
}

use crate::apiserver::request::List;

/// Bodies of tests live as long as the process.
fn leak(value: Value) -> &'static Value {
    Box::leak(Box::new(value))
}

fn config_map(name: &str, data: &str) -> Value {
    json!({ "metadata": { "name": name }, "data": { "k": data } })
}

fn value(response: Response) -> Value {
    match response {
        Response::Object { object, .. } => object.to_value(&object.resource),
        Response::Document { body, .. } => body,
        other => panic!("{other:?}"),
    }
}

fn failure(response: Response) -> Failure {
    match response {
        Response::Failure(failure) => *failure,
        other => panic!("{other:?}"),
    }
}

fn version(value: &Value) -> u64 {
    value["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

/// `TYPE name@version` of every event there is now, and what ended the stream.
fn drain(watch: &mut crate::apiserver::store::Subscription) -> Vec<String> {
    let resource = watch.resource().clone();
    let mut seen = Vec::new();
    while let Some(event) = watch.next_now() {
        let event: Value = serde_json::from_slice(&event.json(&resource)).unwrap();
        let object = &event["object"];
        seen.push(match event["type"].as_str().unwrap() {
            "ERROR" => format!("ERROR {}", object["code"]),
            "BOOKMARK" if object["metadata"]["annotations"].is_object() => "BOOKMARK end".to_owned(),
            "BOOKMARK" => "BOOKMARK".to_owned(),
            kind => format!("{kind} {}", object["metadata"]["name"].as_str().unwrap()),
        });
    }
    if watch.ended() {
        seen.push("END".to_owned());
    }
    seen
}
