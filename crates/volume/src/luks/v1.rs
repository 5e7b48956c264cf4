use super::header::{Check, Header, Slot};
use super::kdf::{Hash, Kdf};
use super::layout::Header1;
use crate::bytes::{index, peek, until_nul};
use h2k_block::{BlockRead, Error, Result};
use zerocopy::FromBytes;

/// A key slot in use; 0x0000dead marks the others.
const ENABLED: u32 = 0x00ac_71f3;

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(until_nul(field)).into_owned()
}

/// The header of LUKS1.
pub(super) fn read(disk: &dyn BlockRead) -> Result<Header> {
    let bad = |what: String| Error::corrupt("LUKS1 header", 0, what);
    let bytes = peek::<592>(disk, 0)?.ok_or_else(|| bad("cut short".to_owned()))?;
    let h = Header1::read_from_bytes(&bytes).map_err(|_| bad("cut short".to_owned()))?;
    let key_len = index(u64::from(h.key_bytes.get()));
    // XTS with AES-256 takes 64 bytes; nothing LUKS1 knows takes more.
    if !(1..=64).contains(&key_len) {
        return Err(bad(format!("a volume key of {key_len} bytes, expected 1 to 64")));
    }
    let cipher = format!("{}-{}", text(&h.cipher_name), text(&h.cipher_mode));
    let mut header = Header {
        version: 1,
        uuid: text(&h.uuid),
        label: String::new(),
        subsystem: String::new(),
        cipher: cipher.clone(),
        key_len,
        sector_size: 512,
        data_start: u64::from(h.payload_offset.get()).saturating_mul(512),
        data_len: None,
        iv_tweak: 0,
        slots: Vec::new(),
        check: None,
        tokens: Vec::new(),
        refused: None,
    };
    let hash = match Hash::named(&text(&h.hash_spec)) {
        Ok(hash) => hash,
        Err(e) => {
            header.refused = Some(e.sentence().to_owned());
            return Ok(header);
        }
    };
    header.check = Some(Check {
        kdf: Kdf::Pbkdf2 {
            hash,
            iterations: h.mk_digest_iter.get(),
            salt: h.mk_digest_salt.to_vec(),
        },
        digest: h.mk_digest.to_vec(),
        slots: None,
    });
    header.slots = (0..)
        .zip(&h.key_slots)
        .filter(|(_, slot)| slot.active.get() == ENABLED)
        .map(|(number, slot)| Slot {
            number,
            priority: 1,
            kdf: Kdf::Pbkdf2 {
                hash,
                iterations: slot.iterations.get(),
                salt: slot.salt.to_vec(),
            },
            key_len,
            area: u64::from(slot.key_material_offset.get()).saturating_mul(512),
            stripes: slot.stripes.get(),
            af_hash: hash,
            cipher: cipher.clone(),
            area_key_len: key_len,
        })
        .collect();
    Ok(header)
}
