use std::sync::{Arc, Mutex, PoisonError};

/// How many things one lock keeps at most.
const WAYS: usize = 8;

type Set<T> = Mutex<Vec<(u64, Arc<T>)>>;

/// The most recently used things, by number: bounded, shared by threads, one short lock a look-up.
///
/// Set-associative: a number belongs to one set, and a set keeps its last eight, so that threads which walk
/// different parts of a disk hardly meet.
pub struct Cache<T: ?Sized> {
    sets: Vec<Set<T>>,
    ways: usize,
}

impl<T: ?Sized> Cache<T> {
    /// A cache of at most `budget` bytes for things of `each` bytes, and of one thing at least.
    #[must_use]
    pub fn new(budget: u64, each: u64) -> Self {
        let things = usize::try_from(budget.checked_div(each).unwrap_or(0)).unwrap_or(0);
        let ways = things.clamp(1, WAYS);
        let sets = things.checked_div(ways).unwrap_or(0).max(1);
        Self {
            sets: (0..sets).map(|_| Mutex::default()).collect(),
            ways,
        }
    }

    /// The thing numbered `key`, from the cache or else from `make`. No lock is held while it is made; two
    /// threads may make the same thing at once.
    ///
    /// # Errors
    /// What `make` returns; nothing is kept then.
    pub fn get<E>(&self, key: u64, make: impl FnOnce() -> Result<Arc<T>, E>) -> Result<Arc<T>, E> {
        let Some(set) = self.set(key) else {
            return make();
        };
        if let Some(found) = Self::touch(&mut set.lock().unwrap_or_else(PoisonError::into_inner), key) {
            return Ok(found);
        }
        let made = make()?;
        let mut things = set.lock().unwrap_or_else(PoisonError::into_inner);
        if Self::touch(&mut things, key).is_none() {
            if things.len() >= self.ways {
                things.remove(0);
            }
            things.push((key, made.clone()));
        }
        Ok(made)
    }

    /// Forgets the thing numbered `key`: what it was made from has changed.
    pub fn forget(&self, key: u64) {
        if let Some(set) = self.set(key) {
            let mut things = set.lock().unwrap_or_else(PoisonError::into_inner);
            things.retain(|(k, _)| *k != key);
        }
    }

    fn set(&self, key: u64) -> Option<&Set<T>> {
        // Fibonacci hashing: neighbours go to different sets.
        let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let place = usize::try_from(hash).unwrap_or(0).checked_rem(self.sets.len())?;
        self.sets.get(place)
    }

    /// The thing numbered `key`, if it is there; it is now the last used one of its set.
    fn touch(things: &mut Vec<(u64, Arc<T>)>, key: u64) -> Option<Arc<T>> {
        let at = things.iter().position(|(k, _)| *k == key)?;
        let found = things.remove(at);
        let thing = found.1.clone();
        things.push(found);
        Some(thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten_is_made_again() {
        let cache: Cache<u64> = Cache::new(64, 1);
        cache.get(5, || Ok::<_, ()>(Arc::new(1))).unwrap();
        cache.get(6, || Ok::<_, ()>(Arc::new(1))).unwrap();
        cache.forget(5);
        cache.forget(7);
        assert_eq!(*cache.get(5, || Ok::<_, ()>(Arc::new(2))).unwrap(), 2);
        assert_eq!(*cache.get(6, || Ok::<_, ()>(Arc::new(2))).unwrap(), 1);
    }

    #[test]
    fn what_was_used_last_stays_and_the_rest_goes() {
        let cache: Cache<u64> = Cache::new(8, 1);
        let make = |n: u64| move || Ok::<_, ()>(Arc::new(n));
        for n in 0..8 {
            cache.get(n, make(n)).unwrap();
        }
        // 0 is used again, so 1 is the oldest when a ninth thing comes.
        assert_eq!(*cache.get(0, || Err(())).unwrap(), 0);
        cache.get(8, make(8)).unwrap();
        assert_eq!(*cache.get(0, || Err(())).unwrap(), 0);
        assert!(cache.get(1, || Err(())).is_err());
    }
}
