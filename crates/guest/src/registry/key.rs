//! Keys and values that know where they are.

use crate::look::{Fact, Look, Source};
use h2k_block::Result;
use h2k_hive::{Key, Kind, Value};

/// A key, its full name, and who asks.
#[derive(Clone, Debug)]
pub struct RegKey<'h> {
    key: Key<'h>,
    path: String,
    look: &'h Look<'h>,
}

/// A value, the full name of its key, and who asks.
#[derive(Clone, Debug)]
pub struct RegValue<'h> {
    value: Value<'h>,
    key: String,
    look: &'h Look<'h>,
}

impl<'h> RegKey<'h> {
    /// `key`, whose full name is `path`.
    pub(super) fn new(key: Key<'h>, path: String, look: &'h Look<'h>) -> Self {
        Self { key, path, look }
    }

    /// Its own name.
    #[must_use]
    pub fn name(&self) -> String {
        self.key.name().to_string()
    }

    /// Its full name: `HKLM\SYSTEM\ControlSet001\Services`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The key as a source.
    #[must_use]
    pub fn source(&self) -> Source {
        Source::named(self.path.clone())
    }

    /// When it was last written: 100-nanosecond intervals since 1601, UTC.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.key.written()
    }

    fn below(&self, key: Key<'h>) -> Self {
        let path = format!("{}\\{}", self.path, key.name());
        Self { key, path, ..*self }
    }

    /// The key at `path` below this one, in any case; the empty path is this one.
    #[must_use]
    pub fn subkey(&self, path: &str) -> Option<Self> {
        let mut here = self.clone();
        for name in path.split('\\').filter(|name| !name.is_empty()) {
            here = here.child(name)?;
        }
        Some(here)
    }

    fn child(&self, name: &str) -> Option<Self> {
        let found = self.look.asked(self.path.as_bytes(), |meter| {
            let mut damage = None;
            for key in self.key.subkeys() {
                meter.step("subkey")?;
                match key {
                    Ok(key) if key.name().is(name) => return Ok(Some(key)),
                    Ok(_) => {}
                    Err(e) => damage = damage.or(Some(e)),
                }
            }
            // It may have been behind the damage.
            damage.map_or(Ok(None), Err)
        });
        found.map(|key| self.below(key))
    }

    /// Its subkeys, in the order of their list. A damaged one is left out, and remembered.
    #[must_use]
    pub fn subkeys(&self) -> Vec<Self> {
        let keys = self.all(self.key.subkeys(), "subkey");
        keys.into_iter().map(|key| self.below(key)).collect()
    }

    /// Its values, in the order of their list. A damaged one is left out, and remembered.
    #[must_use]
    pub fn values(&self) -> Vec<RegValue<'h>> {
        let values = self.all(self.key.values(), "value");
        values.into_iter().map(|value| self.of(value)).collect()
    }

    fn all<T>(&self, items: impl Iterator<Item = Result<T>>, what: &'static str) -> Vec<T> {
        let mut all = Vec::new();
        let mut damage = Vec::new();
        let _: Option<()> = self.look.asked(self.path.as_bytes(), |meter| {
            for item in items {
                meter.step(what)?;
                match item {
                    Ok(item) => {
                        meter.bytes(128, what)?;
                        all.push(item);
                    }
                    Err(e) if damage.len() < 10 => damage.push(e),
                    Err(_) => {}
                }
            }
            Ok(None)
        });
        for e in damage {
            self.look.failed(self.source(), &e);
        }
        all
    }

    fn of(&self, value: Value<'h>) -> RegValue<'h> {
        RegValue {
            value,
            key: self.path.clone(),
            look: self.look,
        }
    }

    /// The value of that name, in any case; the empty name is the default value.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<RegValue<'h>> {
        let found = self.look.asked(self.path.as_bytes(), |meter| {
            meter.steps(u64::from(self.key.value_count()), "value")?;
            self.key.value(name)
        });
        found.map(|value| self.of(value))
    }

    /// The text of a value. What is no text is none.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Fact<String>> {
        let value = self.value(name)?;
        Some(Fact::new(value.text()?, value.source()))
    }

    /// As [`text`](Self::text), where it says something.
    #[must_use]
    pub fn words(&self, name: &str) -> Option<Fact<String>> {
        let text = self.text(name)?.map(|text| text.trim().to_owned());
        (!text.value.is_empty()).then_some(text)
    }

    /// The texts of a value, all of them.
    #[must_use]
    pub fn texts(&self, name: &str) -> Option<Fact<Vec<String>>> {
        let value = self.value(name)?;
        Some(Fact::new(value.texts()?, value.source()))
    }

    /// The number a value is.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<Fact<u64>> {
        let value = self.value(name)?;
        Some(Fact::new(value.number()?, value.source()))
    }

    /// Whether the number a value is differs from 0.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<Fact<bool>> {
        self.number(name).map(|number| number.map(|n| n != 0))
    }

    /// The bytes of a value.
    #[must_use]
    pub fn data(&self, name: &str) -> Option<Fact<Vec<u8>>> {
        let value = self.value(name)?;
        Some(Fact::new(value.data()?, value.source()))
    }
}

impl RegValue<'_> {
    /// Its name; empty for the default value.
    #[must_use]
    pub fn name(&self) -> String {
        self.value.name().to_string()
    }

    /// The value as a source: `HKLM\SYSTEM\Select\Current`.
    #[must_use]
    pub fn source(&self) -> Source {
        let name = self.value.name();
        if name.is_empty() {
            return Source::named(format!("{}\\(Default)", self.key));
        }
        Source::named(format!("{}\\{name}", self.key))
    }

    /// Whether it is a text or a list of texts.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(
            self.value.kind(),
            Kind::SZ | Kind::EXPAND_SZ | Kind::MULTI_SZ | Kind::LINK
        )
    }

    /// Its text, up to the first zero; `None` for what is no text.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        self.is_text()
            .then(|| self.asked(|value| value.text().map(Some)))?
    }

    /// Its texts; that of a value with one is a list of one. `None` for what is no text.
    #[must_use]
    pub fn texts(&self) -> Option<Vec<String>> {
        self.is_text()
            .then(|| self.asked(|value| value.texts().map(Some)))?
    }

    /// Its number, or the one its text says in decimal digits; `None` for what is neither.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        if self.is_text() {
            return self.text()?.trim().parse().ok();
        }
        self.asked(|value| value.number())
    }

    /// Its bytes.
    #[must_use]
    pub fn data(&self) -> Option<Vec<u8>> {
        self.asked(|value| value.data().map(|data| Some(data.into_owned())))
    }

    fn asked<T>(&self, read: impl FnOnce(&Value<'_>) -> Result<Option<T>>) -> Option<T> {
        self.look.asked(self.source().as_str().as_bytes(), |meter| {
            meter.bytes(u64::from(self.value.len()), "value of the registry")?;
            read(&self.value)
        })
    }
}
