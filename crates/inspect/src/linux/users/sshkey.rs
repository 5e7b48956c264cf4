//! Public keys of SSH: authorized_keys(5) as sshd(8) describes it, and `*.pub` of the machine itself.
//!
//! A key is `KIND BASE64 COMMENT`; the bytes begin with the kind once more, RFC 4253, section 6.6.

use crate::users::{AuthorizedKey, SshKey, SshdSetting, User};
use h2k_guest::look::{Line, join};
use h2k_guest::{Look, Text};
use sha2::{Digest, Sha256};

/// How many keys are listed; a machine with more is a forge, whose keys are its users' business.
const MOST: usize = 10_000;

pub(super) fn host_keys(files: &Look<'_>) -> Vec<SshKey> {
    let mut found = Vec::new();
    for dir in ["/etc/ssh", "/etc/dropbear"] {
        for name in files.names(dir) {
            if name.starts_with(b"ssh_host_") && name.ends_with(b"key.pub") {
                let text = files.text(join(dir.as_bytes(), &name));
                found.extend(
                    text.iter()
                        .flat_map(Text::spoken)
                        .filter_map(|line| key(line.text, line)),
                );
            }
        }
    }
    found
}

pub(super) fn authorized(files: &Look<'_>, users: &[User], sshd: &[SshdSetting]) -> Vec<AuthorizedKey> {
    let told: Vec<&str> = sshd
        .iter()
        .filter(|s| s.name == "AuthorizedKeysFile")
        .flat_map(|s| s.value.split_whitespace())
        .collect();
    let mut patterns = told;
    if patterns.is_empty() {
        patterns = vec![".ssh/authorized_keys", ".ssh/authorized_keys2"];
    }
    // NixOS and Flatcar keep keys there, the latter one file a source.
    patterns.push("/etc/ssh/authorized_keys.d/%u");
    patterns.push(".ssh/authorized_keys.d/*");
    let mut found: Vec<AuthorizedKey> = Vec::new();
    // Many users of services share a home: each file is listed for the first of them that a key opens.
    let mut seen: Vec<Vec<u8>> = Vec::new();
    for user in users {
        for pattern in &patterns {
            if *pattern == "none" {
                continue;
            }
            for path in paths(files, pattern, user) {
                let Some(place) = files.canonical(&path) else {
                    continue;
                };
                if seen.contains(&place) {
                    continue;
                }
                let Some(text) = files.text(&path) else { continue };
                seen.push(place);
                for line in text.spoken() {
                    if found.len() >= MOST {
                        return found;
                    }
                    found.extend(authorized_key(line, &user.name));
                }
            }
        }
    }
    found
}

fn paths(files: &Look<'_>, pattern: &str, user: &User) -> Vec<Vec<u8>> {
    let mut path = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match (c, c == '%') {
            (_, true) => match chars.next() {
                Some('u') => path.push_str(&user.name),
                Some('h') => path.push_str(&user.home),
                Some('U') => path.push_str(&user.uid.to_string()),
                Some(other) => path.push(other),
                None => {}
            },
            (c, _) => path.push(c),
        }
    }
    if !path.starts_with('/') {
        path = format!("{}/{path}", user.home.trim_end_matches('/'));
    }
    match path.strip_suffix("/*") {
        Some(dir) => {
            let names = files.names(dir).into_iter();
            names.map(|name| join(dir.as_bytes(), &name)).collect()
        }
        None => vec![path.into_bytes()],
    }
}

/// A line of authorized_keys: options, if any, stand before the key, and may hold blanks between quotes.
fn authorized_key(line: Line<'_>, user: &str) -> Option<AuthorizedKey> {
    let (options, key) = match key(line.text, line) {
        Some(key) => (None, key),
        None => {
            let (options, rest) = line.text.split_at_checked(end_of_options(line.text))?;
            (Some(options.to_owned()), key(rest.trim_start(), line)?)
        }
    };
    Some(AuthorizedKey {
        user: user.to_owned(),
        options,
        key,
    })
}

/// Where the first blank outside quotes is.
fn end_of_options(line: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in line.char_indices() {
        match c {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            ' ' | '\t' if !quoted => return at,
            _ => {}
        }
        escaped = false;
    }
    line.len()
}

/// The key that `text` begins with.
fn key(text: &str, line: Line<'_>) -> Option<SshKey> {
    let mut words = text.splitn(3, [' ', '\t']);
    let (kind, blob) = (words.next()?, words.next()?.trim());
    let blob = unbase64(blob)?;
    let (name, rest) = field(&blob)?;
    // The bytes say what they are: a line whose words say something else is no key.
    if name != kind.as_bytes() {
        return None;
    }
    let comment = words.next().map(str::trim).filter(|c| !c.is_empty());
    Some(SshKey {
        kind: kind.to_owned(),
        bits: bits(kind, rest),
        fingerprint: format!("SHA256:{}", base64(&Sha256::digest(&blob))),
        comment: comment.map(str::to_owned),
        source: line.source(),
    })
}

/// A run of bytes with its length before it.
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    rest.split_at_checked(len)
}

/// The length of a key, as ssh-keygen counts it: of RSA that of the modulus, of DSA that of p.
fn bits(kind: &str, rest: &[u8]) -> Option<u32> {
    let kind = kind.strip_suffix("-cert-v01@openssh.com").unwrap_or(kind);
    match kind {
        "ssh-ed25519" | "sk-ssh-ed25519@openssh.com" => Some(256),
        "ecdsa-sha2-nistp256" | "sk-ecdsa-sha2-nistp256@openssh.com" => Some(256),
        "ecdsa-sha2-nistp384" => Some(384),
        "ecdsa-sha2-nistp521" => Some(521),
        "ssh-rsa" => number(field(field(rest)?.1)?.0),
        "ssh-dss" => number(field(rest)?.0),
        _ => None,
    }
}

/// Bits of a big-endian number.
fn number(bytes: &[u8]) -> Option<u32> {
    let start = bytes.iter().position(|b| *b != 0)?;
    let rest = bytes.get(start..)?;
    let first = rest.first()?;
    let all = u32::try_from(rest.len()).ok()?.checked_mul(8)?;
    all.checked_sub(first.leading_zeros())
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Without padding, as fingerprints are written.
fn base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |n: usize| u32::from(chunk.get(n).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for shift in [18, 12, 6, 0].iter().take(chunk.len().saturating_add(1)) {
            let index = usize::try_from((word >> shift) & 63).unwrap_or(0);
            out.extend(ALPHABET.get(index).map(|b| char::from(*b)));
        }
    }
    out
}

fn unbase64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let mut out = Vec::with_capacity(text.len());
    for chunk in text.as_bytes().chunks(4) {
        let mut word = 0_u32;
        for byte in chunk {
            word = word << 6 | u32::from(value(*byte)?);
        }
        match chunk.len() {
            4 => out.extend(word.to_be_bytes().get(1..)?),
            3 => out.extend((word << 6).to_be_bytes().get(1..3)?),
            2 => out.extend((word << 12).to_be_bytes().get(1..2)?),
            _ => return None,
        }
    }
    Some(out)
}

fn value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => byte.checked_sub(b'A'),
        b'a'..=b'z' => byte.checked_sub(b'a' - 26),
        b'0'..=b'9' => byte.checked_add(52 - b'0'),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}
