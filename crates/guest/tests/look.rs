use h2k_block::{BlockRead, Limits};
use h2k_fs::MemFs;
use h2k_guest::{Look, Tree};
use std::sync::Arc;

fn tree() -> Tree {
    let mut fs = MemFs::new();
    fs.file("/etc/conf.d/b.conf", "B=2\n").unwrap();
    fs.file("/etc/conf.d/a.conf", "A=1\n").unwrap();
    fs.file("/etc/conf.d/a.bak", "A=0\n").unwrap();
    fs.file("/etc/large", "x".repeat(100)).unwrap();
    fs.link("/etc/link", "conf.d/a.conf").unwrap();
    fs.link("/etc/round", "round").unwrap();
    Tree::new("/dev/sda1", Arc::new(fs))
}

#[test]
fn what_is_not_there_is_none_and_what_cannot_be_read_is_remembered() {
    let tree = tree();
    let look = Look::new(&tree, &Limits::default());
    assert!(look.text("/etc/none").is_none());
    assert!(look.names("/none").is_empty());
    assert!(look.text("/etc/conf.d").is_none(), "a directory is no text");
    assert!(look.take_unread().is_empty());
    assert!(look.bytes("/etc/large", 99).is_none());
    assert!(look.text("/etc/round").is_none());
    assert!(look.text("/etc/round").is_none());
    let unread = look.take_unread();
    let said: Vec<_> = unread
        .iter()
        .map(|u| (u.source.as_str(), u.class.as_str()))
        .collect();
    assert_eq!(said, [("/etc/large", "limit"), ("/etc/round", "limit")]);
}

#[test]
fn files_are_found_through_links_and_in_the_order_of_names() {
    let tree = tree();
    let look = Look::new(&tree, &Limits::default());
    assert_eq!(look.text("/etc/link").unwrap().as_str(), "A=1\n");
    assert_eq!(look.target("/etc/link").unwrap(), b"conf.d/a.conf");
    assert_eq!(look.canonical("/etc/link").unwrap(), b"/etc/conf.d/a.conf");
    assert_eq!(look.target("/etc/large"), None);
    assert_eq!(look.head("/etc/large", 3).unwrap(), b"xxx");
    let texts = look.texts_in("/etc/conf.d", ".conf");
    let paths: Vec<&[u8]> = texts.iter().map(h2k_guest::Text::path).collect();
    assert_eq!(paths, [b"/etc/conf.d/a.conf".as_slice(), b"/etc/conf.d/b.conf"]);
    let file = look.file("/etc/link").unwrap();
    let mut buf = [0; 3];
    file.read_at(0, &mut buf).unwrap();
    assert_eq!(&buf, b"A=1");
}

#[test]
fn all_that_is_looked_at_is_paid_for_together() {
    let tree = tree();
    let limits = Limits {
        bytes: 150,
        ..Limits::default()
    };
    let look = Look::new(&tree, &limits);
    let read = (0..100).filter(|_| look.text("/etc/large").is_some()).count();
    assert!((8..20).contains(&read), "{read} times");
    assert_eq!(look.take_unread()[0].class, "limit");
}
