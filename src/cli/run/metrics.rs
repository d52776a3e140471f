//! `run --metrics ADDR`: what a Prometheus reads while a run goes.
//!
//! In: scrapes. Out: the metrics of `report -o openmetrics`, as far as the run has come. A scrape waits until the run's own
//! loop answers it, some times a second, so that a run that nobody watches pays nothing.

use super::Failure;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// Scrapes that wait at the same time; more are sent away.
const WAITING: usize = 16;
/// The form that Prometheus asks for first.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The address where metrics are read; it lives as long as this value.
#[derive(Debug)]
pub(super) struct Metrics {
    /// Where it listens in truth.
    pub(super) address: SocketAddr,
    scrapes: mpsc::Receiver<oneshot::Sender<String>>,
    _server: tokio::runtime::Runtime,
}

impl Metrics {
    /// Listens at an address.
    pub(super) fn serve(at: SocketAddr) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("metrics")
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind(at)).map_err(|error| {
            Failure::environment(miette::miette!(
                help = "choose another with --metrics, such as 127.0.0.1:0 for any free port",
                "cannot serve metrics at {at}: {error}"
            ))
        })?;
        let address = listener.local_addr()?;
        let (ask, scrapes) = mpsc::channel(WAITING);
        runtime.spawn(accept(listener, ask));
        Ok(Self { address, scrapes, _server: runtime })
    }

    /// Answers whoever waits; the text is made if somebody does.
    pub(super) fn answer(&mut self, text: impl FnOnce() -> String) {
        let Ok(first) = self.scrapes.try_recv() else { return };
        let text = text();
        // One that does not wait any more does not mind.
        let _gone = first.send(text.clone());
        while let Ok(next) = self.scrapes.try_recv() {
            let _gone = next.send(text.clone());
        }
    }
}

async fn accept(listener: TcpListener, ask: mpsc::Sender<oneshot::Sender<String>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let ask = ask.clone();
        let service = hyper::service::service_fn(move |request| scrape(request, ask.clone()));
        // A reader that breaks off is no concern of the run.
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn scrape(
    request: Request<Incoming>,
    ask: mpsc::Sender<oneshot::Sender<String>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() != "/metrics" {
        return Ok(said(StatusCode::NOT_FOUND, "metrics are at /metrics\n".to_owned()));
    }
    if request.method() != Method::GET {
        return Ok(said(StatusCode::METHOD_NOT_ALLOWED, "metrics are read with GET\n".to_owned()));
    }
    let (answer, told) = oneshot::channel();
    if ask.try_send(answer).is_err() {
        return Ok(said(StatusCode::SERVICE_UNAVAILABLE, "too many scrapes wait\n".to_owned()));
    }
    Ok(match told.await {
        Ok(text) => {
            let mut response = said(StatusCode::OK, text);
            response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(OPENMETRICS));
            response
        }
        Err(_) => said(StatusCode::SERVICE_UNAVAILABLE, "the run is over\n".to_owned()),
    })
}

fn said(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
}
