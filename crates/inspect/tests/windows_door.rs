//! The door hostile Windows guests come through: the same function serves the mutation tests and the fuzz target.

use crate::hives::hive;
use crate::windows_text::{self, APPLICATIONS, DRIVERS, ELEVEN, SETTINGS, USER};
use h2k_block::Limits;
use h2k_fs::MemFs;
use h2k_guest::{Device, Guest};
use h2k_inspect::{Topics, inspect};

/// What hostile input may cost here.
const LIMITS: Limits = Limits {
    bytes: 4 << 20,
    steps: 50_000,
    depth: 16,
};

/// A file of a guest, and what is in it.
pub type Seed = (&'static str, Vec<u8>);

const TASK: &str = "<Task xmlns=\"http://schemas.microsoft.com/windows/2004/02/mit/task\"><Triggers><BootTrigger/></Triggers>\
    <Actions><Exec><Command>a</Command></Exec></Actions></Task>";

/// The files of a sound guest: hives with everything in them that is looked for, and what is read besides.
pub fn seeds() -> Vec<Seed> {
    // The letters of `DRIVERS` and `system` are of one machine: later keys add to earlier ones.
    let system = windows_text::system() + DRIVERS;
    let software = [APPLICATIONS, SETTINGS, ELEVEN].concat();
    let default = "[X\\Control Panel\\International]\n\"LocaleName\"=\"de-DE\"\n[X\\Keyboard Layout\\Preload]\n\"1\"=\"0407\"\n";
    let ini = "[boot loader]\r\ntimeout=30\r\n[operating systems]\r\nmulti(0)disk(0)rdisk(0)partition(1)\\WINDOWS=\"XP\" /x\r\n";
    vec![
        ("/Windows/System32/config/SYSTEM", hive(&system)),
        ("/Windows/System32/config/SOFTWARE", hive(&software)),
        ("/Windows/System32/config/SAM", hive(&windows_text::sam())),
        (
            "/Windows/System32/config/SECURITY",
            hive(&windows_text::security("CORP", Some("corp.example"))),
        ),
        ("/Windows/System32/config/DEFAULT", hive(default)),
        ("/Users/ann/NTUSER.DAT", hive(USER)),
        (
            "/EFI/Microsoft/Boot/BCD",
            hive(&windows_text::bcd([1; 16], [2; 16])),
        ),
        ("/boot.ini", ini.into()),
        ("/hiberfil.sys", b"hibr".to_vec()),
        ("/Windows/System32/Tasks/a", TASK.into()),
        (
            "/Windows/System32/drivers/etc/hosts",
            b"192.0.2.1 a b\r\n".to_vec(),
        ),
        ("/Windows/System32/cmd.exe", program()),
    ]
}

/// The beginning of a program for x86-64.
fn program() -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[60] = 64;
    bytes.extend(b"PE\0\0\x64\x86");
    bytes
}

/// Asks everything of a guest with these files. Complaints are the expected answer; says whether there were any.
pub fn knock<'a>(files: impl IntoIterator<Item = &'a Seed>) -> bool {
    let mut fs = MemFs::new();
    for (path, content) in files {
        fs.file(path, content.as_slice()).unwrap();
    }
    // The system is a Windows whatever is in its files.
    fs.dir("/Windows/System32/config/systemprofile").unwrap();
    let guest = Guest::of(vec![Device::with_fs("/dev/sda2", fs)], &LIMITS);
    let found = inspect(&guest, &Topics::all(), &LIMITS);
    assert_eq!(found.systems.len(), 1);
    let text = serde_json::to_string(&found).unwrap();
    assert!(
        text.len() < 4 << 20,
        "{} bytes are told of a small guest",
        text.len()
    );
    text.contains("\"unread\":[{")
}

/// Damages the sound guest as `bytes` say, three for each byte that is set: its place (16 bits, in the file that the
/// first byte of all chooses) and its value.
pub fn patched(seeds: &[Seed], bytes: &[u8]) {
    let Some((chosen, patches)) = bytes.split_first() else {
        return;
    };
    let mut files = seeds.to_vec();
    let (_, content) = &mut files[usize::from(*chosen) % seeds.len()];
    for patch in patches.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([patch[0], patch[1]]));
        if let Some(byte) = content.get_mut(at) {
            *byte = patch[2];
        }
    }
    knock(&files);
}
