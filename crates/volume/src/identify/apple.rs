//! HFS and HFS Plus (Apple Technical Note TN1150), APFS ("Apple File System Reference").

use super::Identity;
use super::head::Head;
use h2k_block::Result;

pub(super) fn hfs(head: &Head<'_>) -> Result<Option<Identity>> {
    let Some(mdb) = head.at::<162>(1024)? else {
        return Ok(None);
    };
    Ok(match mdb.first_chunk::<2>() {
        Some(b"H+") => Some(Identity::filesystem("hfsplus").version("4")),
        Some(b"HX") => Some(Identity::filesystem("hfsplus").version("5")),
        // An HFS wrapper around HFS Plus names the inner volume's signature at byte 124.
        Some(b"BD") if mdb.get(124..126) == Some(b"H+") => Some(Identity::filesystem("hfsplus")),
        Some(b"BD") => {
            let len = usize::from(mdb.get(36).copied().unwrap_or(0)).min(27);
            let name = mdb.get(37..).and_then(|n| n.get(..len)).unwrap_or_default();
            Some(Identity::filesystem("hfs").label(name))
        }
        _ => None,
    })
}

pub(super) fn apfs(head: &Head<'_>) -> Result<Option<Identity>> {
    let Some(nx) = head.at::<88>(0)? else {
        return Ok(None);
    };
    if nx.get(32..36) != Some(b"NXSB") {
        return Ok(None);
    }
    let uuid = nx.last_chunk::<16>().copied().unwrap_or_default();
    Ok(Some(Identity::filesystem("apfs").uuid(uuid)))
}
