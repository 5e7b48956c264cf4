//! The conversions that are measured.

use super::limit::Bound;
use super::scratch::Scratch;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One conversion.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// How the source is made from the raw disk: `qemu-img convert` with these words; none for the raw disk itself.
    source: &'static [&'static str],
    /// The source's format, as qemu-img calls it.
    from: &'static str,
    /// The target's format, as qemu-img calls it.
    to: &'static str,
    /// Our words for the target.
    ours: &'static [&'static str],
    /// Their words for the target.
    theirs: &'static [&'static str],
    /// How many times faster than qemu-img this row has to be.
    pub(super) wanted: f64,
    /// What cannot be beaten.
    pub(super) bound: Bound,
    /// Whether qemu-img takes minutes for it: fewer pairs do.
    pub(super) slow: bool,
    /// What bounds our side, from a profile of it.
    pub(super) why: &'static str,
    /// Whether `qemu-img check` knows the target.
    checked: bool,
}

/// What the profiles of all uncompressed rows show.
const PAGES: &str = "99 % of the processor time is the kernel's: copying pages out of the source and into the target, \
     and finding memory for the target's. The kernel lets one thread at a time write to a file, so the second core only \
     reads";

const STREAM: &[&str] = &["-O", "vmdk", "-o", "subformat=streamOptimized"];

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "streamOptimized VMDK → qcow2",
        source: STREAM,
        from: "vmdk",
        to: "qcow2",
        ours: &["--to", "qcow2"],
        theirs: &["-O", "qcow2"],
        wanted: 3.0,
        bound: Bound::Codec("inflate"),
        slow: false,
        why: "libdeflate inflating the grains takes half of the processor time or more, copying pages into and out of the kernel most of the rest",
        checked: true,
    },
    Row {
        name: "compressed qcow2 → raw",
        source: &["-O", "qcow2", "-c"],
        from: "qcow2",
        to: "raw",
        ours: &["--to", "raw"],
        theirs: &["-O", "raw"],
        wanted: 3.0,
        bound: Bound::Codec("inflate"),
        slow: false,
        why: "libdeflate inflating the clusters takes 60 % of the processor time, copying pages into and out of the kernel a quarter",
        checked: false,
    },
    Row {
        name: "raw → qcow2, zlib",
        source: &[],
        from: "raw",
        to: "qcow2",
        ours: &["--to", "qcow2", "--compress", "zlib"],
        theirs: &["-O", "qcow2", "-c"],
        wanted: 5.0,
        bound: Bound::Codec("deflate"),
        slow: true,
        why: "our own deflate within 4 KiB takes 75 % of the processor time, copying pages into and out of the kernel 17 %",
        checked: true,
    },
    Row {
        name: "raw → qcow2, zstd",
        source: &[],
        from: "raw",
        to: "qcow2",
        ours: &["--to", "qcow2", "--compress", "zstd"],
        theirs: &["-O", "qcow2", "-c", "-o", "compression_type=zstd"],
        wanted: 1.5,
        bound: Bound::Codec("zstd"),
        slow: false,
        why: "libzstd takes 85 % of the processor time (its match finder alone 61 %), at the level qemu-img uses",
        checked: true,
    },
    Row {
        name: "raw → streamOptimized VMDK",
        source: &[],
        from: "raw",
        to: "vmdk",
        ours: &["--to", "vmdk", "--subformat", "streamOptimized"],
        theirs: STREAM,
        wanted: 5.0,
        bound: Bound::Codec("zlib"),
        slow: true,
        why: "libdeflate at level 6 takes 93 % of the processor time",
        checked: true,
    },
    Row {
        name: "raw → qcow2",
        source: &[],
        from: "raw",
        to: "qcow2",
        ours: &["--to", "qcow2"],
        theirs: &["-O", "qcow2"],
        wanted: 1.0,
        bound: Bound::Cp,
        slow: false,
        why: PAGES,
        checked: true,
    },
    Row {
        name: "sparse VMDK → qcow2",
        source: &["-O", "vmdk"],
        from: "vmdk",
        to: "qcow2",
        ours: &["--to", "qcow2"],
        theirs: &["-O", "qcow2"],
        wanted: 1.0,
        bound: Bound::Cp,
        slow: false,
        why: PAGES,
        checked: true,
    },
    Row {
        name: "qcow2 → raw",
        source: &["-O", "qcow2"],
        from: "qcow2",
        to: "raw",
        ours: &["--to", "raw"],
        theirs: &["-O", "raw"],
        wanted: 1.0,
        bound: Bound::Cp,
        slow: false,
        why: PAGES,
        checked: false,
    },
    Row {
        name: "VHDX → qcow2",
        source: &["-O", "vhdx"],
        from: "vhdx",
        to: "qcow2",
        ours: &["--to", "qcow2"],
        theirs: &["-O", "qcow2"],
        wanted: 1.0,
        bound: Bound::Cp,
        slow: false,
        why: PAGES,
        checked: true,
    },
];

impl Row {
    /// The row's source.
    pub(super) fn make_source(&self, base: &Path, scratch: &Scratch) -> Result<PathBuf, String> {
        if self.source.is_empty() {
            return Ok(base.to_owned());
        }
        let source = scratch.path("source");
        let mut command = Command::new("qemu-img");
        command
            .args(["convert", "-f", "raw", "-m", "16", "-W"])
            .args(self.source);
        finish(command.arg(base).arg(&source))?;
        Ok(source)
    }

    /// Our program and its arguments.
    pub(super) fn our_command(&self, ours: &Path, source: &Path, out: &Path) -> Vec<String> {
        let from = ["convert", "--quiet", "--from", self.from];
        words(ours, &[&from, self.ours], source, out)
    }

    /// Their program and its arguments.
    pub(super) fn their_command(&self, source: &Path, out: &Path) -> Vec<String> {
        let from = ["convert", "-f", self.from, "-m", "16", "-W"];
        words(Path::new("qemu-img"), &[&from, self.theirs], source, out)
    }

    /// Their command as it may be typed.
    pub(super) fn spoken(&self) -> String {
        self.their_command(Path::new("SOURCE"), Path::new("TARGET"))
            .join(" ")
    }

    /// Whether `out` reads the same as the disk everything started from, and is sound.
    pub(super) fn check(&self, base: &Path, out: &Path) -> Result<(), String> {
        self.same(base, out)?;
        if self.checked {
            finish(
                Command::new("qemu-img")
                    .args(["check", "-q", "-f", self.to])
                    .arg(out),
            )?;
        }
        Ok(())
    }

    /// Whether `out` reads the same as the disk everything started from.
    pub(super) fn same(&self, base: &Path, out: &Path) -> Result<(), String> {
        let formats = ["compare", "-q", "-f", "raw", "-F", self.to];
        finish(Command::new("qemu-img").args(formats).arg(base).arg(out))
    }
}

fn words(program: &Path, words: &[&[&str]], source: &Path, out: &Path) -> Vec<String> {
    let path = |path: &Path| path.display().to_string();
    std::iter::once(path(program))
        .chain(words.concat().into_iter().map(str::to_owned))
        .chain([path(source), path(out)])
        .collect()
}

fn finish(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?} ended with {status}")),
        Err(e) => Err(format!("{command:?}: {e}")),
    }
}
