//! The fixtures of the repository and their certificates (`fixtures/<format>/<case>.toml`).

use crate::corpus::{sparse_write, unzstd};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One fixture.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// The folder it lies in.
    pub home: PathBuf,
    /// Its certificate, below `fixtures/`.
    pub name: String,
    /// Its files as a program names them, without `.zst`; the first one is opened.
    pub files: Vec<String>,
    /// What must be true of it.
    pub truth: BTreeMap<String, String>,
}

impl Fixture {
    /// What the certificate says of `key`.
    #[must_use]
    pub fn says(&self, key: &str) -> Option<&str> {
        self.truth.get(key).map(String::as_str)
    }

    /// The bytes of one of its files.
    #[must_use]
    pub fn bytes(&self, file: &str) -> Vec<u8> {
        match std::fs::read(self.home.join(format!("{file}.zst"))) {
            Ok(packed) => unzstd(&packed),
            Err(_) => {
                std::fs::read(self.home.join(file)).expect("a fixture has the files its certificate names")
            }
        }
    }

    /// Unpacks its files into `dir`; answers with the one to open.
    #[must_use]
    pub fn unpack(&self, dir: &Path) -> PathBuf {
        for file in &self.files {
            sparse_write(&dir.join(file), &self.bytes(file));
        }
        dir.join(&self.files[0])
    }
}

/// Every fixture of the repository, in the order of their names.
#[must_use]
pub fn fixtures() -> Vec<Fixture> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let mut cards = Vec::new();
    for format in std::fs::read_dir(&root).expect("the repository has fixtures") {
        let home = format.expect("a folder can be listed").path();
        for entry in std::fs::read_dir(&home).expect("fixtures lie in folders") {
            let card = entry.expect("a folder can be listed").path();
            if card.extension().is_some_and(|e| e == "toml") {
                cards.push(card);
            }
        }
    }
    cards.sort();
    cards.iter().map(|card| read(card, &root)).collect()
}

/// The little of TOML that certificates use: `key = "text"`, `key = number`, `key = ["text", …]` on one line.
fn read(card: &Path, root: &Path) -> Fixture {
    let text = std::fs::read_to_string(card).expect("a certificate is readable");
    let (head, body) = text
        .split_once("\n[true]\n")
        .expect("a certificate says what is true");
    let files = head
        .lines()
        .find_map(|line| line.strip_prefix("files = "))
        .expect("a certificate names files");
    let truth = body.lines().filter_map(|line| line.split_once(" = "));
    Fixture {
        home: card.parent().expect("a file has a folder").to_owned(),
        name: card.strip_prefix(root).unwrap_or(card).display().to_string(),
        files: files.split('"').skip(1).step_by(2).map(str::to_owned).collect(),
        truth: truth
            .map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()))
            .collect(),
    }
}
