//! What is installed.

use crate::common::{asked, rig_file, rig_guest, section, shared_guest, system, text};
use h2k_inspect::Topic;
use h2k_testkit::oracle;
use serde_json::Value;

/// `name version release arch state` of each package, sorted.
fn lines(packages: &Value) -> Vec<String> {
    let mut lines: Vec<String> = packages["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| {
            ["name", "version", "release", "arch", "state"]
                .map(|n| text(p, n))
                .join(" ")
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn every_manager_of_a_system_is_asked() {
    let found = asked(
        system(&[
            ("/etc/fstab", ""),
            (
                "/var/lib/dpkg/status",
                "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2.15-2+b2\n\n\
                 Package: gone\nStatus: deinstall ok config-files\nVersion: 1:2-3\n",
            ),
            (
                "/var/db/xbps/pkgdb-0.38.plist",
                "<plist version=\"1.0\"><dict>\n<key>_XBPS_ALTERNATIVES_</key><dict><key>sh</key><array><string>dash\
                 </string></array></dict>\n<key>dash</key>\n<dict><key>architecture</key><string>x86_64</string>\n\
                 <key>pkgver</key><string>dash-0.5.12_1</string><key>run_depends</key><array><string>glibc>=2.36_1\
                 </string></array><key>installed_size</key><integer>0x400</integer><key>short_desc</key>\
                 <string>A &amp;amp; B &lt;C&gt;</string><key>state</key><string>installed</string></dict>\n</dict></plist>",
            ),
            (
                "/usr/lib/opkg/status",
                "Package: libc\nVersion: 1.2.4-4\nDepends: libgcc1\nStatus: install hold installed\n\
                 Architecture: x86_64\nInstalled-Time: 1700000000\n",
            ),
            (
                "/var/lib/snapd/state.json",
                "{\"data\":{\"snaps\":{\"core22\":{\"type\":\"base\",\"active\":true,\"current\":\"1122\",\
                 \"channel\":\"latest/stable\"},\"lxd\":{\"active\":false,\"current\":24322}}},\"changes\":{}}",
            ),
            ("/var/lib/flatpak/app/org.gnu.X/current", "-> x86_64/stable"),
            (
                "/var/lib/flatpak/app/org.gnu.X/x86_64/stable/abc/metadata",
                "[Application]\n",
            ),
            (
                "/var/lib/flatpak/app/org.gnu.X/x86_64/stable/abc/files/share/metainfo/org.gnu.X.metainfo.xml",
                "<component><releases><release date=\"2023-01-01\" version=\"2.3.1\"/></releases></component>",
            ),
            ("/var/lib/flatpak/app/org.gnu.X/x86_64/stable/active", "-> abc"),
            (
                "/nix/var/nix/profiles/system/sw/bin/ls",
                "-> /nix/store/0123456789abcdfghijklmnpqrsvwxyz-coreutils-9.0/bin/ls",
            ),
            (
                "/nix/var/nix/profiles/system/sw/bin/cp",
                "-> /nix/store/0123456789abcdfghijklmnpqrsvwxyz-coreutils-9.0/bin/cp",
            ),
        ]),
        Topic::Packages,
    );
    assert_eq!(
        lines(&found),
        [
            "bash 5.2.15 2+b2 amd64 installed",
            "core22 1122 - - installed",
            "coreutils 9.0 - - installed",
            "dash 0.5.12 1 x86_64 installed",
            "gone 2 3 - config-files",
            "libc 1.2.4 4 x86_64 installed",
            "lxd 24322 - - disabled",
            "org.gnu.X 2.3.1 stable x86_64 installed",
        ]
    );
    let databases = found["databases"].as_array().unwrap();
    let kinds: Vec<_> = databases.iter().map(|d| text(d, "kind")).collect();
    assert_eq!(kinds, ["dpkg", "xbps", "opkg", "nix", "snap", "flatpak"]);
    let dash = found["packages"]
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["name"] == "dash")
        .unwrap();
    assert_eq!(
        (dash["size"].as_u64(), text(dash, "summary")),
        (Some(1024), "A &amp; B <C>")
    );
    assert_eq!(text(dash, "source"), "/var/db/xbps/pkgdb-0.38.plist");
    assert_eq!(found["unread"], serde_json::json!([]));
}

#[test]
fn a_damaged_database_is_told_and_the_others_are_read() {
    let found = asked(
        system(&[
            ("/etc/fstab", ""),
            ("/var/lib/rpm/rpmdb.sqlite", "this is none"),
            ("/var/lib/snapd/state.json", "{\"data\":"),
            ("/lib/apk/db/installed", "P:musl\nV:1.2.4-r2\nA:x86_64\n\n"),
        ]),
        Topic::Packages,
    );
    assert_eq!(lines(&found), ["musl 1.2.4 r2 x86_64 installed"]);
    let unread: Vec<_> = found["unread"]
        .as_array()
        .unwrap()
        .iter()
        .map(|u| text(u, "source"))
        .collect();
    assert_eq!(unread, ["/var/lib/rpm/rpmdb.sqlite", "/var/lib/snapd/state.json"]);
}

/// `name version release arch` of the applications virt-inspector listed.
fn applications(xml: &str) -> Vec<String> {
    let mut all: Vec<String> = xml
        .split("<application>")
        .skip(1)
        .map(|one| {
            let field = |name: &str| {
                let rest = one.split_once(&format!("<{name}>"))?.1;
                Some(rest.split_once("</")?.0.to_owned())
            };
            ["name", "version", "release", "arch"]
                .map(|n| {
                    field(n)
                        .filter(|v| v != "(none)")
                        .unwrap_or_else(|| "-".to_owned())
                })
                .join(" ")
                + " installed"
        })
        .collect();
    all.sort();
    all
}

#[test]
fn the_guests_have_the_packages_virt_inspector_lists() {
    for name in ["debian", "fedora-btrfs"] {
        let Some(found) = shared_guest(name, &[Topic::Packages]) else {
            return;
        };
        let shared = h2k_testkit::corpus::shared().unwrap();
        let xml = std::fs::read_to_string(shared.join(format!("guests/{name}.inspect.xml"))).unwrap();
        let expected = applications(&xml);
        assert!(!expected.is_empty());
        assert_eq!(lines(&section(&found, Topic::Packages)), expected, "{name}");
    }
}

/// Mounts nothing: the database is copied out of the image by the reader under test, and read by dpkg.
#[test]
fn a_debian_of_the_rig_has_the_packages_dpkg_lists() {
    for name in ["ext4-bios", "lvm-bios", "xfs-uefi", "btrfs-bios"] {
        let Some(found) = rig_guest(name, &[Topic::Packages]) else {
            return;
        };
        let tree = rig_file(name, "/var/lib/dpkg/status").unwrap();
        let dir = std::env::temp_dir().join(format!("h2k-rig-dpkg-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("info")).unwrap();
        std::fs::write(dir.join("status"), tree).unwrap();
        let said = oracle::ok(
            "dpkg-query",
            &[
                &format!("--admindir={}", dir.display()),
                "-W",
                "-f",
                "${Package}|${Version}|${Architecture}|${source:Package}\n",
            ],
        );
        std::fs::remove_dir_all(&dir).unwrap();
        let mut theirs: Vec<String> = said.lines().map(str::to_owned).collect();
        theirs.sort();
        let packages = section(&found, Topic::Packages);
        let mut ours: Vec<String> = packages["packages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| {
                let epoch = p["epoch"].as_u64().map(|e| format!("{e}:")).unwrap_or_default();
                let release = p["release"].as_str().map(|r| format!("-{r}")).unwrap_or_default();
                let source = p["source-package"].as_str().unwrap_or(text(p, "name"));
                let source = source.split(' ').next().unwrap();
                format!(
                    "{}|{epoch}{}{release}|{}|{source}",
                    text(p, "name"),
                    text(p, "version"),
                    text(p, "arch")
                )
            })
            .collect();
        ours.sort();
        println!("{name}: {} packages", ours.len());
        assert_eq!(ours, theirs, "{name}");
    }
}
