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
