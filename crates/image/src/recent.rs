//! The things that were used most recently, a bounded number of them, shared by threads.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// At most so many things; the one not asked for longest goes first.
pub(crate) struct Recent<T> {
    kept: Mutex<Kept<T>>,
    most: usize,
}

struct Kept<T> {
    things: HashMap<u64, (u64, T)>,
    clock: u64,
}

impl<T: Clone> Recent<T> {
    /// Keeps up to `most` things, and one at least.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            kept: Mutex::new(Kept {
                things: HashMap::new(),
                clock: 0,
            }),
            most: most.max(1),
        }
    }

    /// The thing numbered `key`, kept or else from `make`, which runs outside the lock: two threads may make the same
    /// thing at once.
    pub(crate) fn get<E>(&self, key: u64, make: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.clock = kept.clock.wrapping_add(1);
            let now = kept.clock;
            if let Some((used, thing)) = kept.things.get_mut(&key) {
                *used = now;
                return Ok(thing.clone());
            }
        }
        let thing = make()?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.things.len() >= self.most {
            let oldest = kept.things.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(n, _)| *n) {
                kept.things.remove(&oldest);
            }
        }
        let now = kept.clock;
        kept.things.insert(key, (now, thing.clone()));
        Ok(thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_stays_and_the_oldest_goes() {
        let recent = Recent::new(3);
        let make = |n: u64| move || Ok::<_, ()>(n);
        for n in [1, 2, 3, 1, 4] {
            assert_eq!(recent.get(n, make(n)), Ok(n));
        }
        assert_eq!(recent.get(1, || Err(())), Ok(1));
        assert_eq!(recent.get(2, || Err(())), Err(()));
        assert_eq!(recent.get(4, || Err(())), Ok(4));
    }
}
