// SPDX-License-Identifier: GPL-2.0

//! Everything that is known about this machine's NVMe over MPTCP, gathered at one moment.

use crate::netlink::diag::{Diag, Tcp};
use crate::netlink::ethtool::Ethtool;
use crate::netlink::pm::{Endpoint, Limits, PathManager};
use crate::netlink::route::{Nic, Routes};
use crate::observe::{self, Observed};
use crate::sysfs::{Controller, Module, Port, Subsystem, Sysfs};
use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    #[default]
    Host,
    Target,
}

/// A connection of a queue, with its subflows. Plain TCP has itself as the only one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Connection {
    pub side: Side,
    /// The controller whose it is, if that can be told.
    pub controller: Option<String>,
    pub queue: Option<u32>,
    /// The target's port whose it is.
    pub port: Option<String>,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub mptcp: bool,
    /// It was to be MPTCP and became TCP.
    pub fallback: bool,
    pub token: Option<u32>,
    /// Bytes of payload, those of subflows that are gone included (MPTCP only).
    pub sent: u64,
    pub received: u64,
    pub subflows: Vec<Tcp>,
    /// It has as many paths as the limits allow.
    pub limits_reached: bool,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Facts {
    pub host_module: Module,
    pub target_module: Module,
    /// net.mptcp.enabled; none without MPTCP in the kernel.
    pub mptcp_enabled: Option<bool>,
    pub path_manager: Option<String>,
    pub limits: Option<Limits>,
    pub endpoints: Vec<Endpoint>,
    pub nics: Vec<Nic>,
    pub controllers: Vec<Controller>,
    pub subsystems: Vec<Subsystem>,
    pub ports: Vec<Port>,
    pub connections: Vec<Connection>,
    #[serde(skip)]
    pub counters: BTreeMap<String, u64>,
    pub observed: Observed,
    /// What could not be looked at, and why.
    pub blind: Vec<String>,
}

impl Facts {
    pub fn gather() -> Result<Self> {
        let sysfs = Sysfs("/".into());
        let path_manager = match sysfs.sysctl("mptcp/path_manager") {
            Some(name) => Some(name),
            // Of kernels before 6.15.
            None => sysfs
                .sysctl("mptcp/pm_type")
                .map(|kind| if kind == "0" { "kernel" } else { "userspace" }.to_string()),
        };
        let mut facts = Self {
            host_module: sysfs.module("nvme_mptcp"),
            target_module: sysfs.module("nvmet_mptcp"),
            mptcp_enabled: sysfs.sysctl("mptcp/enabled").map(|value| value != "0"),
            path_manager,
            controllers: sysfs.controllers(),
            subsystems: sysfs.subsystems(),
            ports: sysfs.ports(),
            counters: sysfs.counters(),
            observed: observe::read(&sysfs),
            ..Self::default()
        };
        facts.nics = Routes::open()?.nics()?;
        if let Ok(mut ethtool) = Ethtool::open() {
            for nic in facts.nics.iter_mut().filter(|nic| !nic.loopback) {
                nic.speed_mbit = ethtool.speed(nic.index);
            }
        }
        if facts.mptcp_enabled.is_some() {
            facts.look(|facts| {
                let mut manager = PathManager::open()?;
                let limits = manager.limits()?;
                // Limits tell nothing without these.
                facts.endpoints = manager.endpoints()?;
                facts.limits = Some(limits);
                Ok(())
            });
        }
        // Without these there is nobody who has connections.
        if !facts.controllers.is_empty() || !facts.ports.is_empty() {
            facts.look(|facts| {
                let mut diag = Diag::open()?;
                // Ports are the same in every network namespace, and listen in one.
                let listeners = diag.listeners()?;
                facts.ports.retain(|port| {
                    listeners
                        .iter()
                        .any(|listener| listener.port() == port.port)
                });
                let mptcp = if facts.mptcp_enabled.is_some() {
                    diag.mptcp()?
                } else {
                    Vec::new()
                };
                facts.connections = facts.connections(mptcp, diag.tcp()?);
                facts.find_nics();
                Ok(())
            });
        }
        Ok(facts)
    }

    /// Does a part that may fail while the rest is of use.
    fn look(&mut self, part: impl FnOnce(&mut Self) -> Result<()>) {
        if let Err(error) = part(self) {
            self.blind.push(format!("{error:#}"));
        }
    }

    pub fn nic_of(&self, address: IpAddr) -> Option<&Nic> {
        self.nics.iter().find(|nic| nic.has(address))
    }

    pub fn nic(&self, index: u32) -> Option<&Nic> {
        self.nics.iter().find(|nic| nic.index == index)
    }

    /// The NIC of an endpoint: that which it names, else that which has the address.
    pub fn nic_of_endpoint(&self, endpoint: &Endpoint) -> Option<&Nic> {
        let nic = self.nic_of(endpoint.address)?;
        match endpoint.interface {
            Some(index) if index != nic.index => None,
            _ => Some(nic),
        }
    }

    pub fn connections_of<'a>(
        &'a self,
        controller: &'a str,
    ) -> impl Iterator<Item = &'a Connection> {
        self.connections
            .iter()
            .filter(move |connection| connection.controller.as_deref() == Some(controller))
    }
}
