//! Names that Windows wrote into an image, as names here.

use h2k_block::{Class, Error, HostFile, Result};
use std::sync::Arc;

use crate::Opening;

/// The file of `names` (as written in `referrer`, best first) that is there: each as a path relative to the
/// referrer, then each one's last part beside the referrer. Absolute Windows paths have no meaning here, so only
/// their last part is used. Answers with the name that worked.
///
/// # Errors
/// The first [`Class::Refused`] if there was one, else [`Class::NotFound`]; any other failure at once.
pub(crate) fn find(
    opening: &Opening<'_>,
    referrer: &dyn HostFile,
    names: &[String],
) -> Result<(String, Arc<dyn HostFile>)> {
    let mut refused = None;
    for candidate in candidates(names) {
        match opening.sibling(referrer, &candidate) {
            Ok(file) => return Ok((candidate, file)),
            Err(e) if e.class() == Class::Refused => {
                refused.get_or_insert(e);
            }
            Err(e) if e.class() == Class::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Err(refused.unwrap_or_else(|| {
        let said = names.first().map_or("", String::as_str);
        Error::new(
            Class::NotFound,
            format!("its parent {said:?} is not in the same directory"),
        )
        .advise("put the parent beside the image under the name recorded there")
    }))
}

fn candidates(names: &[String]) -> Vec<String> {
    let relative = names.iter().filter_map(|name| {
        let name = name.replace('\\', "/");
        let absolute = name.starts_with("//") || name.get(1..2) == Some(":");
        if absolute || name.is_empty() {
            None
        } else if name.starts_with('/') || name.starts_with("./") || name.starts_with("../") {
            Some(name)
        } else {
            Some(format!("./{name}"))
        }
    });
    let beside = names.iter().filter_map(|name| {
        let last = name.rsplit(['\\', '/']).next().unwrap_or_default();
        (!last.is_empty() && last != "." && last != "..").then(|| format!("./{last}"))
    });
    let mut all: Vec<String> = Vec::new();
    for name in relative.chain(beside) {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

/// UTF-16 units as text; what is not text becomes the replacement character.
pub(crate) fn utf16(units: impl Iterator<Item = u16>) -> String {
    char::decode_utf16(units.take_while(|u| *u != 0))
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_names_come_first_and_absolute_ones_lend_their_last_part() {
        let names = [
            ".\\sub\\base.vhdx",
            "C:\\VMs\\base.vhdx",
            "..\\x\\b.vhd",
            "plain.vhd",
        ];
        let names: Vec<String> = names.iter().map(|s| (*s).to_owned()).collect();
        assert_eq!(
            candidates(&names),
            [
                "./sub/base.vhdx",
                "../x/b.vhd",
                "./plain.vhd",
                "./base.vhdx",
                "./b.vhd"
            ]
        );
        assert!(candidates(&["\\\\server\\share\\..".to_owned()]).is_empty());
    }
}
