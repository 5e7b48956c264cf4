//! `/etc/fstab`, as fstab(5) describes it.

/// One line that mounts something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FstabLine {
    /// What: a device, `UUID=…`, a network path, a word.
    pub spec: Vec<u8>,
    /// Where: a path, or `none` and `swap`.
    pub point: Vec<u8>,
    /// Which filesystem: `ext4`, `auto`, `nfs` ….
    pub kind: Vec<u8>,
    /// Mount options, without commas.
    pub options: Vec<Vec<u8>>,
}

impl FstabLine {
    /// Whether one of the options is `name`.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.options.iter().any(|o| o == name.as_bytes())
    }

    /// The value of the option `name=value`; the last one counts.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&[u8]> {
        self.options.iter().rev().find_map(|o| {
            let rest = o.strip_prefix(name.as_bytes())?;
            rest.strip_prefix(b"=")
        })
    }
}

/// Reads an fstab. Lines with fewer than two fields are left out: there is nothing they could mount.
#[must_use]
pub fn fstab(text: &[u8]) -> Vec<FstabLine> {
    text.split(|b| *b == b'\n').filter_map(line).collect()
}

/// The fields of a line, without comments.
pub(crate) fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let comment = line.trim_ascii_start().first() == Some(&b'#');
    let line = if comment { &[][..] } else { line };
    line.split(u8::is_ascii_whitespace).filter(|f| !f.is_empty())
}

fn line(line: &[u8]) -> Option<FstabLine> {
    let mut fields = fields(line);
    let spec = unquoted(&unescaped(fields.next()?));
    let point = unescaped(fields.next()?);
    let kind = fields.next().map_or_else(|| b"auto".to_vec(), unescaped);
    let options = fields.next().unwrap_or(b"defaults");
    Some(FstabLine {
        spec,
        point,
        kind,
        options: options.split(|b| *b == b',').map(unescaped).collect(),
    })
}

/// `\040` and its kin: a byte in three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first == b'\\'
            && let Some((digits, after)) = tail.split_first_chunk::<3>()
            && digits.iter().all(|d| (b'0'..=b'7').contains(d))
            && let Ok(text) = std::str::from_utf8(digits)
            && let Ok(byte) = u8::from_str_radix(text, 8)
        {
            out.push(byte);
            rest = after;
        } else {
            out.push(*first);
        }
    }
    out
}

/// `UUID="…"`: quotes are allowed around a value.
fn unquoted(spec: &[u8]) -> Vec<u8> {
    let Some(at) = spec.iter().position(|b| *b == b'=') else {
        return spec.to_vec();
    };
    let (key, value) = spec.split_at(at.saturating_add(1));
    for quote in [b'"', b'\''] {
        let inner = value
            .strip_prefix(&[quote])
            .and_then(|v| v.strip_suffix(&[quote]));
        if let Some(inner) = inner {
            return [key, inner].concat();
        }
    }
    spec.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_fstab_is_read_with_comments_tabs_escapes_and_quotes() {
        let all = fstab(
            b"# a comment\n\nUUID=\"12-34\"\t/boot/my\\040files ext4 noatime,subvol=@ 0 2\r\n/dev/sda3 none swap\n\
              #/dev/sda4 /off\n  /dev/sdb1   /data\nalone\n",
        );
        assert_eq!(all.len(), 3);
        assert_eq!(all[0].spec, b"UUID=12-34");
        assert_eq!(all[0].point, b"/boot/my files");
        assert_eq!(all[0].option("subvol"), Some(&b"@"[..]));
        assert!(all[0].has("noatime") && !all[0].has("subvol"));
        assert_eq!(all[1].kind, b"swap");
        assert_eq!(
            (all[2].kind.as_slice(), all[2].has("defaults")),
            (&b"auto"[..], true)
        );
    }

    #[test]
    fn what_is_no_escape_stays() {
        assert_eq!(unescaped(b"a\\b\\9\\04"), b"a\\b\\9\\04");
        assert_eq!(unescaped(b"\\134\\011\\377"), b"\\\t\xff");
    }
}
