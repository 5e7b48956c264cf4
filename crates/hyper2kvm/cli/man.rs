use super::save::save;
use super::{Context, Outcome, commands, exit};
use h2k_convert::Failure;
use std::io::Write;
use std::path::PathBuf;

/// Print a manual page, or write all of them to a directory
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The page: a command such as convert; the overview when not given
    command: Option<String>,
    /// Write every page to this directory instead
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let pages = pages()?;
        if let Some(dir) = self.dir {
            let files = pages
                .iter()
                .map(|(name, page)| (dir.join(format!("{name}.1")), page));
            save(true, files)?;
            return Ok(exit::DONE);
        }
        let wanted = match &self.command {
            Some(command) => format!("hyper2kvm-{}", command.replace(' ', "-")),
            None => "hyper2kvm".to_owned(),
        };
        let Some((_, page)) = pages.iter().find(|(name, _)| *name == wanted) else {
            return Err(Failure::invalid(format!("there is no manual page {wanted}")));
        };
        context.screen.say(&String::from_utf8_lossy(page));
        Ok(exit::DONE)
    }
}

/// Every page, by name.
fn pages() -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut tree = commands();
    tree.build();
    let mut pages = Vec::new();
    let mut next = vec![tree];
    while let Some(command) = next.pop() {
        next.extend(
            command
                .get_subcommands()
                .filter(|sub| !sub.is_hide_set())
                .cloned(),
        );
        let name = command
            .get_display_name()
            .unwrap_or(command.get_name())
            .to_owned();
        let mut page = Vec::new();
        render(command, &name, &mut page).map_err(h2k_block::Error::from)?;
        pages.push((name, page));
    }
    pages.sort();
    Ok(pages)
}

fn render(command: clap::Command, name: &str, page: &mut Vec<u8>) -> std::io::Result<()> {
    let usage = command.clone().render_usage().to_string();
    let extra = command
        .get_after_long_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let man = clap_mangen::Man::new(command).source(concat!("hyper2kvm ", env!("CARGO_PKG_VERSION")));
    man.render_title(page)?;
    man.render_name_section(page)?;
    writeln!(
        page,
        ".SH SYNOPSIS\n{}",
        escaped(usage.trim_start_matches("Usage: ").trim())
    )?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    if name == "hyper2kvm" || name == "hyper2kvm-snapshot" || name == "hyper2kvm-reg" {
        man.render_subcommands_section(page)?;
    }
    // What follows the options in --help: titled blocks of lines that are laid out already.
    let mut open = false;
    for line in extra.lines() {
        match line.strip_suffix(':').filter(|title| !title.starts_with(' ')) {
            Some(title) => {
                if open {
                    writeln!(page, ".fi")?;
                }
                writeln!(page, ".SH \"{}\"\n.nf", title.to_uppercase())?;
                open = true;
            }
            None => writeln!(page, "{}", escaped(line.strip_prefix("  ").unwrap_or(line)))?,
        }
    }
    if open {
        writeln!(page, ".fi")?;
    }
    if name != "hyper2kvm" {
        writeln!(page, ".SH \"SEE ALSO\"\n\\fBhyper2kvm\\fR(1)")?;
    }
    Ok(())
}

/// A line of text that roff prints as it is.
fn escaped(line: &str) -> String {
    let text = line.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) {
        format!("\\&{text}")
    } else {
        text
    }
}
