//! Runs of clusters: the map from an attribute's clusters (VCN) to the volume's (LCN).

/// A run of clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// First cluster of the attribute.
    pub(crate) vcn: u64,
    /// How many clusters, never zero.
    pub(crate) len: u64,
    /// First cluster on the volume; `None` for a hole.
    pub(crate) lcn: Option<u64>,
}

/// Decodes mapping pairs that begin at `first` and must not pass `end` (VCNs); `clusters` is the volume's size.
pub(crate) fn decode(mut bytes: &[u8], first: u64, end: u64, clusters: u64) -> Result<Vec<Run>, String> {
    let mut runs: Vec<Run> = Vec::new();
    let (mut vcn, mut lcn) = (first, 0_i64);
    // The list ends with a zero byte; some drivers leave it out when the attribute is full.
    while let Some((head, rest)) = bytes.split_first() {
        if *head == 0 {
            break;
        }
        let (count, delta) = (usize::from(head & 15), usize::from(head >> 4));
        let short = || format!("run {} has a header of {head:#04x} and too few bytes", runs.len());
        if count == 0 || count > 8 || delta > 8 {
            return Err(format!(
                "run {} has the impossible header {head:#04x}",
                runs.len()
            ));
        }
        let (len, rest) = rest.split_at_checked(count).ok_or_else(short)?;
        let (step, rest) = rest.split_at_checked(delta).ok_or_else(short)?;
        let len = u64::try_from(signed(len)).ok().filter(|n| *n > 0);
        let next = len.and_then(|n| vcn.checked_add(n)).filter(|n| *n <= end);
        let (Some(len), Some(next)) = (len, next) else {
            return Err(format!(
                "run {} goes past the attribute's last cluster {end:#x}",
                runs.len()
            ));
        };
        let place = if step.is_empty() {
            None
        } else {
            lcn = lcn
                .checked_add(signed(step))
                .ok_or_else(|| format!("run {} overflows", runs.len()))?;
            let start = u64::try_from(lcn).ok();
            let fits = start
                .and_then(|s| s.checked_add(len))
                .is_some_and(|e| e <= clusters);
            if !fits {
                return Err(format!(
                    "run {} lies at cluster {lcn:#x}, the volume has {clusters:#x}",
                    runs.len()
                ));
            }
            start
        };
        runs.push(Run { vcn, len, lcn: place });
        vcn = next;
        bytes = rest;
    }
    Ok(runs)
}

/// A little-endian number of 0 to 8 bytes with its sign.
fn signed(bytes: &[u8]) -> i64 {
    let fill = if bytes.last().is_some_and(|b| *b >= 0x80) {
        0xff
    } else {
        0
    };
    let mut all = [fill; 8];
    for (to, from) in all.iter_mut().zip(bytes) {
        *to = *from;
    }
    i64::from_le_bytes(all)
}

/// The run that holds `vcn` among ascending ones.
pub(crate) fn find(runs: &[Run], vcn: u64) -> Option<&Run> {
    let after = runs.partition_point(|r| r.vcn <= vcn);
    let run = runs.get(after.checked_sub(1)?)?;
    (vcn < run.vcn.saturating_add(run.len)).then_some(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_decode_with_signs_and_holes() {
        // 0x18 clusters at 0x5634, 8 clusters hole, 4 clusters at 0x5634-0x10.
        let bytes = [0x21, 0x18, 0x34, 0x56, 0x01, 0x08, 0x11, 0x04, 0xf0, 0x00];
        let runs = decode(&bytes, 0, 100, 0x10000).unwrap();
        assert_eq!(
            runs,
            [
                Run {
                    vcn: 0,
                    len: 0x18,
                    lcn: Some(0x5634)
                },
                Run {
                    vcn: 0x18,
                    len: 8,
                    lcn: None
                },
                Run {
                    vcn: 0x20,
                    len: 4,
                    lcn: Some(0x5624)
                },
            ]
        );
        assert_eq!(find(&runs, 0x1f).unwrap().lcn, None);
        assert!(find(&runs, 0x24).is_none());
        assert!(decode(&bytes, 0, 0x23, 0x10000).is_err());
        assert!(decode(&bytes, 0, 100, 0x5640).is_err());
        assert!(decode(&[0x11, 1], 0, 9, 9).is_err());
    }
}
