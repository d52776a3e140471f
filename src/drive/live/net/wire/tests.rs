use super::*;
use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Serves until it is dropped; each answer says what was asked: version, path, token.
async fn serve(at: SocketAddr, http1_only: bool) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind(at).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let answer = service_fn(|request: Request<Incoming>| async move {
                    let token =
                        request.headers().get(header::AUTHORIZATION).map_or("-", |t| t.to_str().unwrap()).to_owned();
                    let path = request.uri().path_and_query().unwrap().as_str().to_owned();
                    let text = format!("{:?} {path} {token}", request.version());
                    Ok::<_, Infallible>(Response::new(http_body_util::Full::new(Bytes::from(text))))
                });
                let mut builder = auto::Builder::new(TokioExecutor::new());
                if http1_only {
                    builder = builder.http1_only();
                }
                // The client decides when it ends.
                let _ = builder.serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    (address, tasks)
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn route(address: SocketAddr) -> Route {
    let authority: Authority = address.to_string().parse().unwrap();
    let pool = Pool::new(&authority, None, 2, &Arc::default());
    pool.route("/clusters/a/", Some(HeaderValue::from_static("Bearer t")), 7)
}

async fn ask(route: &Route) -> Result<String, WireError> {
    let request = Request::get("/api/v1?watch=true").body(Body::empty()).unwrap();
    let body = route.send(request).await?.into_body().collect().await;
    Ok(String::from_utf8(body.unwrap().to_bytes().to_vec()).unwrap())
}

#[tokio::test]
async fn a_server_is_asked_in_the_best_protocol_it_speaks() {
    for (http1_only, version) in [(false, "HTTP/2.0"), (true, "HTTP/1.1")] {
        let (address, _server) = serve(loopback(), http1_only).await;
        let route = route(address);
        for _ in 0..2 {
            assert_eq!(ask(&route).await.unwrap(), format!("{version} /clusters/a/api/v1?watch=true Bearer t"));
        }
    }
}

#[tokio::test]
async fn streams_that_never_end_do_not_starve_calls() {
    // Hyper's servers allow 200 streams a connection.
    let (address, _server) = serve(loopback(), false).await;
    let route = route(address);
    let mut held = Vec::new();
    for _ in 0..500 {
        let request = Request::get("/watch").body(Body::empty()).unwrap();
        held.push(route.send(request).await.unwrap());
    }
    assert!(ask(&route).await.is_ok());
    let connections = route.line.open.read().len();
    assert!((3..=6).contains(&connections), "{connections}");
    drop(held);
    let free = |open: &Speaks| matches!(open, Speaks::Http2(_, streams) if streams.used.load(Ordering::Relaxed) == 0);
    assert!(route.line.open.read().iter().all(free));
}

#[tokio::test]
async fn a_broken_connection_is_made_anew() {
    let (address, mut server) = serve(loopback(), false).await;
    let route = route(address);
    assert!(ask(&route).await.is_ok());
    server.shutdown().await;
    let (_, _server) = serve(address, false).await;
    // The first request may still go out on the old connection: rounds repeat such a call once.
    let answers = [ask(&route).await, ask(&route).await];
    assert!(answers.iter().any(Result::is_ok), "{answers:?}");
}

#[tokio::test]
async fn nobody_listening_is_an_error_with_the_address() {
    let (address, server) = serve(loopback(), false).await;
    drop(server);
    let refused = ask(&route(address)).await.unwrap_err();
    assert!(refused.to_string().contains(&address.to_string()), "{refused}");
}
