//! Volumes that the kernel fills: made here, mounted, changed, and handed to the reader.

use h2k_block::{Access, BlockRead, FileDisk, Limits, Sharing};
use h2k_btrfs::Btrfs;
use h2k_testkit::mount::{Mount, mount};
use h2k_testkit::oracle::{ok, run};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The devices of one filesystem: image files, all but the first with a loop device of their own.
pub struct Volume {
    pub images: Vec<PathBuf>,
    loops: Vec<String>,
    dir: tempfile::TempDir,
}

impl Drop for Volume {
    fn drop(&mut self) {
        for device in &self.loops {
            run("losetup", &["-d", device]);
        }
    }
}

impl Volume {
    /// Makes a filesystem of `devices` images of `size`. `options` are mkfs.btrfs's.
    pub fn make(devices: usize, size: &str, options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let images: Vec<PathBuf> = (0..devices)
            .map(|i| dir.path().join(format!("disk{i}.img")))
            .collect();
        let mut args = vec!["-q".to_owned(), "-f".to_owned()];
        args.extend(options.iter().map(|o| (*o).to_owned()));
        for image in &images {
            ok("truncate", &["-s", size, image.to_str().unwrap()]);
            args.push(image.to_str().unwrap().to_owned());
        }
        ok("mkfs.btrfs", &args);
        Self {
            images,
            loops: Vec::new(),
            dir,
        }
    }

    /// A folder for more.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A loop device for one more image, gone when the volume is.
    pub fn attach(&mut self, image: &Path) -> String {
        let device = loop_device(image).expect("the first image has a loop device");
        self.loops.push(device.clone());
        device
    }

    /// Mounts it. `None`, loudly, where the host cannot.
    pub fn mount(&mut self, options: &str) -> Option<Mount> {
        if self.loops.is_empty() {
            for image in &self.images[1..] {
                let out = run("losetup", &["-f", "--show", image.to_str().unwrap()]);
                if !out.status.success() {
                    println!("skipped: this host has no loop devices");
                    return None;
                }
                self.loops
                    .push(String::from_utf8(out.stdout).unwrap().trim().to_owned());
            }
        }
        let mut all: Vec<String> = self.loops.iter().map(|l| format!("device={l}")).collect();
        if !options.is_empty() {
            all.push(options.to_owned());
        }
        let all = if all.is_empty() {
            "rw".to_owned()
        } else {
            all.join(",")
        };
        match mount(&self.images[0], "btrfs", &all) {
            Ok(mounted) => Some(mounted),
            // A profile or feature this kernel was built without is no failure of the reader.
            Err(why) => {
                println!("skipped: this host cannot mount it ({why})");
                None
            }
        }
    }

    /// Its disks, opened for reading.
    pub fn disks(&self) -> Vec<Arc<dyn BlockRead>> {
        self.images.iter().map(|i| disk(i)).collect()
    }

    /// What our reader makes of it.
    pub fn open(&self) -> Btrfs {
        h2k_btrfs::open(self.disks(), &Limits::default()).unwrap()
    }
}

fn loop_device(image: &Path) -> Option<String> {
    let out = run("losetup", &["-f", "--show", image.to_str().unwrap()]);
    out.status
        .success()
        .then(|| String::from_utf8(out.stdout).unwrap().trim().to_owned())
}

pub fn disk(image: &Path) -> Arc<dyn BlockRead> {
    Arc::new(FileDisk::open(image, Access::Read, Sharing::Force).unwrap())
}

/// Runs `script` in bash with `at` as `$0`.
pub fn bash(script: &str, at: &Path) {
    ok(
        "bash",
        &[
            "-c",
            &format!("set -e; cd \"$0\"; {script}"),
            at.to_str().unwrap(),
        ],
    );
}

pub fn sync(at: &Path) {
    ok("sync", &["-f", at.to_str().unwrap()]);
}

/// Every kind of node, content and extent, small.
pub const TREE: &str = r#"
mkdir short many empty
for i in 1 2 3; do echo $i > short/f$i; done
seq -f 'many/a-longer-name-of-an-entry-%g' 1500 | xargs touch
seq -f 'many/a-longer-name-of-an-entry-%g' 2 3 1500 | xargs rm
head -c 300001 /dev/urandom > random
seq 200000 > numbers
head -c 700000 /dev/zero | tr '\0' z > even
head -c 1900 /dev/zero | tr '\0' i > inline
echo tail >> inline
printf x > one; : > nothing
truncate -s 10M sparse; echo end >> sparse; echo middle | dd of=sparse bs=1 seek=5000000 conv=notrunc status=none
fallocate -l 300000 reserved; echo x | dd of=reserved bs=1 seek=100000 conv=notrunc status=none
fallocate -n -l 500000 one
head -c 2000000 /dev/urandom > fragmented; sync fragmented
seq -f 'fpunch %.0f 4096' 0 8192 1228800 | xfs_io fragmented
seq -f 'pwrite -q -S 0x6f %.0f 5' 0 28000 1200000 | xfs_io numbers
sync -f .
cp --reflink=always numbers clone
xfs_io -c 'reflink random 8192 4096 65536' clone > /dev/null
ln -s short/f1 link; ln -s "$(printf 'x%.0s' $(seq 1500))" longlink
mkdir hard; for i in $(seq 75); do ln random "hard/$(printf 'n%.0s' {1..240})-$i"; done
mkfifo fifo; mknod char c 5 1; mknod block-device b 8 17; mknod wide c 300 70000
chmod 4755 random; chown 1000:2000 short/f1
touch -d '2038-06-01 12:00:00.123456789 UTC' late; touch -d '1930-01-01 00:00:00 UTC' early
touch "$(printf 'odd\nname \xff\xfe')"
setfattr -n user.small -v value short/f1
setfattr -n trusted.overlay.opaque -v y short/f1
setfattr -n security.selinux -v system_u:object_r:etc_t:s0 short/f1
(echo '# file: short/f2'; seq -f 'user.many%.0f="vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"' 40) | setfattr --restore=-
setfattr -n user.large -v "$(head -c 3000 /dev/zero | tr '\0' L)" short/f3
setfacl -m u:1000:rw short/f2
"#;
