//! A guest in memory, and what a fix does to it.

use h2k_block::{Limits, Meter};
use h2k_fix::{Options, Outcome, Proposal, Target, by_id, propose};
use h2k_fs::{Attributes, FsRead, FsWrite, MemFs, lookup_path, read_file, resolve};
use h2k_guest::{Assembled, Device, Guest, Look, Plug, System, SystemKind, Tree};
use h2k_volume::{Partition, PartitionType, Role, Scheme};
use std::sync::Arc;

/// A Linux guest with one filesystem, on `/dev/sda1` with the UUID [`Lab::ROOT`].
pub struct Lab {
    pub fs: MemFs,
    pub devices: Vec<Device>,
    /// The EFI system partition, on `/dev/sda15`, of a guest that has one.
    pub esp: Option<MemFs>,
    /// Where the disks are plugged in, in their order.
    pub plugs: Vec<Option<Plug>>,
    pub target: Target,
    pub options: Options,
}

/// What one fix did.
pub struct Done {
    pub proposal: Proposal,
    /// The filesystem with the edits written to it.
    pub fs: MemFs,
    /// The EFI system partition, likewise.
    pub esp: Option<MemFs>,
}

impl Lab {
    pub const ROOT: &str = "11111111-2222-3333-4444-555555555555";

    /// A guest with these files; missing directories are made.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let mut lab = Self {
            fs: MemFs::default(),
            devices: Vec::new(),
            esp: None,
            plugs: Vec::new(),
            target: Target::default(),
            options: Options::default(),
        };
        lab.file("/etc/os-release", "ID=debian\nVERSION_ID=12\n");
        for (path, text) in files {
            lab.file(path, text);
        }
        lab
    }

    /// Puts a file into the guest.
    pub fn file(&mut self, path: &str, text: &str) {
        self.fs.file(path, text).unwrap();
    }

    /// Puts a link into the guest.
    pub fn link(&mut self, path: &str, target: &str) {
        let (dir, name) = path.rsplit_once('/').unwrap();
        // A file makes the directories; it does not stay.
        let helper = format!("{dir}/.made");
        self.file(&helper, "");
        let node = resolve(&self.fs, dir.as_bytes(), &mut meter()).unwrap().unwrap();
        self.fs.remove(node, b".made").unwrap();
        self.fs.symlink(node, name.as_bytes(), target.as_bytes()).unwrap();
    }

    /// Gives a file a mode and an owner.
    pub fn owned(&mut self, path: &str, mode: u16, uid: u32, gid: u32) {
        let node = resolve(&self.fs, path.as_bytes(), &mut meter()).unwrap().unwrap();
        let attributes = Attributes {
            mode: Some(mode),
            uid: Some(uid),
            gid: Some(gid),
            ..Attributes::default()
        };
        self.fs.set_attributes(node, &attributes).unwrap();
    }

    /// Adds a device without files: swap, a member of an array.
    pub fn device(&mut self, name: &str, kind: &'static str, uuid: &str) {
        let mut device = Device::without_files(name, kind);
        device.uuid = Some(uuid.to_owned());
        self.devices.push(device);
    }

    /// Adds a device with files, whose partition has a UUID, too.
    pub fn partition(&mut self, name: &str, kind: &'static str, uuid: &str, part_uuid: &str) {
        self.device(name, kind, uuid);
        let device = self.devices.last_mut().unwrap();
        device.holds_files = kind != "swap";
        device.part_uuid = Some(part_uuid.to_owned());
    }

    /// Adds a disk without a name for its content: `/dev/sda` of `/dev/sda1`.
    pub fn disk(&mut self, name: &str) {
        let mut disk = Device::without_files(name, "dos");
        disk.whole_disk = true;
        self.devices.push(disk);
    }

    /// Asks the fix `id` (`linux` for all of them), and everything else only if it is enabled; writes what it proposes; asks again, and nothing
    /// may be left to do.
    pub fn fix(mut self, id: &str) -> Done {
        assert!(id == "linux" || by_id(id).is_some(), "there is no fix {id}");
        self.options.only = vec![id.to_owned()];
        let proposal = self.look();
        for finding in &proposal.findings {
            assert_eq!(
                finding.outcome == Outcome::Change,
                !finding.edits.is_empty(),
                "{finding:?}"
            );
        }
        let (mut written, mut esp) = (self.fs.clone(), self.esp.clone());
        for (device, draft) in proposal.drafted.changed() {
            let fs = if device == "/dev/sda15" {
                esp.as_mut().unwrap()
            } else {
                &mut written
            };
            draft.replay(fs).unwrap();
        }
        (self.fs, self.esp) = (written.clone(), esp.clone());
        let again = self.look();
        assert!(
            again.drafted.changes().is_empty(),
            "asked twice, {id} still changes: {:#?}",
            again.drafted.changes()
        );
        Done {
            proposal,
            fs: written,
            esp,
        }
    }

    fn look(&self) -> Proposal {
        let fs: Arc<MemFs> = Arc::new(self.fs.clone());
        let mut root = Device::with_fs("/dev/sda1", (*fs).clone());
        root.kind = Some("ext4");
        root.uuid = Some(Self::ROOT.to_owned());
        let mut devices = vec![root];
        for device in &self.devices {
            let mut copy = Device::without_files(&device.name, device.kind.unwrap());
            copy.uuid.clone_from(&device.uuid);
            copy.label.clone_from(&device.label);
            copy.part_uuid.clone_from(&device.part_uuid);
            copy.aliases.clone_from(&device.aliases);
            copy.encryption.clone_from(&device.encryption);
            copy.partition.clone_from(&device.partition);
            (copy.whole_disk, copy.holds_files, copy.locked) =
                (device.whole_disk, device.holds_files, device.locked);
            devices.push(copy);
        }
        if let Some(esp) = &self.esp {
            let mut device = Device::with_fs("/dev/sda15", esp.clone());
            device.partition = Some(Partition {
                number: 15,
                scheme: Scheme::Gpt,
                start: 1 << 20,
                len: 1 << 20,
                kind: PartitionType::Guid("c12a7328-f81f-11d2-ba4b-00a0c93ec93b".to_owned()),
                name: String::new(),
                uuid: None,
                attributes: 0,
                bootable: false,
                role: Role::Primary,
            });
            devices.push(device);
        }
        let guest = Guest::of(devices, &Limits::default()).plugged(&self.plugs);
        let system = System {
            device: "/dev/sda1".to_owned(),
            subvolume: None,
            deployment: None,
            kind: SystemKind::Linux,
            name: None,
        };
        let assembled = Assembled {
            tree: Tree::new("/dev/sda1", fs),
            system: Some(system.clone()),
            left_out: Vec::new(),
            unlisted: Vec::new(),
        };
        let boot = h2k_boot::read(&Look::new(&assembled.tree, &Limits::default()), &guest).0;
        propose(
            &guest,
            &system,
            &assembled,
            &boot,
            &self.target,
            &self.options,
            &Limits::default(),
        )
    }
}

fn meter() -> Meter {
    Meter::new(Limits::default())
}

impl Done {
    /// What a file holds afterwards; `None` where there is none.
    pub fn text(&self, path: &str) -> Option<String> {
        let node = resolve(&self.fs, path.as_bytes(), &mut meter()).unwrap()?;
        let bytes = read_file(&self.fs, node, &mut meter()).unwrap();
        Some(String::from_utf8(bytes).unwrap())
    }

    /// Where a link points afterwards.
    pub fn target(&self, path: &str) -> Option<String> {
        let node = lookup_path(&self.fs, path.as_bytes(), false, &mut meter()).unwrap()?;
        let target = self.fs.target(node).ok()?;
        Some(String::from_utf8(target).unwrap())
    }

    /// Mode, owner and group of a file afterwards.
    pub fn owner(&self, path: &str) -> (u16, u32, u32) {
        let node = resolve(&self.fs, path.as_bytes(), &mut meter()).unwrap().unwrap();
        let stat = self.fs.stat(node).unwrap();
        (stat.mode.unwrap(), stat.uid.unwrap(), stat.gid.unwrap())
    }

    /// Writes a file as it is afterwards into a directory of this machine, for tools to look at.
    pub fn put(&self, path: &str, dir: &std::path::Path) -> std::path::PathBuf {
        let to = dir.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(&to, self.text(path).unwrap()).unwrap();
        to
    }

    /// Nothing was changed, and `why` is part of a reason.
    pub fn left(&self, why: &str) {
        assert!(
            self.proposal.drafted.changes().is_empty(),
            "{:#?}",
            self.proposal.drafted.changes()
        );
        self.says(Outcome::Leave, why);
    }

    /// Some finding has this outcome, and `why` is part of its reason.
    pub fn says(&self, outcome: Outcome, why: &str) {
        let all = &self.proposal.findings;
        assert!(
            all.iter().any(|f| f.outcome == outcome && f.why.contains(why)),
            "{all:#?}"
        );
    }
}
