//! Header blocks: ustar, and pax records for what does not fit.

use h2k_fs::{FileKind, Stat, Time};

/// A member of an archive.
pub(super) struct Member {
    pub(super) name: Vec<u8>,
    /// Of a link: where it points; of a further name: the first one.
    pub(super) target: Vec<u8>,
    /// The type as ustar has it.
    pub(super) kind: u8,
    /// Bytes of content in the archive.
    pub(super) size: u64,
    mode: u16,
    uid: u32,
    gid: u32,
    modified: Time,
    device: (u32, u32),
}

/// The records of a pax header.
#[derive(Default)]
pub(super) struct Records {
    bytes: Vec<u8>,
    /// A value is not UTF-8, which has to be said.
    binary: bool,
    /// The real name of a sparse file is told already.
    named: bool,
}

impl Records {
    /// Adds `key=value`, with the length of the whole in front.
    fn add(&mut self, key: &[u8], value: &[u8]) {
        // A blank, an equals sign, a line end.
        let rest = key.len().saturating_add(value.len()).saturating_add(3);
        let mut len = rest;
        // The length counts its own digits: twice round at most.
        while rest.saturating_add(len.to_string().len()) != len {
            len = rest.saturating_add(len.to_string().len());
        }
        self.bytes.extend_from_slice(len.to_string().as_bytes());
        self.bytes.push(b' ');
        self.bytes.extend_from_slice(key);
        self.bytes.push(b'=');
        self.bytes.extend_from_slice(value);
        self.bytes.push(b'\n');
    }

    /// Adds a name or path.
    fn path(&mut self, key: &[u8], value: &[u8]) {
        self.binary |= std::str::from_utf8(value).is_err();
        self.add(key, value);
    }

    /// Adds an extended attribute. In its name, what would end the key is coded as GNU tar codes it.
    pub(super) fn xattr(&mut self, name: &[u8], value: &[u8]) {
        let mut key = b"SCHILY.xattr.".to_vec();
        for byte in name {
            match byte {
                b'=' => key.extend_from_slice(b"%3D"),
                b'%' => key.extend_from_slice(b"%25"),
                other => key.push(*other),
            }
        }
        self.add(&key, value);
    }

    /// Marks a sparse file of GNU's format 1.0.
    pub(super) fn sparse(&mut self, name: &[u8], size: u64) {
        self.add(b"GNU.sparse.major", b"1");
        self.add(b"GNU.sparse.minor", b"0");
        self.path(b"GNU.sparse.name", name);
        self.add(b"GNU.sparse.realsize", size.to_string().as_bytes());
        self.named = true;
    }
}

impl Member {
    pub(super) fn new(name: &[u8], stat: &Stat) -> Self {
        let default = if stat.kind == FileKind::Dir { 0o755 } else { 0o644 };
        Self {
            name: name.to_vec(),
            target: Vec::new(),
            kind: match stat.kind {
                FileKind::Link => b'2',
                FileKind::CharDevice => b'3',
                FileKind::BlockDevice => b'4',
                FileKind::Dir => b'5',
                FileKind::Fifo => b'6',
                _ => b'0',
            },
            size: 0,
            mode: stat.mode.unwrap_or(default),
            uid: stat.uid.unwrap_or(0),
            gid: stat.gid.unwrap_or(0),
            modified: stat.modified,
            device: stat.device.unwrap_or((0, 0)),
        }
    }

    /// The blocks before the content.
    pub(super) fn encode(&self, mut records: Records) -> Vec<u8> {
        // Nobody goes by the outer name of a sparse file. A name that fits stays out of the records also where it is not
        // UTF-8: in the header, readers take bytes for bytes.
        if self.name.len() > NAME.1 && !records.named {
            records.path(b"path", &self.name);
        }
        if self.target.len() > TARGET.1 {
            records.path(b"linkpath", &self.target);
        }
        if self.size > largest(SIZE) {
            records.add(b"size", self.size.to_string().as_bytes());
        }
        for (key, id, field) in [(&b"uid"[..], self.uid, UID), (b"gid", self.gid, GID)] {
            if u64::from(id) > largest(field) {
                records.add(key, id.to_string().as_bytes());
            }
        }
        let seconds = u64::try_from(self.modified.seconds).ok();
        if self.modified.nanos != 0 || seconds.is_none_or(|s| s > largest(MTIME)) {
            records.add(b"mtime", decimal(self.modified).as_bytes());
        }
        let mut out = Vec::new();
        if !records.bytes.is_empty() {
            let mut all = Records::default();
            if records.binary {
                // Has to come first: it says how to read the others.
                all.add(b"hdrcharset", b"BINARY");
            }
            all.bytes.extend_from_slice(&records.bytes);
            let extra = Self {
                name: extra_name(&self.name),
                target: Vec::new(),
                kind: b'x',
                size: u64::try_from(all.bytes.len()).unwrap_or(u64::MAX),
                mode: 0o644,
                uid: 0,
                gid: 0,
                modified: Time::default(),
                device: (0, 0),
            };
            out.extend_from_slice(&extra.block());
            out.extend_from_slice(&all.bytes);
            out.resize(out.len().next_multiple_of(512), 0);
        }
        out.extend_from_slice(&self.block());
        out
    }

    fn block(&self) -> [u8; 512] {
        let mut block = [0; 512];
        put(&mut block, NAME, &self.name);
        number(&mut block, MODE, u64::from(self.mode));
        number(&mut block, UID, u64::from(self.uid));
        number(&mut block, GID, u64::from(self.gid));
        number(&mut block, SIZE, self.size);
        number(
            &mut block,
            MTIME,
            u64::try_from(self.modified.seconds).unwrap_or(0),
        );
        put(&mut block, KIND, &[self.kind]);
        put(&mut block, TARGET, &self.target);
        put(&mut block, MAGIC, b"ustar\x0000");
        number(&mut block, MAJOR, u64::from(self.device.0));
        number(&mut block, MINOR, u64::from(self.device.1));
        // The sum of all bytes, its own field taken as blanks.
        put(&mut block, SUM, b"        ");
        let sum: u64 = block.iter().map(|b| u64::from(*b)).sum();
        put(&mut block, SUM, format!("{sum:06o}\0 ").as_bytes());
        block
    }
}

/// Fields of the header block: where each begins, and its length.
type Field = (usize, usize);

const NAME: Field = (0, 100);
const MODE: Field = (100, 8);
const UID: Field = (108, 8);
const GID: Field = (116, 8);
const SIZE: Field = (124, 12);
const MTIME: Field = (136, 12);
const SUM: Field = (148, 8);
const KIND: Field = (156, 1);
const TARGET: Field = (157, 100);
const MAGIC: Field = (257, 8);
const MAJOR: Field = (329, 8);
const MINOR: Field = (337, 8);

/// Fills a field from its start; what is too long is cut off, and told in a record.
fn put(block: &mut [u8; 512], (start, len): Field, bytes: &[u8]) {
    for (to, from) in block.iter_mut().skip(start).take(len).zip(bytes) {
        *to = *from;
    }
}

/// The largest number a field holds: octal digits and a NUL.
fn largest((_, len): Field) -> u64 {
    let bits = u32::try_from(len.saturating_sub(1).saturating_mul(3)).unwrap_or(0);
    1_u64.checked_shl(bits).map_or(u64::MAX, |n| n.saturating_sub(1))
}

fn number(block: &mut [u8; 512], field: Field, value: u64) {
    // What is too large is told in a record; zero is as good as anything here.
    let value = if value > largest(field) { 0 } else { value };
    let digits = field.1.saturating_sub(1);
    put(block, field, format!("{value:0digits$o}\0").as_bytes());
}

/// Seconds since 1970 with a fraction; before that, negative.
fn decimal(time: Time) -> String {
    let (sign, seconds, nanos) = if time.seconds < 0 && time.nanos > 0 {
        let seconds = time.seconds.saturating_add(1).unsigned_abs();
        ("-", seconds, 1_000_000_000_u32.saturating_sub(time.nanos))
    } else if time.seconds < 0 {
        ("-", time.seconds.unsigned_abs(), 0)
    } else {
        ("", time.seconds.unsigned_abs(), time.nanos)
    };
    match nanos {
        0 => format!("{sign}{seconds}"),
        nanos => format!("{sign}{seconds}.{nanos:09}"),
    }
}

/// What a program that knows no pax calls the records.
fn extra_name(name: &[u8]) -> Vec<u8> {
    let name = name.strip_suffix(b"/").unwrap_or(name);
    let base = name.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let base = base.get(..base.len().min(80)).unwrap_or_default();
    [b"./PaxHeaders/", base].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_the_digits_of_its_own_length() {
        for (value, want) in [
            (3, "8"),
            (5, "11"),
            (92, "98"),
            (93, "99"),
            (94, "101"),
            (992, "999"),
            (993, "1001"),
        ] {
            let mut records = Records::default();
            records.add(b"k", &vec![b'v'; value]);
            let text = String::from_utf8(records.bytes).unwrap();
            assert!(text.starts_with(&format!("{want} k=")), "{value}: {}", &text[..8]);
            assert_eq!(text.len().to_string(), want);
        }
    }

    #[test]
    fn times_before_1970_are_negative_numbers() {
        let time = |seconds, nanos| decimal(Time { seconds, nanos });
        assert_eq!(time(-2, 500_000_000), "-1.500000000");
        assert_eq!(time(-1, 0), "-1");
        assert_eq!(time(0, 1), "0.000000001");
        assert_eq!(time(-1, 999_999_999), "-0.000000001");
    }

    #[test]
    fn fields_hold_as_much_as_their_digits() {
        assert_eq!(largest(SIZE), 8 * 1024 * 1024 * 1024 - 1);
        assert_eq!(largest(UID), 2_097_151);
    }
}
