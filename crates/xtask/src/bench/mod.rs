//! `cargo xtask bench`: this program against qemu-img, and both against what the machine can do.
//!
//! Everything lies on a tmpfs, so that no disk is measured. Each row is run in alternating pairs, ours and
//! theirs; the median of the pairs' quotients counts. Every kind of output is compared with its source once.

mod child;
mod input;
mod limit;
mod machine;
mod page;
mod row;
mod scratch;

use crate::run::{Done, cargo, root, show};
use child::Cost;
use row::Row;
use scratch::Scratch;
use std::path::{Path, PathBuf};

pub(crate) use child::shim;

/// The flags of `cargo xtask bench`.
#[derive(Debug)]
struct Asked {
    quick: bool,
    pairs: usize,
    /// Only rows whose name contains one of these.
    rows: Vec<String>,
    /// Only our side: for profiling.
    ours_only: bool,
}

/// One row, measured.
struct Measured {
    row: &'static Row,
    ours: Vec<Cost>,
    theirs: Vec<Cost>,
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
}

/// Runs the benchmark. `words` are the words after `bench`.
pub(crate) fn bench(words: &[&str]) -> Done {
    let asked = parse(words)?;
    show(cargo().args(["build", "--release", "--bin", "hyper2kvm"]))?;
    let ours = root().join("target/release/hyper2kvm");
    let plan = input::Plan::new(asked.quick);
    let scratch = Scratch::new(plan.room())?;
    println!("making {} MiB of real file data…", plan.data >> 20);
    let (base, facts) = input::make(&scratch, &plan)?;
    let machine = machine::look(&ours)?;
    let mut account = Account {
        machine,
        input: facts,
        pairs: asked.pairs,
        rows: Vec::new(),
        codecs: if asked.ours_only {
            Vec::new()
        } else {
            limit::codecs(&base)?
        },
    };
    for row in row::ROWS.iter().filter(|row| asked.wants(row)) {
        account
            .rows
            .push(measure(row, &asked, &ours, &base, &scratch, &account.codecs)?);
    }
    page::print(&account);
    if asked.quick || asked.ours_only || !asked.rows.is_empty() {
        println!("docs/performance.md is written by a whole run only");
        return Ok(());
    }
    let path = root().join("docs/performance.md");
    std::fs::write(&path, page::document(&account)).map_err(|e| format!("{}: {e}", path.display()))?;
    println!("wrote {}", path.display());
    Ok(())
}

fn parse(words: &[&str]) -> Result<Asked, String> {
    let mut asked = Asked {
        quick: false,
        pairs: 5,
        rows: Vec::new(),
        ours_only: false,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match *word {
            "--quick" => (asked.quick, asked.pairs) = (true, 1),
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
    fn wants(&self, row: &Row) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|name| row.name.contains(name.as_str()))
    }
}

/// Makes the row's source, runs the pairs, checks the outputs.
fn measure(
    row: &'static Row,
    asked: &Asked,
    ours: &Path,
    base: &Path,
    scratch: &Scratch,
    codecs: &[limit::Codec],
) -> Result<Measured, String> {
    println!("\n--- {}", row.name);
    let source = row.make_source(base, scratch)?;
    let (our_out, their_out) = (scratch.path("ours"), scratch.path("theirs"));
    let mut measured = Measured {
        row,
        ours: Vec::new(),
        theirs: Vec::new(),
        our_size: 0,
        their_size: 0,
        limit: None,
    };
    for pair in 0..asked.pairs {
        let mut sides: Vec<(bool, PathBuf)> = vec![(true, our_out.clone()), (false, their_out.clone())];
        // Whoever goes first finds other caches: they take turns.
        if pair % 2 == 1 {
            sides.reverse();
        }
        for (is_ours, out) in sides {
            if !is_ours && asked.ours_only {
                continue;
            }
            let command = if is_ours {
                row.our_command(ours, &source, &out)
            } else {
                row.their_command(&source, &out)
            };
            let cost = child::run(&command, scratch)?;
            println!("{:>8}  {cost}", if is_ours { "ours" } else { "qemu-img" });
            let size = scratch::allocated(&out)?;
            if is_ours {
                measured.ours.push(cost);
                measured.our_size = size;
                if pair == 0 {
                    row.check(base, &out)?;
                }
            } else {
                measured.theirs.push(cost);
                measured.their_size = size;
                if pair == 0 {
                    row.same(base, &out)?;
                }
            }
            scratch::remove(&out);
        }
    }
    if !asked.ours_only {
        measured.limit = Some(limit::of(row, base, scratch, asked.pairs, codecs)?);
    }
    if source != base {
        scratch::remove(&source);
    }
    Ok(measured)
}
