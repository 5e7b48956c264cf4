//! What comes out, judged by qemu-img, e2fsck and virt-xml-validate.

use super::{Place, SIZE, UUID, clean, content, copy, digest, fixed};
use crate::run::{names, run};
use h2k_testkit::{hash::sha256, oracle};
use serde_json::Value;

/// The edits of the only system.
fn changes(fixes: &Value) -> &Vec<Value> {
    fixes["systems"][0]["changes"].as_array().unwrap()
}

/// What does not depend on when it was asked: paths of all edits, and what becomes of texts.
fn plain(fixes: &Value) -> Vec<(String, String, Value)> {
    let of = changes(fixes).iter();
    of.map(|c| (c["path"].to_string(), c["kind"].to_string(), c["diff"].clone()))
        .collect()
}

#[test]
fn a_guest_is_fixed_copied_once_and_described() {
    let place = Place::new();
    let dir = place.path();
    let plan = run(dir, &["plan", "--json", "a.img"]);
    assert_eq!(plan.code, 3, "{plan:?}");
    let plan = plan.json();
    place.untouched();
    let report = run(dir, &["migrate", "--json", "--prove", "a.img", "-o", "out"])
        .good()
        .json();
    place.untouched();
    assert_eq!(names(dir), ["a.img", "out"]);
    assert_eq!(names(&place.file("out")), ["a.qcow2", "a.xml", "report.json"]);
    let stored = std::fs::read_to_string(place.file("out/report.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&stored).unwrap(), report);

    // What was planned was done, and is there.
    let validation = &report["fixes"]["systems"][0]["validation"];
    assert_eq!(validation["before"], "boots-emulated");
    assert_eq!(validation["after"], "boots");
    assert_eq!(plain(&plan), plain(&report["fixes"]));
    assert_eq!(changes(&plan).len(), 3, "{plan:#}");
    for change in changes(&report["fixes"]) {
        let path = change["path"].as_str().unwrap();
        for (disk, state) in [("a.img", "before"), ("out/a.qcow2", "after")] {
            let now = content(dir, disk, path);
            assert_eq!(change[state]["size"], now.len(), "{path} {state}");
            assert_eq!(change[state]["sha256"], sha256(&now), "{path} {state}");
        }
    }
    fixed(dir, "out/a.qcow2");
    let boot = String::from_utf8(content(dir, "out/a.qcow2", "/boot/grub/grub.cfg")).unwrap();
    assert!(boot.contains(&format!(" root=UUID={UUID} ro\n")), "{boot}");
    assert_eq!(content(dir, "out/a.qcow2", "/etc/hostname"), b"web01\n");

    // The disk differs where edits are told, and nowhere else.
    let made = place.file("out/a.qcow2");
    oracle::qemu_check(&made, "qcow2");
    clean(&made, "qcow2");
    let args = ["convert", "-q", "out/a.qcow2", "new.raw"];
    run(dir, &args).good();
    let (old, new) = (
        std::fs::read(place.file("a.img")).unwrap(),
        std::fs::read(place.file("new.raw")).unwrap(),
    );
    assert_eq!((old.len(), new.len()), (SIZE as usize, SIZE as usize));
    oracle::qemu_same(&place.file("new.raw"), "raw", &made, "qcow2");
    let mut masked = new.clone();
    let ranges = report["fixes"]["edits"][0]["ranges"].as_array().unwrap();
    for range in ranges {
        let [at, len] = [0, 1].map(|i| range[i].as_u64().unwrap() as usize);
        masked[at..at + len].copy_from_slice(&old[at..at + len]);
    }
    assert!(masked == old, "it differs where no edit is told");
    assert!(new != old);
    assert_eq!(report["proofs"][0]["by"], "comparison");

    let xml = std::fs::read_to_string(place.file("out/a.xml")).unwrap();
    let file = made.canonicalize().unwrap();
    for part in [
        file.to_str().unwrap(),
        "bus='virtio'",
        "type='qcow2'",
        "<name>a</name>",
    ] {
        assert!(xml.contains(part), "{part} is not in {xml}");
    }
    let xml = place.file("out/a.xml");
    oracle::ok("virt-xml-validate", &[xml.to_str().unwrap(), "domain"]);
}

#[test]
fn files_that_exist_are_replaced_only_when_that_is_said() {
    let place = Place::new();
    let dir = place.path();
    std::fs::create_dir(place.file("out")).unwrap();
    for name in ["a.qcow2", "a.xml", "report.json"] {
        std::fs::write(place.file("out").join(name), name).unwrap();
        let ran = run(dir, &["migrate", "a.img", "-o", "out"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(
            ran.err.contains("class: exists") && ran.err.contains(name),
            "{ran:?}"
        );
        assert_eq!(names(&place.file("out")), [name]);
        assert_eq!(
            std::fs::read(place.file("out").join(name)).unwrap(),
            name.as_bytes()
        );
        if name != "report.json" {
            std::fs::remove_file(place.file("out").join(name)).unwrap();
        }
    }
    run(dir, &["migrate", "-q", "--force", "a.img", "-o", "out"]).good();
    assert_eq!(names(&place.file("out")), ["a.qcow2", "a.xml", "report.json"]);
    fixed(dir, "out/a.qcow2");
    // What is fixed needs nothing more.
    run(dir, &["plan", "-q", "out/a.qcow2"]).good();
    place.untouched();
}

#[test]
fn fixes_go_into_an_image_over_the_disk() {
    let place = Place::new();
    let dir = place.path();
    let args = ["fix", "-q", "--overlay", "over.qcow2", "a.img"];
    run(dir, &args).good();
    place.untouched();
    let over = place.file("over.qcow2");
    oracle::qemu_check(&over, "qcow2");
    clean(&over, "qcow2");
    fixed(dir, "over.qcow2");
    let said = oracle::ok("qemu-img", &["info", "--output=json", over.to_str().unwrap()]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["backing-filename"], "a.img");
    assert_eq!(said["backing-filename-format"], "raw");
    assert!(said["actual-size"].as_u64().unwrap() < 2 << 20, "{said}");
    let made = digest(&over);
    let ran = run(dir, &args);
    assert!(ran.code == 1 && ran.err.contains("class: exists"), "{ran:?}");
    assert_eq!(digest(&over), made);
    assert_eq!(names(dir), ["a.img", "over.qcow2"]);
    run(dir, &[&args[..], &["--force"]].concat()).good();
    fixed(dir, "over.qcow2");
    place.untouched();
}

#[test]
fn fixes_go_into_a_raw_disk_once() {
    let place = Place::new();
    let dir = place.path();
    let report = run(dir, &["fix", "--json", "--in-place", "a.img"]).good().json();
    assert_eq!(report["in-place"], true);
    assert_eq!(names(dir), ["a.img"]);
    clean(&place.file("a.img"), "raw");
    fixed(dir, "a.img");
    let made = digest(&place.file("a.img"));
    assert_ne!(made, place.before);
    let again = run(dir, &["fix", "--json", "--in-place", "a.img"]).good().json();
    assert_eq!(again["fixes"]["outcome"], "leave");
    assert_eq!(changes(&again["fixes"]).len(), 0);
    assert_eq!(digest(&place.file("a.img")), made);
    // Other formats are not written in place.
    copy(&super::DISK.path().join("a.img"), &place.file("b.img"));
    run(dir, &["convert", "-q", "b.img", "b.vmdk"]).good();
    let before = digest(&place.file("b.vmdk"));
    let ran = run(dir, &["fix", "--in-place", "b.vmdk"]);
    assert!(ran.code == 1 && ran.err.contains("--overlay"), "{ran:?}");
    assert_eq!(digest(&place.file("b.vmdk")), before);
}

#[test]
fn fixes_go_into_a_qcow2_image_and_its_parent_and_snapshots_stay() {
    let place = Place::new();
    let dir = place.path();
    let image = place.file("top.qcow2");
    let (image, parent) = (image.to_str().unwrap(), place.file("a.img"));
    let over = [
        "create",
        "-q",
        "-f",
        "qcow2",
        "-F",
        "raw",
        "-b",
        parent.to_str().unwrap(),
        image,
    ];
    oracle::ok("qemu-img", &over);
    oracle::ok("qemu-img", &["snapshot", "-c", "before", image]);
    let then = || {
        run(dir, &["digest", "--snapshot", "before", "top.qcow2"])
            .good()
            .out
    };
    let before = then();
    let report = run(dir, &["fix", "--json", "--in-place", "top.qcow2"])
        .good()
        .json();
    assert_eq!(report["in-place"], true);
    place.untouched();
    assert_eq!(then(), before);
    oracle::qemu_check(&place.file("top.qcow2"), "qcow2");
    clean(&place.file("top.qcow2"), "qcow2");
    fixed(dir, "top.qcow2");
    assert_eq!(names(dir), ["a.img", "top.qcow2"]);
    // Asked again, it leaves every byte.
    let now = digest(&place.file("top.qcow2"));
    run(dir, &["fix", "-q", "--in-place", "top.qcow2"]).good();
    assert_eq!(digest(&place.file("top.qcow2")), now);
}

#[test]
fn fixes_are_chosen_by_name() {
    let place = Place::new();
    let dir = place.path();
    let paths = |args: &[&str]| {
        let ran = run(dir, &[&["plan", "--json", "a.img"], args].concat()).json();
        let all = changes(&ran).iter();
        all.map(|c| c["path"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(paths(&["--only-fix", "linux.fstab"]), ["/etc/fstab"]);
    let rest = paths(&["--disable", "linux.fstab", "--disable", "linux.initramfs"]);
    assert_eq!(rest, ["/boot/grub/grub.cfg"]);
    assert_eq!(paths(&["--only-fix", "linux.crypttab"]), [""; 0]);
    let ran = run(dir, &["plan", "--only-fix", "linux.crypttab", "a.img"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = run(dir, &["plan", "--disable", "linux.fsta", "a.img"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    place.untouched();
}

#[test]
fn the_machine_that_is_shipped_is_moved() {
    let home = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/guests/web01");
    let before = ["web01.vmx", "web01.vmdk"].map(|name| digest(&home.join(name)));
    let dir = tempfile::tempdir().unwrap();
    let vmx = home.join("web01.vmx");
    let report = run(
        dir.path(),
        &[
            "migrate",
            "--json",
            "--to",
            "kvm",
            vmx.to_str().unwrap(),
            "-o",
            "web01",
        ],
    )
    .good()
    .json();
    assert_eq!(report["proofs"][0]["by"], "digest");
    assert_eq!(report["disks"][0]["verified"], true);
    let bus = &report["fixes"]["systems"][0]["validation"];
    assert_eq!(
        (&bus["before"], &bus["after"]),
        (&"boots-emulated".into(), &"boots".into())
    );
    let ids: Vec<_> = changes(&report["fixes"]).iter().map(|c| &c["path"]).collect();
    assert_eq!(
        ids,
        [
            "/etc/fstab",
            "/etc/default/grub",
            "/boot/grub/grub.cfg",
            "/etc/systemd/network/10-hyper2kvm-ens192.link",
            "/boot/initrd.img-6.1.0-18-amd64",
        ]
    );
    let made = dir.path().join("web01/web01.qcow2");
    oracle::ok("qemu-img", &["check", "-q", made.to_str().unwrap()]);
    let xml = dir.path().join("web01/web01.xml");
    oracle::ok("virt-xml-validate", &[xml.to_str().unwrap(), "domain"]);
    let xml = std::fs::read_to_string(xml).unwrap();
    assert!(xml.contains("<mac address='00:0c:29:5e:01:21'/>"), "{xml}");
    assert_eq!(
        before,
        ["web01.vmx", "web01.vmdk"].map(|name| digest(&home.join(name)))
    );
}

#[test]
fn fixes_are_chosen_by_a_file_and_options_count_more() {
    let place = Place::changed(|tree| {
        let unit = "[Unit]\nConditionVirtualization=vmware\n[Service]\nExecStart=/usr/bin/vmtoolsd\n[Install]\nWantedBy=multi-user.target\n";
        super::put(tree, "usr/lib/systemd/system/open-vm-tools.service", unit);
        super::put(tree, "usr/lib/systemd/systemd", "x");
        let wants = "etc/systemd/system/multi-user.target.wants";
        super::put(tree, &format!("{wants}/.keep"), "");
        let link = tree.join(wants).join("open-vm-tools.service");
        std::os::unix::fs::symlink("/usr/lib/systemd/system/open-vm-tools.service", link).unwrap();
    });
    let paths = |config: &str, args: &[&str]| {
        std::fs::write(place.file("c.yaml"), config).unwrap();
        let ran = run(
            place.path(),
            &[&["plan", "--json", "--config", "c.yaml", "a.img"], args].concat(),
        );
        let document = ran.json();
        let all = changes(&document).iter();
        all.map(|c| c["path"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(paths("fix: {only: [linux.fstab]}", &[]), ["/etc/fstab"]);
    assert_eq!(
        paths("fix: {only: [linux.fstab], fstab_mode: noop}", &[]),
        [""; 0]
    );
    let more = ["--fstab-mode", "stabilize-all"];
    assert_eq!(
        paths("fix: {only: [linux.fstab], fstab_mode: noop}", &more),
        ["/etc/fstab"]
    );
    let rest = paths("fix: {no_grub: true, regen_initramfs: false}", &[]);
    assert_eq!(rest, ["/etc/fstab"]);
    let mask = "/etc/systemd/system/open-vm-tools.service".to_owned();
    for config in [
        "fix: {remove_vmware_tools: true}",
        "first-boot: {remove_vmware_tools: true}",
    ] {
        assert!(paths(config, &[]).contains(&mask), "{config}");
    }
    assert!(!paths("{}", &[]).contains(&mask));
    std::fs::write(place.file("c.yaml"), "fix: {only: [linux.fsta]}").unwrap();
    let ran = run(place.path(), &["plan", "--config", "c.yaml", "a.img"]);
    assert_eq!(ran.code, 2, "{ran:?}");
}
