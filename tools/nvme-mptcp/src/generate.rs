// SPDX-License-Identifier: GPL-2.0

//! Shell completions and man pages, out of the definition of the command line.

use crate::cli::Cli;
use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::{generate_to, Shell};
use std::fs;
use std::path::Path;

pub fn run(directory: &Path) -> Result<()> {
    let completions = directory.join("completions");
    let man = directory.join("man");
    for directory in [&completions, &man] {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
    }
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut Cli::command(), "nvme-mptcp", &completions)?;
    }
    clap_mangen::generate_to(Cli::command(), &man)?;
    Ok(())
}
