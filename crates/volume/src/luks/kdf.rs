//! From a passphrase to a key: PBKDF2 (RFC 8018) and Argon2 (RFC 9106), with their costs paid for in advance: the
//! numbers come from the disk.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use h2k_block::{Class, Error, Meter, Result};
use sha2::Digest;
use zeroize::{Zeroize, Zeroizing};

/// Hash functions LUKS headers name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    pub(super) fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "sha1" => Self::Sha1,
            "sha224" => Self::Sha224,
            "sha256" => Self::Sha256,
            "sha384" => Self::Sha384,
            "sha512" => Self::Sha512,
            other => {
                return Err(Error::unsupported(format!(
                    "LUKS with the hash {other:?}; known are sha1, sha224, sha256, sha384 and sha512"
                )));
            }
        })
    }

    /// Bytes of a digest.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The digest of `parts` one after the other.
    pub(super) fn of(self, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
        fn digest<D: Digest>(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
            let mut hash = D::new();
            for part in parts {
                hash.update(part);
            }
            Zeroizing::new(hash.finalize().to_vec())
        }
        match self {
            Self::Sha1 => digest::<sha1::Sha1>(parts),
            Self::Sha224 => digest::<sha2::Sha224>(parts),
            Self::Sha256 => digest::<sha2::Sha256>(parts),
            Self::Sha384 => digest::<sha2::Sha384>(parts),
            Self::Sha512 => digest::<sha2::Sha512>(parts),
        }
    }
}

/// A key derivation as a header describes it.
#[derive(Debug, Clone)]
pub(super) enum Kdf {
    Pbkdf2 {
        hash: Hash,
        iterations: u32,
        salt: Vec<u8>,
    },
    Argon2 {
        /// Argon2id; else Argon2i.
        id: bool,
        time: u32,
        memory_kib: u32,
        lanes: u32,
        salt: Vec<u8>,
    },
}

impl Kdf {
    /// For people: `pbkdf2-sha256, 1000 iterations`.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Pbkdf2 { hash, iterations, .. } => {
                format!(
                    "pbkdf2-{}, {iterations} iterations",
                    format!("{hash:?}").to_lowercase()
                )
            }
            Self::Argon2 {
                id,
                time,
                memory_kib,
                lanes,
                ..
            } => {
                let name = if *id { "argon2id" } else { "argon2i" };
                format!("{name}, time {time}, memory {memory_kib} KiB, {lanes} lanes")
            }
        }
    }

    /// Derives `len` bytes.
    ///
    /// # Errors
    /// [`Class::Limit`] where the header asks for more memory or work than `meter` has; Corrupt for parameters that
    /// the function does not take.
    pub(super) fn derive(&self, secret: &[u8], len: usize, meter: &mut Meter) -> Result<Zeroizing<Vec<u8>>> {
        let mut key = Zeroizing::new(vec![0; len]);
        match self {
            Self::Pbkdf2 {
                hash,
                iterations,
                salt,
            } => {
                let blocks = crate::bytes::wide(len.div_ceil(hash.len().max(1)));
                let work = u64::from(*iterations).saturating_mul(blocks);
                meter.steps(work, "PBKDF2").map_err(advise)?;
                let (iterations, key) = (*iterations, key.as_mut_slice());
                if iterations == 0 {
                    return Err(Error::corrupt("LUKS key slot", 0, "PBKDF2 with no iterations"));
                }
                match hash {
                    Hash::Sha1 => pbkdf2::pbkdf2_hmac::<sha1::Sha1>(secret, salt, iterations, key),
                    Hash::Sha224 => pbkdf2::pbkdf2_hmac::<sha2::Sha224>(secret, salt, iterations, key),
                    Hash::Sha256 => pbkdf2::pbkdf2_hmac::<sha2::Sha256>(secret, salt, iterations, key),
                    Hash::Sha384 => pbkdf2::pbkdf2_hmac::<sha2::Sha384>(secret, salt, iterations, key),
                    Hash::Sha512 => pbkdf2::pbkdf2_hmac::<sha2::Sha512>(secret, salt, iterations, key),
                }
            }
            Self::Argon2 {
                id,
                time,
                memory_kib,
                lanes,
                salt,
            } => {
                let work = u64::from(*time).saturating_mul(u64::from(*memory_kib));
                meter.steps(work, "Argon2").map_err(advise)?;
                let bytes = u64::from(*memory_kib).saturating_mul(1024);
                meter.bytes(bytes, "Argon2").map_err(advise)?;
                argon2(
                    *id,
                    [*time, *memory_kib, *lanes],
                    secret,
                    salt,
                    key.as_mut_slice(),
                )?;
            }
        }
        Ok(key)
    }
}

fn argon2(
    id: bool,
    [time, memory, lanes]: [u32; 3],
    secret: &[u8],
    salt: &[u8],
    key: &mut [u8],
) -> Result<()> {
    let refused = |e: argon2::Error| {
        Error::corrupt(
            "LUKS key slot",
            0,
            format!("Argon2 with time {time}, memory {memory} KiB, {lanes} lanes: {e}"),
        )
    };
    let params = Params::new(memory, time, lanes, Some(key.len())).map_err(refused)?;
    let count = params.block_count();
    let algorithm = if id {
        Algorithm::Argon2id
    } else {
        Algorithm::Argon2i
    };
    let mut blocks: Vec<Block> = Vec::new();
    // A gigabyte is usual, and not every machine has it: that is an answer, not a crash.
    blocks.try_reserve_exact(count).map_err(|_| {
        Error::new(
            Class::Limit,
            format!("Argon2 needs {memory} KiB of memory, this machine does not give them"),
        )
    })?;
    blocks.resize(count, Block::default());
    let done = Argon2::new(algorithm, Version::V0x13, params)
        .hash_password_into_with_memory(secret, salt, key, &mut blocks)
        .map_err(refused);
    blocks.zeroize();
    done
}

/// The meter ran out on a number that the header chose.
fn advise(e: Error) -> Error {
    e.advise("if the header is to be trusted, allow more memory and steps for opening it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use h2k_block::Limits;

    #[test]
    fn costs_beyond_the_limits_are_refused_before_they_arise() {
        let kdf = Kdf::Argon2 {
            id: true,
            time: 1,
            memory_kib: u32::MAX,
            lanes: 1,
            salt: vec![0; 16],
        };
        let mut meter = Meter::new(Limits {
            bytes: 1 << 20,
            steps: u64::MAX,
            depth: 1,
        });
        let e = kdf.derive(b"x", 32, &mut meter).unwrap_err();
        assert_eq!(e.class(), Class::Limit);
        assert!(e.advice().is_some());
        let kdf = Kdf::Pbkdf2 {
            hash: Hash::Sha256,
            iterations: u32::MAX,
            salt: vec![],
        };
        let mut meter = Meter::new(Limits::default());
        assert_eq!(
            kdf.derive(b"x", 32, &mut meter).unwrap_err().class(),
            Class::Limit
        );
    }

    #[test]
    fn pbkdf2_gives_the_vectors_of_rfc_6070() {
        let kdf = |iterations| Kdf::Pbkdf2 {
            hash: Hash::Sha1,
            iterations,
            salt: b"salt".to_vec(),
        };
        let mut meter = Meter::new(Limits::default());
        let key = kdf(2).derive(b"password", 20, &mut meter).unwrap();
        assert_eq!(key[..4], [0xea, 0x6c, 0x01, 0x4d]);
    }
}
