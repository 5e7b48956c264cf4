//! Values: set, removed; their data resident, in one cell, or in segments.

use super::Editor;
use super::keys::stored_name;
use crate::bytes::{array, field, index, le32};
use crate::layout::{LARGEST, NOWHERE, db, nk, vk};
use crate::value::{Kind, Value, segment_list};
use h2k_block::{Class, Error, Result};

impl Editor<'_> {
    /// Sets a value of the key at `key`, whose id [`Editor::create`] or [`crate::Key::id`] gave. The empty name is
    /// the default value. A value that has this kind and data already is left alone, with the key's time.
    ///
    /// # Errors
    /// [`Class::Invalid`] for names longer than 16,383 units; [`Class::Unsupported`] for keys that are predefined
    /// handles, and for more than 1 MiB in a hive of version 1.3; `Corrupt` when what is there is damaged; `Limit`
    /// when the hive may not grow any more.
    pub fn set(&mut self, key: u32, name: &str, kind: Kind, data: &[u8]) -> Result<()> {
        let units: Vec<u16> = name.encode_utf16().collect();
        if units.len() > vk::NAME_MOST {
            let what = format!(
                "a value's name has at most {} units, this one {}",
                vk::NAME_MOST,
                units.len()
            );
            return Err(Error::new(Class::Invalid, what));
        }
        if self.hive.minor < db::SINCE && data.len() > LARGEST {
            return Err(Error::unsupported(format!(
                "{} bytes in one value: hives of version 1.3 hold at most 1 MiB",
                data.len()
            )));
        }
        self.whole(|edit| {
            let node = edit.hive.key(key)?;
            if node.flags() & nk::PREDEFINED != 0 {
                return Err(Error::unsupported("values in a key that is a predefined handle"));
            }
            match node.value(name)?.map(|value| value.id()) {
                Some(value) => {
                    let there = Value::at(edit.hive, value)?;
                    let same = there.kind() == kind && !there.is_tombstone();
                    if same && there.data().is_ok_and(|old| *old == *data) {
                        return Ok(());
                    }
                    edit.replace(value, kind, data)?;
                }
                None => edit.add_value(key, &units, kind, data)?,
            }
            edit.raise(key, nk::MAX_VALUE_DATA, field(data.len()))?;
            edit.touch(key);
            Ok(())
        })
    }

    /// Removes a value. Says whether it was there.
    ///
    /// # Errors
    /// `Corrupt` when what is there is damaged.
    pub fn unset(&mut self, key: u32, name: &str) -> Result<bool> {
        self.whole(|edit| {
            let node = edit.hive.key(key)?;
            let Some(value) = node.value(name)?.map(|value| value.id()) else {
                return Ok(false);
            };
            let (list, count) = (node.value_list(), node.value_count());
            let cell = edit.hive.cell(list, "key values list")?;
            let (elements, _) = cell.as_chunks::<4>();
            let mut dropped = false;
            let left: Vec<u8> = elements
                .iter()
                .take(index(count))
                .filter(|element| {
                    let hit = !dropped && u32::from_le_bytes(**element) == value;
                    dropped |= hit;
                    !hit
                })
                .flatten()
                .copied()
                .collect();
            edit.free_value(value)?;
            let new = if left.is_empty() {
                edit.give(list, "key values list")?;
                edit.poke32(key, nk::MAX_VALUE_NAME, 0);
                edit.poke32(key, nk::MAX_VALUE_DATA, 0);
                NOWHERE
            } else {
                edit.restore(list, &left, 0, "key values list")?
            };
            edit.poke32(key, nk::VALUE_LIST, new);
            edit.poke32(key, nk::VALUES, count.saturating_sub(1));
            edit.touch(key);
            Ok(true)
        })
    }

    fn add_value(&mut self, key: u32, units: &[u16], kind: Kind, data: &[u8]) -> Result<()> {
        let (stored, latin) = stored_name(units);
        let (size, offset) = self.store_data(data)?;
        let mut record = vec![0; vk::NAME];
        let mut set = |at: usize, bytes: &[u8]| super::write(&mut record, at, bytes);
        set(0, &vk::SIGNATURE);
        let name_len = u16::try_from(stored.len()).unwrap_or(u16::MAX);
        set(vk::NAME_LEN, &name_len.to_le_bytes());
        set(vk::SIZE, &size.to_le_bytes());
        set(vk::DATA, &offset.to_le_bytes());
        set(vk::TYPE, &kind.0.to_le_bytes());
        // The default value has no name, and no flag that says how it is stored.
        let flags = if latin && !stored.is_empty() { vk::LATIN } else { 0 };
        set(vk::FLAGS, &flags.to_le_bytes());
        record.extend_from_slice(&stored);
        let new = self.store(&record)?;

        let node = self.hive.key(key)?;
        let (list, count) = (node.value_list(), node.value_count());
        let list = if count == 0 {
            self.store(&new.to_le_bytes())?
        } else {
            let cell = self.hive.cell(list, "key values list")?;
            let len = index(count).saturating_mul(4);
            let Some(elements) = cell.get(..len) else {
                let found = format!("{count} values, the cell has {} bytes", cell.len());
                return Err(self.hive.bad(list, "key values list", found));
            };
            let mut elements = elements.to_vec();
            elements.extend_from_slice(&new.to_le_bytes());
            self.restore(list, &elements, elements.len() / 2, "key values list")?
        };
        self.poke32(key, nk::VALUE_LIST, list);
        self.poke32(key, nk::VALUES, count.saturating_add(1));
        self.raise(key, nk::MAX_VALUE_NAME, field(units.len().saturating_mul(2)))
    }

    /// New kind and data for a value that is there.
    fn replace(&mut self, value: u32, kind: Kind, data: &[u8]) -> Result<()> {
        let there = Value::at(self.hive, value)?;
        let (size, offset) = (there.size_field(), there.data_offset());
        let plain = size & vk::RESIDENT == 0 && size != 0 && self.segments_of(offset, size)?.is_empty();
        let (size, offset) = if plain && data.len() > 4 && !self.is_big(data.len()) {
            let at = self.restore(offset, data, 0, "value data")?;
            (field(data.len()), at)
        } else {
            let new = self.store_data(data)?;
            self.free_data(size, offset)?;
            new
        };
        self.poke32(value, vk::SIZE, size);
        self.poke32(value, vk::DATA, offset);
        self.poke32(value, vk::TYPE, kind.0);
        let flags = le32(self.hive.cell(value, "key value")?, vk::FLAGS).unwrap_or(0);
        self.poke32(value, vk::FLAGS, flags & !u32::from(vk::TOMBSTONE));
        Ok(())
    }

    /// Gives back every cell of a value.
    pub(super) fn free_value(&mut self, value: u32) -> Result<()> {
        let there = Value::at(self.hive, value)?;
        let (size, offset) = (there.size_field(), there.data_offset());
        self.free_data(size, offset)?;
        self.give(value, "key value")
    }

    fn free_data(&mut self, size: u32, offset: u32) -> Result<()> {
        if size & vk::RESIDENT != 0 || size == 0 {
            return Ok(());
        }
        for segment in self.segments_of(offset, size)? {
            self.give(segment, "data segment")?;
        }
        self.give(offset, "value data")
    }

    /// The list of segments and the segments of big data; nothing for data of one piece.
    fn segments_of(&self, at: u32, size: u32) -> Result<Vec<u32>> {
        let cell = self.hive.cell(at, "value data")?;
        if !self.is_big(index(size)) || array(cell, 0) != Some(db::SIGNATURE) {
            return Ok(Vec::new());
        }
        let (list, _) = segment_list(self.hive, at, cell)?;
        let (offsets, _) = list.as_chunks::<4>();
        let mut all: Vec<u32> = offsets.iter().map(|raw| u32::from_le_bytes(*raw)).collect();
        all.push(le32(cell, db::LIST).unwrap_or(NOWHERE));
        Ok(all)
    }

    fn is_big(&self, len: usize) -> bool {
        self.hive.minor >= db::SINCE && len > db::SEGMENT
    }

    /// Stores data; answers with the two fields of the value that say where.
    fn store_data(&mut self, data: &[u8]) -> Result<(u32, u32)> {
        let len = field(data.len());
        if data.len() <= 4 {
            let mut resident = [0; 4];
            super::write(&mut resident, 0, data);
            return Ok((len | vk::RESIDENT, u32::from_le_bytes(resident)));
        }
        if !self.is_big(data.len()) {
            return Ok((len, self.store(data)?));
        }
        let segments = data.chunks(db::SEGMENT);
        let Ok(count) = u16::try_from(segments.len()) else {
            return Err(Error::new(
                Class::Invalid,
                format!("{len} bytes in one value, at most 65,535 segments fit"),
            ));
        };
        let mut list = Vec::new();
        for segment in segments {
            // The last one gets a whole cell too, as Windows does; hivex counts on room behind the data.
            let cell = self.take(db::SEGMENT)?;
            self.poke(cell, 0, segment);
            list.extend_from_slice(&cell.to_le_bytes());
        }
        let list = self.store(&list)?;
        let mut record = vec![0; db::LEN];
        super::write(&mut record, 0, &db::SIGNATURE);
        super::write(&mut record, db::SEGMENTS, &count.to_le_bytes());
        super::write(&mut record, db::LIST, &list.to_le_bytes());
        Ok((len, self.store(&record)?))
    }
}
