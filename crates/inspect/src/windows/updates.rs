//! Reboots and installations that wait.

use super::{SOFTWARE, SYSTEM, hive};
use crate::report::Asking;
use h2k_guest::{Fact, Look, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// Reboots and installations that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Updates {
    /// Whether anything below says that a restart is due.
    pub reboot_pending: bool,
    /// What says so, in words.
    pub reasons: Vec<Fact<String>>,
    /// How many files are renamed or deleted at the next start.
    pub file_renames: Option<Fact<u64>>,
    /// Whether setup is under way: at the next start it goes on instead of the system.
    pub setup_in_progress: Option<Fact<bool>>,
}

/// Keys that are there when a restart is due.
const KEYS: [(&str, &str); 4] = [
    (
        "Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\RebootPending",
        "components of Windows were changed",
    ),
    (
        "Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\PackagesPending",
        "packages of Windows wait",
    ),
    (
        "Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\RebootInProgress",
        "components of Windows are being changed",
    ),
    (
        "Microsoft\\Windows\\CurrentVersion\\WindowsUpdate\\Auto Update\\RebootRequired",
        "Windows Update asks for it",
    ),
];

pub(crate) fn look(asking: &Asking<'_>, look: &Look<'_>) -> Updates {
    let mut found = Updates::default();
    if let Some(software) = hive(asking, look, SOFTWARE) {
        for (path, why) in KEYS {
            found.reasons.extend(
                software
                    .key(look, path)
                    .map(|key| Fact::new(why.to_owned(), key.source())),
            );
        }
    }
    if let Some(path) = asking.registry().path(look, "WinSxS/pending.xml")
        && look.is_file(&path)
    {
        found.reasons.push(Fact::new(
            "a list of changes to components waits".to_owned(),
            Source::file(&path),
        ));
    }
    if let Some(system) = hive(asking, look, SYSTEM) {
        let manager = system.key(look, "CurrentControlSet\\Control\\Session Manager");
        // A second list is used while the first is being worked on.
        let lists = ["PendingFileRenameOperations", "PendingFileRenameOperations2"]
            .into_iter()
            .filter_map(|name| manager.as_ref()?.data(name));
        found.file_renames = lists.map(|f| f.map(|data| pairs(&data))).find(|f| f.value > 0);
        let renames = found.file_renames.iter();
        found.reasons.extend(renames.map(|f| {
            Fact::new(
                format!("{} files are renamed or deleted", f.value),
                f.source.clone(),
            )
        }));
        let setup = system.key(look, "Setup");
        found.setup_in_progress = setup.and_then(|k| k.flag("SystemSetupInProgress"));
    }
    found.reboot_pending = !found.reasons.is_empty();
    found
}

/// Pairs of texts, each ended by a zero; the second of a pair is empty for a file that is deleted, so that the value
/// cannot be read as a list of texts.
fn pairs(data: &[u8]) -> u64 {
    let (units, _) = data.as_chunks::<2>();
    let mut texts: Vec<&[[u8; 2]]> = units.split(|unit| *unit == [0, 0]).collect();
    while texts.last().is_some_and(|text| text.is_empty()) {
        texts.pop();
    }
    u64::try_from(texts.len().div_ceil(2)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::pairs;

    #[test]
    fn deletions_count_as_much_as_renames() {
        let utf16 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        assert_eq!(pairs(&utf16("\\??\\C:\\a\0\0\\??\\C:\\b\0!\\??\\C:\\c\0\0")), 2);
        assert_eq!(pairs(&utf16("\\??\\C:\\a\0\0\0")), 1);
        assert_eq!(pairs(&utf16("\0\0")), 0);
        assert_eq!(pairs(b"x"), 0);
    }
}
