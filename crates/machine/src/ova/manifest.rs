//! Manifests: a digest for each file of a package.

use h2k_block::{BlockRead, Class, Error, Host, Result};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// How much is read at once.
const PIECE: usize = 1 << 20;
/// Lines of a manifest.
const MOST: usize = 10_000;

/// Digests manifests use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-1, of old packages.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    fn from_name(name: &str) -> Option<Self> {
        match name.trim().to_ascii_uppercase().replace('-', "").as_str() {
            "SHA1" => Some(Self::Sha1),
            "SHA256" => Some(Self::Sha256),
            "SHA512" => Some(Self::Sha512),
            _ => None,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// A line: this file has that digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The file's name, as written.
    pub name: String,
    /// Which digest.
    pub algorithm: Algorithm,
    /// Its value in small hexadecimal digits.
    pub digest: String,
}

/// A manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Its lines.
    pub entries: Vec<Entry>,
}

impl Manifest {
    /// Reads lines of `SHA256(name)= digest`, with blanks wherever makers put them.
    ///
    /// # Errors
    /// [`Class::Corrupt`] for lines that are none and files named twice; [`Class::Unsupported`] for other digests.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Error::corrupt("manifest", 0, "not the UTF-8 it has to be"))?;
        let mut made = Self::default();
        let mut at = 0_u64;
        for line in text.split('\n') {
            let begin = at;
            at = at
                .saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX))
                .saturating_add(1);
            if line.trim().is_empty() {
                continue;
            }
            let entry = entry(line.trim(), begin)?;
            if made.entries.len() >= MOST {
                return Err(Error::new(
                    Class::Limit,
                    format!("a manifest of more than {MOST} lines"),
                ));
            }
            made.entries.push(entry);
        }
        let mut names: Vec<&str> = made.entries.iter().map(|e| e.name.as_str()).collect();
        names.sort_unstable();
        if let Some([twice, _]) = names.windows(2).find(|two| two.first() == two.last()) {
            return Err(Error::corrupt("manifest", 0, format!("{twice:?} is named twice")));
        }
        Ok(made)
    }

    /// Reads every file the manifest names and compares digests; answers with how many bytes were read.
    ///
    /// # Errors
    /// [`Class::Corrupt`] with the file's name when a digest differs; [`Class::NotFound`] and [`Class::Refused`] as the host
    /// says; [`Class::Cancelled`] when `stop` is set.
    pub fn verify(&self, host: &dyn Host, referrer: &Path, stop: &AtomicBool) -> Result<u64> {
        let mut read = 0_u64;
        for entry in &self.entries {
            let file = host.open(referrer, Path::new(&entry.name), h2k_block::Access::Read)?;
            let found = digest(&*file, entry.algorithm, stop)?;
            read = read.saturating_add(file.len());
            if found != entry.digest {
                return Err(Error::corrupt(
                    "manifest",
                    0,
                    format!(
                        "{} has the {:?} digest {found}, the manifest says {}",
                        entry.name, entry.algorithm, entry.digest
                    ),
                )
                .advise("the package was damaged or changed after it was made: fetch it again"));
            }
        }
        Ok(read)
    }

    /// Whether the manifest has a line for `name`.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        self.entries.iter().any(|e| e.name == name)
    }
}

fn entry(line: &str, at: u64) -> Result<Entry> {
    let wrong = |why: &str| {
        let line: String = line.chars().take(80).collect();
        Error::corrupt("manifest", at, format!("{line:?}: {why}"))
    };
    let (head, digest) = line.rsplit_once('=').ok_or_else(|| wrong("no equals sign"))?;
    let (algorithm, name) = head
        .split_once('(')
        .ok_or_else(|| wrong("no name in parentheses"))?;
    let name = name
        .trim_end()
        .strip_suffix(')')
        .ok_or_else(|| wrong("no name in parentheses"))?;
    let known = Algorithm::from_name(algorithm);
    let algorithm = known.ok_or_else(|| {
        Error::unsupported(format!(
            "digests by {:?}",
            algorithm.chars().take(20).collect::<String>()
        ))
        .at("manifest", at)
    })?;
    let digest = digest.trim().to_ascii_lowercase();
    let digits = algorithm.bytes().saturating_mul(2);
    if digest.len() != digits || !digest.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(wrong(&format!("no digest of {digits} hexadecimal digits")));
    }
    if name.is_empty() {
        return Err(wrong("no name"));
    }
    Ok(Entry {
        name: name.to_owned(),
        algorithm,
        digest,
    })
}

/// The digest of all of `file`, in small hexadecimal digits.
fn digest(file: &dyn BlockRead, algorithm: Algorithm, stop: &AtomicBool) -> Result<String> {
    match algorithm {
        Algorithm::Sha1 => run(Sha1::new(), file, stop),
        Algorithm::Sha256 => run(Sha256::new(), file, stop),
        Algorithm::Sha512 => run(Sha512::new(), file, stop),
    }
}

fn run<D: Digest>(mut hash: D, file: &dyn BlockRead, stop: &AtomicBool) -> Result<String> {
    let mut buffer = vec![0; PIECE];
    let mut at = 0;
    while at < file.len() {
        if stop.load(Ordering::Acquire) {
            return Err(Error::new(
                Class::Cancelled,
                "stopped while a digest was computed",
            ));
        }
        let left = usize::try_from(file.len().saturating_sub(at)).unwrap_or(PIECE);
        let (piece, _) = buffer.split_at_mut(left.min(PIECE));
        file.read_at(at, piece)?;
        hash.update(&*piece);
        at = at.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_every_maker_are_read_and_others_refused() {
        let one = "a".repeat(40);
        let text = format!(
            "SHA1 (a (1).ovf) = {one}\r\n\nSHA256(b.vmdk)= {}\n",
            "B".repeat(64)
        );
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        assert_eq!(manifest.entries.len(), 2);
        assert_eq!(manifest.entries[0].name, "a (1).ovf");
        assert_eq!(manifest.entries[1].digest, "b".repeat(64));
        assert!(manifest.names("b.vmdk") && !manifest.names("a"));
        let class = |text: &str| Manifest::parse(text.as_bytes()).unwrap_err().class();
        assert_eq!(class(&format!("MD5(a)= {}", "a".repeat(32))), Class::Unsupported);
        for text in [
            "x".to_owned(),
            format!("SHA1(a)= {}", "a".repeat(39)),
            format!("SHA1(a)= {}", "g".repeat(40)),
            format!("SHA1 a = {one}"),
            format!("SHA1()= {one}"),
            format!("SHA1(a)= {one}\nSHA1(a)= {one}"),
        ] {
            assert_eq!(class(&text), Class::Corrupt, "{text}");
        }
    }
}
