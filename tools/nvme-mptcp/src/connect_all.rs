// SPDX-License-Identifier: GPL-2.0

//! Connecting to what a file names. nvme-cli has the same for the transports that it knows (nvme connect-all), and skips
//! those that it does not.

use crate::advice;
use crate::cli;
use crate::connect::{explain, Request};
use crate::table::out;
use anyhow::{Context, Result};
use clap::Parser;
use std::fs;
use std::path::Path;

/// The lines that say something, each with its number.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..)
        .zip(text.lines().map(str::trim))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn parse(file: &Path, number: usize, line: &str) -> Result<cli::Connect> {
    cli::ConnectLine::try_parse_from(line.split_whitespace())
        .map(|parsed| parsed.connect)
        .map_err(|error| {
            let why = error.to_string();
            let why = why.lines().next().unwrap_or_default();
            advice::error(
                format!(
                    "{}:{number}: {}",
                    file.display(),
                    why.trim_start_matches("error: ")
                ),
                "the options of nvme-mptcp-connect(1), as in \"-n NQN -a ADDRESS\"",
            )
        })
}

fn connect(options: &cli::Connect, dry_run: bool) -> Result<String> {
    let request = Request::new(options)?;
    if dry_run || options.dry_run {
        return Ok(request.line);
    }
    let to = format!("{} at {}:{}", options.nqn, request.address, options.trsvcid);
    match request.send() {
        Ok(instance) => Ok(format!("device: nvme{instance}, {to}")),
        Err(failure) if failure.is_already() => Ok(format!("already connected: {to}")),
        Err(failure) => Err(explain(options, &request.address, failure)),
    }
}

pub fn run(options: &cli::ConnectAll) -> Result<()> {
    let file = &options.file;
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let (mut failed, mut all) = (0_usize, 0_usize);
    for (number, line) in lines(&text) {
        all = all.saturating_add(1);
        match parse(file, number, line).and_then(|line| connect(&line, options.dry_run)) {
            Ok(done) => out(&(done + "\n"))?,
            Err(error) => {
                failed = failed.saturating_add(1);
                advice::tell(&error);
            }
        }
    }
    if failed == 0 {
        return Ok(());
    }
    Err(advice::error(
        format!("{failed} of {all} in {} are not connected", file.display()),
        "what is said above, and again: what is connected is left alone",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_not_lines() {
        let found: Vec<_> = lines("# -n a\n\n  -n b -a 10.0.0.2 \n#\n-n c").collect();
        assert_eq!(found, [(3, "-n b -a 10.0.0.2"), (5, "-n c")]);
    }

    #[test]
    fn a_line_has_the_options_of_connect() {
        let file = Path::new("f");
        let options = parse(file, 1, "-n nqn -a 10.0.0.2 --hdr-digest -i 2").unwrap();
        assert!(options.hdr_digest && options.nr_io_queues == Some(2) && options.trsvcid == 4420);
        let error = parse(file, 7, "-n nqn --nothing").err().unwrap();
        assert!(error.to_string().starts_with("f:7: "), "{error}");
    }
}
