//! Canonical Huffman codes of limited length, as RFC 1951, section 3.2.2, wants them.

/// The bits of a symbol, ready to be sent lowest first; `len` is 0 for a symbol that is not used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) bits: u16,
    pub(super) len: u8,
}

/// Makes the code for symbols used `counts` times: at most `longest` bits, complete but for a single used symbol,
/// which gets one bit. `codes` is as long as `counts`, at most 286.
pub(super) fn code(counts: &[u32], longest: u8, codes: &mut [Code]) {
    codes.fill(Code::default());
    // The rarest first; ties by number, so that the code depends on the counts alone.
    let mut used: Vec<(u32, usize)> = counts
        .iter()
        .zip(0_usize..)
        .filter(|(count, _)| **count != 0)
        .map(|(count, symbol)| (*count, symbol))
        .collect();
    used.sort_unstable();
    if let [(_, only)] = used.as_slice() {
        if let Some(code) = codes.get_mut(*only) {
            code.len = 1;
        }
        return;
    }
    let mut of_length = depths(&used);
    limit(&mut of_length, longest);
    // The rarest symbols get the longest codes.
    let mut symbols = used.iter();
    for (len, n) in of_length.iter().enumerate().rev() {
        let len = u8::try_from(len).unwrap_or(longest);
        for (_, symbol) in symbols.by_ref().take(*n) {
            if let Some(code) = codes.get_mut(*symbol) {
                code.len = len;
            }
        }
    }
    assign(codes);
}

/// How many symbols a Huffman tree has at each depth. `used` ascends; there are at most 286, so no depth exceeds 285,
/// and with counts below 2^32 none exceeds 46.
fn depths(used: &[(u32, usize)]) -> [usize; 64] {
    // Two queues: leaves in order, and inner nodes in the order they are made, which is ascending too.
    let mut parents: Vec<usize> = vec![0; used.len().saturating_mul(2)];
    let mut inner: Vec<u64> = Vec::with_capacity(used.len());
    let (mut leaf, mut node) = (0_usize, 0_usize);
    for made in 0..used.len().saturating_sub(1) {
        let parent = used.len().saturating_add(made);
        let mut sum = 0_u64;
        for _ in 0..2 {
            let next_leaf = used.get(leaf).map(|(count, _)| u64::from(*count));
            let next_node = inner.get(node).copied();
            let child = match (next_leaf, next_node) {
                (Some(l), Some(n)) if l > n => None,
                (None, _) => None,
                (Some(l), _) => Some(l),
            };
            let index = match child {
                Some(count) => {
                    sum = sum.saturating_add(count);
                    leaf = leaf.saturating_add(1);
                    leaf.saturating_sub(1)
                }
                None => {
                    sum = sum.saturating_add(next_node.unwrap_or(0));
                    node = node.saturating_add(1);
                    used.len().saturating_add(node).saturating_sub(1)
                }
            };
            if let Some(slot) = parents.get_mut(index) {
                *slot = parent;
            }
        }
        inner.push(sum);
    }
    // From the root down: a child lies one deeper than its parent, and parents come after their children.
    let nodes = used.len().saturating_mul(2).saturating_sub(1);
    let mut depth = vec![0_usize; nodes];
    let mut at_depth = [0_usize; 64];
    for index in (0..nodes.saturating_sub(1)).rev() {
        let parent = parents.get(index).copied().unwrap_or(0);
        let here = depth.get(parent).copied().unwrap_or(0).saturating_add(1);
        if let Some(slot) = depth.get_mut(index) {
            *slot = here;
        }
        if index < used.len()
            && let Some(n) = at_depth.get_mut(here.min(63))
        {
            *n = n.saturating_add(1);
        }
    }
    at_depth
}

/// Moves symbols up that lie deeper than `longest`, and others down to make room for them.
fn limit(of_length: &mut [usize; 64], longest: u8) {
    let last = usize::from(longest);
    let deeper: usize = of_length.iter().skip(last.saturating_add(1)).sum();
    of_length
        .iter_mut()
        .skip(last.saturating_add(1))
        .for_each(|n| *n = 0);
    if let Some(n) = of_length.get_mut(last) {
        *n = n.saturating_add(deeper);
    }
    // In units of the longest code; a complete code has exactly `full` of them.
    let full = 1_u64.wrapping_shl(longest.into());
    let mut taken: u64 = (0_u32..=longest.into())
        .zip(of_length.iter())
        .map(|(len, n)| {
            let each = full.wrapping_shr(len);
            each.saturating_mul(u64::try_from(*n).unwrap_or(0))
        })
        .sum();
    while taken > full {
        // One of the longest becomes the sibling of a shorter one that moves down: one unit is won.
        let Some(len) = (1..last)
            .rev()
            .find(|len| of_length.get(*len).is_some_and(|n| *n > 0))
        else {
            return;
        };
        let mut add = |len: usize, n: isize| {
            if let Some(slot) = of_length.get_mut(len) {
                *slot = slot.saturating_add_signed(n);
            }
        };
        add(last, -1);
        add(len, -1);
        add(len.saturating_add(1), 2);
        taken = taken.saturating_sub(1);
    }
}

/// Numbers the codes of each length, shorter ones first, and turns them round.
fn assign(codes: &mut [Code]) {
    let mut next = 0_u16;
    for len in 1..=15_u8 {
        next = next.wrapping_shl(1);
        for code in codes.iter_mut().filter(|code| code.len == len) {
            code.bits = next
                .reverse_bits()
                .wrapping_shr(16_u32.saturating_sub(len.into()));
            next = next.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kraft(codes: &[Code]) -> u64 {
        codes
            .iter()
            .filter(|c| c.len > 0)
            .map(|c| 1_u64.wrapping_shl(15_u32.saturating_sub(c.len.into())))
            .sum()
    }

    #[test]
    fn codes_are_complete_and_keep_their_limit() {
        // Fibonacci counts make the deepest tree there is.
        let (mut a, mut b) = (1_u32, 1_u32);
        let mut counts = Vec::new();
        for _ in 0..40 {
            counts.push(a);
            (a, b) = (b, a.saturating_add(b));
        }
        for longest in [7, 15] {
            let mut codes = vec![Code::default(); 40];
            code(&counts, longest, &mut codes);
            assert!(codes.iter().all(|c| c.len > 0 && c.len <= longest));
            assert_eq!(kraft(&codes), 1 << 15);
            assert!(codes.is_sorted_by_key(|c| std::cmp::Reverse(c.len)));
        }
        let mut codes = vec![Code::default(); 286];
        code(&[5; 286], 15, &mut codes);
        assert_eq!(kraft(&codes), 1 << 15);
        assert!(codes.iter().all(|c| c.len == 8 || c.len == 9));
    }

    #[test]
    fn one_symbol_has_one_bit_and_none_has_none() {
        let mut codes = vec![Code::default(); 4];
        code(&[0, 0, 9, 0], 15, &mut codes);
        assert_eq!(codes.iter().map(|c| c.len).collect::<Vec<_>>(), [0, 0, 1, 0]);
        code(&[0; 4], 15, &mut codes);
        assert!(codes.iter().all(|c| c.len == 0));
    }
}
