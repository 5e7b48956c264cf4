//! The door hostile databases come through: the same function serves the mutation tests and the fuzz target.

use h2k_block::{BlockRead, Limits, MemDisk, Meter};
use h2k_packages::{Database, Format, apk, dpkg, pacman, rpm, version, xbps};

/// What hostile input may cost here.
pub const LIMITS: Limits = Limits {
    bytes: 4 << 20,
    steps: 50_000,
    depth: 16,
};

/// Reads `bytes` as a database of every kind. Errors are the expected answer.
pub fn knock(bytes: &[u8]) {
    knock_rpm(&MemDisk::new(bytes.to_vec()), None);
    // The second half as a write-ahead log of the first.
    let (database, wal) = bytes.split_at(bytes.len() / 2);
    knock_rpm(
        &MemDisk::new(database.to_vec()),
        Some(&MemDisk::new(wal.to_vec())),
    );
    knock_text(bytes);
}

/// Reads `disk` as an rpm database.
pub fn knock_rpm(disk: &dyn BlockRead, wal: Option<&dyn BlockRead>) -> usize {
    let database = rpm::read(disk, wal, "/var/lib/rpm/x", &LIMITS);
    assert!(database.warnings.len() <= 101);
    assert!(database.packages.iter().all(|p| !p.name.is_empty()));
    database.packages.len()
}

/// Reads `bytes` as every kind of text, and a header, and two versions.
pub fn knock_text(bytes: &[u8]) {
    let mut database = Database::empty(Format::Dpkg, "x");
    let _ = dpkg::parse(bytes, "x", &mut Meter::new(LIMITS), &mut database);
    let _ = apk::parse(bytes, "x", &mut Meter::new(LIMITS), &mut database);
    let _ = xbps::parse(bytes, "x", &mut Meter::new(LIMITS), &mut database);
    let _ = pacman::parse(bytes, &mut Meter::new(LIMITS));
    assert!(database.packages.iter().all(|p| !p.name.is_empty()));
    if let Ok(header) = rpm::Header::parse(bytes) {
        let _ = rpm::package(&header);
    }
    let text = String::from_utf8_lossy(bytes.get(..256).unwrap_or(bytes));
    if let Some((a, b)) = text.split_once('\n') {
        assert_eq!(version::rpm_evr(a, b), version::rpm_evr(b, a).reverse());
        assert_eq!(version::dpkg(a, b), version::dpkg(b, a).reverse());
        assert_eq!(
            version::apk(a, b),
            version::apk(b, a).map(std::cmp::Ordering::reverse)
        );
    }
}
