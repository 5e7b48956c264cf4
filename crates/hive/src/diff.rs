use crate::hive::Hive;
use crate::key::Key;
use crate::layout::DEPTH;
use crate::upcase;
use crate::value::{Kind, Value};
use h2k_block::{Class, Error, Limits, Meter, Result};
use std::collections::BTreeMap;

/// Kind and data of a value.
pub type Content = (Kind, Vec<u8>);

/// One difference between two trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The key, by its path below those that were compared.
    pub key: String,
    /// What differs there.
    pub what: Differs,
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Differs {
    /// The key is only in the second tree. What is in it follows.
    KeyAdded,
    /// The key is only in the first, with everything below it.
    KeyRemoved,
    /// Its class name differs: first, second.
    Class(Option<String>, Option<String>),
    /// A value by its name: what it is in the first tree and in the second. The default value has the empty name.
    Value(String, Option<Content>, Option<Content>),
}

/// A key's subkeys or values by what Windows takes for their name.
type Named<T> = BTreeMap<Vec<u16>, T>;

impl Hive {
    /// What makes `b` of `a`: keys and values by name, in the order of their names. Times and security are not
    /// compared, nor where anything lies.
    ///
    /// # Errors
    /// `Corrupt` when a key or value on either side is damaged: nobody could say then; `Limit` when there are more
    /// keys than `limits` allow.
    pub fn diff(a: Key<'_>, b: Key<'_>, limits: &Limits) -> Result<Vec<Difference>> {
        let mut meter = Meter::new(*limits);
        let mut out = Vec::new();
        let mut next = vec![(String::new(), Some(a), b, 0_usize)];
        while let Some((path, a, b, depth)) = next.pop() {
            meter.step("key")?;
            if depth > DEPTH {
                return Err(Error::new(Class::Limit, "keys lie deeper than 512 levels"));
            }
            let mut say = |what| {
                out.push(Difference {
                    key: path.clone(),
                    what,
                });
            };
            if a.is_none() {
                say(Differs::KeyAdded);
            }
            let class = (a.map_or(Ok(None), |a| a.class())?, b.class()?);
            if class.0 != class.1 {
                say(Differs::Class(class.0, class.1));
            }
            let (old, new) = (a.map_or_else(|| Ok(Named::new()), values)?, values(b)?);
            for (name, spelled) in both(&old, &new) {
                let (old, new) = (old.get(name).map(content), new.get(name).map(content));
                let (old, new) = (old.transpose()?, new.transpose()?);
                if old != new {
                    say(Differs::Value(spelled.name().to_string(), old, new));
                }
            }
            let (old, new) = (a.map_or_else(|| Ok(Named::new()), subkeys)?, subkeys(b)?);
            // Below, in the order of the names: the stack gives back the last first.
            let names: Vec<_> = both(&old, &new).collect();
            for (name, spelled) in names.into_iter().rev() {
                meter.step("key")?;
                let spelled = spelled.name().to_string();
                let path = if path.is_empty() {
                    spelled
                } else {
                    format!("{path}\\{spelled}")
                };
                match new.get(name) {
                    Some(new) => next.push((path, old.get(name).copied(), *new, depth.saturating_add(1))),
                    None => out.push(Difference {
                        key: path,
                        what: Differs::KeyRemoved,
                    }),
                }
            }
        }
        // Removed keys were met before what lies below their neighbours.
        out.sort_by_cached_key(|difference| {
            let fold = |name: &str| name.encode_utf16().map(upcase).collect::<Vec<_>>();
            difference.key.split('\\').map(fold).collect::<Vec<_>>()
        });
        Ok(out)
    }
}

/// Names of either side, each once, in order; spelled as the first side has it.
fn both<'m, T>(a: &'m Named<T>, b: &'m Named<T>) -> impl Iterator<Item = (&'m Vec<u16>, &'m T)> {
    let mut names: Vec<&Vec<u16>> = a.keys().chain(b.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let names: Vec<_> = names
        .into_iter()
        .filter_map(|name| a.get_key_value(name).or_else(|| b.get_key_value(name)))
        .collect();
    names.into_iter()
}

fn values(key: Key<'_>) -> Result<Named<Value<'_>>> {
    let named = key
        .values()
        .map(|value| value.map(|v| (v.name().units().map(upcase).collect(), v)));
    named.collect()
}

fn subkeys(key: Key<'_>) -> Result<Named<Key<'_>>> {
    let named = key
        .subkeys()
        .map(|key| key.map(|k| (k.name().units().map(upcase).collect(), k)));
    named.collect()
}

fn content(value: &Value<'_>) -> Result<Content> {
    Ok((value.kind(), value.data()?.into_owned()))
}
