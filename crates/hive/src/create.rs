use crate::bytes::{field, round_up};
use crate::hive::Hive;
use crate::layout::{BLOCK, NOWHERE, base, bin, nk, sk};
use crate::log::State;
use crate::sums::xor32;
use h2k_block::Limits;

/// The versions a new hive can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 1.3: what Windows XP and later write for most hives, and everything reads.
    V1_3,
    /// 1.5: hashes in the lists of subkeys, big data.
    V1_5,
}

/// The name of the root key, which nobody asks for.
const ROOT_NAME: &[u8] = b"$$$PROTO.HIV";

/// A security descriptor: SYSTEM and the administrators may do everything, users may read.
const DESCRIPTOR: [u8; 128] = {
    // Header: revision 1, self-relative with a discretionary list; owner at 0x60, group at 0x70, list at 0x14.
    let head = *b"\x01\x00\x04\x80\x60\x00\x00\x00\x70\x00\x00\x00\x00\x00\x00\x00\x14\x00\x00\x00";
    // Three entries, inherited by subkeys: S-1-5-18, S-1-5-32-544, S-1-5-32-545.
    let list = *b"\x02\x00\x4c\x00\x03\x00\x00\x00\
        \x00\x02\x14\x00\x3f\x00\x0f\x00\x01\x01\x00\x00\x00\x00\x00\x05\x12\x00\x00\x00\
        \x00\x02\x18\x00\x3f\x00\x0f\x00\x01\x02\x00\x00\x00\x00\x00\x05\x20\x00\x00\x00\x20\x02\x00\x00\
        \x00\x02\x18\x00\x19\x00\x02\x00\x01\x02\x00\x00\x00\x00\x00\x05\x20\x00\x00\x00\x21\x02\x00\x00";
    let owner = *b"\x01\x02\x00\x00\x00\x00\x00\x05\x20\x00\x00\x00\x20\x02\x00\x00";
    let group = *b"\x01\x01\x00\x00\x00\x00\x00\x05\x12\x00\x00\x00\x00\x00\x00\x00";
    joined(&[&head, &list, &owner, &group])
};

/// `parts` one behind the other.
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]
const fn joined(parts: &[&[u8]]) -> [u8; 128] {
    let mut out = [0; 128];
    let (mut at, mut part) = (0, 0);
    while part < parts.len() {
        let mut i = 0;
        while i < parts[part].len() {
            out[at] = parts[part][i];
            at += 1;
            i += 1;
        }
        part += 1;
    }
    assert!(at == 128);
    out
}

impl Hive {
    /// A new hive: a root key without anything in it. `now` is its time: 100-nanosecond intervals since 1601, UTC.
    #[must_use]
    pub fn create(version: Version, now: u64) -> Self {
        let minor: u32 = match version {
            Version::V1_3 => 3,
            Version::V1_5 => 5,
        };
        let mut bytes = vec![0; BLOCK.saturating_mul(2)];
        let mut put = |at: usize, new: &[u8]| {
            if let Some(to) = bytes.get_mut(at..at.saturating_add(new.len())) {
                to.copy_from_slice(new);
            }
        };
        let word = |n: u32| n.to_le_bytes();
        // The root's node first, its security behind it, the rest free.
        let root = bin::HEADER;
        let root_len = round_up(nk::NAME.saturating_add(ROOT_NAME.len()).saturating_add(4), 8);
        let security = root.saturating_add(root_len);
        let security_len = round_up(
            sk::DESCRIPTOR.saturating_add(DESCRIPTOR.len()).saturating_add(4),
            8,
        );
        let free = security.saturating_add(security_len);

        put(0, &base::SIGNATURE);
        put(base::PRIMARY, &word(1));
        put(base::SECONDARY, &word(1));
        put(base::WRITTEN, &now.to_le_bytes());
        put(base::MAJOR, &word(1));
        put(base::MINOR, &word(minor));
        put(base::FORMAT, &word(1));
        put(base::ROOT, &word(field(root)));
        put(base::BINS, &word(field(BLOCK)));
        put(base::CLUSTERING, &word(1));

        put(BLOCK, &bin::SIGNATURE);
        put(BLOCK.saturating_add(bin::SIZE), &word(field(BLOCK)));
        put(BLOCK.saturating_add(bin::TIMESTAMP), &now.to_le_bytes());

        let mut cell = |at: usize, len: usize, fields: &[(usize, &[u8])]| {
            let start = BLOCK.saturating_add(at);
            put(start, &word(field(len).wrapping_neg()));
            for (offset, new) in fields {
                put(start.saturating_add(4).saturating_add(*offset), new);
            }
        };
        let nowhere = word(NOWHERE);
        let flags = (nk::IS_ROOT | nk::NO_DELETE | nk::LATIN).to_le_bytes();
        let name_len = u16::try_from(ROOT_NAME.len()).unwrap_or(0).to_le_bytes();
        cell(
            root,
            root_len,
            &[
                (0, &nk::SIGNATURE),
                (nk::FLAGS, &flags),
                (nk::WRITTEN, &now.to_le_bytes()),
                (nk::PARENT, &nowhere),
                (nk::LIST, &nowhere),
                (nk::VOLATILE_LIST, &nowhere),
                (nk::VALUE_LIST, &nowhere),
                (nk::SECURITY, &word(field(security))),
                (nk::CLASS, &nowhere),
                (nk::NAME_LEN, &name_len),
                (nk::NAME, ROOT_NAME),
            ],
        );
        let own = word(field(security));
        cell(
            security,
            security_len,
            &[
                (0, &sk::SIGNATURE),
                (sk::FLINK, &own),
                (sk::BLINK, &own),
                (sk::REFERENCES, &word(1)),
                (sk::SIZE, &word(field(DESCRIPTOR.len()))),
                (sk::DESCRIPTOR, &DESCRIPTOR),
            ],
        );
        put(
            BLOCK.saturating_add(free),
            &word(field(BLOCK.saturating_sub(free))),
        );
        let sum = xor32(&bytes);
        if let Some(to) = bytes.get_mut(base::CHECKSUM..base::CHECKSUM.saturating_add(4)) {
            to.copy_from_slice(&sum.to_le_bytes());
        }
        Self::fresh(bytes, minor)
    }

    /// Wraps bytes that were just made.
    fn fresh(bytes: Vec<u8>, minor: u32) -> Self {
        Self {
            end: bytes.len(),
            bytes,
            minor,
            limits: Limits::default(),
            state: State::Clean,
            beyond: (0, 0),
            warnings: Vec::new(),
        }
    }
}
