//! A Git repository that exists as bytes alone: what `git fetch` and go-git are answered.
//!
//! In: files at references. Out: the advertisement of references and a pack, as the smart HTTP protocol has them in its first
//! version, which every client falls back to (gitprotocol-http, gitprotocol-pack, gitformat-pack of Git's documentation).
//! Every reference is one commit without parents, so that no fetch is ever shallow and whoever asks gets the one pack that
//! there is. Pure.

use crate::backend::hex;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use std::collections::BTreeMap;
use std::io::Write as _;

/// The name of an object.
type Oid = [u8; 20];

/// What clients may ask for beside the tips: nothing else is here, but they like to be told.
const CAPABILITIES: &str = "shallow allow-tip-sha1-in-want allow-reachable-sha1-in-want agent=flamboyance";
/// When everything was committed: 2026-01-01T00:00:00Z.
const WHEN: &str = "flamboyance <flamboyance@invalid> 1767225600 +0000";
/// The end of a part of a message.
const FLUSH: &str = "0000";

/// See the module head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    advertisement: Bytes,
    pack: Bytes,
}

/// Files by path.
pub type Files = BTreeMap<String, String>;

#[derive(Clone, Copy)]
enum Sort {
    Commit,
    Tree,
    Blob,
}

impl Sort {
    const fn word(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
        }
    }

    /// gitformat-pack: the type of an entry.
    const fn number(self) -> u8 {
        match self {
            Self::Commit => 1,
            Self::Tree => 2,
            Self::Blob => 3,
        }
    }
}

/// Objects on their way into a pack; each once.
#[derive(Default)]
struct Store(BTreeMap<Oid, (u8, Vec<u8>)>);

impl Store {
    fn put(&mut self, sort: Sort, content: Vec<u8>) -> Oid {
        let mut text = format!("{} {}\0", sort.word(), content.len()).into_bytes();
        text.extend_from_slice(&content);
        let oid = sha1(&text);
        self.0.insert(oid, (sort.number(), content));
        oid
    }

    /// The tree of files, whose paths are relative to it.
    fn tree(&mut self, files: &[(&str, &str)]) -> Oid {
        // gitformat: entries are ordered as if the names of folders ended with a slash.
        let mut entries: BTreeMap<String, (&str, &str, Oid)> = BTreeMap::new();
        let mut folders: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
        for &(path, content) in files {
            match path.split_once('/') {
                Some((folder, rest)) => folders.entry(folder).or_default().push((rest, content)),
                None => {
                    let oid = self.put(Sort::Blob, content.as_bytes().to_vec());
                    entries.insert(path.to_owned(), ("100644", path, oid));
                }
            }
        }
        for (name, files) in folders {
            let oid = self.tree(&files);
            entries.insert(format!("{name}/"), ("40000", name, oid));
        }
        let mut content = Vec::new();
        for (mode, name, oid) in entries.values() {
            content.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            content.extend_from_slice(oid);
        }
        self.put(Sort::Tree, content)
    }

    fn commit(&mut self, reference: &str, files: &Files) -> Oid {
        let files: Vec<_> = files.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
        let tree = hex(&self.tree(&files));
        self.put(Sort::Commit, format!("tree {tree}\nauthor {WHEN}\ncommitter {WHEN}\n\n{reference}\n").into_bytes())
    }

    fn pack(&self) -> Bytes {
        let mut pack = b"PACK\0\0\0\x02".to_vec();
        pack.extend_from_slice(&u32::try_from(self.0.len()).unwrap_or(u32::MAX).to_be_bytes());
        for (sort, content) in self.0.values() {
            entry_head(&mut pack, *sort, content.len());
            let mut encoder = ZlibEncoder::new(&mut pack, Compression::fast());
            // Memory takes everything.
            let _infallible = encoder.write_all(content).and_then(|()| encoder.finish().map(drop));
        }
        let sum = sha1(&pack);
        pack.extend_from_slice(&sum);
        pack.into()
    }
}

/// Type and length of an entry: four bits of the length, then seven at a time, the lowest first.
fn entry_head(out: &mut Vec<u8>, sort: u8, length: usize) {
    let low = |bits: usize, mask: usize| u8::try_from(bits & mask).unwrap_or_default();
    let mut byte = sort << 4 | low(length, 0x0f);
    let mut rest = length >> 4;
    while rest > 0 {
        out.push(byte | 0x80);
        byte = low(rest, 0x7f);
        rest >>= 7;
    }
    out.push(byte);
}

impl Repository {
    /// A repository with these branches, the first of which is its head.
    #[must_use]
    pub fn new(branches: &[(&str, Files)]) -> Self {
        let mut store = Store::default();
        let tips: Vec<(&str, Oid)> = branches.iter().map(|(name, files)| (*name, store.commit(name, files))).collect();
        let mut text = line("# service=git-upload-pack\n");
        text.push_str(FLUSH);
        if let Some((head, tip)) = tips.first() {
            let capabilities = format!("symref=HEAD:refs/heads/{head} {CAPABILITIES}");
            text.push_str(&line(&format!("{} HEAD\0{capabilities}\n", hex(tip))));
        }
        let mut sorted = tips;
        sorted.sort_unstable();
        for (name, tip) in &sorted {
            text.push_str(&line(&format!("{} refs/heads/{name}\n", hex(tip))));
        }
        text.push_str(FLUSH);
        Self { advertisement: text.into(), pack: store.pack() }
    }

    /// What stands under which name.
    #[must_use]
    pub fn advertisement(&self) -> Bytes {
        self.advertisement.clone()
    }

    /// The answer to `git-upload-pack`. Somebody who has not said that he is done is told that nothing of what he has is
    /// known here, until he is.
    #[must_use]
    pub fn upload(&self, request: &[u8]) -> Bytes {
        let lines = lines(request);
        let says = |word: &str| lines.iter().any(|line| line.starts_with(word.as_bytes()));
        let mut answer = Vec::new();
        if says("deepen") {
            // No commit has parents: nothing is cut off.
            answer.extend_from_slice(FLUSH.as_bytes());
        }
        if says("done") || !says("have") && !says("deepen") {
            answer.extend_from_slice(line("NAK\n").as_bytes());
            answer.extend_from_slice(&self.pack);
        } else if says("have") {
            answer.extend_from_slice(line("NAK\n").as_bytes());
        }
        answer.into()
    }
}

/// A line of the protocol: its length in four hex digits comes first, and counts them.
fn line(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}

/// The lines of a message; what makes no sense ends it.
fn lines(mut message: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some((head, rest)) = message.split_at_checked(4) {
        let Some(length) = std::str::from_utf8(head).ok().and_then(|head| usize::from_str_radix(head, 16).ok()) else {
            break;
        };
        let Some((line, rest)) = rest.split_at_checked(length.saturating_sub(4)) else { break };
        lines.push(line);
        message = rest;
    }
    lines
}

fn sha1(bytes: &[u8]) -> Oid {
    let mut oid = Oid::default();
    oid.copy_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref());
    oid
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        list.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn objects_have_the_names_that_git_gives_them() {
        let mut store = Store::default();
        // `git hash-object` of an empty file and of "hello\n", `git mktree` of nothing.
        let name = |oid: Oid| hex(&oid);
        assert_eq!(name(store.put(Sort::Blob, Vec::new())), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assert_eq!(name(store.put(Sort::Blob, b"hello\n".to_vec())), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(name(store.tree(&[])), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    }

    #[test]
    fn folders_stand_where_git_expects_them() {
        let mut store = Store::default();
        // As bytes `a-b` < `a.b` < `a/`: a folder is ordered with its slash.
        store.tree(&[("a/x", ""), ("a-b", ""), ("a.b", "")]);
        let trees: Vec<_> = store.0.values().filter(|(sort, _)| *sort == 2).map(|(_, content)| content).collect();
        let root = trees.iter().find(|tree| tree.len() > 60).unwrap();
        let at = |name: &[u8]| root.windows(name.len()).position(|window| window == name).unwrap();
        assert!(at(b"100644 a-b\0") < at(b"100644 a.b\0") && at(b"100644 a.b\0") < at(b"40000 a\0"));
    }

    #[test]
    fn lengths_of_entries_are_read_back() {
        for length in [0, 1, 15, 16, 2_047, 2_048, 100_000] {
            let mut head = Vec::new();
            entry_head(&mut head, 3, length);
            assert_eq!(head[0] >> 4 & 7, 3);
            let first = usize::from(head[0] & 0x0f);
            let rest = head[1..].iter().rev().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
            assert_eq!(first | rest << 4, length);
        }
    }

    #[test]
    fn a_client_gets_the_pack_once_it_is_done_or_has_nothing() {
        let repository = Repository::new(&[("v1", files(&[("deploy/a.yaml", "{}")]))]);
        let pack = &repository.pack[..];
        let check = |request: &str, head: &str, with_pack: bool| {
            let answer = repository.upload(request.as_bytes());
            let expected = [head.as_bytes(), if with_pack { pack } else { b"" }].concat();
            assert_eq!(answer, expected, "{request:?}");
        };
        check("000cwant aa\n00000009done\n", "0008NAK\n", true);
        check("000cwant aa\n000ddeepen 1\n00000009done\n", "00000008NAK\n", true);
        check("000cwant aa\n000ddeepen 1\n0000", "0000", false);
        check("000cwant aa\n0000000chave bb\n0000", "0008NAK\n", false);
        check("000cwant aa\n0000000chave bb\n0009done\n", "0008NAK\n", true);
    }

    #[test]
    fn the_first_branch_is_the_head_and_names_are_sorted() {
        let repository = Repository::new(&[("v2", files(&[("a", "2")])), ("v1", files(&[("a", "1")]))]);
        let text = String::from_utf8(repository.advertisement().to_vec()).unwrap();
        assert!(text.starts_with("001e# service=git-upload-pack\n0000"), "{text}");
        assert!(text.contains("symref=HEAD:refs/heads/v2") && text.ends_with("0000"));
        assert!(text.find("refs/heads/v1\n").unwrap() < text.find("refs/heads/v2\n").unwrap());
    }
}
