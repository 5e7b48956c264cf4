//! The canonical dump of a hive, as the corpus' `tools/hivedump.py` defines it.

use h2k_hive::{Hive, Visit};
use h2k_testkit::hash::sha256;
use std::fmt::Write;
use std::ops::ControlFlow;

/// A dump and what it counted.
#[derive(Debug, Default)]
pub struct Dump {
    pub text: String,
    pub keys: u64,
    pub values: u64,
    /// Keys whose subkeys or values are damaged.
    pub key_errors: u64,
    /// Values whose data is damaged.
    pub value_errors: u64,
}

/// Where a key stands among the sorted: the names on its path, each with its place in the hive's own order.
type Place = Vec<(Vec<u8>, usize)>;

fn escaped(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c < ' ' || c == '\u{7f}' || c == '%' || c == '\\' {
            write!(out, "%{:02X}", c as u32).unwrap();
        } else {
            out.push(c);
        }
    }
    out
}

/// Everything below the root.
pub fn dump(hive: &Hive) -> Dump {
    let mut dump = Dump::default();
    // The walk keeps the hive's order; the dump sorts. So collect by path first.
    let mut lines: Vec<(Place, String)> = Vec::new();
    let mut place: Place = Vec::new();
    let mut n = 0_usize;
    let root = hive.root().unwrap();
    hive.walk(root, &mut |visit| {
        match visit {
            Visit::Broken(..) => dump.key_errors += 1,
            Visit::Key(path, key) => {
                n += 1;
                place.truncate(path.len());
                if !path.is_empty() {
                    place.push((key.name().to_string().into_bytes(), n));
                } else {
                    place.push((Vec::new(), 0));
                }
                let names: Vec<String> = path
                    .iter()
                    .skip(1)
                    .chain((!path.is_empty()).then_some(&key))
                    .map(|k| escaped(&k.name().to_string()))
                    .collect();
                let names = names.join("\\");
                dump.keys += 1;
                let mut text = format!("K\t{names}\t{:016x}\n", key.written());
                let mut values = Vec::new();
                for value in key.values() {
                    let Ok(value) = value else {
                        dump.key_errors += 1;
                        continue;
                    };
                    dump.values += 1;
                    let name = value.name().to_string();
                    let kind = value.kind().0;
                    let tail = match value.data() {
                        // hivex delivers no data of a value that only says "not here"; it has none.
                        Ok(data) if value.is_tombstone() && data.is_empty() => {
                            dump.value_errors += 1;
                            format!("{kind}\tERR\tERR")
                        }
                        Ok(data) => format!("{kind}\t{}\t{}", data.len(), sha256(&data)),
                        Err(e) => {
                            println!("{names} {name}: {e}");
                            dump.value_errors += 1;
                            format!("{kind}\tERR\tERR")
                        }
                    };
                    values.push((name.clone(), format!("V\t{names}\t{}\t{tail}\n", escaped(&name))));
                }
                values.sort_by(|a, b| a.0.cmp(&b.0));
                for (_, line) in values {
                    text.push_str(&line);
                }
                lines.push((place.clone(), text));
            }
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    dump.text = lines.into_iter().map(|(_, text)| text).collect();
    dump
}
