//! The short identifier that osinfo-db, and with it virt-install and GNOME Boxes, has for a system.

use crate::os::Os;
use h2k_guest::Fact;

/// The first two numbers of a version; the second where there is one.
pub(super) fn two(version: &str) -> Option<(u32, Option<u32>)> {
    let digits = |text: &str| -> String { text.chars().take_while(char::is_ascii_digit).collect() };
    let first = digits(version);
    let rest = version.get(first.len()..)?;
    let second = rest.strip_prefix('.').map(digits).and_then(|d| d.parse().ok());
    Some((first.parse().ok()?, second))
}

pub(super) fn conclude(os: &mut Os) {
    let Some(distro) = &os.distro else { return };
    let variant = os.variant.as_ref().map_or("", |v| v.value.as_str());
    let id = os.id.as_ref().map_or("", |v| v.value.as_str());
    let version = os.version.as_ref().map_or("", |v| v.value.as_str());
    let major = os.major_version.as_ref().map(|v| v.value);
    let minor = os.minor_version.as_ref().map_or(0, |v| v.value);
    let product = os.product_name.as_ref().map_or("", |v| v.value.as_str());
    let word = short(&Known {
        word: &distro.value,
        id,
        variant,
        version,
        product,
        numbers: major.map(|major| (major, minor)),
    });
    let source = os.version.as_ref().map_or(&distro.source, |v| &v.source).clone();
    os.osinfo = word.map(|word| Fact::new(word, source));
}

/// What the identifier depends on.
struct Known<'a> {
    word: &'a str,
    id: &'a str,
    variant: &'a str,
    version: &'a str,
    product: &'a str,
    numbers: Option<(u32, u32)>,
}

fn short(known: &Known<'_>) -> Option<String> {
    let word = known.word;
    // Rolling distributions have one identifier.
    match word {
        "archlinux" | "gentoo" | "manjaro" | "voidlinux" => return Some(word.to_owned()),
        "opensuse" if known.id == "opensuse-tumbleweed" => return Some("opensusetumbleweed".to_owned()),
        _ => {}
    }
    let Some((major, minor)) = known.numbers else {
        return (word == "debian").then(|| "debiantesting".to_owned());
    };
    let stream = known.product.contains("Stream");
    let text = match (word, major) {
        ("fedora", _) => match known.variant {
            "coreos" => "fedora-coreos-stable".to_owned(),
            "silverblue" => format!("silverblue{major}"),
            _ => format!("fedora{major}"),
        },
        ("centos", 8..) if stream => format!("centos-stream{major}"),
        ("centos", 7) => "centos7.0".to_owned(),
        ("centos", 8..) | ("almalinux" | "mageia", _) => format!("{word}{major}"),
        ("debian", 4..) => format!("debian{major}"),
        ("rhel", 3) if minor == 0 => "rhel3".to_owned(),
        ("oraclelinux", ..5) => format!("oel{major}.{minor}"),
        ("oraclelinux", 5) if minor < 5 => format!("oel{major}.{minor}"),
        ("oraclelinux", _) => format!("ol{major}.{minor}"),
        ("sles", _) => suse(known, major, minor),
        ("sle-micro" | "sl-micro", _) => format!("slem{major}.{minor}"),
        ("ubuntu", _) => format!("ubuntu{major}.{minor:02}"),
        ("pop", _) => format!("popos{major}.{minor:02}"),
        ("nixos", _) => format!("nixos-{major}.{minor:02}"),
        ("slackware" | "opensuse" | "alpinelinux" | "rhel" | "centos" | "circle" | "rocky" | "debian", _)
        | ("scientificlinux" | "freebsd" | "netbsd" | "openbsd" | "freedos", _) => {
            format!("{word}{major}.{minor}")
        }
        ("altlinux", ..8) => format!("altlinux{major}.{minor}"),
        ("altlinux", _) => format!("alt{major}.{minor}"),
        // The third number belongs to the name.
        ("cirros", _) => format!("cirros{}", known.version),
        ("pureos", _) => format!("pureos{major}"),
        ("elementary", _) => format!("elementary{major}.{minor}"),
        _ => return None,
    };
    Some(text)
}

/// SUSE's service packs; from 15 on, server and desktop are one.
fn suse(known: &Known<'_>, major: u32, minor: u32) -> String {
    let word = match major {
        15.. => "sle",
        _ if known.id == "sled" || known.product.contains("Desktop") => "sled",
        _ => "sles",
    };
    if minor == 0 {
        format!("{word}{major}")
    } else {
        format!("{word}{major}sp{minor}")
    }
}

#[cfg(test)]
mod tests {
    use super::two;

    #[test]
    fn numbers_end_where_digits_do() {
        assert_eq!(two("12"), Some((12, None)));
        assert_eq!(two("15.04-rc1"), Some((15, Some(4))));
        assert_eq!(two("7.9.2009"), Some((7, Some(9))));
        assert_eq!(two("3."), Some((3, None)));
        assert_eq!(two("v3"), None);
        assert_eq!(two(""), None);
    }
}
