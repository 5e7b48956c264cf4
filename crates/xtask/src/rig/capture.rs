//! Asking running guests about themselves, so that what `inspect` reads from their disks can be compared.
//!
//! `../shared/rig` builds real Debian guests and boots them. A copy of a guest gets a unit more, which prints to the
//! serial console what the guest's own tools say; the copy is kept beside what was printed.

use super::judge;
use super::mounted::root_of;
use crate::run::{Done, show};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the guest is asked: the name of an answer, and the command line whose standard output it is.
const QUESTIONS: [(&str, &str); 22] = [
    (
        "unit-files",
        "systemctl list-unit-files --no-pager --no-legend --full",
    ),
    (
        "units",
        "systemctl list-units --all --no-pager --no-legend --plain --full",
    ),
    (
        "failed",
        "systemctl list-units --failed --no-pager --no-legend --plain",
    ),
    ("default", "systemctl get-default"),
    ("timers", "systemctl list-timers --all --no-pager --no-legend"),
    (
        "packages",
        "dpkg-query -W -f '${binary:Package}\\t${Version}\\t${Architecture}\\t${db:Status-Status}\\n'",
    ),
    ("addresses", "ip -j addr"),
    ("routes", "ip -j route"),
    ("resolv", "cat /etc/resolv.conf"),
    ("host", "hostnamectl --no-pager"),
    ("time", "timedatectl show"),
    ("locale", "localectl --no-pager"),
    ("passwd", "getent passwd"),
    ("group", "getent group"),
    ("mounts", "findmnt -rn -o TARGET,SOURCE,FSTYPE,UUID --real"),
    ("swap", "swapon --show=NAME,TYPE,SIZE --noheadings --raw"),
    ("blocks", "lsblk -rnb -o NAME,TYPE,SIZE,FSTYPE,UUID"),
    ("modules", "lsmod"),
    ("kernel", "uname -a"),
    ("cmdline", "cat /proc/cmdline"),
    ("boots", "journalctl --list-boots --no-pager --utc"),
    ("machine-id", "cat /etc/machine-id"),
];

const UNIT: &str = "\
[Unit]
Description=Tell the serial console what this guest is
After=network-online.target systemd-user-sessions.service getty.target serial-getty@ttyS0.service
Before=rig-marker.service
[Service]
Type=oneshot
ExecStart=/bin/sh /usr/local/sbin/witness
TimeoutStartSec=1200
[Install]
WantedBy=multi-user.target
";

/// Boots a copy of each image and writes to `out`, by the image's name: the copy (`NAME.raw`) and the answers
/// (`NAME/QUESTION`).
pub fn capture(out: &str, images: &[&str]) -> Done {
    let rig = judge()?;
    let out = PathBuf::from(out);
    for image in images {
        let image = Path::new(image);
        let name = image
            .file_stem()
            .ok_or_else(|| format!("{} has no name", image.display()))?;
        let copy = out.join(name).with_extension("raw");
        let answers = out.join(name);
        fs::create_dir_all(&answers).map_err(|e| format!("{}: {e}", answers.display()))?;
        show(
            Command::new("cp")
                .args(["--sparse=always", "--"])
                .args([image, &copy]),
        )?;
        plant(&copy)?;
        let log = out.join(name).with_extension("log");
        show(
            Command::new(&rig)
                .arg(&copy)
                .args([
                    "--machine",
                    "vmware",
                    "--keep-writes",
                    "--timeout",
                    "1500",
                    "--meta",
                ])
                .arg(image.with_extension("meta"))
                .arg("--log")
                .arg(&log),
        )?;
        keep(&log, &answers)?;
    }
    Ok(())
}

/// Puts the unit into the image, through the kernel.
fn plant(image: &Path) -> Done {
    let root = root_of(image)?;
    let dir = root.path();
    // The console is quiet first: kernel, manager and getty write there, too, and getty closes it for others.
    let mut script = String::from(
        "exec 2>/dev/null\nexport SYSTEMD_BUS_TIMEOUT=600s\ndmesg -n 1\nkill -s RTMIN+21 1\nsleep 5\ncd /run\necho >/dev/ttyS0\n",
    );
    for (name, question) in QUESTIONS {
        script.push_str(&format!(
            "({question}) >witness\ngzip -9 <witness | base64 | sed 's/^/H2K {name} /' >/dev/ttyS0\n"
        ));
    }
    script.push_str("rm witness\nkill -s RTMIN+20 1\nsync\n");
    let wants = dir.join("etc/systemd/system/multi-user.target.wants");
    let write = || -> std::io::Result<()> {
        fs::write(dir.join("usr/local/sbin/witness"), &script)?;
        fs::write(dir.join("etc/systemd/system/witness.service"), UNIT)?;
        fs::create_dir_all(&wants)?;
        let link = wants.join("witness.service");
        if link.symlink_metadata().is_err() {
            std::os::unix::fs::symlink("/etc/systemd/system/witness.service", link)?;
        }
        Ok(())
    };
    write().map_err(|e| format!("{}: {e}", image.display()))
}

/// Takes the answers out of the console's log.
fn keep(log: &Path, answers: &Path) -> Done {
    let text = fs::read(log).map_err(|e| format!("{}: {e}", log.display()))?;
    let text = String::from_utf8_lossy(&text).replace('\r', "");
    for (name, _) in QUESTIONS {
        let begin = format!("H2K {name} ");
        let lines: Vec<&str> = text
            .lines()
            .filter_map(|l| l.split_once(&begin).map(|(_, coded)| coded))
            .collect();
        if lines.is_empty() {
            return Err(format!("the guest did not answer {name}; see {}", log.display()));
        }
        let path = answers.join(name);
        fs::write(&path, lines.join("\n")).map_err(|e| e.to_string())?;
        let decode = "base64 -d <\"$1\" | gzip -d >\"$1.new\" && mv \"$1.new\" \"$1\"";
        show(Command::new("sh").args(["-c", decode, "sh"]).arg(&path))?;
    }
    Ok(())
}
