use super::value;
use clap::Args;
use h2k_convert::{Compression, Failure, Format, Making, Preallocation};
use std::path::Path;

/// How a target is made.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Target")]
pub(super) struct MakingArgs {
    /// Compress: zlib[=1..9] or zstd[=1..19] (qcow2); zlib (vmdk, streamOptimized)
    #[arg(long, value_name = "CODEC[=LEVEL]", value_parser = compression)]
    compress: Option<Compression>,
    /// Unit of allocation (cluster, grain or block size)
    #[arg(long, alias = "block-size", value_name = "SIZE", value_parser = value::some_bytes)]
    cluster_size: Option<u64>,
    /// Kind within the format
    ///
    /// vmdk: monolithicSparse (default), streamOptimized, monolithicFlat. vhd: dynamic (default), fixed, azure (fixed, the
    /// size rounded up to a whole MiB), virtualpc (the size rounded up to a CHS geometry). vdi: dynamic (default), static.
    #[arg(long, value_name = "NAME")]
    subformat: Option<String>,
    /// What to set aside in advance
    #[arg(long, value_name = "MODE", default_value = "off", hide_default_value = true)]
    preallocation: Mode,
    /// Let QEMU put off updating reference counts while the image is in use (qcow2)
    #[arg(long)]
    lazy_refcounts: bool,
    /// Sector size the guest sees: 512 or 4096 (vhdx)
    #[arg(long, value_name = "BYTES")]
    sector_size: Option<u32>,
    /// Controller the disk is meant for: ide, lsilogic, lsisas1068, buslogic, pvscsi (vmdk)
    #[arg(long, value_name = "TYPE")]
    adapter: Option<String>,
    /// Virtual hardware version (vmdk)
    #[arg(long, value_name = "N")]
    hw_version: Option<u32>,
}

/// Which format is made.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Target")]
pub(super) struct ToArgs {
    /// Format of the target; its extension says when not given
    #[arg(long, value_name = "FORMAT", value_parser = value::made())]
    to: Option<Format>,
}

impl ToArgs {
    /// The format of a target called `target`.
    pub(super) fn format(self, target: &Path) -> Result<Format, Failure> {
        let said = || Format::from_name(target.extension()?.to_str()?);
        self.to.or_else(said).ok_or_else(|| {
            Failure::invalid(format!(
                "the name {} does not say which format is wanted",
                target.display()
            ))
            .advise("say it with --to qcow2, or use an extension such as .qcow2")
        })
    }
}

/// What to set aside in advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    /// Nothing: the target grows with its content
    Off,
    /// The tables
    Metadata,
    /// All space, unwritten
    Falloc,
    /// All space, written with zeros
    Full,
}

/// How hard a copy works.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Work")]
pub(super) struct PaceArgs {
    /// Read at most so many bytes a second
    #[arg(long, value_name = "SIZE", value_parser = value::some_bytes)]
    pub(super) bandwidth: Option<u64>,
    /// Worker threads; one for each processor when not given
    #[arg(long, value_name = "N", default_value = "0", hide_default_value = true)]
    pub(super) workers: usize,
}

impl MakingArgs {
    /// What is meant for a target of `format`.
    pub(super) fn making(&self, format: Format) -> Making {
        Making {
            compression: self.compress,
            cluster_size: self.cluster_size,
            subformat: self.subformat.clone(),
            lazy_refcounts: self.lazy_refcounts,
            sector_size: self.sector_size,
            adapter: self.adapter.clone(),
            hardware_version: self.hw_version,
            preallocation: match self.preallocation {
                Mode::Off => Preallocation::Off,
                Mode::Metadata => Preallocation::Metadata,
                Mode::Falloc => Preallocation::Falloc,
                Mode::Full => Preallocation::Full,
            },
            ..Making::new(format)
        }
    }
}

fn compression(text: &str) -> Result<Compression, String> {
    let (codec, level) = text.split_once('=').map_or((text, None), |(c, l)| (c, Some(l)));
    let level = |highest: u32| match level.map(str::parse::<u32>) {
        None => Ok(None),
        Some(Ok(n)) if (1..=highest).contains(&n) => Ok(Some(n)),
        Some(_) => Err(format!("the level of {codec} is a number from 1 to {highest}")),
    };
    match codec {
        "zlib" => Ok(Compression::Zlib(level(9)?)),
        "zstd" => Ok(Compression::Zstd(level(19)?)),
        _ => Err("the codecs are zlib and zstd".to_owned()),
    }
}
