use super::header::{Check, Header, Slot};
use super::kdf::{Hash, Kdf};
use super::layout::Header2;
use crate::bytes::{clipped, index, until_nul, wide};
use h2k_block::{BlockRead, Class, Error, Meter, Result};
use serde_json::{Map, Value};
use zerocopy::FromBytes;

const MAGIC_1: &[u8; 6] = b"LUKS\xba\xbe";
const MAGIC_2: &[u8; 6] = b"SKUL\xba\xbe";
/// Sizes a header may have (specification, section 2.2), which are also the places of the second one.
const SIZES: [u64; 9] = [
    0x4000, 0x8000, 0x1_0000, 0x2_0000, 0x4_0000, 0x8_0000, 0x10_0000, 0x20_0000, 0x40_0000,
];
/// Bytes of the binary header; JSON begins behind.
const BINARY: usize = 4096;
/// A byte of JSON becomes this much memory at worst: `[[[…`, each bracket a value.
const JSON_COST: u64 = 32;

fn bad(what: impl Into<String>) -> Error {
    Error::corrupt("LUKS2 header", 0, what)
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(until_nul(field)).into_owned()
}

/// The newer of the two headers that hold.
pub(super) fn read(disk: &dyn BlockRead, meter: &mut Meter) -> Result<Header> {
    let first = one(disk, 0, MAGIC_1, meter);
    let places: Vec<u64> = match &first {
        Ok((h, _)) => vec![h.hdr_size.get()],
        Err(e) if e.class() == Class::Corrupt => SIZES.to_vec(),
        Err(_) => Vec::new(),
    };
    let mut second = None;
    for at in places {
        match one(disk, at, MAGIC_2, meter) {
            Ok(found) => {
                second = Some(found);
                break;
            }
            Err(e) if e.class() == Class::Corrupt => {}
            Err(e) => return Err(e),
        }
    }
    let (binary, json) = match (first, second) {
        (Ok(first), Some(second)) if second.0.seqid.get() > first.0.seqid.get() => second,
        (Ok(first), _) => first,
        (Err(_), Some(second)) => second,
        (Err(e), None) => return Err(e),
    };
    meter.bytes(wide(json.len()).saturating_mul(JSON_COST), "LUKS2 JSON")?;
    let json: Value =
        serde_json::from_slice(until_nul(&json)).map_err(|e| bad(format!("its JSON does not parse: {e}")))?;
    header(&binary, &json)
}

/// The header at `at` with its JSON, checked.
fn one(disk: &dyn BlockRead, at: u64, magic: &[u8; 6], meter: &mut Meter) -> Result<(Header2, Vec<u8>)> {
    let bad = |what: String| Error::corrupt("LUKS2 header", at, what);
    let bytes = clipped(disk, at, BINARY)?;
    let (h, _) = Header2::read_from_prefix(&bytes).map_err(|_| bad("cut short".to_owned()))?;
    if &h.magic != magic || h.version.get() != 2 {
        return Err(bad("no LUKS2 header is here".to_owned()));
    }
    let size = h.hdr_size.get();
    if !SIZES.contains(&size) || h.hdr_offset.get() != at {
        return Err(bad(format!(
            "{size:#x} bytes at {:#x}: no size or place of a LUKS2 header",
            h.hdr_offset.get()
        )));
    }
    if at.saturating_add(size) > disk.len() {
        return Err(bad(format!("{size:#x} bytes, the device ends before")));
    }
    let mut whole = meter.buffer(size, "LUKS2 header")?;
    disk.read_at(at, &mut whole)?;
    let hash = Hash::named(&text(&h.csum_alg))?;
    // The checksum's own field counts as zero.
    if let Some(field) = whole.get_mut(448..512) {
        field.fill(0);
    }
    let digest = hash.of(&[&whole]);
    if h.csum.get(..digest.len()) != Some(digest.as_slice()) {
        return Err(bad("the checksum does not match".to_owned()));
    }
    Ok((h, whole.split_off(BINARY)))
}

fn header(h: &Header2, json: &Value) -> Result<Header> {
    let segments = object(json, "segments")?;
    let mut header = Header {
        version: 2,
        uuid: text(&h.uuid),
        label: text(&h.label),
        subsystem: text(&h.subsystem),
        cipher: String::new(),
        key_len: 0,
        sector_size: 512,
        data_start: 0,
        data_len: None,
        iv_tweak: 0,
        slots: Vec::new(),
        check: None,
        tokens: json["tokens"]
            .as_object()
            .map(|tokens| {
                tokens
                    .values()
                    .filter_map(|t| t["type"].as_str())
                    .map(str::to_owned)
                    .collect()
            })
            .unwrap_or_default(),
        refused: refused(json, segments),
    };
    let Some((id, segment)) = segments
        .iter()
        .find(|(_, s)| s["type"] == "crypt" && s["flags"].is_null())
    else {
        header
            .refused
            .get_or_insert_with(|| "no segment of the type crypt is there".to_owned());
        return Ok(header);
    };
    header.cipher = string(segment, "encryption")?;
    header.data_start = number(segment, "offset")?;
    header.data_len = match segment["size"].as_str() {
        Some("dynamic") | None => None,
        Some(_) => Some(number(segment, "size")?),
    };
    header.iv_tweak = number(segment, "iv_tweak")?;
    let sector_size = segment["sector_size"].as_u64().unwrap_or(512);
    header.sector_size = u32::try_from(sector_size)
        .ok()
        .filter(|s| [512, 1024, 2048, 4096].contains(s))
        .ok_or_else(|| bad(format!("sectors of {sector_size} bytes")))?;
    if header.refused.is_some() {
        return Ok(header);
    }
    let digest = object(json, "digests")?
        .values()
        .find(|d| {
            d["segments"]
                .as_array()
                .is_some_and(|s| s.iter().any(|s| s == id))
        })
        .ok_or_else(|| bad(format!("no digest for segment {id}")))?;
    let slots: Vec<u32> = digest["keyslots"]
        .as_array()
        .map(|list| list.iter().filter_map(|s| s.as_str()?.parse().ok()).collect())
        .unwrap_or_default();
    header.check = Some(Check {
        kdf: kdf(digest)?,
        digest: base64(&string(digest, "digest")?).ok_or_else(|| bad("a digest that is no base64"))?,
        slots: Some(slots),
    });
    for (id, slot) in object(json, "keyslots")? {
        let Ok(id) = id.parse() else {
            continue;
        };
        if slot["type"] != "luks2" {
            continue;
        }
        // Slots in ways this code does not know are left out; others may open.
        match keyslot(id, slot) {
            Ok(slot) => {
                header.key_len = header.key_len.max(slot.key_len);
                header.slots.push(slot);
            }
            Err(e) if e.class() == Class::Unsupported => {}
            Err(e) => return Err(e),
        }
    }
    header
        .slots
        .sort_by_key(|s| (std::cmp::Reverse(s.priority), s.number));
    Ok(header)
}

/// Everything a header can ask for that is not understood, by name.
fn refused(json: &Value, segments: &Map<String, Value>) -> Option<String> {
    // The specification has a list; cryptsetup writes it under "mandatory".
    let requirements = ["/config/requirements/mandatory", "/config/requirements"]
        .iter()
        .find_map(|path| json.pointer(path)?.as_array());
    if let Some(first) = requirements.and_then(|list| list.first()) {
        let name = first.as_str().unwrap_or("without a name");
        return Some(if name.contains("reencrypt") {
            format!("its data is being encrypted anew ({name})")
        } else {
            format!("it requires {name:?}, which is not known")
        });
    }
    if let Some(slot) = json["keyslots"]
        .as_object()
        .and_then(|slots| slots.values().find(|s| s["type"] == "reencrypt"))
    {
        let mode = slot["mode"].as_str().unwrap_or("reencrypt");
        return Some(format!("its data is being encrypted anew ({mode})"));
    }
    for segment in segments.values() {
        if !segment["integrity"].is_null() {
            return Some("it authenticates its data (integrity), which is not read".to_owned());
        }
        let kind = segment["type"].as_str().unwrap_or("without a type");
        if kind != "crypt" {
            return Some(format!("a segment of the type {kind:?} is not read"));
        }
    }
    (segments.len() > 1).then(|| format!("{} segments, one is usual", segments.len()))
}

fn keyslot(number_: u32, slot: &Value) -> Result<Slot> {
    let area = &slot["area"];
    let af = &slot["af"];
    if area["type"] != "raw" || af["type"] != "luks1" {
        return Err(Error::unsupported(format!(
            "LUKS2 key slot {number_} is kept in an unknown way"
        )));
    }
    let size = |value: &Value, key: &str| {
        value[key]
            .as_u64()
            .map(index)
            .filter(|n| (1..=64).contains(n))
            .ok_or_else(|| bad(format!("key slot {number_} has no {key} between 1 and 64")))
    };
    let key_len = size(slot, "key_size")?;
    let stripes = af["stripes"].as_u64().and_then(|n| u32::try_from(n).ok());
    let stripes = stripes.ok_or_else(|| bad(format!("key slot {number_} has no stripes")))?;
    let room = number(area, "size")?;
    let needs = wide(key_len).saturating_mul(u64::from(stripes));
    if needs > room {
        return Err(bad(format!(
            "key slot {number_} needs {needs} bytes, its area has {room}"
        )));
    }
    Ok(Slot {
        number: number_,
        priority: u8::try_from(slot["priority"].as_u64().unwrap_or(1)).unwrap_or(1),
        kdf: kdf(&slot["kdf"])?,
        key_len,
        area: number(area, "offset")?,
        stripes,
        af_hash: Hash::named(&string(af, "hash")?)?,
        cipher: string(area, "encryption")?,
        area_key_len: size(area, "key_size")?,
    })
}

/// A key derivation; a digest has the same fields.
fn kdf(value: &Value) -> Result<Kdf> {
    let salt = base64(&string(value, "salt")?).ok_or_else(|| bad("a salt that is no base64"))?;
    let cost = |key: &str| {
        value[key]
            .as_u64()
            .and_then(|n| u32::try_from(n).ok())
            .ok_or_else(|| bad(format!("a key derivation without {key}")))
    };
    match value["type"].as_str() {
        Some("pbkdf2") => Ok(Kdf::Pbkdf2 {
            hash: Hash::named(&string(value, "hash")?)?,
            iterations: cost("iterations")?,
            salt,
        }),
        Some(name @ ("argon2i" | "argon2id")) => Ok(Kdf::Argon2 {
            id: name == "argon2id",
            time: cost("time")?,
            memory_kib: cost("memory")?,
            lanes: cost("cpus")?,
            salt,
        }),
        other => Err(Error::unsupported(format!(
            "the key derivation {other:?} is not known"
        ))),
    }
}

fn object<'a>(json: &'a Value, key: &str) -> Result<&'a Map<String, Value>> {
    json[key]
        .as_object()
        .ok_or_else(|| bad(format!("no {key} in its JSON")))
}

fn string(json: &Value, key: &str) -> Result<String> {
    json[key]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| bad(format!("no text {key} in its JSON")))
}

/// 64-bit numbers are kept as text.
fn number(json: &Value, key: &str) -> Result<u64> {
    json[key]
        .as_str()
        .and_then(|n| n.parse().ok())
        .ok_or_else(|| bad(format!("no number {key} in its JSON")))
}

/// Base64 with padding (RFC 4648, section 4).
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let (mut bits, mut count) = (0_u32, 0_u32);
    for c in text.bytes().filter(|c| *c != b'=') {
        let value = match c {
            b'A'..=b'Z' => c.wrapping_sub(b'A'),
            b'a'..=b'z' => c.wrapping_sub(b'a').wrapping_add(26),
            b'0'..=b'9' => c.wrapping_sub(b'0').wrapping_add(52),
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        count = count.wrapping_add(6);
        if count >= 8 {
            count = count.wrapping_sub(8);
            out.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_gives_the_vectors_of_rfc_4648() {
        for (text, plain) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYmE=", "fooba"),
        ] {
            assert_eq!(base64(text).as_deref(), Some(plain.as_bytes()), "{text}");
        }
        assert_eq!(base64("a b"), None);
    }
}
