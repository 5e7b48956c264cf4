//! JSON files of guests, as far as a type asks for their content.

use h2k_block::{Class, Error};
use h2k_guest::{Look, Source};
use serde::de::DeserializeOwned;

/// What such a file may weigh. snapd's state, the largest, has a few hundred KiB.
const MOST: u64 = 4 << 20;

/// The JSON file at `path`; `None`, remembered, when it is not what it should be.
pub(crate) fn read<T: DeserializeOwned>(files: &Look<'_>, path: &[u8]) -> Option<T> {
    let bytes = files.bytes(path, MOST)?;
    match serde_json::from_slice(&bytes) {
        Ok(value) => Some(value),
        Err(e) => {
            let error = Error::new(
                Class::Corrupt,
                format!("it is not the JSON that was expected: {e}"),
            );
            files.failed(Source::file(path), &error);
            None
        }
    }
}
