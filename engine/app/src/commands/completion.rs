//! `quell completion`: for shells.
use super::client::print;
use clap_complete::{Shell, generate};

/// Prints what a shell needs to complete quell's commands.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quell completion bash > /etc/bash_completion.d/quell\n  quell completion zsh > \"${fpath[1]}/_quell\"\n  quell completion fish > ~/.config/fish/completions/quell.fish"
)]
pub struct CompletionArgs {
    shell: Shell,
}

/// Prints it.
///
/// # Errors
/// Where it can't be written.
pub fn run(args: &CompletionArgs, mut commands: clap::Command) -> anyhow::Result<()> {
    let mut script = Vec::new();
    generate(args.shell, &mut commands, "quell", &mut script);
    print(&String::from_utf8(script)?)
}
