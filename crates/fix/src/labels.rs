//! The SELinux label a new file gets, from the policy of the guest.
//!
//! ```text
//! path ─▶ .subs, .subs_dist ─▶ file_contexts, .homedirs, .local ─▶ the last line that matches
//!          one prefix            lines without patterns count        path and kind ─▶ label
//!          for another           as the last of all
//! ```
//!
//! Sources: file_contexts(5), selabel_file(5), matchpathcon(8), which the tests ask.

use h2k_block::{Class, Error, Limits, Result};
use h2k_fs::FileKind;
use h2k_guest::{Look, Tree};
use regex_lite::{Regex, RegexBuilder};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Largest file of contexts; those of distributions have half a MiB.
const LARGEST: u64 = 8 << 20;
/// Lines that are kept of all files together.
const LINES: usize = 200_000;
/// What one pattern may weigh when compiled, in bytes.
const PATTERN: usize = 1 << 18;
/// Patterns that are compiled for one path.
const TRIED: usize = 4096;

/// The attribute that holds the label, with a NUL behind it.
pub(crate) const ATTRIBUTE: &[u8] = b"security.selinux";

/// A line of file_contexts.
#[derive(Debug)]
struct Spec {
    pattern: String,
    /// What every path it matches begins with.
    prefix: String,
    /// Whether that is all it matches.
    whole: bool,
    kind: Option<FileKind>,
    /// Length of the first part of its paths, where the pattern says it plainly: `/usr`. It is compared by itself
    /// first.
    stem: usize,
    /// `None` for `<<none>>`: nothing is to be labelled.
    context: Option<String>,
}

/// What a policy says of a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Label {
    /// Its label.
    Is(String),
    /// It has none.
    None,
    /// That cannot be told.
    Unknown,
}

/// The labels of a guest's policy.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    /// From the weakest to the strongest.
    specs: Vec<Spec>,
    /// Of the administrator, then of the distribution.
    substitutes: [Vec<(String, String)>; 2],
    compiled: Mutex<BTreeMap<usize, Option<Regex>>>,
}

/// Whether, and how, new files of a guest are labelled.
#[derive(Debug)]
pub(crate) enum Policy {
    /// SELinux is not there, or switched off.
    Off,
    /// Its policy was read.
    On(Labels),
    /// It is there and its policy could not be read.
    Unreadable,
}

impl Policy {
    /// As `/etc/selinux` of the guest has it.
    pub(crate) fn read(tree: &Tree, limits: &Limits) -> Self {
        let look = Look::new(tree, limits);
        let Some(config) = look.text("/etc/selinux/config") else {
            return Self::Off;
        };
        let said = |key: &str| config.assigned(key).map(|fact| fact.value);
        if said("SELINUX").is_none_or(|mode| mode.eq_ignore_ascii_case("disabled")) {
            return Self::Off;
        }
        let name = said("SELINUXTYPE").unwrap_or_else(|| "targeted".to_owned());
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return Self::Unreadable;
        }
        let base = format!("/etc/selinux/{name}/contexts/files/file_contexts");
        let text = |ending: &str| {
            let bytes = look.bytes(format!("{base}{ending}"), LARGEST)?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        let Some(main) = text("") else {
            return Self::Unreadable;
        };
        let more = |ending: &str| text(ending).unwrap_or_default();
        match Labels::new(
            &[&main, &more(".homedirs"), &more(".local")],
            [&more(".subs"), &more(".subs_dist")],
        ) {
            Ok(labels) if look.take_unread().is_empty() => Self::On(labels),
            _ => Self::Unreadable,
        }
    }
}

impl Labels {
    /// Reads files of contexts, the weakest first, and of substitutes, the administrator's first.
    pub(crate) fn new(contexts: &[&str], substitutes: [&str; 2]) -> Result<Self> {
        let mut plain = Vec::new();
        let mut specs = Vec::new();
        for line in contexts.iter().flat_map(|text| text.lines()) {
            let Some(spec) = spec(line) else { continue };
            if specs.len().saturating_add(plain.len()) >= LINES {
                return Err(Error::new(
                    Class::Limit,
                    format!("file_contexts has more than {LINES} lines"),
                ));
            }
            if spec.whole {
                plain.push(spec);
            } else {
                specs.push(spec);
            }
        }
        specs.append(&mut plain);
        Ok(Self {
            specs,
            substitutes: substitutes.map(pairs),
            compiled: Mutex::default(),
        })
    }

    /// The label of `path`, which is free of links, as a file of this kind.
    pub(crate) fn of(&self, path: &[u8], kind: FileKind) -> Label {
        let Ok(path) = std::str::from_utf8(path) else {
            return Label::Unknown;
        };
        let mut path = path.to_owned();
        for list in &self.substitutes {
            path = substituted(list, path);
        }
        let mut tried = 0_usize;
        for (number, spec) in self.specs.iter().enumerate().rev() {
            if spec.kind.is_some_and(|only| only != kind) || !path.starts_with(&spec.prefix) {
                continue;
            }
            tried = tried.saturating_add(1);
            if tried > TRIED {
                return Label::Unknown;
            }
            match self.matches(number, spec, &path) {
                // A pattern that is not understood might have been the one.
                None => return Label::Unknown,
                Some(false) => {}
                Some(true) => return spec.context.clone().map_or(Label::None, Label::Is),
            }
        }
        Label::None
    }

    fn matches(&self, number: usize, spec: &Spec, path: &str) -> Option<bool> {
        let stem = spec.pattern.get(..spec.stem)?;
        let below = path
            .strip_prefix(stem)
            .is_some_and(|rest| stem.is_empty() || rest.starts_with('/'));
        if !below {
            return Some(false);
        }
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let regex = compiled.entry(number).or_insert_with(|| {
            // Without a group around it: of alternatives outside one, libselinux ties the first to the beginning and
            // the last to the end.
            let whole = format!("(?s)^{}$", spec.pattern);
            RegexBuilder::new(&whole).size_limit(PATTERN).build().ok()
        });
        regex.as_ref().map(|regex| regex.is_match(path))
    }
}

/// The length of the first part of a pattern's paths, if nothing in it means anything else.
fn stem(pattern: &str) -> usize {
    let second = pattern.match_indices('/').map(|(at, _)| at).find(|at| *at > 0);
    let plain = |at: &usize| {
        let first = pattern.get(..*at).unwrap_or_default();
        !first.contains(['.', '^', '$', '?', '*', '+', '|', '[', '(', '{'])
    };
    second.filter(plain).unwrap_or(0)
}

/// `/usr/bin/.*  --  system_u:object_r:bin_t:s0`.
fn spec(line: &str) -> Option<Spec> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let mut words = line.split_whitespace();
    let (pattern, second) = (words.next()?, words.next()?);
    let (kind, context) = match words.next() {
        Some(context) => (Some(second), context),
        None => (None, second),
    };
    let kind = match kind {
        None => None,
        Some("--") => Some(FileKind::File),
        Some("-d") => Some(FileKind::Dir),
        Some("-l") => Some(FileKind::Link),
        Some("-b") => Some(FileKind::BlockDevice),
        Some("-c") => Some(FileKind::CharDevice),
        Some("-p") => Some(FileKind::Fifo),
        Some("-s") => Some(FileKind::Socket),
        Some(_) => return None,
    };
    let (prefix, whole) = literal(pattern);
    Some(Spec {
        pattern: pattern.to_owned(),
        prefix,
        whole,
        stem: stem(pattern),
        kind,
        context: (context != "<<none>>").then(|| context.to_owned()),
    })
}

/// What every match of a pattern begins with, and whether that is all it matches.
fn literal(pattern: &str) -> (String, bool) {
    let mut out = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c) if !c.is_alphanumeric() => out.push(c),
                _ => return (out, false),
            },
            '?' | '*' | '{' => {
                // The one before it may be missing.
                out.pop();
                return (if choice(pattern) { String::new() } else { out }, false);
            }
            '.' | '^' | '$' | '+' | '|' | '[' | '(' => {
                return (if choice(pattern) { String::new() } else { out }, false);
            }
            c => out.push(c),
        }
    }
    (out, true)
}

/// Whether a pattern is several patterns: then what one begins with says nothing of the others.
fn choice(pattern: &str) -> bool {
    let mut depth = 0_usize;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => return true,
            _ => {}
        }
    }
    false
}

/// `/run  /var/run` lines.
fn pairs(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let pair = (words.next()?.to_owned(), words.next()?.to_owned());
            pair.0.starts_with('/').then_some(pair)
        })
        .take(LINES)
        .collect()
}

/// The prefix that the last line names gives way to another, once.
fn substituted(list: &[(String, String)], path: String) -> String {
    for (from, to) in list.iter().rev() {
        let Some(rest) = path.strip_prefix(from.as_str()) else {
            continue;
        };
        if rest.is_empty() || rest.starts_with('/') {
            let joined = format!("{}{rest}", to.trim_end_matches('/'));
            return if joined.is_empty() { "/".to_owned() } else { joined };
        }
    }
    path
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use h2k_testkit::oracle;
    use h2k_testkit::rng::Rng;

    /// Lines of every shape that policies have, and some that order decides on.
    const CONTEXTS: &str = r"
# comment
/.*                                 u:object_r:default_t:s0
/                           -d      u:object_r:root_t:s0
/etc/.*                             u:object_r:etc_t:s0
/etc/shadow.*               --      u:object_r:shadow_t:s0
/etc/systemd(/.*)?                  u:object_r:systemd_etc_t:s0
/etc/NetworkManager/system-connections(/.*)?    u:object_r:nm_rw_t:s0
/etc/rc\.d/init\.d/.*       --      u:object_r:initrc_exec_t:s0
/etc/rc\.d/init\.d          -d      u:object_r:initrc_dir_t:s0
/etc/udev/rules.d/[0-9]+-[^/]*\.rules   --  u:object_r:udev_rules_t:s0
/etc/(hosts|hostname)       --      u:object_r:net_conf_t:s0
/etc/hosts\.deny.*          --      u:object_r:net_conf_t:s0
/etc/hosts                  -l      u:object_r:link_t:s0
/usr/lib(/.*)?                      u:object_r:lib_t:s0
/usr/lib/.*\.so(\.[^/]*)*   --      u:object_r:shlib_t:s0
/usr/lib/systemd/system(/.*)?       u:object_r:unit_t:s0
/usr/s?bin/.*               --      u:object_r:bin_t:s0
/usr/bin/e+x                --      u:object_r:meta_t:s0
/usr/bin/ex                 --      u:object_r:exact_t:s0:c1,c2
/usr/local/x\+y\.z          --      u:object_r:plus_t:s0
/var/run/.*                         u:object_r:run_t:s0
/var/run/.*\.pid            --      <<none>>
/home/[^/]+/\.ssh(/.*)?             u:object_r:ssh_home_t:s0
/root(/.*)?                         u:object_r:admin_home_t:s0
/opt/a|/opt/b                       u:object_r:opt_t:s0
/(usr/)?local/f{2,3}                u:object_r:brace_t:s0
";
    const HOMES: &str =
        "/home/[^/]+ -d u:object_r:user_home_dir_t:s0\n/home/[^/]+/.+ u:object_r:user_home_t:s0\n";
    const LOCAL: &str =
        "/usr/bin/.*own -- u:object_r:local_t:s0\n/etc/hostname u:object_r:local_exact_t:s0\n";
    const SUBS: &str = "/run /var/run\n/srv/a /etc\n/srv/a/deep /usr/lib\n";
    const SUBS_DIST: &str = "# dist\n/bin /usr/bin\n/etc/init.d /etc/rc.d/init.d\n/etc/systemd/system /usr/lib/systemd/system\n/all /\n/run /nowhere\n";

    /// What `matchpathcon` says, a line each.
    fn judged(base: &std::path::Path, kind: &str, paths: &[String]) -> Vec<String> {
        let mut args = vec!["-n", "-m", kind, "-f", base.to_str().unwrap()];
        args.extend(paths.iter().map(String::as_str));
        let said = oracle::run("matchpathcon", &args);
        String::from_utf8_lossy(&said.stdout)
            .lines()
            .map(str::to_owned)
            .collect()
    }

    fn differs(labels: &Labels, base: &std::path::Path, paths: &[String]) {
        let kinds = [
            ("file", FileKind::File),
            ("dir", FileKind::Dir),
            ("link", FileKind::Link),
        ];
        for (word, kind) in kinds {
            for piece in paths.chunks(500) {
                let judged = judged(base, word, piece);
                assert_eq!(judged.len(), piece.len());
                for (path, judged) in piece.iter().zip(judged) {
                    let said = match labels.of(path.as_bytes(), kind) {
                        Label::Is(context) => context,
                        Label::None => "<<none>>".to_owned(),
                        Label::Unknown => "unknown".to_owned(),
                    };
                    assert_eq!(said, judged, "{path} as a {word}");
                }
            }
        }
    }

    #[test]
    fn labels_are_those_that_matchpathcon_tells() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("file_contexts");
        for (ending, text) in [
            ("", CONTEXTS),
            (".homedirs", HOMES),
            (".local", LOCAL),
            (".subs", SUBS),
            (".subs_dist", SUBS_DIST),
        ] {
            std::fs::write(dir.path().join(format!("file_contexts{ending}")), text).unwrap();
        }
        let labels = Labels::new(&[CONTEXTS, HOMES, LOCAL], [SUBS, SUBS_DIST]).unwrap();
        let parts = [
            "etc",
            "usr",
            "lib",
            "bin",
            "sbin",
            "local",
            "home",
            "u1",
            ".ssh",
            "systemd",
            "system",
            "run",
            "srv",
            "a",
            "deep",
            "b",
            "hosts",
            "hostname",
            "hosts.deny",
            "shadow",
            "shadow-",
            "x.pid",
            "ex",
            "eex",
            "down",
            "own",
            "libx.so.1.2",
            "init.d",
            "rc.d",
            "x+y.z",
            "all",
            "opt",
            "root",
            "ff",
            "ffff",
            "70-net.rules",
            "udev",
            "rules.d",
            "NetworkManager",
            "system-connections",
            "bina",
            "var",
        ];
        let mut rng = Rng::new(7);
        let mut paths: Vec<String> = [
            "/",
            "/etc/hosts",
            "/etc/hostname",
            "/usr/bin/ex",
            "/usr/bin/eex",
            "/bin/ex",
            "/run/a/b.pid",
            "/srv/a/deep/x",
            "/srv/a/hosts",
            "/etc/init.d",
            "/etc/init.d/x",
            "/etc/systemd/system/a.service",
            "/etc/systemd/systemx",
            "/etc/udev/rules.d/70-net.rules",
            "/home/u1/.ssh/authorized_keys",
            "/home/u1",
            "/opt/b",
            "/opt/bb",
            "/usr/local/ff",
            "/local/ffff",
            "/all/etc/shadow",
            "/usr/local/x+y.z",
        ]
        .map(str::to_owned)
        .to_vec();
        for _ in 0..3000 {
            let mut path = String::new();
            for _ in 0..rng.below(4) + 1 {
                path.push('/');
                path.push_str(parts[usize::try_from(rng.below(42)).unwrap()]);
            }
            paths.push(path);
        }
        differs(&labels, &base, &paths);
    }

    #[test]
    fn a_real_policy_is_read_as_libselinux_reads_it() {
        // Debian's and Fedora's lie here where they are installed.
        let all =
            ["default", "targeted"].map(|name| format!("/etc/selinux/{name}/contexts/files/file_contexts"));
        let Some(base) = all.iter().find(|path| std::fs::metadata(path).is_ok()) else {
            println!("skipped: no policy of SELinux on this machine");
            return;
        };
        let text = |ending: &str| std::fs::read_to_string(format!("{base}{ending}")).unwrap_or_default();
        let contexts = [text(""), text(".homedirs"), text(".local")];
        let labels = Labels::new(
            &[&contexts[0], &contexts[1], &contexts[2]],
            [&text(".subs"), &text(".subs_dist")],
        )
        .unwrap();
        let mut rng = Rng::new(11);
        // Paths that the patterns are about, near misses among them.
        let mut paths = Vec::new();
        for line in contexts[0].lines() {
            let Some(pattern) = line.split_whitespace().next().filter(|p| p.starts_with('/')) else {
                continue;
            };
            let mut path = pattern
                .replace("(/.*)?", "/x")
                .replace("[^/]*", "y")
                .replace("[^/]+", "z")
                .replace(".*", "w");
            path.retain(|c| !"\\()[]?+^$*|{}".contains(c));
            if rng.below(4) == 0 {
                path.push('q');
            }
            if path.len() > 1 && !path.contains("//") && !path.ends_with('/') {
                paths.push(path);
            }
        }
        differs(&labels, std::path::Path::new(base), &paths);
    }

    #[test]
    fn what_is_not_understood_is_not_guessed() {
        let labels = Labels::new(&["/etc/.* u:r:a:s0\n/etc/(?!x)y u:r:b:s0\n"], ["", ""]).unwrap();
        assert_eq!(labels.of(b"/etc/y", FileKind::File), Label::Unknown);
        assert_eq!(labels.of(b"/usr/y", FileKind::File), Label::None);
        let heavy = Labels::new(&["/etc/((a{1,900}){1,900}){1,900} u:r:b:s0\n"], ["", ""]).unwrap();
        assert_eq!(heavy.of(b"/etc/a", FileKind::File), Label::Unknown);
        assert_eq!(heavy.of(b"/\xff", FileKind::File), Label::Unknown);
    }
}
