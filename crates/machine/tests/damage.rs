//! A hundred thousand damaged descriptions at each door.

use crate::door;
use crate::known::{OLD_VMX, OLD_XML, RHEL, VIRTUALBOX, VMWARE, WEB};
use h2k_testkit::mutate::damage;
use h2k_testkit::oracle;
use h2k_testkit::rng::Rng;

/// Knocks 100,000 times with one of `seeds`, damaged: bytes, and words of one seed in the place of others.
fn storm(seeds: &[&[u8]], knock: impl Fn(&[u8]) -> bool) {
    let mut rng = Rng::new(0xdead_bea7);
    let (mut whole, mut less) = (0, 0);
    for n in 0..100_000 {
        let mut bytes = seeds[n % seeds.len()].to_vec();
        if rng.below(2) == 0 {
            let len = bytes.len();
            damage(&mut rng, &mut bytes, 0..len);
        }
        for _ in 0..rng.below(3) {
            words(&mut rng, &mut bytes);
        }
        if knock(&bytes) {
            whole += 1;
        } else {
            less += 1;
        }
    }
    assert!(
        whole > 1000 && less > 1000,
        "{whole} whole, {less} not: the damage does not bite"
    );
}

/// Numbers and words that hurt.
const NASTY: [&str; 14] = [
    "0",
    "-1",
    "18446744073709551615",
    "18446744073709551616",
    "4294967295",
    "99999999999999999999999999",
    "",
    "../../etc/passwd",
    "/etc/passwd",
    "&amp;",
    "&#0;",
    "ovf:/disk/vmdisk1",
    "x'y\"z<",
    "\u{0}",
];

/// Puts a nasty word in the place of a run between two marks.
fn words(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let mark = |b: &u8| matches!(b, b'"' | b'\'' | b'>' | b'<' | b'=' | b'\n');
    let from = rng.below(bytes.len() as u64 + 1) as usize;
    let Some(start) = bytes[from..].iter().position(mark).map(|p| from + p + 1) else {
        return;
    };
    let Some(end) = bytes[start..].iter().position(mark).map(|p| start + p) else {
        return;
    };
    let word = NASTY[rng.below(NASTY.len() as u64) as usize];
    bytes.splice(start..end, word.bytes());
}

/// What the fuzz target does: everything is knocked at with everything.
#[test]
fn each_sample_at_every_door_ends_in_an_answer() {
    for seed in [VMWARE, VIRTUALBOX, WEB, OLD_VMX, RHEL, OLD_XML, b"", b"\0"] {
        door::knock(seed);
    }
}

#[test]
fn a_hundred_thousand_damaged_ovfs_end_in_answers() {
    storm(&[VMWARE, VIRTUALBOX], door::knock_ovf);
}

#[test]
fn a_hundred_thousand_damaged_vmxs_end_in_answers() {
    storm(&[WEB, OLD_VMX], door::knock_vmx);
}

#[test]
fn a_hundred_thousand_damaged_domains_end_in_answers() {
    storm(&[RHEL, OLD_XML], door::knock_domain);
}

#[test]
fn a_hundred_thousand_damaged_manifests_end_in_answers() {
    let one = format!(
        "SHA256(a.ovf)= {}\nSHA1 (b.vmdk) = {}\n",
        "a".repeat(64),
        "b".repeat(40)
    );
    storm(&[one.as_bytes()], door::knock_manifest);
}

#[test]
fn a_hundred_thousand_damaged_archives_end_in_answers() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    // A short descriptor, so that headers are hit as often as content.
    let ovf = "<Envelope xmlns='http://schemas.dmtf.org/ovf/envelope/1'><VirtualSystem id='a'><VirtualHardwareSection/>\
               </VirtualSystem></Envelope>";
    put("a.ovf", ovf.as_bytes());
    let disk = "d".repeat(120) + ".vmdk";
    put(&disk, b"disk");
    let said = oracle::ok("sha256sum", &[dir.path().join("a.ovf")]);
    put("a.mf", format!("SHA256(a.ovf)= {}\n", &said[..64]).as_bytes());
    let mut seeds = Vec::new();
    for format in ["gnu", "pax"] {
        let archive = dir.path().join(format);
        let args = [
            "-b",
            "2",
            "--format",
            format,
            "-C",
            dir.path().to_str().unwrap(),
            "-cf",
            archive.to_str().unwrap(),
        ];
        oracle::ok("tar", &[&args[..], &["a.ovf", "a.mf", &disk]].concat());
        seeds.push(std::fs::read(&archive).unwrap());
    }
    let seeds: Vec<&[u8]> = seeds.iter().map(Vec::as_slice).collect();
    storm(&seeds, door::knock_ova);
}
