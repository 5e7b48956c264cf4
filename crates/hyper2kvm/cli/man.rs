use super::{Context, Outcome, exit, tree};
use h2k_convert::Failure;
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
            let mut output = h2k_block::Output::new(true);
            for (name, page) in &pages {
                let file = output.create(&dir.join(format!("{name}.1")))?;
                file.set_len(u64::try_from(page.len()).unwrap_or(0))?;
                file.write_at(0, page)?;
            }
            output.commit()?;
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
    let mut tree = tree();
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
        let written = clap_mangen::Man::new(command).render(&mut page);
        written.map_err(h2k_block::Error::from)?;
        pages.push((name, page));
    }
    Ok(pages)
}
