use std::sync::{Arc, Mutex, PoisonError};

/// How many things one lock keeps at most.
const WAYS: usize = 8;

/// Numbered things, the least recently used first.
type Set<T> = Vec<(u64, Arc<T>)>;

/// The most recently used things, by number: bounded, shared by threads, one short lock a look-up.
///
/// Set-associative: a number belongs to one set, a set keeps its last eight, so that threads that walk different
/// parts of a disk hardly meet.
pub(super) struct Cache<T: ?Sized> {
    sets: Vec<Mutex<Set<T>>>,
    ways: usize,
}

impl<T: ?Sized> Cache<T> {
    /// A cache of at most `budget` bytes for things of `each` bytes, and of one thing at least.
    pub(super) fn new(budget: u64, each: u64) -> Self {
        let things = usize::try_from(budget.checked_div(each).unwrap_or(0)).unwrap_or(0);
        let ways = things.clamp(1, WAYS);
        let sets = things.checked_div(ways).unwrap_or(0).max(1);
        Self {
            sets: (0..sets).map(|_| Mutex::default()).collect(),
            ways,
        }
    }

    /// The thing numbered `key`, from the cache or else from `make`. Two threads may make the same thing at once.
    pub(super) fn get<E>(&self, key: u64, make: impl FnOnce() -> Result<Arc<T>, E>) -> Result<Arc<T>, E> {
        // Fibonacci hashing: neighbours go to different sets.
        let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let set = usize::try_from(hash)
            .unwrap_or(0)
            .checked_rem(self.sets.len())
            .and_then(|i| self.sets.get(i));
        let Some(set) = set else {
            return make();
        };
        let lock = || set.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut things = lock();
            if let Some(at) = things.iter().position(|(k, _)| *k == key) {
                let found = things.remove(at);
                let thing = found.1.clone();
                things.push(found);
                return Ok(thing);
            }
        }
        let made = make()?;
        let mut things = lock();
        if things.iter().all(|(k, _)| *k != key) {
            if things.len() >= self.ways {
                things.remove(0);
            }
            things.push((key, made.clone()));
        }
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
