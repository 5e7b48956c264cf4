//! What the kernel is told, wherever boot loaders keep it.

use h2k_guest::look::join;
use h2k_guest::{Fact, Line, Look, Text};

/// Every word that a boot loader or its template has for the kernel, in the order of the places; the same word in
/// another entry counts again.
pub(crate) fn words(look: &Look<'_>) -> Vec<Fact<String>> {
    let mut found = Vec::new();
    for path in [
        "/etc/default/grub",
        "/etc/sysconfig/grub",
        "/etc/sysconfig/bootloader",
    ] {
        let Some(text) = look.text(path) else { continue };
        for (key, value) in text.assignments() {
            if key.starts_with("GRUB_CMDLINE_LINUX") || key == "DEFAULT_APPEND" {
                push(&value, &mut found);
            }
        }
    }
    if let Some(text) = look.text("/etc/kernel/cmdline") {
        text.spoken()
            .for_each(|line| push(&line.fact(line.text.to_owned()), &mut found));
    }
    for dir in [
        "/boot/loader/entries",
        "/boot/efi/loader/entries",
        "/efi/loader/entries",
    ] {
        for text in look.texts_in(dir, ".conf") {
            told(&text, &["options"], &mut found);
        }
    }
    let grub = ["linux", "linux16", "linuxefi", "kernel", "append", "APPEND"];
    for path in [
        "/boot/grub/grub.cfg",
        "/boot/grub2/grub.cfg",
        "/boot/grub/menu.lst",
        "/boot/grub/grub.conf",
        "/boot/extlinux/extlinux.conf",
        "/boot/syslinux/syslinux.cfg",
    ] {
        if let Some(text) = look.text(path) {
            told(&text, &grub, &mut found);
        }
    }
    for name in look.names("/boot/efi/EFI") {
        let path = join(&join(b"/boot/efi/EFI", &name), b"grub.cfg");
        if let Some(text) = look.text(&path) {
            told(&text, &grub, &mut found);
        }
    }
    found
}

/// The words of lines that begin with one of `keys`.
fn told(text: &Text, keys: &[&str], found: &mut Vec<Fact<String>>) {
    let asked = |line: &Line<'_>| {
        let (key, rest) = line.text.split_once(char::is_whitespace)?;
        keys.contains(&key).then(|| line.fact(rest.to_owned()))
    };
    for fact in text.spoken().filter_map(|line| asked(&line)) {
        push(&fact, found);
    }
}

fn push(line: &Fact<String>, found: &mut Vec<Fact<String>>) {
    found.extend(super::ini::words(line, char::is_whitespace));
}

/// The value of the words that begin with `key=`.
pub(crate) fn values<'w>(
    words: &'w [Fact<String>],
    key: &'w str,
) -> impl DoubleEndedIterator<Item = (&'w str, &'w Fact<String>)> {
    words.iter().filter_map(move |word| {
        let value = word.value.strip_prefix(key)?.strip_prefix('=')?;
        Some((value, word))
    })
}
