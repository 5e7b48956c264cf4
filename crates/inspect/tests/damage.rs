//! Damaged files of guests: an answer, and nothing else.

use crate::door::{KINDS, knock};
use h2k_testkit::{mutate::damage, rng::Rng};

/// What the files of each kind look like; several are tried with each other's, too.
const SEEDS: &[&str] = &[
    "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME='x \\\"y'\nVERSION=\"12 (bookworm)\"\n",
    "SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\nPATCHLEVEL = 3\nDISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=10.10\n",
    "Red Hat Enterprise Linux AS release 4 (Nahant Update 8)\n",
    "Package: a\nVersion: 1:2-3\n\n<plist><dict><key>a</key><dict><key>pkgver</key><string>a-1_2</string></dict></dict></plist>",
    "a:x:0:0:A,b:/:/bin/sh\nb:!$6$x$y:1:2:3:4:5:6:\nUID_MIN 1000\n",
    "User_Alias A = b, !c : D = e\nA ALL=(x:y) NOPASSWD: /bin/a \\\n b, !/bin/c : h = ALL\n@include a\nDefaults x\n",
    "Include a*\nMatch x\nPort=1 # c\nrestrict,command=\"a\\\" b\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me\n",
    "export A=\"b\\\"$c\" # d\nE='f'; export E\n",
    "datasource_list: [ NoCloud, None ]\nnetwork: {config: disabled}\nsystem_info:\n  default_user: {name: x}\n",
    "P:musl\nV:1.2.4-r2\nA:x86_64\n\nINSTALL_VER='7'\n",
    "{\"v1\":{\"datasource\":\"x\",\"errors\":[\"y\"],\"init\":{\"start\":1.5}},\"Name\":\"/a\",\"Repositories\":{\"a\":{\"b\":\"c\"}}}",
];

#[test]
fn a_hundred_thousand_damaged_files_are_no_catastrophe() {
    let mut rng = Rng::new(0x1115_9ec7);
    for n in 0..100_000_usize {
        let seed = if n % 3 == 0 {
            n / 3 % SEEDS.len()
        } else {
            n % KINDS
        };
        let mut bytes = SEEDS[seed % SEEDS.len()].as_bytes().to_vec();
        let len = bytes.len();
        damage(&mut rng, &mut bytes, 0..len);
        knock(n, &bytes);
    }
}
