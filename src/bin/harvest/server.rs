//! Plain requests to the server that is asked.

use crate::Failure;
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;

/// The media type of an ordinary body.
pub(crate) const JSON: &str = "application/json";

/// A connection to the server.
pub(crate) struct Server {
    client: kube::Client,
}

/// `/api/v1` or `/apis/{group}/{version}`.
pub(crate) fn root(group: &str, version: &str) -> String {
    if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") }
}

impl Server {
    pub(crate) async fn connect(kubeconfig: &str) -> Result<Self, Failure> {
        let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig)?;
        let config =
            kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default()).await?;
        Ok(Self { client: kube::Client::try_from(config)? })
    }

    /// A JSON document.
    pub(crate) async fn json(&self, path: &str) -> Result<Value, Failure> {
        self.get(path, JSON).await
    }

    /// A document of the accepted type.
    pub(crate) async fn get(&self, path: &str, accept: &str) -> Result<Value, Failure> {
        let request = http::Request::get(path).header("Accept", accept).body(Body::empty())?;
        Ok(self.answer(request).await?.1)
    }

    /// Any other request; whatever the server answers is an answer.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        media: &str,
    ) -> Result<(u16, Value), Failure> {
        let request = http::Request::builder().method(method).uri(path).header("Content-Type", media);
        self.answer(request.body(Body::from(body.to_string().into_bytes()))?).await
    }

    async fn answer(&self, request: http::Request<Body>) -> Result<(u16, Value), Failure> {
        let response = self.client.send(request).await?;
        let code = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((code, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }
}
