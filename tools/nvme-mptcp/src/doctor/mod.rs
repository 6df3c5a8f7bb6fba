// SPDX-License-Identifier: GPL-2.0

//! Finding out what is wrong. Every check is a function of what has been looked at, and names what it finds.

mod connections;
mod links;
mod paths;
mod peer;
mod rp_filter;
mod system;
#[cfg(test)]
mod tests;

use crate::cli;
use crate::facts::{Facts, Side};
use crate::netlink::pm::Endpoint;
use crate::netlink::route::{Nic, Route, Routes};
use crate::probe::{self, Probe};
use crate::sysfs::{Module, Sysfs};
use crate::table::{count, json, out};
use anyhow::Result;
use rp_filter::RpFilter;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Problem,
    /// Worth knowing, but it may be meant.
    Hint,
}

/// Something that is wrong, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub name: &'static str,
    pub severity: Severity,
    pub what: String,
    /// Commands, or what to do where there is no command.
    pub mend: Vec<String>,
}

/// Everything that the checks look at.
#[derive(Default)]
pub struct Look {
    pub facts: Facts,
    /// Where packets from an endpoint to a peer go; none if there is no way.
    pub ways: Vec<Way>,
    /// By NIC.
    pub rp_filter: BTreeMap<String, RpFilter>,
    pub peer: Option<SocketAddr>,
    pub probes: Vec<Probe>,
}

pub struct Way {
    pub nic: String,
    pub from: IpAddr,
    pub to: IpAddr,
    pub route: Option<Route>,
}

impl Look {
    fn take(peer: Option<SocketAddr>) -> Result<Self> {
        let facts = Facts::gather()?;
        let sysfs = Sysfs("/".into());
        let rp_filter = facts
            .nics
            .iter()
            .map(|nic| (nic.name.clone(), RpFilter::of(&sysfs, &nic.name)));
        let mut look = Self {
            rp_filter: rp_filter.collect(),
            peer,
            ..Self::default()
        };
        let mut routes = Routes::open()?;
        for endpoint in &facts.endpoints {
            let Some(nic) = facts.nic_of_endpoint(endpoint) else {
                continue;
            };
            for to in peers(&facts, peer).filter(|to| to.is_ipv4() == endpoint.address.is_ipv4()) {
                look.ways.push(Way {
                    nic: nic.name.clone(),
                    from: endpoint.address,
                    to,
                    route: routes.way(endpoint.address, to).ok(),
                });
            }
        }
        if let (Some(peer), Some(true)) = (peer, facts.mptcp_enabled) {
            look.probes = probe::all(&facts.nics, peer)?;
        }
        look.facts = facts;
        Ok(look)
    }

    /// NICs that could be paths: those that "paths setup" takes by itself, and what else somebody has chosen.
    pub fn candidates(&self) -> impl Iterator<Item = &Nic> {
        self.facts.nics.iter().filter(|nic| {
            let meant = nic.is_hardware_of_its_own()
                || self
                    .endpoints_with_nic()
                    .any(|(_, own)| own.index == nic.index)
                || self.has_path(nic.index);
            !nic.loopback && !nic.addresses.is_empty() && meant
        })
    }

    fn has_path(&self, nic: u32) -> bool {
        let connections = self.facts.connections.iter();
        let mut paths = connections.flat_map(|connection| &connection.subflows);
        paths.any(|path| path.interface == Some(nic))
    }

    pub fn endpoints_with_nic(&self) -> impl Iterator<Item = (&Endpoint, &Nic)> {
        let with = |endpoint| Some((endpoint, self.facts.nic_of_endpoint(endpoint)?));
        self.facts.endpoints.iter().filter_map(with)
    }

    pub fn is_host(&self) -> bool {
        self.facts.host_module == Module::Loaded
            || self
                .facts
                .controllers
                .iter()
                .any(|controller| controller.transport == "mptcp")
    }

    pub fn is_target(&self) -> bool {
        !self.facts.ports.is_empty()
    }

    /// The option of "paths setup" for this machine.
    pub fn side(&self) -> &'static str {
        let mut connections = self.facts.connections.iter();
        let connects = connections.any(|connection| connection.side == Side::Host);
        if self.is_target() && !connects {
            "--target"
        } else {
            "--host"
        }
    }
}

/// The addresses at the other end: of connections, their paths, and the one asked about.
fn peers(facts: &Facts, peer: Option<SocketAddr>) -> impl Iterator<Item = IpAddr> {
    let controllers = facts
        .controllers
        .iter()
        .filter_map(|controller| controller.address);
    let paths = facts
        .connections
        .iter()
        .flat_map(|connection| &connection.subflows);
    let paths = paths.map(|path| path.remote.ip());
    let all: BTreeSet<IpAddr> = controllers
        .chain(paths)
        .chain(peer.map(|peer| peer.ip()))
        .collect();
    all.into_iter()
}

pub fn problem(name: &'static str, what: impl Into<String>, mend: &[&str]) -> Finding {
    Finding {
        name,
        severity: Severity::Problem,
        what: what.into(),
        mend: mend.iter().map(|text| text.to_string()).collect(),
    }
}

pub fn hint(name: &'static str, what: impl Into<String>, mend: &[&str]) -> Finding {
    Finding {
        severity: Severity::Hint,
        ..problem(name, what, mend)
    }
}

/// Causes come before their effects.
pub fn diagnose(look: &Look) -> Vec<Finding> {
    let checks = [
        system::modules,
        system::mptcp,
        links::down,
        links::unequal,
        paths::limits,
        paths::endpoints,
        paths::ports,
        paths::ways,
        peer::probes,
        connections::fallback,
        connections::paths,
        connections::unused,
        connections::states,
        system::controllers,
    ];
    let mut findings: Vec<Finding> = checks.iter().flat_map(|check| check(look)).collect();
    findings.sort_by_key(|finding| finding.severity);
    findings
}

fn text(look: &Look, findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let severity = match finding.severity {
            Severity::Problem => "problem",
            Severity::Hint => "hint",
        };
        text += &format!("{severity}: {}\n  {}\n", finding.name, finding.what);
        for mend in &finding.mend {
            text += &format!("    {mend}\n");
        }
        text += "\n";
    }
    for why in &look.facts.blind {
        text += &format!("could not look: {why}\n");
    }
    let problems = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Problem)
        .count();
    if problems == 0 && look.facts.blind.is_empty() {
        let connections = |side| {
            let own = look
                .facts
                .connections
                .iter()
                .filter(|connection| connection.side == side);
            own.count()
        };
        text += &format!(
            "sound: {}, {} to targets, {} from hosts\n",
            count(look.facts.controllers.len(), "controller"),
            count(connections(Side::Host), "connection"),
            count(connections(Side::Target), "connection"),
        );
    } else {
        text += &format!("{}\n", count(problems, "problem"));
    }
    text
}

#[derive(Serialize)]
struct Report<'a> {
    findings: &'a [Finding],
    blind: &'a [String],
}

pub fn run(options: &cli::Doctor) -> Result<ExitCode> {
    let look = Look::take(options.peer.map(|peer| SocketAddr::new(peer, options.port)))?;
    let findings = diagnose(&look);
    if options.json {
        json(&Report {
            findings: &findings,
            blind: &look.facts.blind,
        })?;
    } else {
        out(&text(&look, &findings))?;
    }
    let problem = findings
        .iter()
        .any(|finding| finding.severity == Severity::Problem);
    Ok(match (problem, look.facts.blind.is_empty()) {
        (true, _) => ExitCode::from(1),
        (false, false) => ExitCode::from(2),
        (false, true) => ExitCode::SUCCESS,
    })
}
