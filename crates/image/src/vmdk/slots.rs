use std::sync::{Arc, Mutex, PoisonError};

type Slot<T> = Mutex<Option<(u64, Arc<T>)>>;

/// A bounded cache shared by threads: each key has one place, and the last one there stays.
///
/// Neighbouring keys lie in neighbouring places, so a window as wide as the cache never fights with itself.
pub(super) struct Slots<T>(Vec<Slot<T>>);

impl<T> Slots<T> {
    /// A cache of `count` places, at least one.
    pub(super) fn new(count: usize) -> Self {
        Self((0..count.max(1)).map(|_| Mutex::new(None)).collect())
    }

    /// What is kept for `key`, or what `make` makes of it. No lock is held while it is made.
    pub(super) fn get<E>(&self, key: u64, make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        let count = u64::try_from(self.0.len()).unwrap_or(u64::MAX);
        let place = usize::try_from(key.checked_rem(count).unwrap_or(0)).unwrap_or(0);
        let Some(slot) = self.0.get(place) else {
            return make().map(Arc::new);
        };
        if let Some((kept, value)) = &*slot.lock().unwrap_or_else(PoisonError::into_inner)
            && *kept == key
        {
            return Ok(value.clone());
        }
        let value = Arc::new(make()?);
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some((key, value.clone()));
        Ok(value)
    }
}
