use super::*;
use crate::record::synthetic;

fn written() -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("a/result");
    let mut folder = Folder::create(&path, &synthetic::begun()).unwrap();
    let usages = synthetic::usages();
    let usages: Vec<&Usage> = usages.iter().collect();
    folder.write_measurements(&synthetic::outcome(), &usages, Time(0), "kind: Scenario\n").unwrap();
    folder.close(synthetic::record()).unwrap();
    (temp, path)
}

#[test]
fn a_result_is_read_as_it_was_written() {
    let (_temp, path) = written();
    let stored = load(&path).unwrap();
    let expected = RunRecord { files: stored.record.files.clone(), ..synthetic::record() };
    assert_eq!(stored.record, expected);
    assert_eq!((stored.windows, stored.scenario.as_str()), (synthetic::outcome().windows, "kind: Scenario\n"));
    assert!(!stored.samples.is_empty() && stored.latencies.by_kind().count() > 3);
    assert_eq!(load(&path.join("record.json")).unwrap().record, stored.record);
    for file in &stored.record.files {
        let bytes = fs::read(path.join(&file.path)).unwrap();
        assert_eq!(file.sha256, assemble::hex(&Sha256::digest(&bytes)), "{}", file.path);
    }
}

#[test]
fn a_run_that_was_killed_leaves_a_partial_record() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("result");
    drop(Folder::create(&path, &synthetic::begun()).unwrap());
    let stored = load(&path).unwrap();
    assert_eq!((stored.record.status, stored.record.reason), (Status::Partial, Some(Reason::Interrupted)));
    assert_eq!(fs::read_dir(&path).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn a_folder_that_exists_is_never_touched() {
    let (_temp, path) = written();
    let before = fs::read(path.join("record.json")).unwrap();
    let error = Folder::create(&path, &synthetic::begun()).unwrap_err();
    assert!(matches!(error, RecordError::Exists(_)) && error.to_string().contains("--out"), "{error}");
    assert_eq!(fs::read(path.join("record.json")).unwrap(), before);
}

#[test]
fn a_folder_below_a_file_cannot_be_made() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("file"), "").unwrap();
    let error = Folder::create(&temp.path().join("file/result"), &synthetic::begun()).unwrap_err();
    assert!(matches!(error, RecordError::Write { .. }), "{error}");
}

#[test]
fn a_full_disk_keeps_the_record_and_drops_the_rest() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("result");
    let mut folder = Folder::create(&path, &synthetic::begun()).unwrap();
    folder.write("big.csv", FileKind::TimeSeries, b"1,2,3\n").unwrap();
    let record = folder.close_full(synthetic::record()).unwrap();
    assert_eq!((record.status, record.reason), (Status::Partial, Some(Reason::DiskFull)));
    assert!(!path.join("big.csv").exists() && record.files.is_empty());
    assert_eq!(load(&path).unwrap().record, record);
    let full = failed(&path, io::Error::from(io::ErrorKind::StorageFull));
    assert!(matches!(full, RecordError::DiskFull(_)));
}

#[test]
fn what_is_not_a_record_is_refused_with_the_reason() {
    let temp = tempfile::tempdir().unwrap();
    let check = |text: &str, expected: &str| {
        let path = temp.path().join("record.json");
        fs::write(&path, text).unwrap();
        let error = load(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check("{", "not a record");
    check("{}", "no schema_version");
    check(r#"{"schema_version": 1}"#, "missing field");
    check(r#"{"schema_version": 99}"#, "newer flamboyance");
    assert!(matches!(load(&temp.path().join("nowhere")), Err(RecordError::Read { .. })));
}

#[test]
fn the_first_version_stays_readable() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/record-v1.json");
    let record = load(&path).unwrap().record;
    assert_eq!((record.schema_version, record.scenario.name.as_str()), (1, "quickstart"));
    assert_eq!(record.latency["end_to_end"].count, 1_300);
}

#[test]
fn the_committed_schema_is_that_of_the_record() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/record.schema.json");
    let mut schema = serde_json::to_string_pretty(&schemars::schema_for!(RunRecord)).unwrap();
    schema.push('\n');
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&path, &schema).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == schema, "run UPDATE_SCHEMA=1 cargo test --lib the_committed_schema");
}
