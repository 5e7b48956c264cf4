use crate::bytes::{le16, le32, le64, units};
use crate::hive::Hive;
use crate::layout::{NOWHERE, nk, sk};
use crate::name::{Name, hash};
use crate::subkeys::{Entries, Leaf, Subkeys, in_order};
use crate::value::{Value, Values};
use h2k_block::Result;

/// A key: a view over its node.
#[derive(Clone, Copy, Debug)]
pub struct Key<'h> {
    pub(crate) hive: &'h Hive,
    at: u32,
    node: &'h [u8],
    name: Name<'h>,
}

impl<'h> Key<'h> {
    pub(crate) fn at(hive: &'h Hive, at: u32) -> Result<Self> {
        let (node, name) = hive.named(at, &nk::RECORD)?;
        Ok(Self { hive, at, node, name })
    }

    /// Where its node lies: names the key for [`Hive::key`] and for edits, until one frees it.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.at
    }

    /// Its name. The root's is not part of any path.
    #[must_use]
    pub fn name(&self) -> Name<'h> {
        self.name
    }

    /// When it was last written: 100-nanosecond intervals since 1601, UTC.
    #[must_use]
    pub fn written(&self) -> u64 {
        le64(self.node, nk::WRITTEN).unwrap_or(0)
    }

    /// The flags of its node, as the specification names them.
    #[must_use]
    pub fn flags(&self) -> u16 {
        le16(self.node, nk::FLAGS).unwrap_or(0)
    }

    /// Which of the boot's phases opened it (Windows 8 and later), and how it behaves in layered registries.
    #[must_use]
    pub fn access(&self) -> u32 {
        self.word(nk::ACCESS)
    }

    /// Its class name: an attribute that few keys have. Units that are no UTF-16 become U+FFFD.
    ///
    /// # Errors
    /// `Corrupt` when the cell it lies in is damaged.
    pub fn class(&self) -> Result<Option<String>> {
        let len = usize::from(le16(self.node, nk::CLASS_LEN).unwrap_or(0));
        let at = self.word(nk::CLASS);
        if at == NOWHERE || len == 0 {
            return Ok(None);
        }
        let cell = self.hive.cell(at, "class name")?;
        let Some(class) = cell.get(..len) else {
            let found = format!("{len} bytes, the cell has {}", cell.len());
            return Err(self.hive.bad(at, "class name", found));
        };
        Ok(Some(String::from_utf16_lossy(&units(class).collect::<Vec<_>>())))
    }

    /// Its security descriptor, self-relative as Windows keeps it; `None` where it has none.
    ///
    /// # Errors
    /// `Corrupt` when the security item is damaged.
    pub fn security(&self) -> Result<Option<&'h [u8]>> {
        let at = self.word(nk::SECURITY);
        if at == NOWHERE {
            return Ok(None);
        }
        let cell = self.hive.record(at, "key security", sk::SIGNATURE)?;
        let room = cell.get(sk::DESCRIPTOR..).unwrap_or_default();
        let len = crate::bytes::index(le32(cell, sk::SIZE).unwrap_or(0));
        match room.get(..len) {
            Some(descriptor) => Ok(Some(descriptor)),
            None => {
                let found = format!("a descriptor of {len} bytes, the cell has {}", room.len());
                Err(self.hive.bad(at, "key security", found))
            }
        }
    }

    /// Its subkeys, in the order of its lists.
    #[must_use]
    pub fn subkeys(&self) -> Subkeys<'h> {
        Subkeys::new(self.hive, self.list())
    }

    /// The subkey that Windows finds under `name`.
    ///
    /// # Errors
    /// `Corrupt` when it is not found and a list or a subkey is damaged: it may have been there.
    pub fn subkey(&self, name: &str) -> Result<Option<Self>> {
        // By the order of the names first, then by its hash, as Windows does. Whatever made a wrong order or hash did
        // not mean the key to be lost: then by name alone.
        if let Some(key) = in_order(self.hive, self.list(), name) {
            return Ok(Some(key));
        }
        let wanted = hash(name.encode_utf16()).to_le_bytes();
        for entry in Entries::new(self.hive, self.list()).flatten() {
            if entry.leaf == Leaf::Hash
                && entry.mark == Some(wanted)
                && let Ok(key) = self.hive.key(entry.key)
                && key.name.is(name)
            {
                return Ok(Some(key));
            }
        }
        let mut damage = None;
        for key in self.subkeys() {
            match key {
                Ok(key) if key.name.is(name) => return Ok(Some(key)),
                Ok(_) => {}
                Err(e) => damage = damage.or(Some(e)),
            }
        }
        damage.map_or(Ok(None), Err)
    }

    /// Whether every subkey is found by the order of the names: then what is not found so is not there.
    pub(crate) fn is_ordered(&self) -> bool {
        self.subkeys().all(|key| {
            let Ok(key) = key else { return false };
            let found = in_order(self.hive, self.list(), &key.name.to_string());
            found.is_some_and(|found| found.at == key.at)
        })
    }

    /// Its values, in the order of their list.
    #[must_use]
    pub fn values(&self) -> Values<'h> {
        Values::new(self.hive, self.value_list(), self.value_count())
    }

    /// The value of that name; the empty name is the default value.
    ///
    /// # Errors
    /// `Corrupt` when it is not found and the list or a value is damaged.
    pub fn value(&self, name: &str) -> Result<Option<Value<'h>>> {
        let mut damage = None;
        for value in self.values() {
            match value {
                Ok(value) if value.name().is(name) => return Ok(Some(value)),
                Ok(_) => {}
                Err(e) => damage = damage.or(Some(e)),
            }
        }
        damage.map_or(Ok(None), Err)
    }

    /// How many subkeys its node says it has.
    #[must_use]
    pub fn subkey_count(&self) -> u32 {
        self.word(nk::SUBKEYS)
    }

    /// How many values its node says it has.
    #[must_use]
    pub fn value_count(&self) -> u32 {
        if self.flags() & nk::PREDEFINED != 0 {
            return 0;
        }
        self.word(nk::VALUES)
    }

    pub(crate) fn list(&self) -> u32 {
        if self.subkey_count() == 0 {
            return NOWHERE;
        }
        self.word(nk::LIST)
    }

    pub(crate) fn value_list(&self) -> u32 {
        self.word(nk::VALUE_LIST)
    }

    /// The 32-bit field of its node at `at`.
    pub(crate) fn word(&self, at: usize) -> u32 {
        le32(self.node, at).unwrap_or(0)
    }
}
