//! Independent tools. A missing tool is a failure, never a silent pass: `cargo xtask test` installs them all.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs `program` with `args`; panics when the tool is not installed.
pub fn run<S: AsRef<std::ffi::OsStr>>(program: &str, args: &[S]) -> Output {
    // Debian keeps file system tools where the PATH of a plain user does not look.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    Command::new(program)
        .args(args)
        .env("PATH", path)
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|e| panic!("oracle {program} did not start ({e}); run `cargo xtask setup`"))
}

/// Runs a tool that must succeed; answers with its standard output.
pub fn ok<S: AsRef<std::ffi::OsStr> + std::fmt::Debug>(program: &str, args: &[S]) -> String {
    let out = run(program, args);
    assert!(
        out.status.success(),
        "{program} {args:?} said {}: {}{}",
        out.status,
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// The major version of `qemu-img`: for the few places where its answers changed.
#[must_use]
pub fn qemu_version() -> u32 {
    let said = ok("qemu-img", &["--version"]);
    said.split_whitespace()
        .nth(2)
        .and_then(|version| version.split('.').next()?.parse().ok())
        .unwrap_or_else(|| panic!("qemu-img --version said {said:?}"))
}

/// Makes an empty qcow2 image of `size` that is encrypted with LUKS.
///
/// QEMU measures how fast the processor is, and gives up when another program had it: then it is asked again.
pub fn qemu_luks(image: &Path, size: &str) {
    let options = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10";
    let mut args: Vec<&std::ffi::OsStr> = Vec::new();
    let secret = "secret,id=s,data=x";
    let words = ["create", "-q", "-f", "qcow2", "--object", secret, "-o", options];
    args.extend(words.map(AsRef::<std::ffi::OsStr>::as_ref));
    args.extend([image.as_os_str(), size.as_ref()]);
    for _ in 0..20 {
        let out = run("qemu-img", &args);
        let said = String::from_utf8_lossy(&out.stderr);
        if !said.contains("Unable to get accurate CPU usage") {
            assert!(
                out.status.success(),
                "qemu-img {args:?} said {}: {said}",
                out.status
            );
            return;
        }
    }
    panic!("qemu-img could not measure the processor twenty times in a row");
}

/// `qemu-img check` on an image that must be clean (no errors, no leaks).
pub fn qemu_check(image: &Path, format: &str) {
    ok(
        "qemu-img",
        &[
            "check".as_ref(),
            "-f".as_ref(),
            format.as_ref(),
            image.as_os_str(),
        ],
    );
}

/// `qemu-img compare` of two images that must read the same.
pub fn qemu_same(a: &Path, a_format: &str, b: &Path, b_format: &str) {
    ok(
        "qemu-img",
        &[
            "compare".as_ref(),
            "-f".as_ref(),
            a_format.as_ref(),
            "-F".as_ref(),
            b_format.as_ref(),
            a.as_os_str(),
            b.as_os_str(),
        ],
    );
}

/// The Python packages that tests compare against, with the versions they are pinned to.
pub const PYTHON_PACKAGES: [&str; 4] = [
    "regipy==6.5.0",
    "construct==2.10.70",
    "inflection==0.5.1",
    "pytz==2026.6",
];

/// Where `cargo xtask setup` installs [`PYTHON_PACKAGES`]: once for a user, and for these versions alone.
#[must_use]
pub fn python_home() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(std::env::home_dir()?.join(".cache")));
    let name = format!("hyper2kvm-tests-{}", PYTHON_PACKAGES.join("-").replace("==", "-"));
    cache.unwrap_or_else(std::env::temp_dir).join(name)
}

/// Runs a Python script with [`PYTHON_PACKAGES`] at hand, which has to succeed; answers with its standard output.
///
/// # Panics
/// When the packages are not installed, or the script fails.
pub fn python(script: &str, args: &[&str]) -> String {
    let home = python_home();
    assert!(
        home.is_dir(),
        "oracles {PYTHON_PACKAGES:?} are not installed; run `cargo xtask setup`"
    );
    let path = format!("PYTHONPATH={}", home.display());
    let all = [
        &[
            path.as_str(),
            "PYTHONIOENCODING=utf-8:surrogatepass",
            "python3",
            "-c",
            script,
        ],
        args,
    ]
    .concat();
    ok("env", &all)
}
