//! The binary values of the SAM hive, as far as they hold no secret.
//!
//! Source: the libyal project's "Windows Registry knowledge base", Security Accounts Manager, "Domains": `F` of a user
//! (80 bytes), `V` of a user (17 descriptors of 12 bytes, offsets counted from their end), `C` of an alias (offsets
//! counted from byte 52). The flags of `F` are the USER_ACCOUNT codes of MS-SAMR 2.2.1.12. What the `V` of a domain
//! ends with is not described there: it was found on hives of real machines.

use super::time::seconds;

/// Account control bits of `F`: USER_ACCOUNT_DISABLED, USER_PASSWORD_NOT_REQUIRED, USER_DONT_EXPIRE_PASSWORD,
/// USER_ACCOUNT_AUTO_LOCKED.
pub(crate) const DISABLED: u16 = 0x0001;
pub(crate) const NOT_REQUIRED: u16 = 0x0004;
pub(crate) const NEVER_EXPIRES: u16 = 0x0200;
pub(crate) const LOCKED: u16 = 0x0400;

/// Places of texts in the table of `V`.
pub(crate) const NAME: usize = 1;
pub(crate) const FULL_NAME: usize = 2;
pub(crate) const COMMENT: usize = 3;

/// What follows the table of a user's `V`, and of an alias' `C`.
const USER_TABLE: usize = 0xcc;
const ALIAS_TABLE: usize = 0x34;
/// More members than this no alias has.
const MEMBERS: usize = 10_000;

/// The values of fixed length of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fixed {
    pub(crate) last_logon: Option<i64>,
    pub(crate) password_set: Option<i64>,
    pub(crate) expires: Option<i64>,
    pub(crate) flags: u16,
    pub(crate) logons: Option<u16>,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alias {
    pub(crate) name: String,
    pub(crate) comment: Option<String>,
    pub(crate) members: Vec<String>,
}

impl Fixed {
    pub(crate) fn read(data: &[u8]) -> Self {
        let time = |at: usize| seconds(u64::from_le_bytes(*data.get(at..)?.first_chunk()?));
        let pair = |at: usize| Some(u16::from_le_bytes(*data.get(at..)?.first_chunk()?));
        Self {
            last_logon: time(8),
            password_set: time(24),
            expires: time(32),
            flags: pair(56).unwrap_or(0),
            logons: pair(66),
        }
    }
}

impl Alias {
    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        let part = |at: usize| part(data, at, ALIAS_TABLE);
        let mut members = Vec::new();
        let mut rest = part(40).unwrap_or_default();
        while let Some((sid, after)) = sid(rest).filter(|_| members.len() < MEMBERS) {
            members.push(sid);
            rest = after;
        }
        Some(Self {
            name: text(part(16)?)?,
            comment: part(28).and_then(text),
            members,
        })
    }
}

/// A text of a user's `V`.
pub(crate) fn user_text(data: &[u8], place: usize) -> Option<String> {
    text(part(data, place.checked_mul(12)?, USER_TABLE)?)
}

/// The SID of the machine: the end of the `V` of its domain.
pub(crate) fn machine_sid(data: &[u8]) -> Option<String> {
    let tail = data.last_chunk::<24>()?;
    sid(tail)
        .map(|(sid, _)| sid)
        .filter(|sid| sid.starts_with("S-1-5-21-"))
}

/// What offset and length at `at` point at, counted from the end of the table.
fn part(data: &[u8], at: usize, table: usize) -> Option<&[u8]> {
    let number = |at: usize| usize::try_from(u32::from_le_bytes(*data.get(at..)?.first_chunk()?)).ok();
    let (offset, len) = (number(at)?, number(at.checked_add(4)?)?);
    data.get(table.checked_add(offset)?..)?.get(..len)
}

/// Text in UTF-16, low bytes first; none where there is nothing.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    let (pairs, _) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
    (!units.is_empty()).then(|| String::from_utf16_lossy(&units))
}

/// A SID as text, and what follows it (MS-DTYP 2.4.2.2).
pub(crate) fn sid(data: &[u8]) -> Option<(String, &[u8])> {
    let (&[revision, count, authority @ ..], rest) = data.split_first_chunk::<8>()?;
    if revision != 1 || count > 15 {
        return None;
    }
    let authority = authority.iter().fold(0_u64, |n, b| (n << 8) | u64::from(*b));
    let (subs, rest) = rest.split_at_checked(usize::from(count).saturating_mul(4))?;
    let (subs, _) = subs.as_chunks::<4>();
    let subs: String = subs
        .iter()
        .map(|s| format!("-{}", u32::from_le_bytes(*s)))
        .collect();
    Some((format!("S-1-{authority}{subs}"), rest))
}
