use std::fmt;

/// What a caller can decide on. Small and stable: new causes do not add classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// Somebody else holds the file: a running virtual machine, another conversion.
    Busy,
    /// The user asked us to stop.
    Cancelled,
    /// The input contradicts itself or its specification.
    Corrupt,
    /// The target exists already and nobody said that it may be replaced.
    Exists,
    /// What was asked for makes no sense, whatever the input is.
    Invalid,
    /// The host failed us: a read, a write, a system call.
    Io,
    /// A limit was reached before an answer was.
    Limit,
    /// The host has no room left for the target.
    NoSpace,
    /// A file that was named does not exist.
    NotFound,
    /// The caller asked for bytes that do not exist.
    OutOfBounds,
    /// The object was opened for reading.
    ReadOnly,
    /// A name written inside an image points where the user has not allowed us to go.
    Refused,
    /// The input is fine; this code is not able.
    Unsupported,
}

impl Class {
    /// The word used for this class in reports and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Cancelled => "cancelled",
            Self::Corrupt => "corrupt",
            Self::Exists => "exists",
            Self::Invalid => "invalid",
            Self::Io => "io",
            Self::Limit => "limit",
            Self::NoSpace => "no-space",
            Self::NotFound => "not-found",
            Self::OutOfBounds => "out-of-bounds",
            Self::ReadOnly => "read-only",
            Self::Refused => "refused",
            Self::Unsupported => "unsupported",
        }
    }
}

/// Where in the input: which structure, at which byte of the layer that is speaking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Name of the structure as its specification spells it.
    pub structure: &'static str,
    /// Byte offset in the layer's own coordinates.
    pub offset: u64,
}

type Source = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug)]
struct Inner {
    class: Class,
    what: String,
    place: Option<Place>,
    layers: Vec<String>,
    advice: Option<String>,
    source: Option<Source>,
}

/// The error at every seam between rooms: one pointer wide.
///
/// `Display` gives one line: layers crossed (outermost first), the structure and its offset, and a
/// plain sentence. What the user can do next is kept apart in [`Error::advice`].
#[derive(Debug)]
pub struct Error(Box<Inner>);

/// Result at the seams.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of `class`, said in one plain sentence without a full stop.
    pub fn new(class: Class, what: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            class,
            what: what.into(),
            place: None,
            layers: Vec::new(),
            advice: None,
            source: None,
        }))
    }

    /// The input contradicts itself: `structure` at `offset` (bytes, in the speaking layer's coordinates).
    pub fn corrupt(structure: &'static str, offset: u64, what: impl Into<String>) -> Self {
        Self::new(Class::Corrupt, what).at(structure, offset)
    }

    /// The input is fine, this code is not able to handle it.
    pub fn unsupported(what: impl Into<String>) -> Self {
        Self::new(Class::Unsupported, what)
    }

    /// Says where. The innermost place wins: a place that is already set stays.
    #[must_use]
    pub fn at(mut self, structure: &'static str, offset: u64) -> Self {
        self.0.place.get_or_insert(Place { structure, offset });
        self
    }

    /// Says through which layer (a file name, "vmdk", "partition 2") the failure came up.
    #[must_use]
    pub fn through(mut self, layer: impl Into<String>) -> Self {
        self.0.layers.push(layer.into());
        self
    }

    /// Says what the user can do about it. The first advice wins.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.0.advice.get_or_insert_with(|| advice.into());
        self
    }

    /// Keeps the error underneath.
    #[must_use]
    pub fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// What a caller may match on.
    #[must_use]
    pub fn class(&self) -> Class {
        self.0.class
    }

    /// Where it happened, if the input has a place for it.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        self.0.place
    }

    /// The plain sentence alone, without place and layers.
    #[must_use]
    pub fn sentence(&self) -> &str {
        &self.0.what
    }

    /// The layers crossed, innermost first.
    pub fn layers(&self) -> impl Iterator<Item = &str> {
        self.0.layers.iter().map(String::as_str)
    }

    /// What the user can do next, where we know it.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.0.advice.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for layer in self.0.layers.iter().rev() {
            write!(f, "{layer}: ")?;
        }
        if let Some(place) = self.0.place {
            write!(f, "{} at {:#x}: ", place.structure, place.offset)?;
        }
        f.write_str(&self.0.what)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|s| -> &(dyn std::error::Error + 'static) { s })
    }
}

impl From<std::io::Error> for Error {
    fn from(e: std::io::Error) -> Self {
        let class = match e.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Class::NoSpace,
            std::io::ErrorKind::NotFound => Class::NotFound,
            std::io::ErrorKind::ReadOnlyFilesystem => Class::ReadOnly,
            std::io::ErrorKind::ResourceBusy => Class::Busy,
            _ => Class::Io,
        };
        // The host's sentence, without the number that std puts behind it.
        let mut what = e.to_string();
        if let Some(number) = e.raw_os_error()
            && let Some(sentence) = what.strip_suffix(&format!(" (os error {number})"))
        {
            what = sentence.to_owned();
        }
        let error = Self::new(class, what);
        match e.kind() {
            std::io::ErrorKind::StorageFull => error.advise("make room there, or choose another place"),
            std::io::ErrorKind::FileTooLarge => {
                error.advise("the file system there cannot hold a file this large; choose another place")
            }
            _ => error,
        }
        .because(e)
    }
}

impl From<rustix::io::Errno> for Error {
    fn from(e: rustix::io::Errno) -> Self {
        std::io::Error::from(e).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_layers_structure_offset_and_sentence() {
        let e = Error::corrupt(
            "grain table",
            0x5_0000,
            "entry 17 points past the end of the file",
        )
        .through("vmdk")
        .through("web01.vmdk");
        assert_eq!(
            e.to_string(),
            "web01.vmdk: vmdk: grain table at 0x50000: entry 17 points past the end of the file"
        );
        assert_eq!(e.class(), Class::Corrupt);
    }

    #[test]
    fn the_innermost_place_and_the_first_advice_win() {
        let e = Error::new(Class::Io, "x")
            .at("a", 1)
            .at("b", 2)
            .advise("first")
            .advise("second");
        assert_eq!(
            e.place(),
            Some(Place {
                structure: "a",
                offset: 1
            })
        );
        assert_eq!(e.advice(), Some("first"));
    }

    #[test]
    fn the_hosts_errors_keep_their_class_and_lose_their_number() {
        let e = Error::from(rustix::io::Errno::NOSPC)
            .at("file", 512)
            .through("a.qcow2");
        assert_eq!(e.class(), Class::NoSpace);
        assert_eq!(e.to_string(), "a.qcow2: file at 0x200: No space left on device");
        assert!(e.advice().is_some());
        assert!(std::error::Error::source(&e).is_some(), "the cause is kept");
        assert_eq!(Error::from(rustix::io::Errno::ROFS).class(), Class::ReadOnly);
        assert_eq!(Error::from(rustix::io::Errno::NOENT).class(), Class::NotFound);
        assert_eq!(Error::from(rustix::io::Errno::IO).class(), Class::Io);
    }

    #[test]
    fn it_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
