//! The order of versions, as the package managers themselves order them.

use h2k_packages::version;
use h2k_testkit::oracle;
use h2k_testkit::rng::Rng;
use std::cmp::Ordering;
use std::fmt::Write as _;

const KNOWN: [&str; 24] = [
    "1.0",
    "1.0~rc1",
    "1.0~rc1^git1",
    "1.0^git1",
    "1.0^",
    "1.0~",
    "1.0.1",
    "1.0a",
    "1.a",
    "1.1",
    "1_0",
    "1..0",
    "01.00",
    "2.0.1a",
    "a",
    "a0",
    "0a",
    "10",
    "9",
    "",
    "5.14.0-427.el9",
    "5.14.0-427.13.1.el9_4",
    "1:0.1-1",
    "0:1.0-1",
];

/// Made of what versions are made of.
fn random(rng: &mut Rng, parts: &[&str]) -> String {
    (0..1 + rng.below(5))
        .map(|_| parts[rng.below(parts.len() as u64) as usize])
        .collect()
}

fn number(order: Ordering) -> i32 {
    match order {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }
}

#[test]
fn rpm_orders_versions_the_same_way() {
    let parts = [
        "1", "0", "00", "10", "9", ".", "..", "_", "~", "^", "a", "b", "Z", "+", "rc", "el9",
    ];
    let mut rng = Rng::new(7);
    let mut pairs: Vec<(String, String)> = KNOWN
        .iter()
        .flat_map(|a| KNOWN.map(|b| ((*a).to_owned(), b.to_owned())))
        .filter(|(a, b)| !a.is_empty() && !b.is_empty())
        .collect();
    pairs.extend((0..3000).map(|_| (random(&mut rng, &parts), random(&mut rng, &parts))));
    let mut script = String::new();
    for (a, b) in &pairs {
        writeln!(script, "print(rpm.vercmp({a:?}, {b:?}) .. ' ')").unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("versions.lua");
    std::fs::write(&path, script).unwrap();
    let said = oracle::ok(
        "rpm",
        &[
            "--eval".to_owned(),
            format!("%{{lua:dofile('{}')}}", path.display()),
        ],
    );
    let said: Vec<i32> = said.split_whitespace().map(|n| n.parse().unwrap()).collect();
    assert_eq!(said.len(), pairs.len());
    for ((a, b), said) in pairs.iter().zip(said) {
        assert_eq!(number(version::rpm_evr(a, b)), said, "{a:?} and {b:?}");
    }
}

#[test]
fn dpkg_orders_versions_the_same_way() {
    let parts = [
        "1", "0", "00", "10", "9", ".", "+", "~", "a", "Z", "-1", "-", "deb12u1", "rc",
    ];
    let mut rng = Rng::new(11);
    for _ in 0..400 {
        // A version begins with a digit and does not end in a hyphen.
        let (a, b) = [0; 2].map(|_| format!("1{}0", random(&mut rng, &parts))).into();
        let order = version::dpkg(&a, &b);
        let word = ["lt", "eq", "gt"][(number(order) + 1) as usize];
        let out = oracle::run("dpkg", &["--compare-versions", &a, word, &b]);
        assert!(out.status.success(), "{a} {word} {b}: dpkg says no");
    }
    for (a, b, want) in [
        ("1:0.1", "2.0", Ordering::Greater),
        ("0:1-1", "1-1", Ordering::Equal),
        ("6.1.0-9", "6.1.0-13", Ordering::Less),
        ("1.0~~", "1.0~", Ordering::Less),
        ("1.0-0", "1.0", Ordering::Equal),
    ] {
        assert_eq!(version::dpkg(a, b), want, "{a} {b}");
    }
}

#[test]
fn an_order_is_an_order() {
    let mut rng = Rng::new(13);
    let parts = ["1", "0", "01", ".", "_rc", "_p", "a", "-r1", "~", "^", "-", ":"];
    let all: Vec<String> = (0..60).map(|_| random(&mut rng, &parts)).collect();
    for compare in [version::rpm_evr, version::dpkg] {
        for a in &all {
            assert_eq!(compare(a, a), Ordering::Equal, "{a}");
            for b in &all {
                assert_eq!(compare(a, b), compare(b, a).reverse(), "{a} {b}");
            }
        }
    }
}
