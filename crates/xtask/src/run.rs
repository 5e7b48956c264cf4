//! Running other programs, seen by whoever watches.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a chore ends with: nothing, or one sentence.
pub type Done = Result<(), String>;

/// The root of the repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// The cargo that runs us.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Whether `program` can be started from here. Debian keeps some tools where a plain user's PATH does not look.
pub fn have(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|dir| dir.join(program).is_file())
}

/// Whether `command` runs and succeeds, unseen.
pub fn quietly(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs `command`, says so, and shows what it says.
pub fn show(command: &mut Command) -> Done {
    say(command);
    let status = command.status().map_err(|e| format!("{}: {e}", name(command)))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} ended with {status}", name(command)))
    }
}

/// Runs `command` as [`show`] does, and hands every line it says (standard output and error, in their order)
/// to `line` as well.
pub fn watch(command: &mut Command, line: &mut dyn FnMut(&str)) -> Done {
    say(command);
    let sentence = |e: std::io::Error| e.to_string();
    let (reader, writer) = std::io::pipe().map_err(sentence)?;
    command.stdout(writer.try_clone().map_err(sentence)?);
    command.stderr(writer);
    let mut child = command.spawn().map_err(|e| format!("{}: {e}", name(command)))?;
    let called = name(command);
    // Our copies of the writing end go now: the pipe has to end when the child does.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut out = std::io::stdout();
    for text in BufReader::new(reader).split(b'\n') {
        let text = text.map_err(sentence)?;
        let text = String::from_utf8_lossy(&text);
        // Whoever reads us may have gone; the chore goes on.
        let _gone = writeln!(out, "{text}");
        line(&text);
    }
    let status = child.wait().map_err(sentence)?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{called} ended with {status}"))
    }
}

fn name(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    program.to_string_lossy().into_owned()
}

fn say(command: &Command) {
    let mut words = Vec::new();
    for (key, value) in command.get_envs() {
        if let Some(value) = value {
            words.push(format!("{}={}", key.to_string_lossy(), value.to_string_lossy()));
        }
    }
    words.push(name(command));
    words.extend(command.get_args().map(|a| a.to_string_lossy().into_owned()));
    println!("+ {}", words.join(" "));
}

/// The words of a command line; single quotes keep spaces in one.
pub fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (i, piece) in command.split('\'').enumerate() {
        if i % 2 == 1 {
            words.push(piece.to_owned());
        } else {
            words.extend(piece.split_whitespace().map(str::to_owned));
        }
    }
    words
}
