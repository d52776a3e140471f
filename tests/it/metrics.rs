//! `run --metrics` as a Prometheus sees it.

use crate::run::{Long, flamboyance, said, smoke};
use std::io::{Read, Write};
use std::net::TcpStream;

/// Status line with headers, and body.
fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn a_run_is_read_while_it_goes() {
    let long = Long::start_with(&["--metrics", "127.0.0.1:0"]);
    let told = long.begun.lines().find_map(|line| line.strip_prefix("metrics: http://")?.strip_suffix("/metrics"));
    let address = told.expect("it says where").to_owned();

    let (head, body) = get(&address, "/metrics");
    assert!(head.starts_with("HTTP/1.1 200 OK") && head.contains("application/openmetrics-text"), "{head}");
    assert!(body.ends_with("\n# EOF\n"), "{body}");
    for line in [
        "argocd_app{health_status=\"Healthy\"} 0\n",
        "argocd_app{health_status=\"Other\"} 20\n",
        "process_resident_memory_bytes{job=\"manager-0\",role=\"manager\"} ",
        "process_cpu_seconds_total{job=\"harness\",role=\"harness\"} ",
    ] {
        assert!(body.contains(line), "{line} is missing: {body}");
    }
    assert!(get(&address, "/").0.starts_with("HTTP/1.1 404"));

    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("second");
    let second =
        flamboyance().arg("run").arg(smoke()).args(["--metrics", &address, "--out"]).arg(&out).output().unwrap();
    assert_eq!(second.status.code(), Some(3), "{}", said(&second));
    assert!(said(&second).contains("cannot serve metrics") && !out.exists(), "{}", said(&second));
}

#[test]
fn a_simulated_run_has_nothing_to_scrape() {
    let output =
        flamboyance().arg("run").arg(smoke()).args(["--clock", "virtual", "--metrics", "127.0.0.1:0"]).output();
    let output = output.unwrap();
    assert!(output.status.code() == Some(2) && said(&output).contains("openmetrics"), "{}", said(&output));
}
