//! Names of guests in JSON: text where they are text, and their bytes where they are not.

use std::fmt::Write;

/// A name as text; what is not UTF-8 becomes U+FFFD.
#[must_use]
pub fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// The bytes of a name that is not UTF-8, in hexadecimal: what [`text`] lost. `None` for text.
#[must_use]
pub fn odd(name: &[u8]) -> Option<String> {
    std::str::from_utf8(name).is_err().then(|| hex(name))
}

/// Bytes in lower case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        let _infallible = write!(out, "{byte:02x}");
    }
    out
}
