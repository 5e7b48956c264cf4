use h2k_copy::Event;

/// What a long job is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Finding out what the guest is and what it needs; nothing is counted.
    Look,
    /// Moving the guest's bytes to the target.
    Copy,
    /// Reading to compare.
    Compare,
    /// Reading to digest.
    Digest,
    /// Reading the finished target again.
    Verify,
    /// Waiting for a machine to come up; nothing is counted.
    Boot,
}

/// Watches a job. Called from worker threads too.
pub trait Watch: h2k_copy::Watch {
    /// Another phase begins; progress starts again at zero.
    fn phase(&self, _phase: Phase) {}
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl h2k_copy::Watch for Unwatched {
    fn event(&self, _event: &Event) {}
}

impl Watch for Unwatched {}
