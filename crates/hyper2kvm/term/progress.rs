use super::{Screen, Style};
use h2k_convert::{Event, Phase, Watch, human};
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Draws a line of progress on a terminal, and nothing anywhere else.
pub(crate) struct Progress {
    state: Option<Mutex<State>>,
}

struct State {
    style: Style,
    fancy: bool,
    label: &'static str,
    began: Instant,
    drawn: Option<Instant>,
    /// What was done when, some seconds ago: rates are taken from there to now.
    past: Vec<(Instant, u64, u64)>,
    done: u64,
    total: u64,
    moved: u64,
}

const REDRAW: Duration = Duration::from_millis(100);
const MEMORY: Duration = Duration::from_secs(4);
/// A job that is over sooner needs no progress line.
const PATIENCE: Duration = Duration::from_millis(300);

impl Progress {
    pub(crate) fn new(screen: &Screen) -> Self {
        let wanted = !screen.quiet && !screen.json && std::io::stderr().is_terminal();
        Self {
            state: wanted.then(|| Mutex::new(State::new(screen.err))),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(state) = &self.state {
            state.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }
}

impl h2k_copy::Watch for Progress {
    fn event(&self, event: &Event) {
        if let (Some(state), Event::Progress { done, total, moved }) = (&self.state, *event) {
            // A worker that finds another one drawing has better things to do.
            if let Ok(mut state) = state.try_lock() {
                state.update(done, total, moved);
            }
        }
    }
}

impl Watch for Progress {
    fn phase(&self, phase: Phase) {
        if let Some(state) = &self.state {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            *state = State {
                drawn: state.drawn,
                label: match phase {
                    Phase::Look => "looking into the guest",
                    Phase::Copy => "copying",
                    Phase::Compare => "comparing",
                    Phase::Digest => "reading",
                    Phase::Verify => "verifying",
                    Phase::Boot => "waiting for the machine to come up",
                    _ => "working",
                },
                ..State::new(state.style)
            };
            if matches!(phase, Phase::Look | Phase::Boot) {
                state.announce();
            }
        }
    }
}

impl State {
    fn new(style: Style) -> Self {
        Self {
            style,
            fancy: fancy(),
            label: "working",
            began: Instant::now(),
            drawn: None,
            past: Vec::new(),
            done: 0,
            total: 0,
            moved: 0,
        }
    }

    fn update(&mut self, done: u64, total: u64, moved: u64) {
        // Events of several workers may overtake each other.
        self.done = self.done.max(done);
        self.moved = self.moved.max(moved);
        self.total = total;
        let now = Instant::now();
        let due = self.drawn.is_none_or(|at| now.duration_since(at) >= REDRAW);
        if !due || now.duration_since(self.began) < PATIENCE {
            return;
        }
        self.past.push((now, self.done, self.moved));
        let old = self
            .past
            .iter()
            .take_while(|(at, ..)| now.duration_since(*at) > MEMORY)
            .count();
        self.past.drain(..old.min(self.past.len().saturating_sub(1)));
        self.drawn = Some(now);
        let line = self.line(now, width());
        let _gone = write!(std::io::stderr().lock(), "\r\x1b[K{line}");
    }

    /// Shows what is being done, where there is no telling how far it is.
    fn announce(&mut self) {
        self.drawn = Some(Instant::now());
        let _gone = write!(std::io::stderr().lock(), "\r\x1b[K{} ...", self.label);
    }

    fn clear(&mut self) {
        if self.drawn.take().is_some() {
            let _gone = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }

    fn line(&self, now: Instant, width: usize) -> String {
        let percent = share(self.done, self.total, 100);
        let (rate, eta) = self.speed(now);
        let tail = if self.done >= self.total && self.total > 0 {
            " 100%  writing to disk".to_owned()
        } else {
            format!("{percent:>4}%  {:>8}/s  ETA {}", human(rate), clock(eta))
        };
        let head = format!("{:<9} ", self.label);
        let used = head.chars().count().saturating_add(tail.chars().count());
        // Not into the last column: some terminals wrap there.
        let room = width.saturating_sub(used).saturating_sub(1).min(50);
        if room < 8 {
            return format!("{head}{tail}");
        }
        let full =
            usize::try_from(share(self.done, self.total, u64::try_from(room).unwrap_or(0))).unwrap_or(0);
        let (on, off) = if self.fancy { ("━", "─") } else { ("#", ".") };
        format!(
            "{head}{}{}{tail}",
            self.style.cyan(&on.repeat(full)),
            self.style.dim(&off.repeat(room.saturating_sub(full)))
        )
    }

    /// Bytes of data a second, and how long the rest will take at the pace of the last seconds.
    fn speed(&self, now: Instant) -> (u64, Option<u64>) {
        let (then, done, moved) = self.past.first().copied().unwrap_or((self.began, 0, 0));
        let (then, done, moved) = if then == now {
            (self.began, 0, 0)
        } else {
            (then, done, moved)
        };
        let ms = u64::try_from(now.duration_since(then).as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        let rate = share(self.moved.saturating_sub(moved), ms, 1000);
        let pace = share(self.done.saturating_sub(done), ms, 1000);
        let left = self.total.saturating_sub(self.done);
        (rate, left.checked_div(pace))
    }
}

/// Whether the terminal knows more than ASCII, by the locale.
pub(crate) fn fancy() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()))
        .unwrap_or_default()
        .to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// `part / whole * of`, without overflow; 0 of nothing.
fn share(part: u64, whole: u64, of: u64) -> u64 {
    let product = u128::from(part).saturating_mul(u128::from(of));
    product
        .checked_div(u128::from(whole))
        .and_then(|n| u64::try_from(n).ok())
        .unwrap_or(0)
}

fn clock(seconds: Option<u64>) -> String {
    let Some(s) = seconds.filter(|s| *s < 360_000) else {
        return "--:--".to_owned();
    };
    let (h, m, s) = (
        s.wrapping_div(3600),
        s.wrapping_div(60).wrapping_rem(60),
        s.wrapping_rem(60),
    );
    if h > 0 {
        format!("{h}:{m:02}:{s:02}")
    } else {
        format!("{m:02}:{s:02}")
    }
}

fn width() -> usize {
    rustix::termios::tcgetwinsize(std::io::stderr()).map_or(80, |size| usize::from(size.ws_col).max(20))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::term::Colour;

    #[test]
    fn the_line_shows_share_rate_and_time_left_and_fits() {
        let mut state = State::new(Style::of(Colour::Never, &std::io::stderr()));
        let now = state.began.checked_add(Duration::from_secs(2)).unwrap();
        state.label = "copying";
        state.fancy = false;
        (state.done, state.total, state.moved) = (25 << 20, 100 << 20, 10 << 20);
        let line = state.line(now, 80);
        assert_eq!(
            line,
            "copying   ##########...............................  25%     5 MiB/s  ETA 00:06"
        );
        assert!(line.chars().count() < 80);
        assert!(state.line(now, 30).contains("25%"));
    }
}
