//! How the volume was left: label and version, the dirty flag, the journal, hibernation.

use crate::layout::{kind, le16, le32, le64, record};
use crate::names;
use crate::stream;
use crate::volume::Volume;
use h2k_block::Result;

const DIRTY: u16 = 1;

/// What `$Volume` says.
#[derive(Default)]
pub(crate) struct About {
    pub(crate) label: Option<Vec<u8>>,
    pub(crate) version: Option<(u8, u8)>,
    pub(crate) dirty: bool,
}

pub(crate) fn about(volume: &Volume) -> Result<About> {
    let file = volume.file(record::VOLUME)?;
    let label = file.resident(kind::VOLUME_NAME).filter(|n| !n.is_empty());
    let information = file.resident(kind::VOLUME_INFORMATION).unwrap_or_default();
    Ok(About {
        label: label.map(|n| h2k_fs::wtf8::encode(names::units(n))),
        version: information.get(8).copied().zip(information.get(9).copied()),
        dirty: le16(information, 10).unwrap_or(0) & DIRTY != 0,
    })
}

/// Whether `$LogFile` still holds work: its newer restart area names a client and is not marked clean.
pub(crate) fn journal_is_open(volume: &Volume) -> Result<bool> {
    let file = volume.file(record::LOGFILE)?;
    let Some(data) = file.find(kind::DATA, &[]) else {
        return Ok(false);
    };
    let mut newest = None;
    for at in [0_u64, 4096] {
        let mut page = vec![0; 4096];
        if data.len() < at.saturating_add(4096) {
            continue;
        }
        stream::read(volume, data, at, &mut page)?;
        if page.first_chunk::<4>() != Some(b"RSTR") {
            continue;
        }
        let area = page
            .get(usize::from(le16(&page, 24).unwrap_or(0))..)
            .unwrap_or_default();
        let (Some(lsn), Some(client), Some(flags)) = (le64(area, 0), le16(area, 12), le16(area, 14)) else {
            continue;
        };
        let open = client != 0xffff && flags & 2 == 0;
        if newest.is_none_or(|(seen, _)| lsn > seen) {
            newest = Some((lsn, open));
        }
    }
    Ok(newest.is_some_and(|(_, open)| open))
}

/// Whether Windows sleeps on this volume: `hiberfil.sys` begins with the signature of an image to resume from.
pub(crate) fn is_hibernated(volume: &Volume, number: u64) -> Result<bool> {
    let file = volume.file(number)?;
    let Some(data) = file.find(kind::DATA, &[]).filter(|d| d.len() >= 4096) else {
        return Ok(false);
    };
    let mut head = [0; 4];
    stream::read(volume, data, 0, &mut head)?;
    Ok(le32(&head, 0)
        .is_some_and(|_| head.eq_ignore_ascii_case(b"hibr") || head.eq_ignore_ascii_case(b"rstr")))
}
