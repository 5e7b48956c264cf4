//! Settings of a Windows guest, made of registry text.

use crate::hives::hive;
use crate::windows::facts;
use crate::windows_text::{GHOST, NIC, SETTINGS, system};
use h2k_guest::Fact;
use h2k_inspect::SystemFacts;

fn guest() -> SystemFacts {
    facts(&[
        ("/Windows/System32/config/SYSTEM", hive(&system())),
        ("/Windows/System32/config/SOFTWARE", hive(SETTINGS)),
        (
            "/Windows/System32/config/DEFAULT",
            hive(
                "[X\\Control Panel\\International]\n\"LocaleName\"=\"de-DE\"\n[X\\Keyboard Layout\\Preload]\n\"1\"=\"00000407\"\n",
            ),
        ),
        (
            "/Windows/System32/drivers/etc/hosts",
            b"192.0.2.200 build\r\n".to_vec(),
        ),
        ("/hiberfil.sys", b"HIBR....".to_vec()),
    ])
}

fn value<T: Clone>(fact: &Option<Fact<T>>) -> Option<T> {
    fact.as_ref().map(|f| f.value.clone())
}

#[test]
fn every_address_of_an_adapter_is_told_with_the_adapters_name() {
    let network = guest().network.unwrap();
    assert_eq!(network.unread, []);
    let network = network.found;
    let nic = network
        .connections
        .iter()
        .find(|c| c.name == "Ethernet0")
        .unwrap();
    assert_eq!(
        serde_json::to_value(nic.ipv4.as_ref().unwrap().value).unwrap(),
        "static"
    );
    assert_eq!(
        serde_json::to_value(nic.ipv6.as_ref().unwrap().value).unwrap(),
        "disabled"
    );
    let addresses: Vec<_> = nic
        .addresses
        .iter()
        .map(|a| (a.address.as_str(), a.prefix))
        .collect();
    assert_eq!(
        addresses,
        [
            ("192.0.2.10", Some(24)),
            ("192.0.2.11", Some(25)),
            // Configured, though IPv6 is off.
            ("2001:db8::10", Some(64)),
        ]
    );
    let ends = format!("Interfaces\\{NIC}\\IPAddress");
    assert!(nic.addresses[0].source.as_str().ends_with(&ends));
    assert_eq!(nic.gateways[0].value, "192.0.2.1");
    let servers: Vec<_> = nic.name_servers.iter().map(|f| f.value.as_str()).collect();
    assert_eq!(servers, ["192.0.2.53", "192.0.2.54"]);
    assert_eq!(
        (value(&nic.mtu), nic.search[0].value.as_str()),
        (Some(1440), "example.com")
    );
    assert_eq!(nic.matching.macs, ["00:50:56:9e:4e:ac"]);
    assert_eq!(nic.matching.drivers, ["vmxnet3ndis6"]);
    assert_eq!(value(&nic.cloned_mac).unwrap(), "00:50:56:aa:bb:cc");
    assert_eq!(nic.parameters["wins"], "192.0.2.80 192.0.2.81");
    assert_eq!(
        (
            nic.parameters["netbios"].as_str(),
            nic.parameters["gateway-metric"].as_str()
        ),
        ("off", "10")
    );
    assert_eq!(
        (nic.parameters["adapter"].as_str(), &nic.ignored),
        ("vmxnet3 Ethernet Adapter", &None)
    );
    let ghost = network.connections.iter().find(|c| c.name == GHOST).unwrap();
    assert!(ghost.ignored.is_some());
    let gone = network
        .connections
        .iter()
        .find(|c| c.name == "0000000900000600")
        .unwrap();
    assert_eq!(gone.addresses[0].address, "2001:db8::99");
    assert!(gone.ignored.is_some());
    let routes = &network
        .connections
        .iter()
        .find(|c| c.name == "persistent routes")
        .unwrap()
        .routes;
    assert_eq!(
        (
            routes[0].destination.as_str(),
            routes[0].gateway.as_deref(),
            routes[0].metric
        ),
        ("198.51.100.0/24", Some("192.0.2.7"), Some(5))
    );
    let lease = &network.last_leases[0];
    assert_eq!(
        (lease.address.as_str(), lease.prefix, lease.server.as_deref()),
        ("192.0.2.99", Some(24), Some("192.0.2.1"))
    );
    assert_eq!(network.dns.hosts[0].names, ["build"]);
    assert_eq!(network.dns.search.len(), 2);
}

#[test]
fn an_address_of_ipv6_that_was_given_by_hand_is_static() {
    let system = system().replace("\"DisabledComponents\"=dword:000000ff", "");
    let facts = facts(&[("/Windows/System32/config/SYSTEM", hive(&system))]);
    let network = facts.network.unwrap().found;
    let nic = network
        .connections
        .iter()
        .find(|c| c.name == "Ethernet0")
        .unwrap();
    let method = nic.ipv6.as_ref().unwrap();
    assert_eq!(serde_json::to_value(method.value).unwrap(), "static");
    let ends =
        "Nsi\\{eb004a01-9b1a-11d4-9123-0050047759bc}\\10\\000000018000060020010db8000000000000000000000010";
    assert!(method.source.as_str().ends_with(ends), "{}", method.source);
}

#[test]
fn firewall_rules_are_taken_apart() {
    let section = guest().firewall.unwrap();
    let [firewall] = section.found.firewalls.as_slice() else {
        panic!()
    };
    assert_eq!(value(&firewall.enabled), Some(true));
    let zones: Vec<_> = firewall
        .zones
        .iter()
        .map(|z| (z.name.as_str(), z.enabled, z.target.as_deref()))
        .collect();
    assert_eq!(
        zones,
        [
            ("domain", Some(false), Some("accept")),
            ("public", Some(true), Some("drop"))
        ]
    );
    let rule = |name: &str| {
        firewall
            .rules
            .iter()
            .find(|r| r.name.as_deref() == Some(name))
            .unwrap()
    };
    let desktop = rule("Remote Desktop");
    assert_eq!(
        (
            desktop.enabled,
            desktop.direction.as_deref(),
            desktop.action.as_deref()
        ),
        (true, Some("in"), Some("allow"))
    );
    assert_eq!(desktop.parts["protocol"], ["tcp"]);
    assert_eq!(desktop.parts["local-port"], ["3389"]);
    assert_eq!(desktop.parts["profile"], ["Domain", "Private"]);
    assert_eq!(desktop.parts["service"], ["termservice"]);
    let old = rule("NetBIOS");
    assert_eq!(
        (old.enabled, old.direction.as_deref(), old.action.as_deref()),
        (false, Some("out"), Some("deny"))
    );
}

#[test]
fn what_stands_in_the_way_of_a_migration_is_told() {
    let facts = guest();
    let updates = facts.updates.unwrap().found;
    assert!(updates.reboot_pending);
    assert_eq!(
        (updates.reasons.len(), value(&updates.file_renames)),
        (2, Some(1))
    );
    let windows = facts.windows.unwrap();
    let storage = windows.storage.unwrap().found;
    assert_eq!(value(&storage.hibernation).unwrap(), "hibernated");
    assert_eq!(
        (value(&storage.fast_startup), value(&storage.san_policy)),
        (Some(true), Some(1))
    );
    assert_eq!(storage.page_files[0].value, "?:\\pagefile.sys");
    let security = windows.security.unwrap().found;
    assert_eq!(security.device_installation[0].value, "DenyUnspecified=1");
    assert_eq!(security.group_policies[0].value, "Default Domain Policy");
    assert_eq!(
        (
            value(&security.remote_desktop),
            value(&security.user_account_control)
        ),
        (Some(true), Some(true))
    );
    let locale = windows.locale.unwrap().found;
    assert_eq!(value(&locale.time_zone).unwrap(), "W. Europe Standard Time");
    assert_eq!(
        (value(&locale.bias), value(&locale.clock_is_utc)),
        (Some(-60), Some(true))
    );
    assert_eq!(
        (
            value(&locale.format).unwrap().as_str(),
            locale.keyboards[0].value.as_str()
        ),
        ("de-DE", "00000407")
    );
    let environment = windows.environment.unwrap().found;
    assert_eq!(
        (
            environment.variables[0].name.as_str(),
            environment.variables[0].value.as_str()
        ),
        ("Path", "%SystemRoot%\\system32")
    );
    let agents = windows.agents.unwrap().found.agents;
    let [vmware] = agents.as_slice() else {
        panic!("{agents:?}")
    };
    assert_eq!(vmware.name, "vmware-tools");
    assert_eq!(vmware.applications[0].value, "VMware Tools 12.3.5");
    let services: Vec<_> = vmware.services.iter().map(|s| s.value.as_str()).collect();
    assert_eq!(services, ["pvscsi: boot", "VMTools: automatic"]);
}

#[test]
fn scheduled_tasks_are_read_from_their_files_and_missed_where_the_registry_has_more() {
    let xml = "<?xml version=\"1.0\"?><Task><Triggers><BootTrigger/></Triggers><Principals><Principal><GroupId>S-1-5-32-545\
               </GroupId></Principal></Principals><Actions><Exec><Command>b.exe</Command></Exec></Actions></Task>";
    let mut utf16 = vec![0xff, 0xfe];
    utf16.extend(xml.encode_utf16().flat_map(u16::to_le_bytes));
    let tree = "X\\Microsoft\\Windows NT\\CurrentVersion\\Schedule\\TaskCache\\Tree";
    let software = format!(
        "[{tree}\\Folder]\n\"Index\"=dword:00000000\n[{tree}\\folder\\Backup]\n\"Index\"=dword:00000003\n\
         [{tree}\\Hidden]\n\"Index\"=dword:00000003\n"
    );
    let facts = facts(&[
        ("/Windows/System32/config/SOFTWARE", hive(&software)),
        ("/Windows/System32/Tasks/Folder/Backup", utf16),
        ("/Windows/System32/Tasks/Broken", b"no xml".to_vec()),
    ]);
    let found = facts.schedule.unwrap().found;
    let [task] = found.tasks.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(
        (task.name.as_deref(), task.when.as_str()),
        (Some("\\Folder\\Backup"), "BootTrigger")
    );
    assert_eq!(
        (task.command.as_str(), task.user.as_deref(), task.enabled),
        ("b.exe", Some("S-1-5-32-545"), true)
    );
    let missed: Vec<_> = found.not_understood.iter().map(|n| n.source.as_str()).collect();
    assert_eq!(missed.len(), 2);
    assert_eq!(missed[0], "/Windows/System32/Tasks/Broken");
    assert!(missed[1].ends_with("TaskCache\\Tree\\Hidden"));
}
