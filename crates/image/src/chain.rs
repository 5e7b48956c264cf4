use h2k_block::{Class, Error, Result};

/// The local file that `name`, as written in an image, stands for.
///
/// Everything that is not a plain file is refused: `json:` descriptions, `nbd:` and other protocols. As in
/// QEMU, a name is a protocol when a colon comes before its first slash; `file:` is taken off.
pub(crate) fn local_path(name: &str) -> Result<&str> {
    let name = name
        .strip_prefix("file:")
        .map_or(name, |rest| rest.strip_prefix("//").unwrap_or(rest));
    if name.is_empty() {
        return Err(Error::new(Class::Refused, "it refers to a file without a name"));
    }
    let head = name.split('/').next().unwrap_or_default();
    if let Some((protocol, _)) = head.split_once(':') {
        return Err(Error::new(
            Class::Refused,
            format!("it refers to {name:?}; {protocol:?} references are not opened, only local files"),
        )
        .advise("fetch the parent, put it beside the image, and record its plain name there"));
    }
    if name.contains('\0') {
        return Err(Error::new(
            Class::Refused,
            "it refers to a name with a NUL byte in it",
        ));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_refused_and_files_are_not() {
        for bad in [
            "json:{\"driver\":\"nbd\"}",
            "nbd://host/x",
            "https://a/b",
            "",
            "ssh:x",
            "a\0b",
        ] {
            assert_eq!(
                local_path(bad).map_err(|e| e.class()),
                Err(Class::Refused),
                "{bad:?}"
            );
        }
        assert_eq!(local_path("base.qcow2").ok(), Some("base.qcow2"));
        assert_eq!(local_path("./a:b.qcow2").ok(), Some("./a:b.qcow2"));
        assert_eq!(local_path("file:base.qcow2").ok(), Some("base.qcow2"));
        assert_eq!(local_path("file:///srv/base").ok(), Some("/srv/base"));
    }
}
