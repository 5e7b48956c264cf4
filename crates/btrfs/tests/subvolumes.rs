//! Subvolumes, snapshots and the default subvolume, against the kernel and `btrfs subvolume`.

use crate::made::{Volume, bash};
use h2k_block::{Class, Limits, Meter};
use h2k_fs::{FsRead, lookup_path};
use h2k_testkit::listing::{self, Options};
use h2k_testkit::oracle::ok;

const TREE: &str = r#"
btrfs -q subvolume create @
mkdir -p @/etc @/var/lib
echo root > @/etc/fstab
btrfs -q subvolume create @/var/lib/machines
echo machine > @/var/lib/machines/image
btrfs -q subvolume create @home
echo me > @home/user
mkdir snapshots
btrfs -q subvolume snapshot -r @ snapshots/1 > /dev/null
echo changed > @/etc/fstab
btrfs -q subvolume snapshot @ snapshots/2 > /dev/null
btrfs -q subvolume snapshot snapshots/2 snapshots/2/below > /dev/null
btrfs -q subvolume create gone; echo x > gone/x; btrfs -q subvolume delete -c gone > /dev/null
mv @home renamed
echo top > top
btrfs subvolume set-default @
sync -f .
"#;

#[test]
fn subvolumes_and_snapshots_hang_where_the_kernel_shows_them() {
    let mut volume = Volume::make(1, "256M", &[]);
    let Some(mounted) = volume.mount("") else { return };
    bash(TREE, mounted.path());
    drop(mounted);
    let fs = volume.open();

    // The default subvolume is the root.
    let mounted = volume.mount("ro").unwrap();
    let theirs = listing::of_host_across(mounted.path(), Options::UNIX);
    let ours = listing::of_fs(&fs, Options::UNIX).unwrap();
    assert_eq!(listing::differences(&theirs.text, &ours.text), None);
    assert!(ours.text.contains("etc/fstab") && !ours.text.contains("top"));
    drop(mounted);

    // The top level, with everything that hangs in it.
    let mounted = volume.mount("ro,subvolid=5").unwrap();
    let theirs = listing::of_host_across(mounted.path(), Options::UNIX);
    let top = fs.rooted(fs.subvolume(5).unwrap());
    let ours = listing::of_fs(&top, Options::UNIX).unwrap();
    assert_eq!(listing::differences(&theirs.text, &ours.text), None);
    // A snapshot shows an empty directory where a subvolume lay below the original.
    assert!(ours.text.contains("snapshots/1/var/lib/machines\td"));
    assert!(!ours.text.contains("snapshots/1/var/lib/machines/image"));
    assert_eq!(fs.subvolume(0).unwrap(), top.root());

    // Numbers and paths as `btrfs subvolume list` has them.
    let text = ok(
        "btrfs",
        &["subvolume", "list", "-p", mounted.path().to_str().unwrap()],
    );
    let mut theirs: Vec<(u64, u64, String)> = text
        .lines()
        .map(|l| {
            let words: Vec<&str> = l.split(' ').collect();
            (
                words[1].parse().unwrap(),
                words[5].parse().unwrap(),
                words.last().unwrap().to_string(),
            )
        })
        .collect();
    theirs.sort();
    let found = fs.subvolumes().unwrap();
    let ours: Vec<(u64, u64, String)> = found
        .iter()
        .filter(|s| s.id != 5)
        .map(|s| {
            (
                s.id,
                s.parent.unwrap(),
                String::from_utf8(s.path.clone().unwrap()).unwrap(),
            )
        })
        .collect();
    assert_eq!(ours, theirs);
    let named = |path: &str| {
        found
            .iter()
            .find(|s| s.path.as_deref() == Some(path.as_bytes()))
            .unwrap()
    };
    let (original, snapshot) = (named("@"), named("snapshots/1"));
    assert!(snapshot.read_only && !original.read_only);
    assert_eq!(snapshot.parent_uuid, original.uuid);
    let show = ok(
        "btrfs",
        &[
            "subvolume",
            "show",
            mounted.path().join("snapshots/1").to_str().unwrap(),
        ],
    );
    let uuid: String = show
        .lines()
        .find(|l| l.trim().starts_with("UUID:"))
        .unwrap()
        .chars()
        .filter(char::is_ascii_hexdigit)
        .collect();
    let hex: String = snapshot
        .uuid
        .unwrap()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert!(uuid.ends_with(&hex), "{uuid} {hex}");
    drop(mounted);

    // By path and by number, as fstab names them.
    for s in &found {
        let path = s.path.clone().unwrap();
        let by_path = fs.subvolume_at(&path).unwrap().unwrap();
        assert_eq!(by_path, fs.subvolume(s.id).unwrap());
        assert_eq!(fs.subvolume_of(by_path).unwrap(), s.id);
    }
    assert_eq!(
        fs.subvolume_at(b"/renamed/").unwrap(),
        Some(fs.subvolume(named("renamed").id).unwrap())
    );
    assert_eq!(fs.subvolume_at(b"@home").unwrap(), None);
    assert_eq!(fs.subvolume_at(b"top/x").unwrap(), None);
    assert_eq!(fs.subvolume_at(b"snapshots").unwrap_err().class(), Class::Invalid);
    assert_eq!(fs.subvolume(9999).unwrap_err().class(), Class::NotFound);
    assert_eq!(fs.subvolume(7).unwrap_err().class(), Class::NotFound);

    let home = fs.rooted(fs.subvolume_at(b"renamed").unwrap().unwrap());
    let mut meter = Meter::new(Limits::default());
    assert!(lookup_path(&home, b"/user", true, &mut meter).unwrap().is_some());
}
