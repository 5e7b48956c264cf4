//! Guests to ask, and how they are asked.

use h2k_block::{Access, FileDisk, Limits, MemDisk, Meter, Sharing};
use h2k_fs::MemFs;
use h2k_guest::{Device, Guest};
use h2k_inspect::{Inspection, Topic, Topics, inspect};
use h2k_volume::{Disk, scan};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// The smallest system: the files named, and what every system has.
pub fn system(files: &[(&str, &str)]) -> MemFs {
    let mut fs = MemFs::new();
    fs.dir("/bin").unwrap();
    fs.dir("/etc").unwrap();
    for (path, text) in files {
        if let Some(target) = text.strip_prefix("-> ") {
            fs.link(path, target).unwrap();
        } else {
            fs.file(path, *text).unwrap();
        }
    }
    fs
}

/// What is said of `topic` in the only system of `fs`, as JSON. The report has to obey its schema.
pub fn asked(fs: MemFs, topic: Topic) -> Value {
    let guest = Guest::of(vec![Device::with_fs("/dev/sda1", fs)], &Limits::default());
    let found = inspect(&guest, &Topics::only(&[topic]), &Limits::default());
    assert_eq!(found.systems.len(), 1, "{found:?}");
    serde_json::to_value(&found.systems[0]).unwrap()[topic.word()].take()
}

/// As [`asked`], for the only system of a guest.
pub fn section(found: &Inspection, topic: Topic) -> Value {
    assert_eq!(found.systems.len(), 1, "{found:?}");
    serde_json::to_value(&found.systems[0]).unwrap()[topic.word()].take()
}

/// Asks for everything of the guest of that name beside the checkout.
pub fn shared_guest(name: &str, topics: &[Topic]) -> Option<Inspection> {
    let Some(shared) = h2k_testkit::corpus::shared() else {
        println!("skipped: no corpus");
        return None;
    };
    let packed = std::fs::read(shared.join(format!("guests/{name}.img.zst"))).unwrap();
    let disk = MemDisk::new(h2k_testkit::corpus::unzstd(&packed));
    let volumes = scan(&[Disk::new(0, Arc::new(disk))], &Limits::default()).unwrap();
    let guest = Guest::new(&volumes, &Limits::default());
    Some(inspect(&guest, &Topics::only(topics), &Limits::default()))
}

/// A guest of the rig, where `H2K_RIG` names the folder of its images.
pub fn rig(name: &str) -> Option<Guest> {
    let Ok(folder) = std::env::var("H2K_RIG") else {
        println!("skipped: H2K_RIG names no guests of the rig");
        return None;
    };
    let path = Path::new(&folder).join(format!("{name}.raw"));
    let disk = FileDisk::open(&path, Access::Read, Sharing::Force).unwrap();
    let volumes = scan(&[Disk::new(0, Arc::new(disk))], &Limits::default()).unwrap();
    Some(Guest::new(&volumes, &Limits::default()))
}

/// Asks for everything of a guest of the rig.
pub fn rig_guest(name: &str, topics: &[Topic]) -> Option<Inspection> {
    let guest = rig(name)?;
    Some(inspect(&guest, &Topics::only(topics), &Limits::default()))
}

/// A file of a guest of the rig.
pub fn rig_file(name: &str, path: &str) -> Option<Vec<u8>> {
    let tree = rig(name)?.root().unwrap().tree;
    let mut meter = Meter::new(Limits::default());
    let place = tree.lookup(path.as_bytes(), true, &mut meter).unwrap()?;
    Some(tree.read_file(place, &mut meter).unwrap())
}

/// The value of the fact `name` of a section.
pub fn value<'a>(section: &'a Value, name: &str) -> &'a Value {
    &section[name]["value"]
}

/// The text in the field `name`; a hyphen where there is none.
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or("-")
}

/// The items of a list.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}
