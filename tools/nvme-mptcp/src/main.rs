// SPDX-License-Identifier: GPL-2.0

//! nvme-mptcp: shows, sets up and diagnoses NVMe over Multipath TCP.

mod advice;
mod atomic;
mod cli;
mod connect;
mod connect_all;
mod doctor;
mod facts;
mod generate;
mod netlink;
mod observe;
mod paths;
mod probe;
mod sockets;
mod status;
mod sysfs;
mod table;
#[cfg(test)]
mod testing;
mod top;

use anyhow::Result;
use clap::Parser;
use std::process::ExitCode;

/// The exit status of an error that is not a finding.
const COULD_NOT: u8 = 2;

fn run(command: cli::Command) -> Result<ExitCode> {
    match command {
        cli::Command::Status(options) => status::run(&options)?,
        cli::Command::Doctor(options) => return doctor::run(&options),
        cli::Command::Paths(command) => paths::run(&command)?,
        cli::Command::Connect(options) => connect::run(&options)?,
        cli::Command::ConnectAll(options) => connect_all::run(&options)?,
        cli::Command::Top(options) => top::run(&options)?,
        cli::Command::Generate { directory } => generate::run(&directory)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    run(cli::Cli::parse().command).unwrap_or_else(|error| {
        advice::tell(&error);
        ExitCode::from(COULD_NOT)
    })
}
