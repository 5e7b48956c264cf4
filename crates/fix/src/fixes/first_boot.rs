//! Jobs that the guest itself does at its first start, once: what cannot be done to files alone.
//!
//! A unit (or a link of System V) starts a runner; the runner moves each job aside, runs it, and takes itself out.

use super::Fix;
use super::agents::has_systemd;
use super::configuration::checks::{plain_name, plain_text};
use super::text::{link, write};
use crate::configuration::Scripts;
use crate::finding::Finding;
use crate::view::View;
use h2k_block::Result;
use std::collections::BTreeMap;

/// Prepares jobs for the first start.
pub(super) struct FirstBoot;

const INITRD: &str = "#!/bin/sh
# Makes the initramfs images anew with this system's own tool.
if command -v dracut >/dev/null 2>&1; then
    exec dracut -f --regenerate-all
elif command -v update-initramfs >/dev/null 2>&1; then
    exec update-initramfs -u -k all
elif command -v mkinitcpio >/dev/null 2>&1; then
    exec mkinitcpio -P
elif command -v mkinitrd >/dev/null 2>&1; then
    exec mkinitrd
fi
echo 'no tool that makes initramfs images is here'
exit 1
";

const AGENT: &str = "#!/bin/sh
# Installs the guest agent of QEMU from this system's package sources.
package=qemu-guest-agent
if command -v qemu-ga >/dev/null 2>&1; then
    echo 'the agent is here already'
elif command -v apt-get >/dev/null 2>&1; then
    DEBIAN_FRONTEND=noninteractive apt-get -y install \"$package\" || exit
elif command -v dnf >/dev/null 2>&1; then
    dnf -y install \"$package\" || exit
elif command -v yum >/dev/null 2>&1; then
    yum -y install \"$package\" || exit
elif command -v zypper >/dev/null 2>&1; then
    zypper --non-interactive install \"$package\" || exit
elif command -v pacman >/dev/null 2>&1; then
    pacman -S --noconfirm \"$package\" || exit
elif command -v apk >/dev/null 2>&1; then
    apk add \"$package\" || exit
else
    echo 'no package manager is here'
    exit 1
fi
if command -v systemctl >/dev/null 2>&1; then
    systemctl start qemu-guest-agent.service || true
fi
";

const TOOLS: &str = "#!/bin/sh
# Takes the tools of VMware out.
if [ -x /usr/bin/vmware-uninstall-tools.pl ]; then
    exec /usr/bin/vmware-uninstall-tools.pl
elif command -v apt-get >/dev/null 2>&1; then
    exec env DEBIAN_FRONTEND=noninteractive apt-get -y purge open-vm-tools
elif command -v dnf >/dev/null 2>&1; then
    exec dnf -y remove open-vm-tools
elif command -v yum >/dev/null 2>&1; then
    exec yum -y remove open-vm-tools VMwareTools
elif command -v zypper >/dev/null 2>&1; then
    exec zypper --non-interactive remove open-vm-tools
elif command -v pacman >/dev/null 2>&1; then
    exec pacman -R --noconfirm open-vm-tools
elif command -v apk >/dev/null 2>&1; then
    exec apk del open-vm-tools
fi
echo 'no package manager is here'
exit 1
";

/// What the runner takes out of the way when all is done.
struct Places {
    name: String,
    base: String,
    unit: String,
    wants: String,
}

impl Places {
    fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            base: format!("/usr/local/lib/{name}"),
            unit: format!("/etc/systemd/system/{name}.service"),
            wants: format!("/etc/systemd/system/multi-user.target.wants/{name}.service"),
        }
    }
}

impl Fix for FirstBoot {
    fn id(&self) -> &'static str {
        "linux.first-boot"
    }

    fn about(&self) -> &'static str {
        "prepares what the guest does itself at its first start: nothing, unless it is asked for"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let wish = &view.options.configuration.firstboot;
        let jobs = match jobs(view) {
            Ok(jobs) => jobs,
            Err(why) => return Ok(vec![Finding::blocked(why)]),
        };
        if jobs.is_empty() {
            return Ok(vec![Finding::leave("nothing is to be done at the first start")]);
        }
        let name = wish.service_name.as_deref().unwrap_or("hyper2kvm-firstboot");
        if !plain_name(name) {
            let why = format!("{name:?} cannot be the name of a service");
            return Ok(vec![Finding::blocked(why)]);
        }
        let places = Places::of(name);
        let mut edits = Vec::new();
        let named: Vec<String> = jobs.keys().cloned().collect();
        for (job, content) in jobs {
            edits.extend(write(
                view,
                &format!("{}/jobs/{job}", places.base),
                content,
                0o755,
            ));
        }
        let mut links = Vec::new();
        if has_systemd(view) {
            match unit(wish, &places) {
                Ok(text) => edits.extend(write(view, &places.unit, text, 0o644)),
                Err(why) => return Ok(vec![Finding::blocked(why)]),
            }
            edits.extend(link(view, &places.wants, &places.unit));
        } else {
            let dirs = |level: u8| [format!("/etc/rc.d/rc{level}.d"), format!("/etc/rc{level}.d")];
            for level in [2, 3, 5] {
                let dir = dirs(level).into_iter().find(|dir| view.look.is_dir(dir));
                links.extend(dir.map(|dir| format!("{dir}/S99{}", places.name)));
            }
            if links.is_empty() {
                let why =
                    "neither systemd nor runlevels of System V are there to start jobs at the first start";
                return Ok(vec![Finding::blocked(why)]);
            }
            let runner = format!("{}/run", places.base);
            for path in &links {
                edits.extend(link(view, path, &runner));
            }
        }
        let runner = runner(&places, &links, wish.keep_enabled);
        edits.extend(write(view, &format!("{}/run", places.base), runner, 0o755));
        let why = format!("at its first start the guest does: {}", named.join(", "));
        Ok(vec![if edits.is_empty() {
            Finding::leave(format!("{why}; that is prepared already"))
        } else {
            Finding::change(why, edits)
        }])
    }
}

/// The jobs by the names of their files, in their order.
fn jobs(view: &View<'_>) -> std::result::Result<BTreeMap<String, String>, String> {
    let wish = &view.options.first_boot;
    let mut all = BTreeMap::new();
    for (wanted, name, content) in [
        (wish.regen_initramfs, "10-initramfs", INITRD),
        (wish.guest_agent, "20-guest-agent", AGENT),
        (wish.remove_vmware_tools, "30-vmware-tools", TOOLS),
    ] {
        if wanted {
            all.insert(name.to_owned(), content.to_owned());
        }
    }
    let user = &view.options.configuration.firstboot;
    let one = user.script.as_ref().map(|content| (50, "script", content));
    let several = user
        .scripts
        .iter()
        .map(|script| (script.order, script.name.as_str(), &script.content));
    for (order, name, content) in one.into_iter().chain(several) {
        if !plain_name(name) {
            return Err(format!("{name:?} cannot be the name of a script"));
        }
        // Three digits, so that the order of the names is that of the numbers; behind the jobs of our own.
        let name = format!("50-{order:03}-{name}");
        let content = match content.starts_with("#!") {
            true => content.clone(),
            false => format!("#!/bin/sh\n{content}"),
        };
        if all.insert(name.clone(), content).is_some() {
            return Err(format!("two scripts are called {name}"));
        }
    }
    Ok(all)
}

/// systemd.unit(5), systemd.service(5).
fn unit(wish: &Scripts, places: &Places) -> std::result::Result<String, String> {
    let words = &wish.service;
    let described = words
        .description
        .as_deref()
        .unwrap_or("Jobs of the first start on this machine");
    let after = words.after.as_deref().unwrap_or("network.target");
    let mut all = vec![described, after];
    all.extend(words.requires_mounts_for.as_deref());
    all.extend(words.environment.iter().map(String::as_str));
    if let Some(bad) = all.iter().find(|text| !plain_text(text) || text.ends_with('\\')) {
        return Err(format!("{bad:?} cannot be a line of a unit"));
    }
    let mut text = format!("[Unit]\nDescription={described}\nAfter={after}\n");
    if let Some(paths) = &words.requires_mounts_for {
        text.push_str(&format!("RequiresMountsFor={paths}\n"));
    }
    let base = &places.base;
    text.push_str(&format!(
        "ConditionPathExists={base}/run\n\n[Service]\nType=oneshot\n"
    ));
    for variable in &words.environment {
        let quoted = variable
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('%', "%%");
        text.push_str(&format!("Environment=\"{quoted}\"\n"));
    }
    text.push_str(&format!(
        "ExecStart=/bin/sh {base}/run\n\n[Install]\nWantedBy=multi-user.target\n"
    ));
    Ok(text)
}

fn runner(places: &Places, links: &[String], keep: bool) -> String {
    let Places {
        name,
        base,
        unit,
        wants,
    } = places;
    let end = if keep {
        String::new()
    } else {
        let links: String = links.iter().map(|link| format!(" '{link}'")).collect();
        format!(
            "rm -f '{wants}' '{unit}'{links}\n\
             if command -v systemctl >/dev/null 2>&1; then\n    systemctl daemon-reload || true\nfi\n\
             rm -f \"$base/run\"\n"
        )
    };
    format!(
        "#!/bin/sh\n\
         # Runs each job beside it once, in the order of their names, and then takes itself out.\n\
         [ \"${{1:-start}}\" = start ] || exit 0\n\
         base='{base}'\n\
         exec >>'/var/log/{name}.log' 2>&1\n\
         mkdir -p \"$base/done\" \"$base/failed\"\n\
         for job in \"$base\"/jobs/*; do\n\
         \x20   [ -f \"$job\" ] || continue\n\
         \x20   short=${{job##*/}}\n\
         \x20   # Moved aside before it runs: a job that stops the machine is not run for ever.\n\
         \x20   mv \"$job\" \"$base/failed/$short\" || continue\n\
         \x20   echo \"$(date) $short begins\"\n\
         \x20   if \"$base/failed/$short\"; then\n\
         \x20       mv \"$base/failed/$short\" \"$base/done/$short\"\n\
         \x20       echo \"$(date) $short is done\"\n\
         \x20   else\n\
         \x20       echo \"$(date) $short failed\"\n\
         \x20   fi\n\
         done\n\
         {end}exit 0\n"
    )
}
