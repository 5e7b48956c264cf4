//! `cargo xtask bench`: this program against qemu-img and the kernel, and all of them against what the machine can do.
//!
//! Everything lies on a tmpfs, so that no disk is measured. Each row is run in alternating pairs, ours and
//! theirs; the median of the pairs' quotients counts. Every kind of output is compared with its source once.

mod child;
mod guest;
mod input;
mod inspect;
mod limit;
pub(crate) mod machine;
mod migrate;
mod page;
mod pairs;
mod row;
mod scratch;
mod tree;

use crate::run::{Done, cargo, root, show};
use input::Size;
use pairs::{Pairs, Side};
use row::Row;
use scratch::Scratch;
use std::path::Path;

pub(crate) use child::shim;
pub(crate) use inspect::inspect;
pub(crate) use migrate::migrate;
pub(crate) use tree::mounted;

/// Pairs of rows that take a minute each.
const SLOW_PAIRS: usize = 3;
/// Bytes of files in a filesystem that is read, in a whole run.
const FILES: u64 = 3 << 30;

/// The flags of `cargo xtask bench`.
#[derive(Debug)]
struct Asked {
    size: Size,
    pairs: usize,
    /// Only rows whose name contains one of these.
    rows: Vec<String>,
    /// Only our side: for profiling.
    ours_only: bool,
}

/// One row, measured.
struct Measured {
    row: &'static Row,
    pairs: Pairs,
    our_size: u64,
    their_size: u64,
    limit: Option<limit::Limit>,
}

/// What was measured on what.
struct Account {
    machine: machine::Machine,
    input: input::Facts,
    pairs: usize,
    rows: Vec<Measured>,
    codecs: Vec<limit::Codec>,
    readings: Vec<guest::Reading>,
    /// What this machine did not let us measure, and why.
    skipped: Vec<String>,
}

/// Runs the benchmark. `words` are the words after `bench`.
pub(crate) fn bench(words: &[&str]) -> Done {
    let asked = parse(words)?;
    let ours = if asked.size == Size::Tiny {
        // What the tests built: nothing is compiled again.
        show(cargo().args(["build", "--workspace", "--all-features", "--bin", "hyper2kvm"]))?;
        root().join("target/debug/hyper2kvm")
    } else {
        show(cargo().args(["build", "--release", "--bin", "hyper2kvm"]))?;
        root().join("target/release/hyper2kvm")
    };
    let plan = input::Plan::new(asked.size);
    let scratch = Scratch::new(plan.room())?;
    if asked.size == Size::Full {
        println!("touching {} MiB of memory…", plan.room() >> 20);
        scratch.warm(plan.room())?;
    }
    println!("making {} MiB of real file data…", plan.data >> 20);
    let (base, facts) = input::make(&scratch, &plan)?;
    let conversions: Vec<_> = row::ROWS.iter().filter(|row| asked.wants(row.name)).collect();
    let with_limits = !asked.ours_only && asked.size != Size::Tiny;
    let mut account = Account {
        machine: machine::look(&ours)?,
        input: facts,
        pairs: asked.pairs,
        rows: Vec::new(),
        codecs: if with_limits && !conversions.is_empty() {
            limit::codecs(&base)?
        } else {
            Vec::new()
        },
        readings: Vec::new(),
        skipped: Vec::new(),
    };
    for row in conversions {
        let mut measured = measure(row, &asked, &ours, &base, &scratch)?;
        if with_limits {
            let runs = asked.pairs_of(row);
            measured.limit = Some(limit::of(row, &base, &scratch, runs, &account.codecs)?);
        }
        account.rows.push(measured);
    }
    scratch::remove(&base);
    (account.readings, account.skipped) = guest::measure(&guest::Setting {
        ours: &ours,
        scratch: &scratch,
        data: match asked.size {
            Size::Full => FILES,
            _ => plan.data,
        },
        pairs: asked.pairs,
        sides: asked.sides(),
        wants: &|name| asked.wants(name),
    })?;
    page::print(&account);
    let text = page::document(&account);
    if asked.size != Size::Full || asked.ours_only || !asked.rows.is_empty() {
        println!("docs/performance.md is written by a whole run only");
        return Ok(());
    }
    let path = root().join("docs/performance.md");
    std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    println!("wrote {}", path.display());
    Ok(())
}

fn parse(words: &[&str]) -> Result<Asked, String> {
    let mut asked = Asked {
        size: Size::Full,
        pairs: 5,
        rows: Vec::new(),
        ours_only: false,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match *word {
            "--quick" => (asked.size, asked.pairs) = (Size::Quick, 1),
            "--tiny" => (asked.size, asked.pairs) = (Size::Tiny, 1),
            "--ours-only" => asked.ours_only = true,
            "--pairs" => {
                asked.pairs = value()?
                    .parse()
                    .map_err(|_| "--pairs needs a number".to_owned())?;
            }
            "--row" => asked.rows.push((*value()?).to_owned()),
            other => return Err(format!("bench has no flag {other}")),
        }
    }
    if asked.pairs == 0 {
        return Err("at least one pair".to_owned());
    }
    Ok(asked)
}

impl Asked {
    fn wants(&self, name: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|part| name.contains(part.as_str()))
    }

    fn sides(&self) -> &'static [Side] {
        if self.ours_only {
            &[Side::Ours]
        } else {
            &[Side::Ours, Side::Theirs]
        }
    }

    fn pairs_of(&self, row: &Row) -> usize {
        if row.slow {
            self.pairs.min(SLOW_PAIRS)
        } else {
            self.pairs
        }
    }
}

/// Makes the row's source, runs the pairs, checks the outputs.
fn measure(
    row: &'static Row,
    asked: &Asked,
    ours: &Path,
    base: &Path,
    scratch: &Scratch,
) -> Result<Measured, String> {
    println!("\n--- {}", row.name);
    let source = row.make_source(base, scratch)?;
    let out = scratch.path("out");
    let (mut our_size, mut their_size) = (0, 0);
    let pairs = Pairs::run(asked.pairs_of(row), asked.sides(), &mut |side, first| {
        let command = match side {
            Side::Ours => row.our_command(ours, &source, &out),
            Side::Theirs => row.their_command(&source, &out),
        };
        let cost = child::run(&command, scratch)?;
        let size = scratch::allocated(&out)?;
        match side {
            Side::Ours => our_size = size,
            Side::Theirs => their_size = size,
        }
        match side {
            Side::Ours if first => row.check(base, &out)?,
            Side::Theirs if first => row.same(base, &out)?,
            _ => {}
        }
        scratch::remove(&out);
        Ok(cost)
    })?;
    if source != base {
        scratch::remove(&source);
    }
    Ok(Measured {
        row,
        pairs,
        our_size,
        their_size,
        limit: None,
    })
}
