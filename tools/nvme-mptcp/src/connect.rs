// SPDX-License-Identifier: GPL-2.0

//! Connecting through /dev/nvme-fabrics, which takes every option whatever the transport is called.

use crate::advice;
use crate::cli;
use crate::sysfs::{Module, Sysfs};
use crate::table::out;
use anyhow::{anyhow, bail, Context, Result};
use std::fmt::Display;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::{IpAddr, ToSocketAddrs};

const DEVICE: &str = "/dev/nvme-fabrics";

/// The options as the kernel wants them: "nqn=...,transport=mptcp,...".
struct Line(String);

impl Line {
    fn value(&mut self, name: &str, value: impl Display) -> Result<()> {
        let value = value.to_string();
        if value.contains([',', '\n']) {
            bail!("{name}: the kernel takes no value with a comma or a line break: {value}");
        }
        self.flag(&format!("{name}={value}"), true);
        Ok(())
    }

    fn maybe(&mut self, name: &str, value: Option<impl Display>) -> Result<()> {
        value.map_or(Ok(()), |value| self.value(name, value))
    }

    fn flag(&mut self, name: &str, set: bool) {
        if set {
            self.0 += if self.0.is_empty() { "" } else { "," };
            self.0 += name;
        }
    }
}

fn line(options: &cli::Connect, address: &str, hostnqn: &str, hostid: &str) -> Result<String> {
    let mut line = Line(String::new());
    line.value("nqn", &options.nqn)?;
    line.value("transport", &options.transport)?;
    line.value("traddr", address)?;
    line.value("trsvcid", options.trsvcid)?;
    line.maybe("host_traddr", options.host_traddr.as_ref())?;
    line.maybe("host_iface", options.host_iface.as_ref())?;
    line.value("hostnqn", hostnqn)?;
    line.value("hostid", hostid)?;
    line.maybe("dhchap_secret", options.dhchap_secret.as_ref())?;
    line.maybe("dhchap_ctrl_secret", options.dhchap_ctrl_secret.as_ref())?;
    line.maybe("nr_io_queues", options.nr_io_queues)?;
    line.maybe("nr_write_queues", options.nr_write_queues)?;
    line.maybe("nr_poll_queues", options.nr_poll_queues)?;
    line.maybe("queue_size", options.queue_size)?;
    line.maybe("keep_alive_tmo", options.keep_alive_tmo)?;
    line.maybe("reconnect_delay", options.reconnect_delay)?;
    line.maybe("ctrl_loss_tmo", options.ctrl_loss_tmo)?;
    line.maybe("fast_io_fail_tmo", options.fast_io_fail_tmo)?;
    line.maybe("tos", options.tos)?;
    line.flag("duplicate_connect", options.duplicate_connect);
    line.flag("disable_sqflow", options.disable_sqflow);
    line.flag("hdr_digest", options.hdr_digest);
    line.flag("data_digest", options.data_digest);
    Ok(line.0)
}

/// An address as it is, with the interface of a link-local one; a name by the resolver.
fn resolve(name: &str, port: u16) -> Result<String> {
    let bare = name.split('%').next().unwrap_or(name);
    if bare.parse::<IpAddr>().is_ok() {
        return Ok(name.to_string());
    }
    let mut found = (name, port)
        .to_socket_addrs()
        .with_context(|| format!("cannot find the address of {name}"))?;
    let address = found
        .next()
        .with_context(|| format!("{name} has no address"))?;
    Ok(address.ip().to_string())
}

fn identity(given: Option<&String>, file: &str, option: &str) -> Result<String> {
    if let Some(value) = given {
        return Ok(value.clone());
    }
    let text = fs::read_to_string(file).unwrap_or_default();
    let value = text.trim();
    if value.is_empty() {
        let maker = if option == "hostnqn" {
            "nvme gen-hostnqn"
        } else {
            "cat /proc/sys/kernel/random/uuid"
        };
        return Err(advice::error(
            format!("this host has no {option}: {file} is missing or empty"),
            format!("{maker} > {file}, or --{option}"),
        ));
    }
    Ok(value.to_string())
}

pub fn run(options: &cli::Connect) -> Result<()> {
    let request = Request::new(options)?;
    if options.dry_run {
        return out(&(request.line + "\n"));
    }
    let instance = request
        .send()
        .map_err(|failure| explain(options, &request.address, failure))?;
    out(&match options.output_format.as_str() {
        "json" => format!(
            "{}\n",
            serde_json::json!({ "device": format!("nvme{instance}") })
        ),
        _ => format!("device: nvme{instance}\n"),
    })
}

/// What is to be asked of the kernel.
pub struct Request {
    pub address: String,
    pub line: String,
}

/// Why it is not connected.
pub enum Failure {
    /// /dev/nvme-fabrics itself.
    Device(std::io::Error),
    Refused(std::io::Error),
    Answer(String),
}

impl Failure {
    /// EALREADY: this host has a controller there.
    pub fn is_already(&self) -> bool {
        matches!(self, Self::Refused(error) if error.raw_os_error() == Some(114))
    }
}

impl Request {
    pub fn new(options: &cli::Connect) -> Result<Self> {
        let address = resolve(&options.traddr, options.trsvcid)?;
        let hostnqn = identity(options.hostnqn.as_ref(), "/etc/nvme/hostnqn", "hostnqn")?;
        let hostid = identity(options.hostid.as_ref(), "/etc/nvme/hostid", "hostid")?;
        let line = line(options, &address, &hostnqn, &hostid)?;
        Ok(Self { address, line })
    }

    /// Connects; the number of the new controller.
    pub fn send(&self) -> std::result::Result<String, Failure> {
        let mut device = OpenOptions::new()
            .read(true)
            .write(true)
            .open(DEVICE)
            .map_err(Failure::Device)?;
        device
            .write_all(self.line.as_bytes())
            .map_err(Failure::Refused)?;
        let mut answer = String::new();
        device
            .read_to_string(&mut answer)
            .map_err(|error| Failure::Answer(error.to_string()))?;
        // "instance=0,cntlid=1"
        let instance = answer
            .trim()
            .split(',')
            .find_map(|field| field.strip_prefix("instance="));
        instance
            .map(str::to_string)
            .ok_or_else(|| Failure::Answer(answer.trim().to_string()))
    }
}

/// The failure as an error that tells what to do.
pub fn explain(options: &cli::Connect, address: &str, failure: Failure) -> anyhow::Error {
    match failure {
        Failure::Device(error) => {
            let next = match error.kind() {
                std::io::ErrorKind::NotFound => "modprobe nvme-fabrics",
                _ => "the same as root",
            };
            advice::error(format!("cannot open {DEVICE}: {error}"), next)
        }
        Failure::Refused(error) => refused(options, address, &error),
        Failure::Answer(answer) => anyhow!("connected, but the kernel answers '{answer}'"),
    }
}

/// What an error of the kernel means here.
fn refused(options: &cli::Connect, address: &str, error: &std::io::Error) -> anyhow::Error {
    let at = format!("{address}:{}", options.trsvcid);
    let module = Sysfs("/".into()).module("nvme_mptcp");
    let (what, next) = match error.raw_os_error() {
        // EINVAL comes for an unknown transport, and for options.
        Some(22) if module != Module::Loaded => (
            format!("the kernel does not know the transport mptcp: {error}"),
            if module == Module::Missing {
                "nvme-mptcp doctor: the module nvme_mptcp is not installed for this kernel"
            } else {
                "modprobe nvme_mptcp"
            },
        ),
        // ENODEV, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH
        Some(110 | 113 | 101) => (
            format!("nobody answers at {at}: {error}"),
            "nvme-mptcp doctor --peer ADDRESS, which tries from each NIC",
        ),
        // ECONNREFUSED
        Some(111) => (
            format!("nobody listens at {at}: {error}"),
            "on the target: nvme-mptcp status, and the port's addr_trsvcid",
        ),
        // EALREADY
        Some(114) => (
            format!("there is a controller to {at} already"),
            "nvme-mptcp status; or --duplicate-connect",
        ),
        // EPROTONOSUPPORT
        Some(93) => (
            format!("{at} does not speak MPTCP, and require_mptcp is set"),
            "nvme-mptcp doctor --peer ADDRESS",
        ),
        _ => (
            format!("cannot connect to {at}: {error}"),
            "dmesg, where the kernel tells why",
        ),
    };
    advice::error(what, next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn parsed(arguments: &str) -> Box<cli::Connect> {
        let words = format!("nvme-mptcp connect {arguments}");
        match cli::Cli::parse_from(words.split_whitespace()).command {
            cli::Command::Connect(options) => options,
            _ => unreachable!(),
        }
    }

    #[test]
    fn options_by_their_names_in_the_kernel() {
        let options =
            parsed("-n nqn -a 10.0.0.2 -g --data-digest -l -1 --fast_io_fail_tmo 3 -i 2 -D");
        assert_eq!(
            line(&options, "10.0.0.2", "me", "id").unwrap(),
            "nqn=nqn,transport=mptcp,traddr=10.0.0.2,trsvcid=4420,hostnqn=me,hostid=id,nr_io_queues=2,\
             ctrl_loss_tmo=-1,fast_io_fail_tmo=3,duplicate_connect,hdr_digest,data_digest"
        );
    }

    #[test]
    fn no_option_in_a_value() {
        let options = parsed("-n nqn,data_digest -a 10.0.0.2");
        assert!(line(&options, "10.0.0.2", "me", "id").is_err());
    }

    #[test]
    fn addresses_stay_as_they_are() {
        assert_eq!(resolve("fe80::1%eth0", 1).unwrap(), "fe80::1%eth0");
        assert!(resolve("localhost", 1).unwrap().parse::<IpAddr>().is_ok());
    }
}
