//! A Helm repository as bytes: its index and its charts.
//!
//! In: templates at versions. Out: `index.yaml` (JSON is YAML) and archives as Helm unpacks them. Pure.

use crate::backend::hex;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::Write as _;

/// When everything was packed.
const WHEN: &str = "2026-01-01T00:00:00Z";

/// A chart at a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart<'a> {
    /// Its name.
    pub name: &'a str,
    /// SemVer.
    pub version: &'a str,
    /// File names and contents.
    pub templates: Vec<(String, String)>,
}

/// The files of a repository: names and contents.
#[must_use]
pub(super) fn repository(charts: &[Chart<'_>]) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut entries = serde_json::Map::new();
    for chart in charts {
        let (name, archive) = (format!("{}-{}.tgz", chart.name, chart.version), archive(chart));
        let mut entry = metadata(chart);
        // Relative to the index.
        entry["urls"] = json!([name]);
        entry["created"] = json!(WHEN);
        entry["digest"] = json!(hex(&Sha256::digest(&archive)));
        if let Some(versions) = entries.entry(chart.name).or_insert_with(|| json!([])).as_array_mut() {
            versions.push(entry);
        }
        files.push((name, archive));
    }
    let index = json!({ "apiVersion": "v1", "generated": WHEN, "entries": entries });
    files.push(("index.yaml".to_owned(), index.to_string().into_bytes()));
    files
}

fn metadata(chart: &Chart<'_>) -> Value {
    json!({ "apiVersion": "v2", "name": chart.name, "version": chart.version })
}

fn archive(chart: &Chart<'_>) -> Vec<u8> {
    let mut tar = Vec::new();
    file(&mut tar, &format!("{}/Chart.yaml", chart.name), metadata(chart).to_string().as_bytes());
    for (name, content) in &chart.templates {
        file(&mut tar, &format!("{}/templates/{name}", chart.name), content.as_bytes());
    }
    // Two empty blocks end it.
    tar.extend_from_slice(&[0; 1024]);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    // Memory takes everything.
    let _infallible = gzip.write_all(&tar);
    gzip.finish().unwrap_or_default()
}

/// One file of an archive: a header of 512 bytes (POSIX ustar), the content, zeros up to the next block.
fn file(tar: &mut Vec<u8>, name: &str, content: &[u8]) {
    let mut header = [0_u8; 512];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, &name.as_bytes()[..name.len().min(100)]);
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", content.len()).as_bytes());
    put(136, b"00000000000\0");
    // The sum of all bytes, with blanks in its own place.
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.extend_from_slice(&header);
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn the_index_names_every_version_and_archives_hold_what_was_given() {
        let chart = |version| Chart {
            name: "web",
            version,
            templates: vec![("a.yaml".to_owned(), "kind: ConfigMap".to_owned())],
        };
        let files = repository(&[chart("1.0.0"), chart("1.1.0")]);
        let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["web-1.0.0.tgz", "web-1.1.0.tgz", "index.yaml"]);
        let index: Value = serde_json::from_slice(&files[2].1).unwrap();
        assert_eq!(index["entries"]["web"][1]["version"], "1.1.0");
        assert_eq!(index["entries"]["web"][0]["urls"][0], "web-1.0.0.tgz");
        let mut tar = Vec::new();
        flate2::read::GzDecoder::new(&files[0].1[..]).read_to_end(&mut tar).unwrap();
        assert_eq!(tar.len() % 512, 0);
        let header = &tar[1024..1536];
        assert_eq!((&header[..20], &header[124..135]), (&b"web/templates/a.yaml"[..], &b"00000000017"[..]));
        assert_eq!(&tar[1536..1551], b"kind: ConfigMap");
        // As tar computes it: the sum of the header with blanks for itself.
        let told = u32::from_str_radix(std::str::from_utf8(&header[148..154]).unwrap(), 8).unwrap();
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        let own: u32 = header[148..156].iter().map(|byte| u32::from(*byte)).sum();
        assert_eq!(told, sum - own + 8 * 32);
    }
}
