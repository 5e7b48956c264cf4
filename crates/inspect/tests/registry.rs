use crate::hives::{hive, tree};
use h2k_block::Limits;
use h2k_guest::registry::Registry;
use h2k_guest::{Fact, Look, Source};
use h2k_testkit::corpus;

const SYSTEM: &str = r#"[X\Select]
"Current"=dword:00000002
[X\ControlSet001\Control]
"Set"="old"
[X\ControlSet002\Control]
"Set"="now"
"Count"=dword:00000007
"Said"="41"
"Many"=hex(7):61,00,00,00,62,00,63,00,00,00,00,00
@="default"
[X\ControlSet002\Control\Ä Key]
"Big"=hex(b):00,00,00,00,01,00,00,00
"#;

#[test]
fn the_current_control_set_is_the_one_that_select_names_and_names_have_no_case() {
    let tree = tree(&[("/Windows/System32/config/SYSTEM", hive(SYSTEM))]);
    let limits = Limits::default();
    let look = Look::new(&tree, &limits);
    let registry = Registry::new(&tree, &limits);
    let system = registry.ask(&look, "HKLM\\SYSTEM").unwrap();
    let control = system.key(&look, "currentcontrolset\\CONTROL").unwrap();
    let source = |name: &str| Source::named(format!("HKLM\\SYSTEM\\ControlSet002\\Control\\{name}"));
    assert_eq!(
        control.text("set").unwrap(),
        Fact::new("now".to_owned(), source("Set"))
    );
    assert_eq!(control.number("COUNT").unwrap(), Fact::new(7, source("Count")));
    assert_eq!(
        control.number("Said").unwrap().value,
        41,
        "digits of a text are a number"
    );
    assert_eq!(control.texts("Many").unwrap().value, ["a", "bc"]);
    assert_eq!(
        control.text("").unwrap(),
        Fact::new("default".to_owned(), source("(Default)"))
    );
    assert_eq!(control.number("Set"), None);
    let below = control.subkey("ä kEY").unwrap();
    assert_eq!(below.number("Big").unwrap().value, 1 << 32);
    assert_eq!(control.subkeys().len(), 1);
    assert_eq!(control.values().len(), 5);
    assert!(
        registry.ask(&look, "HKLM\\SOFTWARE").is_none(),
        "there is no such file"
    );
    assert!(look.take_unread().is_empty());
}

#[test]
fn what_is_damaged_is_remembered_by_everybody_who_asked() {
    let tree = tree(&[("/Windows/System32/config/SYSTEM", b"not a hive".to_vec())]);
    let limits = Limits::default();
    let registry = Registry::new(&tree, &limits);
    for _ in 0..2 {
        let look = Look::new(&tree, &limits);
        assert!(registry.ask(&look, "HKLM\\SYSTEM").is_none());
        let unread = look.take_unread();
        assert_eq!(unread.len(), 1);
        assert_eq!(unread[0].source.as_str(), "HKLM\\SYSTEM");
        assert_eq!(unread[0].class, "corrupt");
    }
}

#[test]
fn a_hive_left_in_the_middle_of_a_write_is_read_with_its_logs() {
    let Some(corpus) = corpus::corpus() else { return };
    let below = "hives/regipy/SYSTEM_B-dirty/";
    let mut files = Vec::new();
    for case in corpus.below(below) {
        let name = corpus::plain_name(case).to_uppercase();
        let suffix = name
            .rsplit_once('.')
            .map(|(_, s)| format!(".{s}"))
            .unwrap_or_default();
        files.push((
            format!("/Windows/System32/config/SYSTEM{suffix}"),
            corpus.bytes(case),
        ));
    }
    assert!(
        files.len() > 1,
        "{files:?}",
        files = files.iter().map(|f| &f.0).collect::<Vec<_>>()
    );
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(n, b)| (n.as_str(), b.clone())).collect();
    let limits = Limits::default();
    let replayed = |files: &[(&str, Vec<u8>)]| {
        let tree = tree(files);
        let look = Look::new(&tree, &limits);
        let hold = Registry::new(&tree, &limits).ask(&look, "HKLM\\SYSTEM").unwrap();
        hold.hive().facts().state
    };
    assert!(matches!(replayed(&files), h2k_hive::State::Recovered(n) if n > 0));
    let alone: Vec<_> = files
        .iter()
        .filter(|(n, _)| n.ends_with("SYSTEM"))
        .cloned()
        .collect();
    assert_eq!(replayed(&alone), h2k_hive::State::Dirty);
}
