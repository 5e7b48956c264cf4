use crate::hive::Hive;
use crate::key::Key;
use crate::layout::DEPTH;
use crate::subkeys::Subkeys;
use h2k_block::{Class, Error, Meter, Result};
use std::ops::ControlFlow;

/// What a walk meets.
#[derive(Debug)]
pub enum Visit<'h, 'w> {
    /// A key. The path has the names below the key the walk began at, which itself has the empty path.
    Key(&'w [Key<'h>], Key<'h>),
    /// Something that should have been a subkey of the last key of the path.
    Broken(&'w [Key<'h>], Error),
}

impl Hive {
    /// Shows `from` and every key below it, each before its subkeys, in the order of the lists. The walk goes on
    /// behind damage, ends where `show` breaks, and never goes round in circles.
    ///
    /// # Errors
    /// [`Class::Limit`] when there are more keys than the limits the hive was opened with allow.
    pub fn walk<'h>(
        &'h self,
        from: Key<'h>,
        show: &mut dyn FnMut(Visit<'h, '_>) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut meter = Meter::new(self.limits);
        let mut path: Vec<Key<'h>> = Vec::new();
        let mut open: Vec<Subkeys<'h>> = Vec::new();
        let mut next = Some(Ok(from));
        loop {
            match next.take() {
                Some(found) => {
                    meter.step("key")?;
                    let found = found.and_then(|key| self.new_ground(&path, key));
                    let (visit, entered) = match found {
                        Ok(key) => (Visit::Key(&path, key), Some(key)),
                        Err(e) => (Visit::Broken(&path, e), None),
                    };
                    if show(visit).is_break() {
                        return Ok(());
                    }
                    if let Some(key) = entered {
                        path.push(key);
                        open.push(key.subkeys());
                    }
                }
                None => {
                    open.pop();
                    path.pop();
                }
            }
            match open.last_mut() {
                Some(subkeys) => next = subkeys.next(),
                None => return Ok(()),
            }
        }
    }

    /// Refuses a key that lies above itself, or deeper than any key may lie.
    fn new_ground<'h>(&self, path: &[Key<'h>], key: Key<'h>) -> Result<Key<'h>> {
        if path.iter().any(|above| above.id() == key.id()) {
            return Err(self.bad(key.id(), "key node", "a key that lies below itself".to_owned()));
        }
        if path.len() >= DEPTH {
            return Err(Error::new(Class::Limit, "keys lie deeper than 512 levels")
                .at("key node", u64::from(key.id())));
        }
        Ok(key)
    }
}
