//! The socket of the sources.

use super::Sources;
use bytes::Bytes;
use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io::Read as _;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The longest request: a client that names everything it has.
const BODY_MAX: usize = 1 << 20;

/// Serves until the listener breaks.
pub async fn serve(listener: TcpListener, sources: Arc<Sources>) {
    while let Ok((stream, _)) = listener.accept().await {
        let sources = Arc::clone(&sources);
        let service = hyper::service::service_fn(move |request| answer(Arc::clone(&sources), request));
        // A client that breaks off asks again.
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(sources: Arc<Sources>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let status = |status: StatusCode| {
        let mut response = Response::new(Full::default());
        *response.status_mut() = status;
        Ok(response)
    };
    let Ok(body) = Limited::new(body, BODY_MAX).collect().await else { return status(StatusCode::PAYLOAD_TOO_LARGE) };
    let mut body = body.to_bytes();
    if head.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip") {
        let mut plain = Vec::new();
        if GzDecoder::new(&body[..]).take(BODY_MAX as u64).read_to_end(&mut plain).is_err() {
            return status(StatusCode::BAD_REQUEST);
        }
        body = plain.into();
    }
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    let Some(answer) = sources.answer(path, query, &body) else { return status(StatusCode::NOT_FOUND) };
    let mut response = Response::new(Full::new(answer.body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answer.kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::sources::Files;
    use std::path::Path;
    use std::process::Command;

    fn git(folder: &Path, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.current_dir(folder).args(arguments).env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", folder);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn the_original_client_clones_whole_and_shallow_and_fetches_what_it_has_not() {
        let files = |text: &str| Files::from([("deploy/a.yaml".to_owned(), text.to_owned())]);
        let mut sources = Sources::default();
        let path = sources.git("web", &[("v1", files("one")), ("v2", files("two"))]);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}{path}", listener.local_addr().unwrap());
        runtime.spawn(serve(listener, Arc::new(sources)));
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        git(folder.path(), &["clone", "-q", &url, "whole"]);
        assert_eq!(std::fs::read_to_string(at("whole/deploy/a.yaml")).unwrap(), "one");
        git(&at("whole"), &["checkout", "-q", "origin/v2"]);
        assert_eq!(std::fs::read_to_string(at("whole/deploy/a.yaml")).unwrap(), "two");
        git(folder.path(), &["clone", "-q", "--depth", "1", "--branch", "v2", &url, "shallow"]);
        assert_eq!(std::fs::read_to_string(at("shallow/deploy/a.yaml")).unwrap(), "two");
        // With a commit of its own it says what it has.
        let own = ["-c", "user.name=x", "-c", "user.email=x@invalid", "commit", "-q", "--allow-empty", "-m", "own"];
        git(&at("shallow"), &own);
        git(&at("shallow"), &["fetch", "-q", "origin", "v1"]);
        assert_eq!(git(&at("shallow"), &["show", "FETCH_HEAD:deploy/a.yaml"]), "one");
        git(&at("whole"), &["fsck", "--strict"]);
    }
}
