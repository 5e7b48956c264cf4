//! Units that systemd's generators would make at boot, as far as files decide it.
//!
//! * fstab: mounts, swap, automounts (systemd-fstab-generator(8), systemd.mount(5))
//! * crypttab: `systemd-cryptsetup@NAME.service` (systemd-cryptsetup-generator(8))
//! * scripts in `/etc/init.d` with links in `/etc/rc?.d` (systemd-sysv-generator(8))
//! * serial consoles of the configured kernel command line (systemd-getty-generator(8))
//!
//! Not made: what depends on partitions (systemd-gpt-auto-generator) or on the command line of one boot (debug, run,
//! hibernate-resume), and what other packages' generators do.

use crate::Scope;
use crate::index::{Dir, Index, Item, Pull, Rank};
use crate::name::{escape, escape_path};
use h2k_guest::{FstabLine, Look, Text, fstab};

/// Lines of a table that become units. Real tables have some dozen.
const MOST: usize = 4096;

/// The directories of the two generations.
struct Made {
    early: Dir,
    late: Dir,
}

/// Adds them to the search path.
pub(crate) fn add(look: &Look<'_>, index: &mut Index) {
    let mut made = Made {
        early: Dir::new(Scope::GENERATED, Rank::Generator),
        late: Dir::new(Scope::GENERATED_LATE, Rank::Generator),
    };
    made.fstab(look);
    made.crypttab(look);
    made.consoles(look);
    made.scripts(look, index);
    for dir in [made.early, made.late] {
        // A generator's directory that is in the image is left over from a boot: what is made now replaces it.
        if let Some(old) = index.dirs.iter_mut().find(|old| old.path == dir.path) {
            *old = dir;
        }
    }
}

impl Dir {
    fn make(&mut self, name: &str, text: String) {
        self.items.entry(name.to_owned()).or_insert(Item::Made(text));
    }

    fn pull(&mut self, unit: &str, how: &'static str, name: &str, target: &str) {
        self.pulls.push(Pull {
            unit: unit.to_owned(),
            how,
            name: name.to_owned(),
            target: target.to_owned(),
        });
    }
}

/// Where the kernel's own filesystems are mounted, which systemd does before it reads fstab.
const KERNEL: [&[u8]; 9] = [
    b"/proc",
    b"/sys",
    b"/dev",
    b"/dev/shm",
    b"/dev/pts",
    b"/run",
    b"/sys/fs/cgroup",
    b"/sys/fs/selinux",
    b"/proc/sys/fs/binfmt_misc",
];

const NETWORK: [&[u8]; 15] = [
    b"afs",
    b"ceph",
    b"cifs",
    b"smb3",
    b"smbfs",
    b"sshfs",
    b"ncpfs",
    b"ncp",
    b"nfs",
    b"nfs4",
    b"gfs",
    b"gfs2",
    b"glusterfs",
    b"ocfs2",
    b"davfs",
];

impl Made {
    fn fstab(&mut self, look: &Look<'_>) {
        let Some(bytes) = look.bytes("/etc/fstab", 1 << 20) else {
            return;
        };
        for line in fstab(&bytes).iter().take(MOST) {
            if line.kind == b"swap" {
                self.swap(line);
            } else {
                self.mount(line);
            }
        }
    }

    fn swap(&mut self, line: &FstabLine) {
        let what = device(&line.spec);
        let Some(stem) = escape_path(what.as_bytes()) else {
            return;
        };
        let name = format!("{stem}.swap");
        let mut text = head("swap.target", &what);
        text.push_str(&format!("\n[Swap]\nWhat={}\n", plain(&what)));
        options(&mut text, line);
        self.early.make(&name, text);
        if !line.has("noauto") {
            let how = if line.has("nofail") { "wants" } else { "requires" };
            self.early.pull("swap.target", how, &name, &format!("../{name}"));
        }
    }

    fn mount(&mut self, line: &FstabLine) {
        let point = line.point.as_slice();
        if point.first() != Some(&b'/') || KERNEL.contains(&point) {
            return;
        }
        let Some(stem) = escape_path(point) else { return };
        let name = format!("{stem}.mount");
        let what = device(&line.spec);
        let root = stem == "-";
        let network = line.has("_netdev")
            || NETWORK.contains(&line.kind.as_slice())
            || line.kind.starts_with(b"fuse.sshfs");
        let auto = line.has("x-systemd.automount") || line.has("comment=systemd.automount");
        let target = if network {
            "remote-fs.target"
        } else {
            "local-fs.target"
        };
        let before = if line.has("nofail") || auto { "" } else { target };
        let mut text = head(if root { "local-fs.target" } else { before }, &what);
        text.push_str(&format!(
            "\n[Mount]\nWhat={}\nWhere={}\n",
            plain(&what),
            plain(&String::from_utf8_lossy(point))
        ));
        if line.kind != b"auto" {
            text.push_str(&format!("Type={}\n", plain(&String::from_utf8_lossy(&line.kind))));
        }
        options(&mut text, line);
        self.early.make(&name, text);
        let link = format!("../{name}");
        let how = if line.has("nofail") { "wants" } else { "requires" };
        if auto {
            let name = format!("{stem}.automount");
            let mut text = head(if line.has("nofail") { "" } else { target }, &what);
            text.push_str(&format!(
                "\n[Automount]\nWhere={}\n",
                plain(&String::from_utf8_lossy(point))
            ));
            self.early.make(&name, text);
            self.early.pull(target, how, &name, &format!("../{name}"));
        } else if root || !line.has("noauto") {
            self.early.pull(target, how, &name, &link);
        }
        for (option, how) in [
            ("x-systemd.wanted-by", "wants"),
            ("x-systemd.required-by", "requires"),
        ] {
            if let Some(unit) = line.option(option) {
                self.early.pull(&String::from_utf8_lossy(unit), how, &name, &link);
            }
        }
    }

    fn crypttab(&mut self, look: &Look<'_>) {
        let Some(table) = look.text("/etc/crypttab") else {
            return;
        };
        for line in table.spoken().take(MOST) {
            let mut fields = line.text.split_ascii_whitespace();
            let (Some(volume), Some(device)) = (fields.next(), fields.next()) else {
                continue;
            };
            let options = fields.nth(1).unwrap_or_default();
            let has = |name: &str| options.split(',').any(|o| o == name);
            let name = format!("systemd-cryptsetup@{}.service", escape(volume.as_bytes()));
            let network = has("_netdev");
            let target = if network {
                "remote-cryptsetup.target"
            } else {
                "cryptsetup.target"
            };
            let what = self::device(device.as_bytes());
            let text = format!(
                "[Unit]\nDescription=Cryptography Setup for %I\nSourcePath=/etc/crypttab\nDefaultDependencies=no\n\
                 After=cryptsetup-pre.target\nBefore={target}\nConflicts=umount.target\nBefore=umount.target\n\
                 \n[Service]\nType=oneshot\nRemainAfterExit=yes\n\
                 ExecStart=/lib/systemd/systemd-cryptsetup attach {} {}\n",
                plain(volume),
                plain(&what),
            );
            self.early.make(&name, text);
            if !has("noauto") {
                let how = if has("nofail") { "wants" } else { "requires" };
                self.early.pull(target, how, &name, &format!("../{name}"));
            }
        }
    }

    /// Serial consoles: those of the command line that the boot loader is configured with.
    fn consoles(&mut self, look: &Look<'_>) {
        let mut lines: Vec<String> = Vec::new();
        if let Some(text) = look.text("/etc/default/grub") {
            let keys = ["GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT"];
            lines.extend(keys.iter().filter_map(|key| Some(text.assigned(key)?.value)));
        }
        lines.extend(
            look.text("/etc/kernel/cmdline")
                .map(|text| text.as_str().to_owned()),
        );
        for word in lines
            .iter()
            .flat_map(|line| line.split_ascii_whitespace())
            .take(MOST)
        {
            let Some(console) = word.strip_prefix("console=") else {
                continue;
            };
            let tty = console.split(',').next().unwrap_or_default();
            let serial = ["ttyS", "ttyAMA", "hvc", "ttysclp", "ttyUSB", "sclp", "xvc"];
            if !serial.iter().any(|prefix| tty.starts_with(prefix)) {
                continue;
            }
            let name = format!("serial-getty@{}.service", escape(tty.as_bytes()));
            let target = "/usr/lib/systemd/system/serial-getty@.service";
            if !self.early.pulls.iter().any(|pull| pull.name == name) {
                self.early.pull("getty.target", "wants", &name, target);
            }
        }
    }

    fn scripts(&mut self, look: &Look<'_>, index: &Index) {
        if !look.exists("/usr/lib/systemd/system-generators/systemd-sysv-generator")
            && !look.exists("/lib/systemd/system-generators/systemd-sysv-generator")
        {
            return;
        }
        for script in look.names("/etc/init.d").into_iter().take(MOST) {
            let Ok(script) = String::from_utf8(script) else {
                continue;
            };
            let name = script_unit(&script);
            let path = format!("/etc/init.d/{script}");
            let known = index.find(&name).is_some() || crate::name::Name::parse(&name).is_none();
            let runs = look
                .stat(&path)
                .is_some_and(|s| s.kind == h2k_fs::FileKind::File && s.mode.is_some_and(|m| m & 0o111 != 0));
            if known || !runs {
                continue;
            }
            let Some(text) = look.text(&path) else { continue };
            self.late.make(&name, script_text(&path, &text));
        }
        for (level, target) in [
            ("2", "multi-user.target"),
            ("3", "multi-user.target"),
            ("4", "multi-user.target"),
            ("5", "graphical.target"),
        ] {
            for link in look.names(format!("/etc/rc{level}.d")).into_iter().take(MOST) {
                let Ok(link) = String::from_utf8(link) else {
                    continue;
                };
                let Some(script) = link.strip_prefix('S').and_then(|rest| rest.get(2..)) else {
                    continue;
                };
                let name = script_unit(script);
                let again = self.late.pulls.iter().any(|p| p.name == name && p.unit == target);
                if self.late.items.contains_key(&name) && !again {
                    self.late.pull(target, "wants", &name, &format!("../{name}"));
                }
            }
        }
    }
}

fn script_unit(script: &str) -> String {
    let stem = script.strip_suffix(".sh").unwrap_or(script);
    format!(
        "{}.service",
        escape(stem.replace('/', "-").as_bytes()).replace("\\x2d", "-")
    )
}

fn script_text(path: &str, text: &Text) -> String {
    let header = |key: &str| {
        let mut lines = text.lines().take(200);
        lines.find_map(|line| {
            let rest = line.text.strip_prefix('#')?.trim_start();
            Some(rest.strip_prefix(key)?.strip_prefix(':')?.trim().to_owned())
        })
    };
    let about = header("Short-Description").unwrap_or_else(|| path.to_owned());
    let path = plain(path);
    format!(
        "[Unit]\nSourcePath={path}\nDescription=SYSV: {}\nBefore=multi-user.target graphical.target\n\
         \n[Service]\nType=forking\nRestart=no\nTimeoutSec=5min\nIgnoreSIGPIPE=no\nKillMode=process\n\
         GuessMainPID=no\nRemainAfterExit=yes\nSuccessExitStatus=5 6\nExecStart={path} start\nExecStop={path} stop\n",
        plain(&about)
    )
}

fn head(before: &str, what: &str) -> String {
    let mut text =
        "[Unit]\nSourcePath=/etc/fstab\nDocumentation=man:fstab(5) man:systemd-fstab-generator(8)\n"
            .to_owned();
    if !before.is_empty() {
        text.push_str(&format!("Before={before}\n"));
    }
    if let Some(uuid) = what.strip_prefix("/dev/")
        && let Some(stem) = escape_path(format!("/dev/{uuid}").as_bytes())
    {
        text.push_str(&format!("After=blockdev@{}.target\n", stem.replace('%', "%%")));
    }
    text
}

fn options(text: &mut String, line: &FstabLine) {
    let all: Vec<_> = line.options.iter().map(|o| String::from_utf8_lossy(o)).collect();
    let all = all.join(",");
    if all != "defaults" {
        text.push_str(&format!("Options={}\n", plain(&all)));
    }
}

/// `UUID=1234` as the link udev makes for it.
fn device(spec: &[u8]) -> String {
    let text = String::from_utf8_lossy(spec).into_owned();
    let links = [
        ("UUID=", "by-uuid"),
        ("LABEL=", "by-label"),
        ("PARTUUID=", "by-partuuid"),
        ("PARTLABEL=", "by-partlabel"),
    ];
    for (tag, dir) in links {
        if let Some(value) = text.strip_prefix(tag) {
            return format!("/dev/disk/{dir}/{}", udev(value));
        }
    }
    text
}

/// As udev writes a label into a name: `\x20` for a blank, and so for what else a file name should not have.
fn udev(value: &str) -> String {
    let mut out = String::new();
    for c in value.chars() {
        match c {
            c if c.is_ascii_alphanumeric() || "#+-.:=@_".contains(c) || !c.is_ascii() => out.push(c),
            c => out.push_str(&format!("\\x{:02x}", u32::from(c))),
        }
    }
    out
}

/// As it can stand in a unit file: one line, no specifiers.
fn plain(text: &str) -> String {
    text.replace('%', "%%").replace(['\n', '\r'], " ")
}
