//! Agents of other hypervisors.

use crate::lab::Lab;
use h2k_fix::Outcome;

const ID: &str = "linux.agents";
const TOOLS: &str = "[Unit]\nDescription=Service for virtual machines hosted on VMware\nConditionVirtualization=vmware\n[Service]\nExecStart=/usr/bin/vmtoolsd\n[Install]\nWantedBy=multi-user.target\nAlias=vmtoolsd.service\n";
const PLAIN: &str = "[Unit]\nDescription=Agent\n[Service]\nExecStart=/usr/sbin/agent\n[Install]\nWantedBy=multi-user.target\n";

fn systemd(files: &[(&str, &str)]) -> Lab {
    let mut lab = Lab::new(files);
    lab.file("/usr/lib/systemd/systemd", "");
    lab
}

#[test]
fn tools_that_start_on_vmware_only_are_left() {
    let files = [("/usr/lib/systemd/system/open-vm-tools.service", TOOLS)];
    let done = systemd(&files).fix(ID);
    done.left("open-vm-tools (open-vm-tools.service) starts on its own hypervisor only");
}

#[test]
fn tools_are_masked_when_that_is_wanted() {
    let files = [
        ("/usr/lib/systemd/system/open-vm-tools.service", TOOLS),
        ("/usr/lib/systemd/system/vgauth.service", TOOLS),
    ];
    let mut lab = systemd(&files);
    lab.options.remove_vmware_tools = true;
    let done = lab.fix(ID);
    for unit in ["open-vm-tools", "vgauth"] {
        let link = done.target(&format!("/etc/systemd/system/{unit}.service"));
        assert_eq!(link.as_deref(), Some("/dev/null"));
    }
    assert_eq!(done.target("/etc/systemd/system/vmtoolsd.service"), None);
    assert_eq!(
        done.text("/usr/lib/systemd/system/vgauth.service").as_deref(),
        Some(TOOLS)
    );
}

#[test]
fn the_agent_of_azure_is_masked() {
    let done = systemd(&[("/usr/lib/systemd/system/walinuxagent.service", PLAIN)]).fix(ID);
    let link = done.target("/etc/systemd/system/walinuxagent.service");
    assert_eq!(link.as_deref(), Some("/dev/null"));
    done.says(Outcome::Change, "Azure Linux Agent (walinuxagent.service)");
}

#[test]
fn a_unit_of_the_administrators_own_keeps_its_file() {
    let mut lab = systemd(&[("/etc/systemd/system/waagent.service", PLAIN)]);
    let wants = "/etc/systemd/system/multi-user.target.wants/waagent.service";
    lab.link(wants, "../waagent.service");
    let done = lab.fix(ID);
    assert_eq!(done.target(wants), None);
    assert_eq!(
        done.text("/etc/systemd/system/waagent.service").as_deref(),
        Some(PLAIN)
    );
}

#[test]
fn a_script_is_masked_under_systemd_and_loses_its_links_without() {
    let files = [
        ("/etc/vmware-tools/locations", "answer X\n"),
        ("/etc/init.d/vmware-tools", "#!/bin/sh\n"),
        ("/etc/init/vmware-tools.conf", "start on x\n"),
    ];
    let links = ["/etc/rc2.d/S19vmware-tools", "/etc/rc3.d/S19vmware-tools"];
    let with_links = |mut lab: Lab| {
        for link in links {
            lab.link(link, "../init.d/vmware-tools");
        }
        lab.link("/etc/rc3.d/S20ssh", "../init.d/ssh");
        lab
    };
    let done = with_links(Lab::new(&files)).fix(ID);
    assert!(links.iter().all(|link| done.target(link).is_none()));
    assert_eq!(done.target("/etc/rc3.d/S20ssh").as_deref(), Some("../init.d/ssh"));
    assert_eq!(
        done.text("/etc/init/vmware-tools.override").as_deref(),
        Some("manual\n")
    );

    let done = with_links(systemd(&files)).fix(ID);
    let link = done.target("/etc/systemd/system/vmware-tools.service");
    assert_eq!(link.as_deref(), Some("/dev/null"));
    assert!(done.target(links[0]).is_some());
}

#[test]
fn agents_of_clouds_are_left_and_told() {
    let done = systemd(&[("/usr/lib/systemd/system/amazon-ssm-agent.service", PLAIN)]).fix(ID);
    done.left("slows the start");
}

#[test]
fn a_desktop_program_of_virtualbox_is_hidden() {
    let text = "[Desktop Entry]\nExec=/usr/bin/VBoxClient-all\n";
    let path = "/etc/xdg/autostart/vboxclient.desktop";
    let done = Lab::new(&[(path, text)]).fix(ID);
    assert_eq!(
        done.text(path).as_deref(),
        Some("[Desktop Entry]\nHidden=true\nExec=/usr/bin/VBoxClient-all\n")
    );
}
