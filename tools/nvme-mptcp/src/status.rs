// SPDX-License-Identifier: GPL-2.0

//! What there is: controllers, the target's ports, their connections, and how the bytes spread over the NICs.

use crate::cli;
use crate::facts::{Connection, Facts, Side};
use crate::sysfs::{Controller, Module, Port};
use crate::table::{bytes, count, json, microseconds, out, share, table};
use anyhow::Result;
use serde::Serialize;

/// What went through a NIC, of some connections.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct NicShare {
    /// None for paths whose NIC is gone.
    pub nic: Option<String>,
    pub paths: usize,
    pub sent: u64,
    pub received: u64,
    pub retransmits: u64,
    /// Of the path with the longest.
    pub rtt_us: u32,
}

/// Connections that belong together: those of a controller, or of a port of the target.
#[derive(Serialize)]
pub struct Group<'a, T: Serialize> {
    #[serde(flatten)]
    pub owner: &'a T,
    /// Of the connection that has the fewest.
    pub paths: usize,
    pub fallback: bool,
    pub nics: Vec<NicShare>,
    pub connections: Vec<&'a Connection>,
}

impl<'a, T: Serialize> Group<'a, T> {
    fn new(owner: &'a T, connections: Vec<&'a Connection>) -> Self {
        let paths = connections
            .iter()
            .map(|connection| connection.subflows.len());
        Self {
            owner,
            paths: paths.min().unwrap_or(0),
            fallback: connections.iter().any(|connection| connection.fallback),
            nics: shares(&connections),
            connections,
        }
    }

    fn tables(&self, verbose: bool) -> String {
        let mut text = nic_table(&self.nics);
        let rows = self.connections.iter().map(|connection| {
            vec![
                connection.local.to_string(),
                connection.remote.to_string(),
                connection.subflows.len().to_string(),
                bytes(connection.sent),
                bytes(connection.received),
                kind(connection).to_string(),
            ]
        });
        text += "\n";
        text += &table(
            &[
                "CONNECTION FROM",
                "TO",
                ">PATHS",
                ">SENT",
                ">RECEIVED",
                "BY",
            ],
            rows,
        );
        if verbose {
            text += "\n";
            text += &self.paths_table();
        }
        text
    }

    fn paths_table(&self) -> String {
        let paths = self
            .connections
            .iter()
            .flat_map(|connection| &connection.subflows);
        let rows = paths.map(|path| {
            vec![
                path.local.to_string(),
                path.remote.to_string(),
                bytes(path.sent),
                bytes(path.received),
                microseconds(path.rtt_us),
                path.cwnd.to_string(),
                path.retransmits.to_string(),
                path.congestion.clone() + if path.backup { " backup" } else { "" },
            ]
        });
        let headings = [
            "PATH FROM",
            "TO",
            ">SENT",
            ">RECEIVED",
            ">RTT",
            ">WINDOW",
            ">RETRANSMITS",
            "CONTROL",
        ];
        table(&headings, rows)
    }
}

fn kind(connection: &Connection) -> &'static str {
    match connection {
        Connection { fallback: true, .. } => "TCP (fallback)",
        Connection { mptcp: true, .. } => "MPTCP",
        _ => "TCP",
    }
}

/// In the order of the NICs.
pub fn shares(connections: &[&Connection]) -> Vec<NicShare> {
    let mut found: Vec<(u32, NicShare)> = Vec::new();
    for path in connections
        .iter()
        .flat_map(|connection| &connection.subflows)
    {
        let index = path.interface.unwrap_or(u32::MAX);
        let position = found
            .iter()
            .position(|(other, _)| *other == index)
            .unwrap_or_else(|| {
                let share = NicShare {
                    nic: path.nic.clone(),
                    ..NicShare::default()
                };
                found.push((index, share));
                found.len() - 1
            });
        let Some((_, share)) = found.get_mut(position) else {
            continue;
        };
        share.paths += 1;
        share.sent += path.sent;
        share.received += path.received;
        share.retransmits += u64::from(path.retransmits);
        share.rtt_us = share.rtt_us.max(path.rtt_us);
    }
    found.sort_by_key(|(index, _)| *index);
    found.into_iter().map(|(_, share)| share).collect()
}

fn nic_table(nics: &[NicShare]) -> String {
    let sent = nics.iter().map(|nic| nic.sent).sum();
    let received = nics.iter().map(|nic| nic.received).sum();
    let rows = nics.iter().map(|nic| {
        vec![
            nic.nic.clone().unwrap_or_else(|| "(gone)".into()),
            nic.paths.to_string(),
            bytes(nic.sent),
            share(nic.sent, sent),
            bytes(nic.received),
            share(nic.received, received),
            microseconds(nic.rtt_us),
            nic.retransmits.to_string(),
        ]
    });
    let headings = [
        "NIC",
        ">PATHS",
        ">SENT",
        ">SHARE",
        ">RECEIVED",
        ">SHARE",
        ">RTT",
        ">RETRANSMITS",
    ];
    table(&headings, rows)
}

#[derive(Serialize)]
pub struct Report<'a> {
    pub host_module: Module,
    pub target_module: Module,
    pub controllers: Vec<Group<'a, Controller>>,
    pub ports: Vec<Group<'a, Port>>,
    /// Of controllers that share an address and cannot be told apart.
    pub shared: Vec<&'a Connection>,
    /// What could not be looked at, and why.
    pub blind: &'a [String],
}

impl<'a> Report<'a> {
    pub fn new(facts: &'a Facts) -> Self {
        let controllers = facts.controllers.iter().map(|controller| {
            Group::new(controller, facts.connections_of(&controller.name).collect())
        });
        let ports = facts.ports.iter().map(|port| {
            let own = |connection: &&Connection| connection.port.as_deref() == Some(&port.id);
            Group::new(port, facts.connections.iter().filter(own).collect())
        });
        let shared = |connection: &&Connection| {
            connection.side == Side::Host && connection.controller.is_none()
        };
        Self {
            host_module: facts.host_module,
            target_module: facts.target_module,
            controllers: controllers.collect(),
            ports: ports.collect(),
            shared: facts.connections.iter().filter(shared).collect(),
            blind: &facts.blind,
        }
    }

    fn text(&self, verbose: bool) -> String {
        let mut text = String::new();
        for group in &self.controllers {
            let controller = group.owner;
            text += &format!(
                "{}: {}, {}, {}, {}\n  {}\n",
                controller.name,
                controller.transport,
                controller.state,
                count(controller.queues as usize, "queue"),
                count(group.paths, "path"),
                controller.subsystem_nqn,
            );
            if group.connections.is_empty() {
                text += "  no connection of its own in this network namespace\n\n";
            } else {
                text += &format!("\n{}\n", group.tables(verbose));
            }
        }
        for group in &self.ports {
            let port = group.owner;
            text += &format!(
                "port {} of the target: {}, {}\n  {}\n\n",
                port.id,
                port.port,
                count(group.connections.len(), "connection"),
                port.subsystems.join("\n  "),
            );
            if !group.connections.is_empty() {
                text += &format!("{}\n", group.tables(verbose));
            }
        }
        if !self.shared.is_empty() {
            text += &format!(
                "{} of controllers that have the same address; debugfs, which only root can read, \
                 tells whose each is\n",
                count(self.shared.len(), "connection")
            );
        }
        if self.controllers.is_empty() && self.ports.is_empty() {
            text += "no NVMe over TCP or MPTCP: no controller, no port of a target\n";
        }
        text += match (self.host_module, self.target_module) {
            (Module::Loaded, _) | (_, Module::Loaded) => "",
            (Module::Installed, _) => {
                "the module nvme_mptcp is not loaded (nvme connect -t mptcp does it)\n"
            }
            (_, Module::Installed) => {
                "the module nvmet_mptcp is not loaded (modprobe nvmet_mptcp)\n"
            }
            _ => "the modules nvme_mptcp and nvmet_mptcp are not installed for this kernel\n",
        };
        for why in self.blind {
            text += &format!("not known: {why}\n");
        }
        text
    }
}

pub fn run(options: &cli::Status) -> Result<()> {
    let facts = Facts::gather()?;
    let report = Report::new(&facts);
    if options.json {
        json(&report)
    } else {
        out(&report.text(options.verbose))
    }
}
