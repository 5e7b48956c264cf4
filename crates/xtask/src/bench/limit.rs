//! What cannot be beaten: a copy of the bytes, and the codec alone.

use super::child::{self, Cost};
use super::row::Row;
use super::scratch::{self, Scratch};
use crate::run::cargo;
use std::path::Path;

/// What a row is measured against.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bound {
    /// `cp --sparse=always` of the raw disk.
    Cp,
    /// The named codec, in memory, on all cores.
    Codec(&'static str),
}

/// The speed of a codec without anything around it.
pub(super) struct Codec {
    pub(super) name: String,
    /// MiB of plain data a second, all cores together.
    pub(super) speed: f64,
    /// Encoded size by plain size.
    pub(super) ratio: f64,
    /// What it is, for people.
    pub(super) what: String,
}

/// How fast a row could be.
pub(super) struct Limit {
    pub(super) what: String,
    pub(super) seconds: f64,
}

/// Measures the codecs on the data of the disk.
pub(super) fn codecs(base: &Path) -> Result<Vec<Codec>, String> {
    println!("measuring the codecs alone…");
    let out = cargo()
        .args(["bench", "--quiet", "-p", "h2k-image", "--bench", "codecs", "--"])
        .arg(base)
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|e| e.to_string())?;
    if !out.status.success() {
        return Err(format!("cargo bench ended with {}", out.status));
    }
    let text = String::from_utf8_lossy(&out.stdout);
    print!("{text}");
    Ok(text.lines().filter_map(codec).collect())
}

/// `name<TAB>speed<TAB>ratio<TAB>what`
fn codec(line: &str) -> Option<Codec> {
    let mut words = line.split('\t');
    let mut next = || words.next();
    Some(Codec {
        name: next()?.to_owned(),
        speed: next()?.parse().ok()?,
        ratio: next()?.parse().ok()?,
        what: next()?.to_owned(),
    })
}

/// The limit of `row`.
pub(super) fn of(
    row: &Row,
    base: &Path,
    scratch: &Scratch,
    runs: usize,
    codecs: &[Codec],
) -> Result<Limit, String> {
    match row.bound {
        Bound::Codec(name) => {
            let codec = codecs.iter().find(|codec| codec.name == name);
            let codec = codec.ok_or_else(|| format!("nobody measured {name}"))?;
            let mib = scratch::allocated(base)? as f64 / f64::from(1 << 20);
            Ok(Limit {
                what: format!("{name} alone"),
                seconds: mib / codec.speed,
            })
        }
        Bound::Cp => {
            let out = scratch.path("copy");
            let words = [
                "cp",
                "--sparse=always",
                &base.display().to_string(),
                &out.display().to_string(),
            ];
            let words = words.map(str::to_owned);
            let mut costs = Vec::<Cost>::new();
            for _ in 0..runs {
                costs.push(child::run(&words, scratch)?);
                scratch::remove(&out);
            }
            Ok(Limit {
                what: "cp --sparse=always".to_owned(),
                seconds: median(costs.iter().map(|cost| cost.wall.as_secs_f64())),
            })
        }
    }
}

/// The middle one, or the mean of the two in the middle.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle.wrapping_sub(1)), values.get(middle)) {
        (Some(a), Some(b)) if values.len().is_multiple_of(2) => (a + b) / 2.0,
        (_, Some(b)) => *b,
        _ => f64::NAN,
    }
}
