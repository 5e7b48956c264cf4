//! Deflate within a window of 4 KiB, fast: what qcow2 level 1 is made with.
//!
//! Source: RFC 1951. One look into a hash table of four-byte strings for each place, the first match is taken, one
//! dynamic Huffman code for each 64 KiB. libdeflate cannot keep its window small, and level 1 of zlib-rs has
//! fixed codes and panics on some input, so this is its own; the measurements are in `docs/formats/qcow2.md`.

use super::huffman::{Code, code};

/// How far back a match may lie: what zlib itself uses of a window of 4096 bytes.
const REACH: u32 = 4096 - 262;
const SHORTEST: usize = 4;
const LONGEST: usize = 258;
const HASH_BITS: u32 = 14;
/// Input bytes that share a Huffman code.
const BLOCK: usize = 65536;
/// Places tried in vain before they are tried more sparsely, as a power of two.
const PATIENCE: u32 = 6;
const END_OF_BLOCK: usize = 256;

/// Lengths 3 to 258: symbol minus 257.
const LENGTH_BASE: [u16; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195,
    227, 258,
];
const LENGTH_EXTRA: [u8; 29] = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
];
const LENGTH_SYMBOL: [u8; 259] = length_symbols();
/// The order in which lengths of the code for code lengths are sent.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

#[expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "evaluated by the compiler"
)]
const fn length_symbols() -> [u8; 259] {
    let mut table = [0; 259];
    let mut symbol = 0;
    while symbol < 29 {
        let mut length = LENGTH_BASE[symbol] as usize;
        let end = if symbol == 28 {
            259
        } else {
            LENGTH_BASE[symbol + 1] as usize
        };
        while length < end {
            table[length] = symbol as u8;
            length += 1;
        }
        symbol += 1;
    }
    table
}

/// Some literals and then a match: their number, its length (0 at the end of a block) and its distance.
#[derive(Clone, Copy)]
struct Step {
    literals: u32,
    length: u16,
    distance: u16,
}

/// The state of the encoder; costly to make, cheap to use again.
pub(super) struct Deflater {
    /// The last place of each string, counted on through all inputs, so that nothing has to be cleared.
    last: Box<[u32; 1 << HASH_BITS]>,
    /// Where the next input begins in that count.
    base: u32,
    steps: Vec<Step>,
}

impl Deflater {
    pub(super) fn new() -> Self {
        Self {
            last: Box::new([0; 1 << HASH_BITS]),
            base: REACH.saturating_add(1),
            steps: Vec::new(),
        }
    }

    /// Encodes `src` into `room` and says how many bytes that are; `None` where they do not fit.
    pub(super) fn encode(&mut self, src: &[u8], room: &mut [u8]) -> Option<usize> {
        let len = u32::try_from(src.len()).ok()?;
        let after = len.checked_add(REACH)?.checked_add(1)?;
        if self.base.checked_add(after).is_none() {
            self.last.fill(0);
            self.base = REACH.saturating_add(1);
        }
        let base = self.base;
        self.base = self.base.saturating_add(after);
        let mut out = Bits::new(room);
        let mut start = 0_usize;
        loop {
            let end = start.saturating_add(BLOCK).min(src.len());
            let mut counts = Counts::default();
            self.steps.clear();
            self.parse(src, start, end, base, &mut counts);
            let block = src.get(start..end)?;
            write_block(block, &self.steps, &counts, end == src.len(), &mut out)?;
            if end == src.len() {
                return out.finish();
            }
            start = end;
        }
    }

    /// Cuts `src[start..end]` into steps and counts their symbols.
    #[expect(
        clippy::as_conversions,
        clippy::indexing_slicing,
        reason = "the hot loop: places are below `src.len()`, which fits 32 bits, and the hash has HASH_BITS bits"
    )]
    fn parse(&mut self, src: &[u8], start: usize, end: usize, base: u32, counts: &mut Counts) {
        let block = &src[..end];
        let mut at = start;
        let mut literals = start;
        // Misses in a row; noise is passed over ever faster.
        let mut misses = 1_u32 << PATIENCE;
        while let Some(here) = word4(block, at) {
            let slot = &mut self.last[hash(here)];
            let place = base.wrapping_add(at as u32);
            let distance = place.wrapping_sub(*slot);
            *slot = place;
            let from = at.wrapping_sub(distance as usize);
            if distance > REACH || word4(block, from) != Some(here) {
                at = at.wrapping_add((misses >> PATIENCE) as usize);
                misses = misses.wrapping_add(1);
                continue;
            }
            let length = match_length(block, from, at);
            counts.literals(&block[literals..at]);
            counts.step(length, distance as usize);
            self.steps.push(Step {
                literals: at.wrapping_sub(literals) as u32,
                length: length as u16,
                distance: distance as u16,
            });
            let next = at.wrapping_add(length);
            // Two places inside the match are remembered too, so that repeats of its parts are found. All of them
            // would make the output 1 % smaller and a fifth slower.
            for inside in [at.wrapping_add(1), next.wrapping_sub(1)] {
                if let Some(word) = word4(block, inside) {
                    self.last[hash(word)] = base.wrapping_add(inside as u32);
                }
            }
            at = next;
            literals = next;
            misses = 1 << PATIENCE;
        }
        counts.literals(&block[literals..]);
        self.steps.push(Step {
            literals: end.wrapping_sub(literals) as u32,
            length: 0,
            distance: 0,
        });
    }
}

/// Fibonacci hashing of a four-byte string.
#[inline]
#[expect(clippy::as_conversions, reason = "HASH_BITS bits")]
fn hash(word: u32) -> usize {
    (word.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize
}

#[inline]
fn word4(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[inline]
fn word8(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// How many bytes at `from` and `at` are the same, at most [`LONGEST`]; the first [`SHORTEST`] are.
#[inline]
#[expect(clippy::as_conversions, reason = "at most 64 / 8")]
fn match_length(bytes: &[u8], from: usize, at: usize) -> usize {
    let most = bytes.len().wrapping_sub(at).min(LONGEST);
    let mut n = SHORTEST;
    while n < most {
        match (
            word8(bytes, from.wrapping_add(n)),
            word8(bytes, at.wrapping_add(n)),
        ) {
            (Some(a), Some(b)) if a == b => n = n.wrapping_add(8),
            (Some(a), Some(b)) => {
                n = n.wrapping_add((a ^ b).trailing_zeros() as usize / 8);
                break;
            }
            _ if bytes.get(from.wrapping_add(n)) == bytes.get(at.wrapping_add(n)) => n = n.wrapping_add(1),
            _ => break,
        }
    }
    n.min(most)
}

/// The symbol of a distance up to 4096, how many extra bits it has and what they say.
#[inline]
fn distance_symbol(distance: u32) -> (usize, u32, u32) {
    let d = distance.wrapping_sub(1);
    if d < 4 {
        return (usize::try_from(d).unwrap_or(0), 0, 0);
    }
    // Two symbols for each power of two: its first half and its second.
    let log = 31_u32.wrapping_sub(d.leading_zeros());
    let extra = log.wrapping_sub(1);
    let half = d.wrapping_shr(extra) & 1;
    let symbol = log.wrapping_mul(2).wrapping_add(half);
    let rest = d & 1_u32.wrapping_shl(extra).wrapping_sub(1);
    (usize::try_from(symbol).unwrap_or(0), extra, rest)
}

/// How often each symbol is used.
struct Counts {
    /// Four counts of literals, so that neighbours do not wait for each other.
    literal: [[u32; 256]; 4],
    length: [u32; 32],
    distance: [u32; 32],
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            literal: [[0; 256]; 4],
            length: [0; 32],
            distance: [0; 32],
        }
    }
}

impl Counts {
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the hot loop: a byte is below 256")]
    fn literals(&mut self, bytes: &[u8]) {
        let (fours, rest) = bytes.as_chunks::<4>();
        let [a, b, c, d] = &mut self.literal;
        let up = |counts: &mut [u32; 256], byte: u8| {
            let count = &mut counts[usize::from(byte)];
            *count = count.wrapping_add(1);
        };
        for [w, x, y, z] in fours {
            up(a, *w);
            up(b, *x);
            up(c, *y);
            up(d, *z);
        }
        for byte in rest {
            up(a, *byte);
        }
    }

    #[inline]
    fn step(&mut self, length: usize, distance: usize) {
        let length = LENGTH_SYMBOL.get(length).copied().unwrap_or(0);
        if let Some(count) = self.length.get_mut(usize::from(length)) {
            *count = count.wrapping_add(1);
        }
        let (symbol, _, _) = distance_symbol(u32::try_from(distance).unwrap_or(1));
        if let Some(count) = self.distance.get_mut(symbol) {
            *count = count.wrapping_add(1);
        }
    }

    /// Counts of the 286 symbols for literals, the end of a block and lengths.
    fn litlen(&self) -> [u32; 286] {
        let mut all = [0; 286];
        let [a, b, c, d] = &self.literal;
        let literals = a.iter().zip(b).zip(c).zip(d);
        for (to, (((a, b), c), d)) in all.iter_mut().zip(literals) {
            *to = a.wrapping_add(*b).wrapping_add(*c).wrapping_add(*d);
        }
        for (to, from) in all
            .iter_mut()
            .skip(END_OF_BLOCK)
            .zip(std::iter::once(&1).chain(&self.length))
        {
            *to = *from;
        }
        all
    }
}

/// The head of a dynamic block: how the code lengths are sent.
struct Head {
    /// Symbols of the code for code lengths, with their extra bits.
    runs: Vec<(usize, u32, u32)>,
    code: [Code; 19],
    literals: usize,
    distances: usize,
    orders: usize,
}

/// Writes one dynamic block, or nothing when it does not fit.
fn write_block(block: &[u8], steps: &[Step], counts: &Counts, last: bool, out: &mut Bits<'_>) -> Option<()> {
    let litlen_counts = counts.litlen();
    let mut litlen = [Code::default(); 286];
    let mut distance = [Code::default(); 32];
    code(&litlen_counts, 15, &mut litlen);
    code(&counts.distance, 15, &mut distance);
    let head = head(&litlen, &distance);
    out.fits(size(&head, &litlen_counts, &litlen, &counts.distance, &distance))?;

    out.put(u64::from(last), 1);
    out.put(2, 2);
    out.put(number(head.literals.saturating_sub(257)), 5);
    out.put(number(head.distances.saturating_sub(1)), 5);
    out.put(number(head.orders.saturating_sub(4)), 4);
    out.flush();
    for place in ORDER.iter().take(head.orders) {
        out.put(head.code.get(*place).map_or(0, |c| u64::from(c.len)), 3);
        out.flush();
    }
    for (symbol, extra, rest) in &head.runs {
        out.code(head.code.get(*symbol).copied().unwrap_or_default());
        out.put(u64::from(*rest), *extra);
        out.flush();
    }
    write_steps(block, steps, &litlen, &distance, out);
    out.code(litlen.get(END_OF_BLOCK).copied().unwrap_or_default());
    out.flush();
    Some(())
}

#[expect(
    clippy::indexing_slicing,
    reason = "the hot loop: a byte is below 256, symbols come from tables of their own size"
)]
fn write_steps(
    mut block: &[u8],
    steps: &[Step],
    litlen: &[Code; 286],
    distance: &[Code; 32],
    out: &mut Bits<'_>,
) {
    for step in steps {
        let n = usize::try_from(step.literals).unwrap_or(0);
        let Some((literals, rest)) = block.split_at_checked(n) else {
            return;
        };
        let (threes, tail) = literals.as_chunks::<3>();
        for [a, b, c] in threes {
            out.code(litlen[usize::from(*a)]);
            out.code(litlen[usize::from(*b)]);
            out.code(litlen[usize::from(*c)]);
            out.flush();
        }
        for byte in tail {
            out.code(litlen[usize::from(*byte)]);
        }
        out.flush();
        if step.length == 0 {
            return;
        }
        let length = usize::from(step.length);
        block = rest.get(length..).unwrap_or_default();
        let symbol = usize::from(LENGTH_SYMBOL[length]);
        out.code(litlen[257_usize.wrapping_add(symbol)]);
        out.put(
            u64::from(step.length.wrapping_sub(LENGTH_BASE[symbol])),
            LENGTH_EXTRA[symbol].into(),
        );
        let (symbol, extra, rest) = distance_symbol(step.distance.into());
        out.code(distance[symbol & 31]);
        out.put(u64::from(rest), extra);
        out.flush();
    }
}

/// Cuts the code lengths into runs and makes a code for them.
fn head(litlen: &[Code; 286], distance: &[Code; 32]) -> Head {
    let used = |codes: &[Code], least: usize| {
        let used = codes
            .iter()
            .rposition(|c| c.len != 0)
            .map_or(0, |i| i.saturating_add(1));
        used.max(least)
    };
    let (literals, distances) = (used(litlen, 257), used(distance, 1));
    let mut lens: Vec<u8> = Vec::with_capacity(318);
    lens.extend(litlen.iter().take(literals).map(|c| c.len));
    lens.extend(distance.iter().take(distances).map(|c| c.len));
    let mut runs = Vec::new();
    for run in lens.chunk_by(|a, b| a == b) {
        let len = run.first().copied().unwrap_or(0);
        let mut left = run.len();
        if len != 0 {
            runs.push((usize::from(len), 0, 0));
            left = left.saturating_sub(1);
        }
        while left > 0 {
            let (symbol, extra, least, most) = match (len, left) {
                (0, 11..) => (18, 7, 11, 138),
                (0, 3..=10) => (17, 3, 3, 10),
                (1.., 3..) => (16, 2, 3, 6),
                _ => {
                    runs.push((usize::from(len), 0, 0));
                    left = left.saturating_sub(1);
                    continue;
                }
            };
            let n = left.min(most);
            runs.push((symbol, extra, u32::try_from(n.saturating_sub(least)).unwrap_or(0)));
            left = left.saturating_sub(n);
        }
    }
    let mut counts = [0_u32; 19];
    for (symbol, _, _) in &runs {
        if let Some(count) = counts.get_mut(*symbol) {
            *count = count.saturating_add(1);
        }
    }
    let mut codes = [Code::default(); 19];
    code(&counts, 7, &mut codes);
    let orders = ORDER
        .iter()
        .rposition(|place| codes.get(*place).is_some_and(|c| c.len != 0));
    Head {
        runs,
        code: codes,
        literals,
        distances,
        orders: orders.map_or(0, |i| i.saturating_add(1)).max(4),
    }
}

/// Bits of a block.
fn size(
    head: &Head,
    litlen_counts: &[u32; 286],
    litlen: &[Code; 286],
    distance_counts: &[u32; 32],
    distance: &[Code; 32],
) -> u64 {
    let cost = |count: u32, code: &Code, extra: u8| {
        u64::from(count).saturating_mul(u64::from(code.len).saturating_add(extra.into()))
    };
    let mut bits = 17_u64.saturating_add(number(head.orders).saturating_mul(3));
    for (symbol, extra, _) in &head.runs {
        let len = head.code.get(*symbol).map_or(0, |c| c.len);
        bits = bits
            .saturating_add(u64::from(len))
            .saturating_add((*extra).into());
    }
    let no_extra = std::iter::repeat_n(&0, 257);
    for ((count, code), extra) in litlen_counts
        .iter()
        .zip(litlen)
        .zip(no_extra.chain(&LENGTH_EXTRA))
    {
        bits = bits.saturating_add(cost(*count, code, *extra));
    }
    for (symbol, (count, code)) in (0_u8..).zip(distance_counts.iter().zip(distance)) {
        bits = bits.saturating_add(cost(*count, code, (symbol / 2).saturating_sub(1)));
    }
    bits
}

fn number(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// Bits on their way into bytes, the lowest first. Nothing is put before [`Bits::fits`] has said yes.
struct Bits<'a> {
    room: &'a mut [u8],
    at: usize,
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    fn new(room: &'a mut [u8]) -> Self {
        Self {
            room,
            at: 0,
            held: 0,
            count: 0,
        }
    }

    /// Whether `bits` more have room.
    fn fits(&self, bits: u64) -> Option<()> {
        let bits = bits.saturating_add(self.count.into());
        let bytes = usize::try_from(bits.div_ceil(8)).ok()?;
        (self.at.checked_add(bytes)? <= self.room.len()).then_some(())
    }

    /// At most 57 bits may be put between two flushes.
    #[inline]
    fn put(&mut self, bits: u64, n: u32) {
        self.held |= bits.wrapping_shl(self.count);
        self.count = self.count.wrapping_add(n);
    }

    #[inline]
    fn code(&mut self, code: Code) {
        self.put(code.bits.into(), code.len.into());
    }

    #[inline]
    fn flush(&mut self) {
        let bytes = self.held.to_le_bytes();
        if let Some(to) = self
            .room
            .get_mut(self.at..)
            .and_then(|r| r.first_chunk_mut::<8>())
        {
            *to = bytes;
        } else {
            let whole = usize::try_from(self.count / 8).unwrap_or(0);
            let to = self.room.get_mut(self.at..).unwrap_or_default();
            for (to, from) in to.iter_mut().zip(bytes.iter().take(whole)) {
                *to = *from;
            }
        }
        self.at = self.at.wrapping_add(usize::try_from(self.count / 8).unwrap_or(0));
        self.held = self.held.wrapping_shr(self.count & !7);
        self.count &= 7;
    }

    /// Writes the last bits and says how many bytes there are.
    fn finish(mut self) -> Option<usize> {
        self.flush();
        if self.count > 0 {
            let [low, ..] = self.held.to_le_bytes();
            *self.room.get_mut(self.at)? = low;
            self.at = self.at.checked_add(1)?;
        }
        Some(self.at)
    }
}
