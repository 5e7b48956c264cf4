//! Which form packages have, and what installs them.

use crate::os::Os;
use h2k_guest::{Fact, Look, Source};

pub(super) fn look(files: &Look<'_>, os: &mut Os) {
    let Some(distro) = &os.distro else { return };
    let major = os.major_version.as_ref().map_or(0, |v| v.value);
    let mut found = by_word(&distro.value, major, files);
    let mut source = distro.source.clone();
    // A distribution nobody has heard of is made from one that is known.
    if found.is_none()
        && let Some(like) = &os.like
    {
        found = like
            .value
            .iter()
            .find_map(|word| by_word(word, major.max(8), files));
        source = like.source.clone();
    }
    if found.is_none() {
        let by = DATABASES.iter().find(|(path, ..)| files.exists(path));
        if let Some((path, format, manager)) = by {
            found = Some((format, manager));
            source = Source::file(path.as_bytes());
        }
    }
    if let Some((format, manager)) = found {
        os.package_format = Some(Fact::new(format.to_owned(), source.clone()));
        os.package_management = Some(Fact::new(manager.to_owned(), source));
    }
}

/// What tells of a package manager where the distribution does not.
const DATABASES: &[(&str, &str, &str)] = &[
    ("/var/lib/dpkg/status", "deb", "apt"),
    ("/var/lib/rpm", "rpm", "dnf"),
    ("/usr/lib/sysimage/rpm", "rpm", "dnf"),
    ("/lib/apk/db/installed", "apk", "apk"),
    ("/usr/lib/apk/db/installed", "apk", "apk"),
    ("/var/lib/pacman/local", "pacman", "pacman"),
    ("/var/db/xbps", "xbps", "xbps"),
    ("/var/db/pkg", "ebuild", "portage"),
    ("/usr/lib/opkg/status", "opkg", "opkg"),
    ("/var/lib/opkg/status", "opkg", "opkg"),
];

fn by_word(word: &str, major: u32, files: &Look<'_>) -> Option<(&'static str, &'static str)> {
    let found = match word {
        "fedora" if major >= 22 || files.exists("/usr/bin/dnf") => ("rpm", "dnf"),
        "rhel" | "centos" | "rocky" | "almalinux" | "circle" | "oraclelinux" | "scientificlinux"
        | "redhat-based" | "openeuler" | "opencloudos" | "tencentos" | "kylin" | "neokylin" | "virtuozzo"
        | "miraclelinux" | "anolis" => match major {
            8.. => ("rpm", "dnf"),
            5..8 => ("rpm", "yum"),
            _ => ("rpm", "up2date"),
        },
        // `2023` is newer than `2018.03` and `2`.
        "amzn" if files.exists("/usr/bin/dnf") => ("rpm", "dnf"),
        "fedora" | "amzn" | "meego" => ("rpm", "yum"),
        "sles" | "opensuse" | "suse-based" | "suse" | "sle-micro" | "sl-micro" => ("rpm", "zypper"),
        "mageia" | "mandriva" => ("rpm", "urpmi"),
        "openmandriva" => ("rpm", "dnf"),
        "photon" => ("rpm", "tdnf"),
        "mariner" | "azurelinux" => ("rpm", "tdnf"),
        "altlinux" => ("rpm", "apt"),
        "pldlinux" => ("rpm", "poldek"),
        "debian" | "ubuntu" | "linuxmint" | "kalilinux" | "raspbian" | "pop" | "devuan" | "deepin"
        | "elementary" | "neon" | "zorin" | "pureos" | "trisquel" => ("deb", "apt"),
        "archlinux" | "arch" | "manjaro" | "endeavouros" | "artix" => ("pacman", "pacman"),
        "frugalware" => ("pacman", "pacman-g2"),
        "alpinelinux" | "alpine" | "postmarketos" | "wolfi" | "chimera" => ("apk", "apk"),
        "gentoo" => ("ebuild", "portage"),
        "voidlinux" => ("xbps", "xbps"),
        "pardus" if files.exists("/var/lib/dpkg/status") => ("deb", "apt"),
        "pardus" => ("pisi", "pisi"),
        "nixos" => ("nix", "nix"),
        "guix" => ("guix", "guix"),
        "slackware" => ("txz", "slackpkg"),
        "openwrt" => ("ipk", "opkg"),
        "freebsd" => ("pkg", "pkg"),
        "netbsd" => ("pkgsrc", "pkgin"),
        "openbsd" => ("tgz", "pkg_add"),
        _ => return None,
    };
    Some(found)
}
