//! Users' profiles: which folder belongs to whom.

use super::{SOFTWARE, hive};
use crate::report::Asking;
use h2k_guest::registry::{Hold, RegKey};
use h2k_guest::{Look, Source};

/// A profile.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    /// Whose: `S-1-5-21-…-1001`.
    pub(crate) sid: String,
    /// The folder as written, with variables.
    pub(crate) written: String,
    /// The folder in the guest's tree, where it lies on the system's own drive.
    pub(crate) folder: Option<Vec<u8>>,
    /// `State`: bits of what became of it.
    pub(crate) state: Option<u64>,
    /// When it was last loaded, as a FILETIME.
    pub(crate) loaded: Option<u64>,
    /// Where it was read.
    pub(crate) source: Source,
}

impl Profile {
    /// Its last part: the user's name, most often.
    pub(crate) fn name(&self) -> &str {
        self.written.rsplit('\\').next().unwrap_or_default()
    }

    /// The user's own hive.
    pub(crate) fn hive(&self, asking: &Asking<'_>, look: &Look<'_>) -> Option<Hold> {
        let folder = self.folder.as_ref()?;
        let file = h2k_guest::look::join(folder, b"NTUSER.DAT");
        asking
            .registry()
            .ask_file(look, &file, &format!("HKU\\{}", self.sid))
    }
}

/// Every profile that the registry knows.
pub(crate) fn list(asking: &Asking<'_>, look: &Look<'_>) -> Vec<Profile> {
    let Some(software) = hive(asking, look, SOFTWARE) else {
        return Vec::new();
    };
    let Some(version) = software.key(look, "Microsoft\\Windows NT\\CurrentVersion") else {
        return Vec::new();
    };
    let place = Place::of(asking, look);
    let list = version.subkey("ProfileList");
    let profiles = list.iter().flat_map(RegKey::subkeys);
    profiles
        .filter_map(|key| {
            let path = key.words("ProfileImagePath")?;
            let half = |name: &str| key.number(name).map(|f| f.value);
            let loaded = half("LocalProfileLoadTimeHigh").zip(half("LocalProfileLoadTimeLow"));
            Some(Profile {
                sid: key.name(),
                folder: place.path(&path.value),
                written: path.value,
                state: half("State"),
                loaded: loaded.map(|(high, low)| (high << 32) | (low & 0xffff_ffff)),
                source: path.source,
            })
        })
        .collect()
}

/// Where a Windows lies, in its own words and in the guest's tree.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    root: Vec<u8>,
    drive: char,
}

impl Place {
    pub(crate) fn of(asking: &Asking<'_>, look: &Look<'_>) -> Self {
        let software = hive(asking, look, SOFTWARE);
        let version = software
            .as_ref()
            .and_then(|s| s.key(look, "Microsoft\\Windows NT\\CurrentVersion"));
        Self {
            root: asking.registry().root(look).unwrap_or_default().to_vec(),
            drive: version.and_then(|version| drive_of(&version)).unwrap_or('C'),
        }
    }

    /// As [`tree_path`].
    pub(crate) fn path(&self, written: &str) -> Option<Vec<u8>> {
        tree_path(written, &self.root, self.drive)
    }
}

/// The letter Windows knows its own drive by.
fn drive_of(version: &RegKey<'_>) -> Option<char> {
    let root = version
        .words("SystemRoot")
        .or_else(|| version.words("PathName"))?;
    let mut letters = root.value.chars();
    let letter = letters.next().filter(char::is_ascii_alphabetic)?;
    (letters.next() == Some(':')).then(|| letter.to_ascii_uppercase())
}

/// Where a path as Windows writes it leads in the guest's tree. Variables of the system are known, and so are paths on
/// its own `drive`; `None` for others.
fn tree_path(written: &str, root: &[u8], drive: char) -> Option<Vec<u8>> {
    let path = written.trim().trim_matches('"');
    let path = path.strip_prefix("\\??\\").unwrap_or(path);
    let prefix = |name: &str| {
        let (head, rest) = path.split_at_checked(name.len())?;
        head.eq_ignore_ascii_case(name).then_some(rest)
    };
    let own = format!("{drive}:");
    let (start, rest): (&[u8], &str) = if let Some(rest) = prefix("%SystemRoot%")
        .or_else(|| prefix("\\SystemRoot"))
        .or_else(|| prefix("%windir%"))
    {
        (root, rest)
    } else if let Some(rest) = prefix("%SystemDrive%").or_else(|| prefix(&own)) {
        (b"", rest)
    } else if prefix("System32\\").is_some() || prefix("SysWOW64\\").is_some() {
        return Some([root, b"/", path.replace('\\', "/").as_bytes()].concat());
    } else {
        return None;
    };
    let rest = rest.strip_prefix('\\')?.replace('\\', "/");
    Some([start, b"/", rest.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::tree_path;

    #[test]
    fn paths_of_windows_lead_into_the_tree() {
        let of = |path: &str| tree_path(path, b"/WINNT", 'D').map(|p| String::from_utf8(p).unwrap());
        assert_eq!(of("%SystemDrive%\\Users\\Zoë").unwrap(), "/Users/Zoë");
        assert_eq!(of("d:\\Users\\a").unwrap(), "/Users/a");
        assert_eq!(of("C:\\Users\\a"), None);
        assert_eq!(
            of("\\SystemRoot\\System32\\drivers\\a.sys").unwrap(),
            "/WINNT/System32/drivers/a.sys"
        );
        assert_eq!(
            of("system32\\drivers\\a.sys").unwrap(),
            "/WINNT/system32/drivers/a.sys"
        );
        assert_eq!(of("%systemroot%\\x").unwrap(), "/WINNT/x");
        assert_eq!(of("\\??\\D:\\x y").unwrap(), "/x y");
        assert_eq!(of("%ProgramFiles%\\x"), None);
        assert_eq!(of(""), None);
    }
}
