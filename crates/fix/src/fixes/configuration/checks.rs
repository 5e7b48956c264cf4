//! What may become a name, a line or a path in a guest.

/// A name of a file that leads nowhere else and that tools do not skip.
pub(in crate::fixes) fn plain_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'@');
    !name.is_empty() && name.len() <= 200 && !name.starts_with(['.', '-', '@']) && name.bytes().all(fits)
}

/// A text of one line.
pub(in crate::fixes) fn plain_text(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// A field of passwd(5).
pub(super) fn field(text: &str) -> bool {
    plain_text(text) && !text.contains(':')
}

/// A name that useradd would take.
pub(super) fn user_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let number = name.bytes().all(|b| b.is_ascii_digit());
    first && !number && name.len() <= 32 && name.bytes().all(fits)
}

/// An absolute path without steps back.
pub(super) fn absolute(path: &str) -> bool {
    path.starts_with('/')
        && path.len() > 1
        && field(path)
        && !path.split('/').any(|part| part == ".." || part == ".")
}

/// A label of a host's name.
fn label(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    !text.is_empty()
        && text.len() <= 63
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(fits)
}

/// A name of a host, with or without its domain: at most 64 bytes, which is what Linux takes.
pub(super) fn host(name: &str) -> bool {
    name.len() <= 64 && name.split('.').all(label)
}

/// A password as crypt(5) has it; `!` and `*` in front lock it.
pub(super) fn hash(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_graphic() && !matches!(b, b':' | b';' | b'\\');
    // A word that is no hash would never match, and stand there for all to read.
    let shaped = text.starts_with(['$', '!', '*', '_']) || text.len() == 13;
    shaped && text.bytes().all(fits)
}

/// A line of authorized_keys: one key, with or without options.
pub(super) fn ssh_key(line: &str) -> bool {
    let kinds = ["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"];
    let kind = line
        .split_whitespace()
        .any(|word| kinds.iter().any(|kind| word.starts_with(kind)));
    plain_text(line) && kind && !line.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for bad in ["", ".", "..", "../x", "a/b", "-x", "a b", "a\nb", "a\0"] {
            assert!(!plain_name(bad) && !user_name(bad), "{bad:?}");
        }
        assert!(plain_name("lan0.100") && user_name("jo_e-1") && !user_name("1jo") && !user_name("1000"));
        assert!(absolute("/home/jo") && !absolute("/home/../etc") && !absolute("home") && !absolute("/a:b"));
        assert!(host("web01.example.org") && !host("web_01") && !host("a..b") && !host("-a"));
        assert!(hash("$6$salt$abc./") && hash("!") && !hash("secret") && !hash("$6$a:b") && !hash("$6$a\nb"));
        assert!(ssh_key("ssh-ed25519 AAAA jo@x") && !ssh_key("ssh-rsa A\nssh-rsa B") && !ssh_key("hello"));
    }
}
