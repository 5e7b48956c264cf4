//! The two sums of the format: XOR-32 over the base block, and Marvin32 over log entries (public: US patent 8,555,082;
//! hives fix its seed).

use crate::bytes::array;

/// The seed every log uses, 0x82ef4d887a4e55c5, its low half first. The specification prints its bytes highest first.
const SEED: (u32, u32) = (0x7a4e_55c5, 0x82ef_4d88);

/// The hash of `bytes`, its low half first.
pub(crate) fn marvin32(bytes: &[u8]) -> u64 {
    let mut state = SEED;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        mix(&mut state, u32::from_le_bytes(*word));
    }
    let mut last = [0_u8; 4];
    for (to, from) in last.iter_mut().zip(rest.iter().chain(&[0x80])) {
        *to = *from;
    }
    mix(&mut state, u32::from_le_bytes(last));
    mix(&mut state, 0);
    u64::from(state.1) << 32 | u64::from(state.0)
}

fn mix((low, high): &mut (u32, u32), word: u32) {
    *low = low.wrapping_add(word);
    *high ^= *low;
    *low = low.rotate_left(20).wrapping_add(*high);
    *high = high.rotate_left(9) ^ *low;
    *low = low.rotate_left(27).wrapping_add(*high);
    *high = high.rotate_left(19);
}

/// The sum over the first 508 bytes of a base block.
pub(crate) fn xor32(block: &[u8]) -> u32 {
    let (words, _rest) = block.as_chunks::<4>();
    let sum = words
        .iter()
        .take(127)
        .fold(0, |sum, word| sum ^ u32::from_le_bytes(*word));
    match sum {
        0 => 1,
        u32::MAX => u32::MAX - 1,
        sum => sum,
    }
}

/// Whether the base block at the start of `bytes` has the signature and the sum it has to have.
pub(crate) fn sound(bytes: &[u8]) -> bool {
    use crate::layout::base;
    array(bytes, 0) == Some(base::SIGNATURE)
        && crate::bytes::le32(bytes, base::CHECKSUM) == Some(xor32(bytes))
}
