//! cloud-init.

use crate::lab::Lab;
use h2k_fix::Outcome;
use h2k_fix::configuration::{CloudInit, NoCloud};

const ID: &str = "linux.cloud-init";
const DROP_IN: &str = "/etc/cloud/cloud.cfg.d/99-hyper2kvm.cfg";

fn guest() -> Lab {
    let mut lab = Lab::new(&[
        ("/etc/cloud/cloud.cfg", "users: [default]\n"),
        ("/var/lib/cloud/instances/i-1/datasource", "DataSourceOVF\n"),
    ]);
    lab.link("/var/lib/cloud/instance", "/var/lib/cloud/instances/i-1");
    lab
}

#[test]
fn the_network_and_the_instance_stay() {
    let done = guest().fix(ID);
    let text = done.text(DROP_IN).unwrap();
    assert!(text.ends_with("network: {config: disabled}\nmanual_cache_clean: true\n"));
    assert_eq!(
        done.text("/var/lib/cloud/instances/i-1/manual-clean").as_deref(),
        Some("")
    );
    assert_eq!(done.text("/etc/cloud/cloud-init.disabled"), None);
}

#[test]
fn it_is_switched_off_when_that_is_wanted() {
    let mut lab = guest();
    lab.options.cloud_init.disable = true;
    let done = lab.fix(ID);
    assert_eq!(done.text("/etc/cloud/cloud-init.disabled").as_deref(), Some(""));
    assert_eq!(done.text(DROP_IN), None);
}

#[test]
fn a_seed_is_put_where_it_is_read() {
    let seed = |network: Option<&str>| {
        let mut lab = guest();
        lab.options.cloud_init = CloudInit {
            disable: false,
            nocloud: Some(NoCloud {
                user_data: "#cloud-config\nhostname: web01\n".to_owned(),
                meta_data: "instance-id: moved-1\n".to_owned(),
                network_config: network.map(str::to_owned),
            }),
        };
        lab.fix(ID)
    };
    let done = seed(Some("version: 2\n"));
    let dir = "/var/lib/cloud/seed/nocloud";
    assert_eq!(
        done.text(&format!("{dir}/user-data")).unwrap(),
        "#cloud-config\nhostname: web01\n"
    );
    assert_eq!(
        done.text(&format!("{dir}/network-config")).unwrap(),
        "version: 2\n"
    );
    assert_eq!(done.owner(&format!("{dir}/meta-data")), (0o600, 0, 0));
    let text = done.text(DROP_IN).unwrap();
    assert!(
        text.contains("datasource_list: [NoCloud, None]")
            && !text.contains("network:")
            && !text.contains("manual")
    );
    // Without a network of its own it leaves the guest's alone.
    assert!(
        seed(None)
            .text(DROP_IN)
            .unwrap()
            .contains("network: {config: disabled}")
    );
}

#[test]
fn where_it_is_not_nothing_is_done() {
    Lab::new(&[]).fix(ID).left("cloud-init is not there");
    let mut lab = Lab::new(&[]);
    lab.options.cloud_init.nocloud = Some(NoCloud {
        user_data: String::new(),
        meta_data: String::new(),
        network_config: None,
    });
    lab.fix(ID).says(Outcome::Blocked, "nothing would read its seed");
    let off = Lab::new(&[
        ("/etc/cloud/cloud.cfg", ""),
        ("/etc/cloud/cloud-init.disabled", ""),
    ]);
    off.fix(ID).left("switched off");
}
