//! Jobs of the first start, run here in a directory of their own.

use crate::lab::{Done, Lab};
use h2k_fix::Outcome;
use h2k_fix::configuration::{Script, UnitWords};
use h2k_testkit::oracle;

const ID: &str = "linux.first-boot";
const UNIT: &str = "/etc/systemd/system/hyper2kvm-firstboot.service";
const BASE: &str = "/usr/local/lib/hyper2kvm-firstboot";

fn systemd() -> Lab {
    Lab::new(&[("/usr/lib/systemd/systemd", "")])
}

fn script(name: &str, order: u8, content: &str) -> Script {
    Script {
        name: name.to_owned(),
        order,
        content: content.to_owned(),
    }
}

fn all(mut lab: Lab) -> Done {
    lab.options.first_boot.regen_initramfs = true;
    lab.options.first_boot.guest_agent = true;
    lab.options.first_boot.remove_vmware_tools = true;
    lab.options.configuration.firstboot.scripts = vec![script("hello", 7, "echo hello\n")];
    lab.fix(ID)
}

#[test]
fn nothing_is_done_unless_it_is_asked_for() {
    systemd().fix(ID).left("nothing is to be done");
}

#[test]
fn the_unit_and_the_scripts_are_what_systemd_and_shells_take() {
    let done = all(systemd());
    let dir = tempfile::tempdir().unwrap();
    let unit = done.put(UNIT, dir.path());
    let said = oracle::run("systemd-analyze", &["--man=no", "verify", unit.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.success() && !told.contains("firstboot"), "{told}");
    let wants = "/etc/systemd/system/multi-user.target.wants/hyper2kvm-firstboot.service";
    assert_eq!(done.target(wants).as_deref(), Some(UNIT));
    for file in [
        "run",
        "jobs/10-initramfs",
        "jobs/20-guest-agent",
        "jobs/30-vmware-tools",
        "jobs/50-007-hello",
    ] {
        let path = format!("{BASE}/{file}");
        assert_eq!(done.owner(&path), (0o755, 0, 0));
        let file = done.put(&path, dir.path());
        oracle::ok("sh", &["-n", file.to_str().unwrap()]);
        oracle::ok(
            "shellcheck",
            &["--shell=sh", "--severity=style", file.to_str().unwrap()],
        );
    }
}

#[test]
fn jobs_run_once_in_order_and_the_runner_takes_itself_out() {
    let mut lab = systemd();
    lab.options.configuration.firstboot.scripts = vec![
        script("b", 20, "echo second\n"),
        script("a", 3, "#!/bin/sh\necho first\n"),
        script("bad", 10, "exit 3\n"),
    ];
    let done = lab.fix(ID);
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().to_str().unwrap();
    // The same script, with the guest's root put before its paths.
    let text = done
        .text(&format!("{BASE}/run"))
        .unwrap()
        .replace("'/", &format!("'{here}/"))
        .replace("command -v systemctl", "false");
    let run = done.put(&format!("{BASE}/run"), dir.path());
    std::fs::write(&run, text).unwrap();
    std::fs::create_dir_all(dir.path().join("var/log")).unwrap();
    for job in ["50-003-a", "50-010-bad", "50-020-b"] {
        let file = done.put(&format!("{BASE}/jobs/{job}"), dir.path());
        oracle::ok("chmod", &["755", file.to_str().unwrap()]);
    }
    done.put(UNIT, dir.path());
    oracle::ok("sh", &[run.to_str().unwrap()]);
    let log = std::fs::read_to_string(dir.path().join("var/log/hyper2kvm-firstboot.log")).unwrap();
    let first = log.find("first\n").unwrap();
    assert!(
        first < log.find("second\n").unwrap() && log.contains("50-010-bad failed"),
        "{log}"
    );
    let base = dir.path().join(&BASE[1..]);
    assert!(base.join("done/50-003-a").exists() && base.join("failed/50-010-bad").exists());
    assert!(!base.join("run").exists() && !dir.path().join(&UNIT[1..]).exists());
    assert_eq!(std::fs::read_dir(base.join("jobs")).unwrap().count(), 0);
}

#[test]
fn without_systemd_runlevels_start_the_runner() {
    let mut lab = Lab::new(&[]);
    for level in [2, 3, 5] {
        lab.link(&format!("/etc/rc{level}.d/S20ssh"), "../init.d/ssh");
    }
    let done = all(lab);
    let runner = format!("{BASE}/run");
    assert_eq!(
        done.target("/etc/rc3.d/S99hyper2kvm-firstboot"),
        Some(runner.clone())
    );
    assert!(
        done.text(&runner)
            .unwrap()
            .contains("'/etc/rc5.d/S99hyper2kvm-firstboot'")
    );
    assert_eq!(done.text(UNIT), None);
    all(Lab::new(&[])).says(Outcome::Blocked, "neither systemd nor runlevels");
}

#[test]
fn what_would_be_more_than_a_line_or_a_name_is_refused() {
    let mut lab = systemd();
    lab.options.configuration.firstboot.scripts = vec![script("../../etc/cron.d/x", 1, "")];
    lab.fix(ID)
        .says(Outcome::Blocked, "cannot be the name of a script");
    let mut lab = systemd();
    lab.options.configuration.firstboot.script = Some("true\n".to_owned());
    lab.options.configuration.firstboot.service = UnitWords {
        environment: vec!["A=1\nExecStart=/bin/x".to_owned()],
        ..UnitWords::default()
    };
    lab.fix(ID).says(Outcome::Blocked, "cannot be a line of a unit");
}
