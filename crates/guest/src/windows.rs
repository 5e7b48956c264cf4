//! Where Windows lies on a filesystem. Whether capitals count is the filesystem's matter: NTFS and FAT ignore them.

use h2k_block::{Class, Error, Limits, Meter, Result};
use h2k_fs::{FileKind, FsRead, Node, parts, read_file, resolve};
use std::ops::ControlFlow;

/// Where Windows and what is built like it is installed, most common first.
const USUAL: [&str; 5] = ["Windows", "WINNT", "ReactOS", "win32", "win"];
/// What a `boot.ini` may weigh.
const BOOT_INI: u64 = 1 << 20;

/// The directory Windows lies in, as the filesystem spells it: `/Windows`. `None` where there is none: a volume of data
/// is no system.
///
/// # Errors
/// What the filesystem says.
pub fn windows_root(fs: &dyn FsRead, meter: &mut Meter) -> Result<Option<Vec<u8>>> {
    for name in USUAL {
        if let Some(root) = root_at(fs, name, meter)? {
            return Ok(Some(root));
        }
    }
    // NT up to 5.2 may lie anywhere; its loader is told where.
    let Some(ini) = resolve(fs, b"boot.ini", meter)? else {
        return Ok(None);
    };
    let stat = fs.stat(ini)?;
    if stat.kind != FileKind::File || stat.len > BOOT_INI {
        return Ok(None);
    }
    let text = read_file(fs, ini, meter)?;
    let text = String::from_utf8_lossy(&text);
    for path in boot_ini_paths(&text) {
        if let Some(root) = root_at(fs, &path, meter)? {
            return Ok(Some(root));
        }
    }
    Ok(None)
}

/// Whether `path` is the directory of a Windows; answers as it is spelled there.
fn root_at(fs: &dyn FsRead, path: &str, meter: &mut Meter) -> Result<Option<Vec<u8>>> {
    let config = format!("{path}/System32/config");
    let Some(config) = resolve(fs, config.as_bytes(), meter)? else {
        return Ok(None);
    };
    if fs.stat(config)?.kind != FileKind::Dir {
        return Ok(None);
    }
    let (mut here, mut spelled) = (fs.root(), Vec::new());
    for part in parts(path.as_bytes()) {
        spelled.push(b'/');
        spelled.extend(spelling(fs, here, part, meter)?);
        match fs.lookup(here, part)? {
            Some(next) => here = next,
            None => break,
        }
    }
    Ok(Some(spelled))
}

/// How a directory spells `name`, which it has.
fn spelling(fs: &dyn FsRead, dir: Node, name: &[u8], meter: &mut Meter) -> Result<Vec<u8>> {
    let mut found = name.to_vec();
    fs.list(dir, &mut |entry| {
        if entry.name == name || meter.step("directory entry").is_err() {
            return ControlFlow::Break(());
        }
        if entry.name.eq_ignore_ascii_case(name) {
            found = entry.name.to_vec();
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// The paths that the entries of a `boot.ini` name, with slashes:
/// `multi(0)disk(0)rdisk(0)partition(1)\WINDOWS="Microsoft Windows XP"` gives `WINDOWS`.
fn boot_ini_paths(text: &str) -> impl Iterator<Item = String> {
    let mut inside = false;
    text.lines().filter_map(move |line| {
        let line = line.trim();
        if line.starts_with('[') {
            inside = line.eq_ignore_ascii_case("[operating systems]");
            return None;
        }
        let (path, _) = line.split_once('=').filter(|_| inside)?;
        let (_, path) = path.split_once(")\\")?;
        let path = path.trim().replace('\\', "/");
        (!path.is_empty()).then_some(path)
    })
}

/// As [`windows_root`], for callers that want a system.
///
/// # Errors
/// [`Class::NotFound`] when there is none; else what the filesystem says.
pub(crate) fn needed_root(fs: &dyn FsRead, limits: &Limits) -> Result<Vec<u8>> {
    let found = windows_root(fs, &mut Meter::new(*limits))?;
    found.ok_or_else(|| Error::new(Class::NotFound, "no directory with System32/config was found"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use h2k_fs::MemFs;

    fn root(files: &[&str], ini: Option<&str>) -> Option<String> {
        let mut fs = MemFs::new();
        for dir in files {
            fs.dir(dir).unwrap();
        }
        if let Some(ini) = ini {
            fs.file("/boot.ini", ini).unwrap();
        }
        let found = windows_root(&fs, &mut Meter::new(Limits::default())).unwrap();
        found.map(|path| String::from_utf8(path).unwrap())
    }

    #[test]
    fn windows_is_found_by_the_names_it_may_have() {
        assert_eq!(root(&["/Windows/System32/config"], None).unwrap(), "/Windows");
        assert_eq!(root(&["/WINNT/System32/config"], None).unwrap(), "/WINNT");
        assert_eq!(root(&["/ReactOS/System32/config"], None).unwrap(), "/ReactOS");
    }

    #[test]
    fn a_volume_of_data_is_no_system() {
        assert_eq!(
            root(&["/System Volume Information", "/Windows/System32"], None),
            None
        );
        assert_eq!(root(&["/Windows.old/Windows/System32/config"], None), None);
    }

    #[test]
    fn boot_ini_tells_where_an_old_one_lies() {
        let ini = "[boot loader]\r\ndefault=multi(0)disk(0)rdisk(0)partition(1)\\nope\r\n[Operating Systems]\r\n\
                   multi(0)disk(0)rdisk(0)partition(1)\\nt\\two=\"Windows\" /fastdetect\r\n";
        assert_eq!(
            root(&["/nt/two/System32/config", "/nope"], Some(ini)).unwrap(),
            "/nt/two"
        );
        assert_eq!(root(&["/nt/two/System32"], Some(ini)), None);
    }
}
