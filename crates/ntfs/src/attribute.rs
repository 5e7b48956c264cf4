//! Attributes: what a file record is made of.

use crate::layout::{AttributeHeader, COMPRESSED, NonResident, Resident, kind};
use crate::names;
use crate::runs::{self, Run};
use zerocopy::FromBytes;

/// An attribute of a file, its fragments joined.
#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    /// `layout::kind`.
    pub(crate) kind: u32,
    /// Its name; empty for the main stream.
    pub(crate) name: Vec<u16>,
    /// Compressed, encrypted, sparse.
    pub(crate) flags: u16,
    /// Where its bytes are.
    pub(crate) body: Body,
}

/// Where an attribute's bytes are.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// In the record.
    Resident(Vec<u8>),
    /// In clusters.
    Runs {
        /// First VCN of this fragment.
        lowest: u64,
        /// Ascending, without gaps.
        runs: Vec<Run>,
        /// Bytes of content.
        real: u64,
        /// Bytes that were written; the rest of the content reads as zero.
        initialized: u64,
        /// Clusters compressed together; 0 when it is not compressed.
        unit: u64,
    },
}

impl Attribute {
    /// Bytes of content.
    pub(crate) fn len(&self) -> u64 {
        match &self.body {
            Body::Resident(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Body::Runs { real, .. } => *real,
        }
    }

    fn lowest(&self) -> u64 {
        match self.body {
            Body::Resident(_) => 0,
            Body::Runs { lowest, .. } => lowest,
        }
    }
}

/// Takes apart the attributes of a record from `at`; `clusters` is the volume's size.
pub(crate) fn parse(record: &[u8], at: usize, clusters: u64) -> Result<Vec<Attribute>, (usize, String)> {
    let mut all = Vec::new();
    let mut at = at;
    loop {
        let bad = |what: &str| (at, what.to_owned());
        let rest = record.get(at..).ok_or_else(|| bad("lies past the record"))?;
        if crate::layout::le32(rest, 0).ok_or_else(|| bad("lies past the record"))? == kind::END {
            return Ok(all);
        }
        let (head, _) = AttributeHeader::ref_from_prefix(rest).map_err(|_| bad("is cut off"))?;
        let len = usize::try_from(head.len.get()).unwrap_or(usize::MAX);
        if len < 24 || len % 8 != 0 {
            return Err((at, format!("says it has {len} bytes")));
        }
        let bytes = rest
            .get(..len)
            .ok_or_else(|| (at, format!("has {len} bytes, the record has {}", rest.len())))?;
        all.push(one(head, bytes, clusters).map_err(|what| (at, what))?);
        at = at.saturating_add(len);
    }
}

fn one(head: &AttributeHeader, bytes: &[u8], clusters: u64) -> Result<Attribute, String> {
    let name_len = usize::from(head.name_len).saturating_mul(2);
    let name = if name_len == 0 {
        Some(&[][..])
    } else {
        bytes
            .get(head.name_offset.get().into()..)
            .and_then(|b| b.get(..name_len))
    };
    let name = names::units(name.ok_or("its name runs past its end")?);
    let rest = bytes.get(size_of::<AttributeHeader>()..).unwrap_or_default();
    let flags = head.flags.get();
    let body = if head.non_resident == 0 {
        let (resident, _) = Resident::ref_from_prefix(rest).map_err(|_| "is cut off")?;
        let len = usize::try_from(resident.len.get()).unwrap_or(usize::MAX);
        let content = bytes
            .get(resident.offset.get().into()..)
            .and_then(|b| b.get(..len));
        Body::Resident(
            content
                .ok_or_else(|| format!("its content of {len} bytes runs past its end"))?
                .to_vec(),
        )
    } else {
        non_resident(rest, bytes, flags, clusters)?
    };
    Ok(Attribute {
        kind: head.kind.get(),
        name,
        flags,
        body,
    })
}

fn non_resident(rest: &[u8], bytes: &[u8], flags: u16, clusters: u64) -> Result<Body, String> {
    let (n, _) = NonResident::ref_from_prefix(rest).map_err(|_| "is cut off")?;
    let lowest = n.lowest_vcn.get();
    // An empty attribute has -1 as its last cluster.
    let end = n.highest_vcn.get().wrapping_add(1);
    // No attribute has more clusters than fit into 2^63 bytes.
    if lowest > end || end > i64::MAX.unsigned_abs() / 256 {
        return Err(format!("has clusters from {lowest:#x} to {:#x}", n.highest_vcn));
    }
    let pairs = bytes
        .get(n.runs_offset.get().into()..)
        .ok_or("its runs begin past its end")?;
    let runs = runs::decode(pairs, lowest, end, clusters)?;
    let unit = n.compression_unit.get() & 0xff;
    if unit > 8 {
        return Err(format!("its compression unit is 2^{unit} clusters"));
    }
    let unit = if flags & COMPRESSED != 0 && unit > 0 {
        1_u64 << unit.min(8)
    } else {
        0
    };
    let (real, initialized) = (n.real.get(), n.initialized.get());
    if lowest == 0 && (real > i64::MAX.unsigned_abs() || initialized > i64::MAX.unsigned_abs()) {
        return Err(format!("its size is {real:#x} bytes"));
    }
    Ok(Body::Runs {
        lowest,
        runs,
        real,
        initialized,
        unit,
    })
}

/// Joins the fragments of attributes that spread over several records.
pub(crate) fn join(mut all: Vec<Attribute>) -> Result<Vec<Attribute>, String> {
    // Stable: what is not fragmented keeps its order.
    all.sort_by(|a, b| (a.kind, &a.name, a.lowest()).cmp(&(b.kind, &b.name, b.lowest())));
    let mut joined: Vec<Attribute> = Vec::new();
    for next in all {
        if next.lowest() == 0 {
            joined.push(next);
            continue;
        }
        let Body::Runs {
            lowest, runs: more, ..
        } = next.body
        else {
            continue;
        };
        let same = joined
            .last_mut()
            .filter(|a| a.kind == next.kind && a.name == next.name);
        let Some(Attribute {
            body: Body::Runs { runs, .. },
            ..
        }) = same
        else {
            return Err(format!(
                "attribute {:#x} begins at its cluster {lowest:#x}",
                next.kind
            ));
        };
        let end = runs.last().map_or(0, |r| r.vcn.saturating_add(r.len));
        if end != lowest {
            return Err(format!(
                "attribute {:#x} has no clusters from {end:#x} to {lowest:#x}",
                next.kind
            ));
        }
        runs.extend(more);
    }
    Ok(joined)
}
