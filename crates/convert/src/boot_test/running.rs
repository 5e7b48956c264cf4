//! QEMU while it runs: what it says, what is asked of it, and its end.

use super::console::Console;
use super::machine;
use super::monitor::Monitor;
use super::screen::{self, Screen};
use h2k_block::Output;
use serde_json::{Value, json};
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often an answer is looked for.
const MOMENT: Duration = Duration::from_millis(10);
/// How long an answer of the monitor is waited for: it has nothing else to do, but the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// A machine that does not outlive this.
pub(super) struct Running {
    child: Child,
    /// What the guest said on the serial port, and what QEMU complained of.
    pub(super) console: Console,
    /// What was on the screen when it was last looked at, where that is text.
    pub(super) screen: Screen,
    monitor: Monitor,
    _scratch: Scratch,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Where QEMU puts what the guest writes. It removes such a file's name soon, but not when it is killed before.
struct Scratch(PathBuf);

impl Scratch {
    /// A folder of this name; what a run that was killed left of it is taken over.
    fn new(path: PathBuf) -> std::io::Result<Self> {
        let _none = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is in the way of nobody.
        let _left = std::fs::remove_dir_all(&self.0);
    }
}

impl Running {
    /// Starts QEMU with these words. What the guest writes is put into a folder called `scratch`, and gone with it.
    pub(super) fn start(qemu: &Path, words: &[String], scratch: &Path) -> std::io::Result<Self> {
        let scratch = Scratch::new(scratch.to_owned())?;
        let leash = machine::leash();
        #[expect(
            clippy::disallowed_methods,
            reason = "the boot test is asked for by name, and is nothing but this"
        )]
        let mut command = std::process::Command::new(leash.as_deref().unwrap_or(qemu));
        if leash.is_some() {
            // Who is killed cannot clean up; the kernel does.
            command.args(["--pdeathsig", "KILL", "--"]).arg(qemu);
        }
        let mut child = command
            .args(words)
            .env("TMPDIR", &scratch.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let monitor = Monitor::new(child.stdin.take());
        Ok(Self {
            child,
            console: Console::default(),
            screen: Screen::default(),
            monitor,
            _scratch: scratch,
        })
    }

    /// Takes what was said, without waiting for more. Says whether the guest said anything.
    pub(super) fn listen(&mut self) -> bool {
        let monitor = &mut self.monitor;
        take(self.child.stdout.as_mut(), |bytes| monitor.take(bytes));
        let console = &mut self.console;
        take(self.child.stderr.as_mut(), |bytes| console.take(bytes))
    }

    /// Looks at the screen. Says whether it is another than before.
    pub(super) fn look(&mut self) -> bool {
        let look = json!({"command-line": screen::LOOK});
        match self.ask("human-monitor-command", &look) {
            Some(Value::String(dump)) => self.screen.take(&dump),
            _ => false,
        }
    }

    /// How it ended, when it did.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().ok().flatten()?;
        self.listen();
        Some(status)
    }

    /// Puts a picture of the screen into the file of this name without its ending, PNG or, where QEMU makes none, PPM.
    /// Says which it is. There may be none: nothing depends on it.
    pub(super) fn picture(&mut self, name: &Path) -> Option<PathBuf> {
        self.look();
        let png = json!({"format": "png"});
        [("png", png), ("ppm", json!({}))]
            .into_iter()
            .find_map(|(ending, mut arguments)| {
                let path = name.with_added_extension(ending);
                let mut output = Output::new(true);
                let _file = output.create(&path).ok()?;
                let (part, _) = output.parts().next()?;
                let part = part.to_str()?.to_owned();
                arguments
                    .as_object_mut()?
                    .insert("filename".to_owned(), part.into());
                self.ask("screendump", &arguments)?;
                output.commit().ok()?;
                Some(path)
            })
    }

    fn ask(&mut self, command: &str, arguments: &Value) -> Option<Value> {
        let id = self.monitor.ask(command, arguments)?;
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            self.listen();
            if let Some(answer) = self.monitor.answer(id) {
                return answer;
            }
            if self.child.try_wait().ok().flatten().is_some() {
                return None;
            }
            std::thread::sleep(MOMENT);
        }
        None
    }
}

/// Takes what a pipe holds, without waiting for more. Says whether there was anything.
fn take(pipe: Option<&mut (impl Read + AsFd)>, mut to: impl FnMut(&[u8])) -> bool {
    let Some(pipe) = pipe else { return false };
    if rustix::io::ioctl_fionbio(pipe.as_fd(), true).is_err() {
        return false;
    }
    let mut room = [0; 4096];
    let mut any = false;
    while let Ok(length @ 1..) = pipe.read(&mut room) {
        to(room.get(..length).unwrap_or_default());
        any = true;
    }
    any
}
