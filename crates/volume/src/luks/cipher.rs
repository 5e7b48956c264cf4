//! AES over sectors, in the modes dm-crypt calls `xts-plain64`, `cbc-essiv:sha256` and so on (kernel documentation,
//! "dm-crypt"; XTS: IEEE 1619).

use super::kdf::Hash;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256, Block};
use h2k_block::{Error, Result};

/// Blocks decrypted at once in CBC.
const RUN: usize = 32;

/// AES with any of its key lengths. Keys are wiped when dropped.
enum Aes {
    Short(Aes128),
    Middle(Aes192),
    Long(Aes256),
}

impl Aes {
    fn new(key: &[u8]) -> Option<Self> {
        match key.len() {
            16 => Aes128::new_from_slice(key).ok().map(Self::Short),
            24 => Aes192::new_from_slice(key).ok().map(Self::Middle),
            32 => Aes256::new_from_slice(key).ok().map(Self::Long),
            _ => None,
        }
    }

    fn encrypt(&self, blocks: &mut [[u8; 16]]) {
        let blocks = Block::cast_slice_from_core_mut(blocks);
        match self {
            Self::Short(aes) => aes.encrypt_blocks(blocks),
            Self::Middle(aes) => aes.encrypt_blocks(blocks),
            Self::Long(aes) => aes.encrypt_blocks(blocks),
        }
    }

    fn decrypt(&self, blocks: &mut [[u8; 16]]) {
        let blocks = Block::cast_slice_from_core_mut(blocks);
        match self {
            Self::Short(aes) => aes.decrypt_blocks(blocks),
            Self::Middle(aes) => aes.decrypt_blocks(blocks),
            Self::Long(aes) => aes.decrypt_blocks(blocks),
        }
    }
}

enum Mode {
    Xts { tweak: Box<Aes> },
    Cbc,
}

/// How the initial value of a sector is made from its number.
enum Iv {
    /// 32 bits, wrapping.
    Plain,
    Plain64,
    Plain64Be,
    Essiv(Box<Aes>),
}

/// A cipher with its key, as a header or key slot names it.
pub(super) struct SectorCipher {
    data: Aes,
    mode: Mode,
    iv: Iv,
}

impl SectorCipher {
    /// `spec` as dm-crypt spells it: `aes-xts-plain64`.
    ///
    /// # Errors
    /// Unsupported for ciphers, modes and initial values that are not known, by name; Corrupt for keys of a length the
    /// cipher does not take.
    pub(super) fn new(spec: &str, key: &[u8]) -> Result<Self> {
        let refused = || {
            Error::unsupported(format!(
                "LUKS with the cipher {spec:?}; known is aes in the modes xts and cbc with plain, plain64, plain64be and essiv"
            ))
        };
        let length = || {
            Error::corrupt(
                "LUKS header",
                0,
                format!("a key of {} bytes for the cipher {spec:?}", key.len()),
            )
        };
        let mut parts = spec.splitn(3, '-');
        let (cipher, mode, iv) = (parts.next(), parts.next(), parts.next().unwrap_or("plain"));
        if cipher != Some("aes") {
            return Err(refused());
        }
        let (data, mode) = match mode {
            Some("xts") => {
                let (first, second) = key.split_at_checked(key.len() / 2).ok_or_else(length)?;
                let tweak = Box::new(Aes::new(second).ok_or_else(length)?);
                (Aes::new(first).ok_or_else(length)?, Mode::Xts { tweak })
            }
            Some("cbc") => (Aes::new(key).ok_or_else(length)?, Mode::Cbc),
            _ => return Err(refused()),
        };
        let iv = match iv {
            "plain" => Iv::Plain,
            "plain64" => Iv::Plain64,
            "plain64be" => Iv::Plain64Be,
            other => {
                let name = other.strip_prefix("essiv:").ok_or_else(refused)?;
                let salt = Hash::named(name)?.of(&[key]);
                Iv::Essiv(Box::new(Aes::new(&salt).ok_or_else(refused)?))
            }
        };
        Ok(Self { data, mode, iv })
    }

    fn initial(&self, number: u64) -> [u8; 16] {
        let mut iv = [0; 16];
        let (low, high) = iv.split_at_mut(8);
        match &self.iv {
            Iv::Plain => low.copy_from_slice(&(number & 0xffff_ffff).to_le_bytes()),
            Iv::Plain64 => low.copy_from_slice(&number.to_le_bytes()),
            Iv::Plain64Be => high.copy_from_slice(&number.to_be_bytes()),
            Iv::Essiv(aes) => {
                low.copy_from_slice(&number.to_le_bytes());
                aes.encrypt(std::slice::from_mut(&mut iv));
            }
        }
        iv
    }

    /// Decrypts one sector in place. `number` counts 512 bytes whatever size a sector has.
    pub(super) fn decrypt(&self, number: u64, sector: &mut [u8]) {
        let blocks = sector.as_chunks_mut::<16>().0;
        let mut iv = self.initial(number);
        match &self.mode {
            Mode::Xts { tweak } => {
                tweak.encrypt(std::slice::from_mut(&mut iv));
                whiten(blocks, iv);
                self.data.decrypt(blocks);
                whiten(blocks, iv);
            }
            Mode::Cbc => {
                for run in blocks.chunks_mut(RUN) {
                    let mut before = [[0; 16]; RUN];
                    for (copy, block) in before.iter_mut().zip(run.iter()) {
                        *copy = *block;
                    }
                    let last = run.last().copied().unwrap_or(iv);
                    self.data.decrypt(run);
                    let chained = std::iter::once(&iv).chain(before.iter());
                    for (block, previous) in run.iter_mut().zip(chained) {
                        add(block, previous);
                    }
                    iv = last;
                }
            }
        }
    }

    /// Encrypts one sector in place.
    pub(super) fn encrypt(&self, number: u64, sector: &mut [u8]) {
        let blocks = sector.as_chunks_mut::<16>().0;
        let mut iv = self.initial(number);
        match &self.mode {
            Mode::Xts { tweak } => {
                tweak.encrypt(std::slice::from_mut(&mut iv));
                whiten(blocks, iv);
                self.data.encrypt(blocks);
                whiten(blocks, iv);
            }
            Mode::Cbc => {
                for block in blocks {
                    add(block, &iv);
                    self.data.encrypt(std::slice::from_mut(block));
                    iv = *block;
                }
            }
        }
    }
}

fn add(block: &mut [u8; 16], other: &[u8; 16]) {
    for (b, o) in block.iter_mut().zip(other) {
        *b ^= o;
    }
}

/// Adds the tweak to each block, doubled in GF(2^128) from one to the next.
fn whiten(blocks: &mut [[u8; 16]], tweak: [u8; 16]) {
    let mut tweak = u128::from_le_bytes(tweak);
    for block in blocks {
        *block = (u128::from_le_bytes(*block) ^ tweak).to_le_bytes();
        let carry = if tweak >> 127 == 1 { 0x87 } else { 0 };
        tweak = (tweak << 1) ^ carry;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xts_gives_vector_2_of_ieee_1619() {
        // Keys of 11 and 22, data unit 0x3333333333, thirty-two bytes of 44.
        let key = [[0x11; 16], [0x22; 16]].concat();
        let cipher = SectorCipher::new("aes-xts-plain64", &key).unwrap();
        let mut data = [0x44; 32];
        cipher.encrypt(0x33_3333_3333, &mut data);
        assert_eq!(data[..8], [0xc4, 0x54, 0x18, 0x5e, 0x6a, 0x16, 0x93, 0x6e]);
        cipher.decrypt(0x33_3333_3333, &mut data);
        assert_eq!(data, [0x44; 32]);
    }

    #[test]
    fn what_is_encrypted_decrypts_in_every_mode() {
        for (spec, len) in [
            ("aes-xts-plain64", 64),
            ("aes-xts-plain", 32),
            ("aes-cbc-essiv:sha256", 32),
            ("aes-cbc-plain64be", 24),
            ("aes-cbc-plain", 16),
        ] {
            let key: Vec<u8> = (0..len).collect();
            let cipher = SectorCipher::new(spec, &key).unwrap();
            let plain: Vec<u8> = (0..=255).cycle().take(4096).collect();
            let mut sector = plain.clone();
            cipher.encrypt(7, &mut sector);
            assert_ne!(sector, plain, "{spec}");
            let mut other = sector.clone();
            cipher.decrypt(7, &mut sector);
            assert_eq!(sector, plain, "{spec}");
            cipher.decrypt(8, &mut other);
            assert_ne!(other, plain, "{spec}");
        }
    }

    #[test]
    fn ciphers_that_are_not_known_are_refused_by_name() {
        for spec in [
            "serpent-xts-plain64",
            "aes-ecb",
            "aes-cbc-benbi",
            "cipher_null-ecb",
            "aes",
        ] {
            let e = SectorCipher::new(spec, &[0; 32]).err().unwrap();
            assert!(e.to_string().contains(spec), "{e}");
        }
        assert!(SectorCipher::new("aes-xts-plain64", &[0; 20]).is_err());
    }
}
