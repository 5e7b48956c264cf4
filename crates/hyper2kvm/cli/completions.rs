use super::{Context, Outcome, commands, exit};

/// Print the completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hyper2kvm completions bash > ~/.local/share/bash-completion/completions/hyper2kvm
  hyper2kvm completions fish > ~/.config/fish/completions/hyper2kvm.fish")]
pub(super) struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut commands(), "hyper2kvm", &mut script);
        context.screen.say(&String::from_utf8_lossy(&script));
        Ok(exit::DONE)
    }
}
