//! The short identifier that osinfo-db has for a Windows.

use crate::os::Os;
use h2k_guest::Fact;

pub(crate) fn conclude(os: &Os) -> Option<Fact<String>> {
    let (major, minor) = (os.major_version.as_ref()?, os.minor_version.as_ref()?);
    let name = os.product_name.as_ref().map_or("", |f| f.value.as_str());
    let variant = os.variant.as_ref().map_or("", |f| f.value.as_str());
    let build = os.build.as_ref().map_or("", |f| f.value.as_str());
    let build = build.split('.').next().unwrap_or_default().parse().unwrap_or(0);
    let word = short((major.value, minor.value), name, variant, build)?;
    let source = os.product_name.as_ref().map_or(&major.source, |f| &f.source);
    Some(Fact::new(word.to_owned(), source.clone()))
}

/// By version; servers and clients of one version are told apart by what was installed, servers of 10.0 by the year in
/// their names, and where there is none, by the build.
fn short(version: (u32, u32), name: &str, variant: &str, build: u32) -> Option<&'static str> {
    let server = variant.to_lowercase().contains("server") || name.contains("Server");
    Some(match (version, server) {
        ((4, 0), _) => "winnt4.0",
        ((5, 0), _) => "win2k",
        ((5, 1), _) => "winxp",
        // The 64-bit Windows XP is a Windows Server 2003 underneath.
        ((5, 2), _) if name.contains("XP") => "winxp",
        ((5, 2), _) if name.contains("R2") => "win2k3r2",
        ((5, 2), _) => "win2k3",
        ((6, 0), true) => "win2k8",
        ((6, 0), false) => "winvista",
        ((6, 1), true) => "win2k8r2",
        ((6, 1), false) => "win7",
        ((6, 2), true) => "win2k12",
        ((6, 2), false) => "win8",
        ((6, 3), true) => "win2k12r2",
        ((6, 3), false) => "win8.1",
        ((10, 0), true) => server_of_ten(name, build)?,
        ((10, 0), false) if build >= 22000 => "win11",
        ((10, 0), false) => "win10",
        _ => return None,
    })
}

fn server_of_ten(name: &str, build: u32) -> Option<&'static str> {
    for (year, word) in [
        ("2025", "win2k25"),
        ("2022", "win2k22"),
        ("2019", "win2k19"),
        ("2016", "win2k16"),
    ] {
        if name.contains(year) {
            return Some(word);
        }
    }
    Some(match build {
        26100.. => "win2k25",
        20348.. => "win2k22",
        17763.. => "win2k19",
        14393.. => "win2k16",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn every_windows_has_the_identifier_of_osinfo_db() {
        let client = |major, minor, build| short((major, minor), "Windows", "Client", build).unwrap();
        assert_eq!(client(6, 0, 6002), "winvista");
        assert_eq!(client(6, 1, 7601), "win7");
        assert_eq!(client(6, 2, 9200), "win8");
        assert_eq!(client(6, 3, 9600), "win8.1");
        assert_eq!(client(10, 0, 19045), "win10");
        assert_eq!(client(10, 0, 22631), "win11");
        let server = |major, minor, name| short((major, minor), name, "Server Core", 0).unwrap();
        assert_eq!(server(6, 1, "Windows Server 2008 R2 Standard"), "win2k8r2");
        assert_eq!(server(6, 3, "Windows Server 2012 R2 Standard"), "win2k12r2");
        assert_eq!(server(10, 0, "Windows Server 2016 Standard"), "win2k16");
        assert_eq!(server(10, 0, "Windows Server 2019 Standard"), "win2k19");
        assert_eq!(server(10, 0, "Windows Server 2022 Datacenter"), "win2k22");
        assert_eq!(server(10, 0, "Windows Server 2025 Datacenter"), "win2k25");
        assert_eq!(short((10, 0), "Hyper-V Server", "Server", 17763), Some("win2k19"));
        assert_eq!(
            short((5, 2), "Microsoft Windows XP", "Client", 3790),
            Some("winxp")
        );
        assert_eq!(
            short((5, 2), "Microsoft Windows Server 2003 R2", "Server", 3790),
            Some("win2k3r2")
        );
        assert_eq!(short((3, 51), "Windows NT", "", 1057), None);
    }
}
