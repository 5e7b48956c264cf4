//! From a secret to the volume key, and from there to readable sectors.

use super::af;
use super::cipher::SectorCipher;
use super::header::{Header, Slot};
use super::sectors::Keyed;
use crate::bytes::wide;
use h2k_block::{BlockRead, Class, Error, Limits, Meter, Result};
use zeroize::Zeroizing;

/// A passphrase or the content of a key file. Wiped from memory when dropped, never shown.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over. A passphrase has no line end; a key file is taken as it is.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What opening a device may cost by default: the gigabyte of memory that LUKS2 usually asks for, and some.
pub const UNLOCK_LIMITS: Limits = Limits {
    bytes: (1 << 30) + (64 << 20),
    steps: 64_000_000,
    depth: 16,
};

/// Tries the secret on every key slot.
///
/// # Errors
/// Unsupported for what cannot be opened whatever the key; Limit when a slot that was not tried asks for more than
/// `limits`; Invalid when no slot opens.
pub(crate) fn open(disk: &dyn BlockRead, header: &Header, secret: &Secret, limits: &Limits) -> Result<Keyed> {
    if let Some(why) = &header.refused {
        return Err(Error::unsupported(format!(
            "this LUKS device is not opened: {why}"
        )));
    }
    let Some(check) = &header.check else {
        return Err(Error::corrupt("LUKS header", 0, "no digest of the volume key"));
    };
    let mut steps = limits.steps;
    let mut skipped: Option<Error> = None;
    for slot in &header.slots {
        if check
            .slots
            .as_ref()
            .is_some_and(|slots| !slots.contains(&slot.number))
        {
            continue;
        }
        // Memory comes back after each slot, work does not.
        let mut meter = Meter::new(Limits { steps, ..*limits });
        let key = try_slot(disk, slot, secret, &mut meter).and_then(|key| {
            let digest = check.kdf.derive(&key, check.digest.len(), &mut meter)?;
            Ok((key, equal(&digest, &check.digest)))
        });
        steps = meter.left().steps;
        match key {
            Ok((key, true)) => {
                let cipher = SectorCipher::new(&header.cipher, &key)?;
                return Ok(Keyed::new(cipher, header, disk.len()));
            }
            Ok((_, false)) => {}
            Err(e) if e.class() == Class::Io => return Err(e),
            Err(e) => skipped = skipped.or(Some(e.through(format!("key slot {}", slot.number)))),
        }
    }
    Err(skipped.unwrap_or_else(|| {
        Error::new(
            Class::Invalid,
            format!(
                "none of the {} key slot(s) opens with this secret",
                header.slots.len()
            ),
        )
    }))
}

/// The key that a slot gives, right or wrong.
fn try_slot(
    disk: &dyn BlockRead,
    slot: &Slot,
    secret: &Secret,
    meter: &mut Meter,
) -> Result<Zeroizing<Vec<u8>>> {
    let bad = |what: String| Error::corrupt("LUKS key slot", slot.area, what);
    let len = wide(slot.key_len).saturating_mul(u64::from(slot.stripes));
    let padded = len.next_multiple_of(512);
    if slot.area.checked_add(padded).is_none_or(|end| end > disk.len()) {
        return Err(bad(format!(
            "{padded} bytes of key material, the device ends before"
        )));
    }
    let mut material = Zeroizing::new(meter.buffer(padded, "LUKS key material")?);
    disk.read_at(slot.area, &mut material)?;
    let area_key = slot.kdf.derive(&secret.0, slot.area_key_len, meter)?;
    let cipher = SectorCipher::new(&slot.cipher, &area_key)?;
    for (number, sector) in (0_u64..).zip(material.chunks_exact_mut(512)) {
        cipher.decrypt(number, sector);
    }
    let split = usize::try_from(len).ok().and_then(|len| material.get(..len));
    split
        .and_then(|split| af::merge(split, slot.key_len, slot.stripes, slot.af_hash))
        .ok_or_else(|| bad(format!("{} stripes of {} bytes", slot.stripes, slot.key_len)))
}

/// In a time that does not depend on where they differ.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}
