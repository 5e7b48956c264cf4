//! What makes each generator's image load modules by name, beside the indexes that serve those who look at devices.

use super::neutral::Changes;
use super::{Added, Image, OURS, Refusal, Step};
use crate::initramfs::Generator;
use std::fmt::Write as _;

/// Whether modules that are added to an image of this generator are loaded.
pub(in crate::initramfs) fn supported(generator: Option<Generator>) -> Step<()> {
    match generator {
        Some(
            Generator::InitramfsTools
            | Generator::Dracut
            | Generator::Mkinitcpio
            | Generator::Mkinitfs
            | Generator::RedHatMkinitrd,
        ) => Ok(()),
        Some(other) => Err(Refusal::Generator(other)),
        None => Err(Refusal::UnknownGenerator),
    }
}

/// Whether the root is on the network, by what the kernel is told and what the image was made for.
pub(super) fn network_root(image: &Image, command_line: &str) -> bool {
    let told = |line: &str| {
        line.split_whitespace().any(|word| {
            let starts = [
                "ip=",
                "netroot=",
                "nfsroot=",
                "root=nfs",
                "root=iscsi:",
                "root=/dev/nfs",
                "boot=nfs",
            ];
            starts.iter().any(|s| word.starts_with(s)) || word == "root=dhcp"
        })
    };
    let contents = &image.contents;
    let hooks = contents.files_in("lib/dracut/modules.txt");
    let needs = |name: &str| ["network", "nfs", "iscsi"].iter().any(|n| name.starts_with(n));
    told(command_line)
        || contents
            .files_in("etc/cmdline.d/")
            .any(|t| t.spoken().any(|l| told(l.text)))
        || contents
            .files_in("conf/initramfs.conf")
            .any(|t| t.assigned("BOOT").is_some_and(|b| b.value == "nfs"))
        // An image for any machine has these modules, too.
        || image.facts.host_only.is_some() && hooks.into_iter().any(|t| t.spoken().any(|l| needs(l.text)))
}

/// Names `names` to what loads modules in this image; `added` are all modules that are added.
pub(super) fn find(
    image: &Image,
    names: &[&str],
    added: &[(Added, Vec<u8>)],
    changes: &mut Changes,
) -> Step<()> {
    let list = |between: &str| names.join(between);
    match image.generator() {
        Some(Generator::InitramfsTools) => {
            let mut text = image.kept("conf/modules")?.unwrap_or_default().to_vec();
            close(&mut text);
            text.extend(format!("{}\n", list("\n")).bytes());
            changes.change(image, "conf/modules", text, "modules to load by name")?;
        }
        Some(Generator::Dracut) => {
            let line = format!("rd.driver.pre={}\n", list(","));
            let path = format!("etc/cmdline.d/{OURS}");
            changes.change(image, &path, line.into_bytes(), "modules to load by name")?;
            load_list(image, names, changes)?;
        }
        Some(Generator::Mkinitcpio) => {
            let mut text = image.kept("config")?.unwrap_or_default().to_vec();
            close(&mut text);
            text.extend(format!("MODULES=\"$MODULES {}\"\n", list(" ")).bytes());
            changes.change(image, "config", text, "modules to load by name")?;
            load_list(image, names, changes)?;
        }
        Some(Generator::RedHatMkinitrd) => {
            let text = image.kept("init")?.and_then(|t| std::str::from_utf8(t).ok());
            let script = text.and_then(|t| with_insmod(t, added));
            let missing = || Refusal::Image("its init has no place where modules are loaded".to_owned());
            let script = script.ok_or_else(missing)?;
            changes.change(image, "init", script.into_bytes(), "modules to load by name")?;
        }
        _ => {}
    }
    Ok(())
}

/// Gives the last line its end.
fn close(text: &mut Vec<u8>) {
    if text.last().is_some_and(|b| *b != b'\n') {
        text.push(b'\n');
    }
}

/// What systemd loads at the start: modules-load.d(5).
fn load_list(image: &Image, names: &[&str], changes: &mut Changes) -> Step<()> {
    if !image.systemd() {
        return Ok(());
    }
    let path = format!("etc/modules-load.d/{OURS}");
    let text = format!("{}\n", names.join("\n"));
    changes.change(image, &path, text.into_bytes(), "modules to load by name")
}

/// The script of nash with a line for each module: behind the last one of its own before the root is made.
fn with_insmod(script: &str, added: &[(Added, Vec<u8>)]) -> Option<String> {
    let lines: Vec<&str> = script.lines().collect();
    let root = lines
        .iter()
        .position(|l| l.trim_start().starts_with("mkrootdev"))?;
    let before = lines.get(..root)?;
    let last = before.iter().rposition(|l| l.trim_start().starts_with("insmod "));
    let at = last.map_or(root, |at| at.saturating_add(1));
    let mut out = String::with_capacity(script.len());
    for (i, line) in lines.iter().enumerate() {
        if i == at {
            for (module, _) in added {
                let _ = writeln!(out, "insmod /{}", module.path);
            }
        }
        let _ = writeln!(out, "{line}");
    }
    Some(out)
}
