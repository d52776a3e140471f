//! What stands in for etcd: it is healthy, and keeps nothing.

use super::super::Failure;
use super::flags::Flags;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::process::ExitCode;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

const KNOWN: &str = include_str!("etcd.txt");
const EFFECTIVE: &[&str] = &["listen-client-urls"];
const ABOUT: &str = "Stands in for etcd beside flamboyance's kube-apiserver: answers /health and keeps nothing.";
/// Where etcd listens if nobody says so.
const DEFAULT: &str = "http://localhost:2379";

#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("--listen-client-urls {0}: it is no http URL with host and port")]
#[diagnostic(help("write http://127.0.0.1:2379"))]
struct BadUrl(String);

pub(super) fn run() -> Result<ExitCode, Failure> {
    let flags = Flags::read("etcd", ABOUT, KNOWN, EFFECTIVE);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(flags.last("listen-client-urls").unwrap_or(DEFAULT)))
}

async fn serve(urls: &str) -> Result<ExitCode, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let url = urls.split(',').next().unwrap_or_default();
    let authority = url.parse::<http::Uri>().ok().filter(|uri| uri.scheme_str() == Some("http"));
    let authority = authority.and_then(|uri| Some((uri.host()?.trim_matches(['[', ']']).to_owned(), uri.port_u16()?)));
    let (host, port) = authority.ok_or_else(|| Failure::input(BadUrl(url.to_owned())))?;
    let listener = TcpListener::bind((host, port)).await?;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((socket, _)) = accepted else { continue };
                let service = hyper::service::service_fn(|request| std::future::ready(Ok::<_, Infallible>(answer(&request))));
                let mut builder = hyper::server::conn::http1::Builder::new();
                builder.timer(TokioTimer::new());
                // How a connection ends is its client's business.
                tokio::spawn(async move { builder.serve_connection(TokioIo::new(socket), service).await });
            }
            _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
            _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
        }
    }
}

fn answer(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let (code, body) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/health" | "/livez" | "/readyz") => (200, r#"{"health":"true","reason":""}"#),
        (&Method::GET | &Method::HEAD, "/version") => (200, r#"{"etcdserver":"3.6.0","etcdcluster":"3.6.0"}"#),
        _ => (404, "404 page not found\n"),
    };
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or_default();
    response
}
