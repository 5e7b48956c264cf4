//! The door hostile hives and logs come through: the same function serves the mutation tests and the fuzz target.

use h2k_block::Limits;
use h2k_hive::{Form, Hive, Kind, RegFile, Visit};
use std::ops::ControlFlow;

/// What hostile input may cost here.
pub const LIMITS: Limits = Limits {
    bytes: 16 << 20,
    steps: 20_000,
    depth: 16,
};

/// Opens `bytes` as a hive with `logs` and asks everything of its first keys. Errors are the expected answer.
pub fn knock(bytes: Vec<u8>, logs: &[&[u8]]) {
    let Ok(mut hive) = Hive::open(bytes, logs, &LIMITS) else {
        return;
    };
    let _ = (hive.facts(), hive.check(), hive.control_set());
    let _ = hive.find("some\\key\\that is not there");
    look(&hive);
    // Text is many times as long as what it says: only of small hives.
    if hive.bytes().len() <= 12 << 10
        && let Ok(root) = hive.root()
    {
        for form in [Form::Version5, Form::Regedit4] {
            let out = hive.export(root, "HKLM", form);
            let _ = out.map(|out| RegFile::parse(&out.bytes(), &LIMITS));
        }
    }
    hive.accept();
    let root = hive.root().ok().and_then(|root| root.security().ok().flatten());
    // The same with a byte more is another one.
    let descriptor = [root.unwrap_or_default(), &[0]].concat();
    let Ok(mut edit) = hive.edit(1) else { return };
    if let Ok(key) = edit.create("some\\key") {
        let _ = edit.set(key, "value", Kind::BINARY, &[7; 20_000]);
        let _ = (
            edit.set_class(key, Some("class")),
            edit.set_security(key, &descriptor),
        );
        let _ = edit.unset(key, "value");
    }
    let first = edit
        .hive()
        .root()
        .ok()
        .and_then(|root| root.subkeys().flatten().next());
    if let Some(name) = first.map(|key| key.name().to_string()) {
        let _ = edit.delete(&name);
    }
    edit.finish();
    let _ = hive.check();
}

fn look(hive: &Hive) {
    let Ok(root) = hive.root() else { return };
    let mut left = 200;
    let _ = hive.walk(root, &mut |visit| {
        left -= 1;
        if let Visit::Key(_, key) = visit {
            let _ = (
                key.class(),
                key.security(),
                key.written(),
                key.subkey("some name"),
            );
            for value in key.values().take(50).flatten() {
                let _ = (value.data(), value.text(), value.texts(), value.number());
            }
        }
        if left > 0 {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
}

/// Reads `bytes` as a `.reg` file, and does what it says to a new hive.
pub fn knock_text(bytes: &[u8]) {
    let Ok(file) = RegFile::parse(bytes, &LIMITS) else {
        return;
    };
    let mut hive = Hive::create(h2k_hive::Version::V1_5, 1);
    if let Ok(mut edit) = hive.edit(2) {
        let _ = file.apply(&mut edit, "");
        edit.finish();
    }
    assert!(hive.check().is_ok_and(|checked| checked.clean()));
}
