//! The machine, described so that figures can be compared.

use std::path::Path;
use std::process::Command;

/// What the figures depend on.
pub(crate) struct Machine {
    pub(super) cores: usize,
    pub(super) cpu: String,
    pub(super) memory: u64,
    pub(super) kernel: String,
    pub(super) qemu: String,
    pub(super) ours: String,
    pub(super) rust: String,
}

impl Machine {
    /// Everything but QEMU, in one sentence.
    pub(crate) fn sentence(&self) -> String {
        format!(
            "{}, {} cores, {} MiB of memory, Linux {}; {}; {}.",
            self.cpu,
            self.cores,
            self.memory >> 20,
            self.kernel,
            self.ours,
            self.rust
        )
    }
}

pub(crate) fn look(ours: &Path) -> Result<Machine, String> {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Ok(Machine {
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        cpu: model.map_or(std::env::consts::ARCH, |(_, name)| name).to_owned(),
        memory: super::scratch::memory("MemTotal:")?,
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        qemu: first_line(Path::new("qemu-img"))?,
        ours: first_line(ours)?,
        rust: first_line(Path::new("rustc"))?,
    })
}

fn first_line(program: &Path) -> Result<String, String> {
    let out = Command::new(program).arg("--version").output().map_err(|e| {
        format!(
            "{}: {e}; `cargo xtask setup` installs what is needed",
            program.display()
        )
    })?;
    let text = String::from_utf8_lossy(&out.stdout);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
