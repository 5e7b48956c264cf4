//! Environment, clouds, agents, containers.

use crate::common::{asked, list, rig_guest, section, system, text};
use h2k_inspect::Topic;
use serde_json::{Value, json};

#[test]
fn variables_are_read_from_tables_and_from_scripts() {
    let found = asked(
        system(&[
            ("/etc/fstab", ""),
            ("/etc/environment", "# c\nPATH=\"/usr/bin:/bin\"\nexport LANG=C\n"),
            ("/etc/environment.d/50-a.conf", "A=1\n"),
            ("/usr/lib/environment.d/50-a.conf", "A=2\n"),
            ("/usr/lib/environment.d/10-b.conf", "B=$A\n"),
            (
                "/etc/profile",
                "if [ \"$x\" = 1 ]; then\n  EDITOR=vi; export EDITOR\nfi\nfor i in /etc/profile.d/*.sh; do\n",
            ),
            ("/etc/profile.d/z.sh", "export HTTP_PROXY='http://p:1'\n"),
        ]),
        Topic::Environment,
    );
    let lines: Vec<_> = list(&found["variables"])
        .iter()
        .map(|v| {
            format!(
                "{}={} {} {}",
                text(v, "name"),
                text(v, "value"),
                v["in-script"],
                text(v, "source")
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            "PATH=/usr/bin:/bin false /etc/environment:2",
            "LANG=C false /etc/environment:3",
            "B=$A false /usr/lib/environment.d/10-b.conf:1",
            "A=1 false /etc/environment.d/50-a.conf:1",
            "EDITOR=vi true /etc/profile:2",
            "HTTP_PROXY=http://p:1 true /etc/profile.d/z.sh:1",
        ]
    );
}

#[test]
fn cloud_inits_configuration_and_last_run_are_told() {
    let found = asked(
        system(&[
            ("/etc/fstab", ""),
            (
                "/var/lib/dpkg/status",
                "Package: cloud-init\nStatus: install ok installed\nVersion: 22.4.2-1\n",
            ),
            (
                "/etc/cloud/cloud.cfg",
                "users:\n  - default\ndisable_root: true\npreserve_hostname: false\nsystem_info:\n  default_user:\n    name: debian\n",
            ),
            (
                "/etc/cloud/cloud.cfg.d/90_dpkg.cfg",
                "datasource_list: [ NoCloud, ConfigDrive, None ]\n",
            ),
            (
                "/etc/cloud/cloud.cfg.d/99-net.cfg",
                "network: {config: disabled}\npreserve_hostname: true\n",
            ),
            ("/etc/cloud/cloud-init.disabled", ""),
            ("/var/lib/cloud/data/instance-id", "i-0abc\n"),
            (
                "/var/lib/cloud/instances/i-0abc/datasource",
                "DataSourceNoCloud: DataSourceNoCloud [seed=/dev/sr0]\n",
            ),
            ("/var/lib/cloud/seed/nocloud-net/user-data", "#cloud-config\n"),
            (
                "/var/lib/cloud/data/status.json",
                "{\"v1\":{\"datasource\":\"DataSourceEc2\",\"init\":{\"errors\":[\"boom\"],\"finished\":1700000001.9,\
                 \"start\":1700000000.5},\"init-local\":{\"errors\":[],\"finished\":null,\"start\":1700000000.1},\"stage\":null}}",
            ),
            (
                "/var/lib/cloud/data/result.json",
                "{\"v1\":{\"datasource\":\"DataSourceEc2Local\",\"errors\":[\"boom\",\"late\"]}}",
            ),
        ]),
        Topic::Cloud,
    );
    let cloud = &found["cloud-init"];
    let values = |name: &str| {
        list(&cloud[name])
            .iter()
            .map(|f| text(f, "value"))
            .collect::<Vec<_>>()
    };
    assert_eq!(cloud["version"]["value"], "22.4.2-1");
    assert_eq!(values("datasource-list"), ["NoCloud", "ConfigDrive", "None"]);
    assert_eq!(cloud["datasource"]["value"], "DataSourceEc2Local");
    assert_eq!(
        cloud["instance-id"],
        json!({"value": "i-0abc", "source": "/var/lib/cloud/data/instance-id:1"})
    );
    assert_eq!(cloud["instances"], json!(["i-0abc"]));
    assert_eq!(cloud["disabled-by"], json!(["/etc/cloud/cloud-init.disabled"]));
    assert_eq!(
        cloud["network-disabled-by"],
        "/etc/cloud/cloud.cfg.d/99-net.cfg:1"
    );
    assert_eq!(cloud["preserve-hostname"]["value"], "true");
    assert_eq!(cloud["default-user"]["value"], "debian");
    assert_eq!(
        cloud["seeds"],
        json!(["/var/lib/cloud/seed/nocloud-net/user-data"])
    );
    assert_eq!(values("errors"), ["boom", "late"]);
    let stages: Vec<_> = list(&cloud["stages"])
        .iter()
        .map(|s| (text(s, "name"), s["started"].as_i64(), s["finished"].as_i64()))
        .collect();
    assert_eq!(
        stages,
        [
            ("init-local", Some(1_700_000_000), None),
            ("init", Some(1_700_000_000), Some(1_700_000_001)),
        ]
    );
    assert_eq!(found["unread"], json!([]));
    assert_eq!(
        asked(system(&[("/etc/fstab", "")]), Topic::Cloud)["cloud-init"],
        Value::Null
    );
}

#[test]
fn agents_are_found_by_package_file_and_service() {
    let found = asked(
        system(&[
            ("/etc/fstab", ""),
            (
                "/var/lib/dpkg/status",
                "Package: open-vm-tools\nStatus: install ok installed\nVersion: 2:12.2.0-1\n\n\
                 Package: qemu-guest-agent\nStatus: deinstall ok config-files\nVersion: 1:7.2\n",
            ),
            ("/usr/lib/systemd/system/open-vm-tools.service", "[Unit]\n"),
            (
                "/etc/systemd/system/multi-user.target.wants/open-vm-tools.service",
                "-> /usr/lib/systemd/system/open-vm-tools.service",
            ),
            (
                "/var/lib/VBoxGuestAdditions/config",
                "# c\nINSTALL_DIR='/opt/VBoxGuestAdditions-7.0.6'\nINSTALL_VER='7.0.6'\n",
            ),
            ("/usr/lib/systemd/system/walinuxagent.service", "[Unit]\n"),
            ("/etc/systemd/system/walinuxagent.service", "-> /dev/null"),
        ]),
        Topic::Agents,
    );
    let said: Vec<_> = list(&found["agents"])
        .iter()
        .map(|a| {
            let evidence: Vec<_> = list(&a["evidence"]).iter().map(|e| text(e, "kind")).collect();
            let version = a["version"]["value"].as_str().unwrap_or("-");
            (
                text(a, "name"),
                version,
                a["started"]["value"].as_bool(),
                evidence.join(" "),
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            (
                "open-vm-tools",
                "2:12.2.0-1",
                Some(true),
                "package service".to_owned()
            ),
            ("VirtualBox Guest Additions", "7.0.6", None, "file".to_owned()),
            ("Azure Linux Agent", "-", Some(false), "service".to_owned()),
        ]
    );
}

#[test]
fn containers_and_images_are_listed_by_what_their_engines_wrote_down() {
    let found = asked(
        system(&[
            ("/etc/fstab", ""),
            (
                "/var/lib/dpkg/status",
                "Package: docker.io\nStatus: install ok installed\nVersion: 20.10.24+dfsg1-1\n",
            ),
            (
                "/var/lib/docker/containers/abc/config.v2.json",
                "{\"State\":{\"Running\":true,\"Pid\":7},\"ID\":\"abc\",\"Name\":\"/web\",\"Config\":{\"Image\":\"nginx:1\"}}",
            ),
            ("/var/lib/docker/containers/broken/config.v2.json", "{\"State\":"),
            (
                "/var/lib/docker/image/overlay2/repositories.json",
                "{\"Repositories\":{\"nginx\":{\"nginx:1\":\"sha256:1\",\"nginx@sha256:9\":\"sha256:1\"}}}",
            ),
            ("/var/lib/docker/image/overlay2/imagedb/content/sha256/1", "{}"),
            ("/var/lib/docker/image/overlay2/imagedb/content/sha256/2", "{}"),
            (
                "/var/lib/containers/storage/overlay-images/images.json",
                "[{\"id\":\"f00\",\"names\":[\"quay.io/a:1\"],\"created\":\"2023\"},{\"id\":\"f01\"}]",
            ),
            (
                "/home/web/.local/share/containers/storage/overlay-containers/containers.json",
                "[{\"id\":\"c0\",\"names\":[\"db\"],\"image\":\"f00\",\"metadata\":\"{}\"}]",
            ),
            ("/var/lib/lxc/one/config", "lxc.uts.name = one\n"),
            ("/etc/kubernetes/manifests/etcd.yaml", "kind: Pod\n"),
            ("/var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db", "x"),
        ]),
        Topic::Containers,
    );
    let containers: Vec<_> = list(&found["containers"])
        .iter()
        .map(|c| {
            (
                text(c, "engine"),
                text(c, "name"),
                text(c, "image"),
                c["running"].as_bool(),
            )
        })
        .collect();
    assert_eq!(
        containers,
        [
            ("docker", "web", "nginx:1", Some(true)),
            ("podman", "db", "f00", None),
            ("lxc", "one", "-", None),
            ("kubelet", "etcd", "-", None),
        ]
    );
    let images: Vec<_> = list(&found["images"])
        .iter()
        .map(|i| format!("{} {} {}", text(i, "engine"), text(i, "id"), i["names"]))
        .collect();
    assert_eq!(
        images,
        [
            "docker sha256:1 [\"nginx:1\"]",
            "docker sha256:2 []",
            "podman f00 [\"quay.io/a:1\"]",
            "podman f01 []",
        ]
    );
    let engines: Vec<_> = list(&found["engines"])
        .iter()
        .map(|e| {
            (
                text(e, "name"),
                e["version"]["value"].as_str().unwrap_or("-"),
                e["containers"].as_u64(),
                e["images"].as_u64(),
            )
        })
        .collect();
    assert_eq!(
        engines,
        [
            ("docker", "20.10.24+dfsg1-1", Some(1), Some(2)),
            ("podman", "-", Some(1), Some(2)),
            ("containerd", "-", None, None),
            ("lxc", "-", Some(1), None),
            ("kubelet", "-", Some(1), None),
        ]
    );
    assert_eq!(
        text(&found["unread"][0], "source"),
        "/var/lib/docker/containers/broken/config.v2.json"
    );
}

#[test]
fn the_guests_of_the_rig_have_the_agents_they_were_given() {
    for name in ["ext4-bios", "lvm-bios", "xfs-uefi", "btrfs-bios"] {
        let Some(found) = rig_guest(name, &[Topic::Agents]) else {
            return;
        };
        let agents = section(&found, Topic::Agents);
        let tools = list(&agents["agents"])
            .iter()
            .find(|a| a["name"] == "open-vm-tools")
            .unwrap();
        assert_eq!(tools["started"]["value"], true, "{name}: {agents:#}");
        for topic in [Topic::Cloud, Topic::Containers, Topic::Environment] {
            let found = rig_guest(name, &[topic]).unwrap();
            println!("{name}: {}", section(&found, topic));
        }
    }
}
