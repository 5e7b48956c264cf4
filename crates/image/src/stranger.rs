//! Files that are no disk image, though a user may well name them where one is wanted.

use h2k_block::{BlockRead, Error, Result};

/// Magic, its offset, what such a file is, and what to do about it.
const STRANGERS: [(&[u8], usize, &str, &str); 12] = [
    (b"\x1f\x8b\x08", 0, "compressed with gzip", UNPACK),
    (b"\xfd7zXZ\0", 0, "compressed with xz", UNPACK),
    (b"\x28\xb5\x2f\xfd", 0, "compressed with zstd", UNPACK),
    (b"\x04\x22\x4d\x18", 0, "compressed with lz4", UNPACK),
    (b"BZh", 0, "compressed with bzip2", UNPACK),
    (b"PK\x03\x04", 0, "a zip archive", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", 0, "a 7z archive", UNPACK),
    (
        b"ustar",
        257,
        "a tar archive, as OVA files are",
        "unpack it (tar -xf) and name the disk in it, or say --from raw if this is a disk",
    ),
    (
        b"QED\0",
        0,
        "a QED image, a format QEMU has given up",
        "convert it with qemu-img first, or say --from raw if this is a disk",
    ),
    (b"<?xml", 0, "an XML text, not a disk", DESCRIPTION),
    (b".encoding", 0, "a VMware configuration, not a disk", DESCRIPTION),
    (
        b"config.version",
        0,
        "a VMware configuration, not a disk",
        DESCRIPTION,
    ),
];

const UNPACK: &str = "unpack it and name the disk in it, or say --from raw if this is a disk";
const DESCRIPTION: &str =
    "name the disk of the machine that it describes, or say --from raw if this is a disk";

/// Refuses a file that a probe would otherwise call a raw disk, though its first bytes say what else it is.
pub(crate) fn refuse(file: &dyn BlockRead) -> Result<()> {
    let mut head = [0; 512];
    let len = usize::try_from(file.len()).unwrap_or(512).min(512);
    let (head, _) = head.split_at_mut(len);
    file.read_at(0, head)?;
    // Boot code may begin with anything; a disk that boots says so here.
    if head.get(510..512) == Some(b"\x55\xaa") {
        return Ok(());
    }
    for (magic, at, what, advice) in STRANGERS {
        if head.get(at..).is_some_and(|rest| rest.starts_with(magic)) {
            let at = u64::try_from(at).unwrap_or(0);
            return Err(Error::unsupported(format!("the file is {what}"))
                .at("first bytes", at)
                .advise(advice));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Format, probe};
    use h2k_block::{Class, MemDisk};

    #[test]
    fn what_is_no_disk_is_said_so_and_disks_are_left_alone() {
        for (magic, at, what, _) in STRANGERS {
            let mut bytes = vec![0; 4096];
            bytes[at..at + magic.len()].copy_from_slice(magic);
            let error = probe(&MemDisk::new(bytes.clone())).unwrap_err();
            assert_eq!(error.class(), Class::Unsupported, "{error}");
            assert!(error.to_string().contains(what), "{error}");
            // With the mark of a boot sector it is a disk whose boot code begins oddly.
            bytes[510..512].copy_from_slice(b"\x55\xaa");
            assert_eq!(probe(&MemDisk::new(bytes)).unwrap(), Format::Raw);
            // Shorter than its own magic.
            let short = MemDisk::new(magic[..magic.len() - 1].to_vec());
            assert!(at > 0 || matches!(probe(&short), Ok(Format::Raw)));
        }
        assert_eq!(probe(&MemDisk::new(Vec::new())).unwrap(), Format::Raw);
    }
}
