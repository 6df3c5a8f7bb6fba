// SPDX-License-Identifier: GPL-2.0

//! MPTCP's path manager: limits and endpoints of this network namespace.

use super::generic::{attributes, Family};
use super::{address_bytes, attribute, nest, Attributes};
use anyhow::{Context, Result};
use netlink_packet_core::DefaultNla;
use serde::Serialize;
use std::net::IpAddr;

// enum mptcp_pm_cmds and the attributes, of include/uapi/linux/mptcp_pm.h.
const ADD_ADDR: u8 = 1;
const DEL_ADDR: u8 = 2;
const GET_ADDR: u8 = 3;
const SET_LIMITS: u8 = 5;
const GET_LIMITS: u8 = 6;
const ATTR_ADDR: u16 = 1;
const ATTR_RCV_ADD_ADDRS: u16 = 2;
const ATTR_SUBFLOWS: u16 = 3;
const ADDR_FAMILY: u16 = 1;
const ADDR_ID: u16 = 2;
const ADDR_ADDR4: u16 = 3;
const ADDR_ADDR6: u16 = 4;
const ADDR_PORT: u16 = 5;
const ADDR_FLAGS: u16 = 6;
const ADDR_IF_IDX: u16 = 7;
const FLAG_SIGNAL: u32 = 1 << 0;
const FLAG_SUBFLOW: u32 = 1 << 1;
const FLAG_BACKUP: u32 = 1 << 2;
const FLAG_FULLMESH: u32 = 1 << 3;

/// How many paths a connection may have besides its first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    pub subflows: u32,
    pub add_addr_accepted: u32,
}

/// An address that the path manager makes subflows from, or announces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    pub id: u8,
    pub address: IpAddr,
    pub port: Option<u16>,
    /// Index of the interface that it is bound to.
    #[serde(skip)]
    pub interface: Option<u32>,
    pub signal: bool,
    pub subflow: bool,
    pub backup: bool,
    pub fullmesh: bool,
}

impl Endpoint {
    /// In the words of "ip mptcp endpoint".
    pub fn flags(&self) -> String {
        [
            (self.signal, "signal"),
            (self.subflow, "subflow"),
            (self.backup, "backup"),
            (self.fullmesh, "fullmesh"),
        ]
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| *name)
        .collect::<Vec<_>>()
        .join(" ")
    }

    fn attributes(&self) -> DefaultNla {
        let family: u16 = if self.address.is_ipv4() { 2 } else { 10 };
        let mut flags = 0;
        for (set, flag) in [
            (self.signal, FLAG_SIGNAL),
            (self.subflow, FLAG_SUBFLOW),
            (self.backup, FLAG_BACKUP),
            (self.fullmesh, FLAG_FULLMESH),
        ] {
            flags |= if set { flag } else { 0 };
        }
        let kind = if self.address.is_ipv4() {
            ADDR_ADDR4
        } else {
            ADDR_ADDR6
        };
        let mut inner = vec![
            attribute(ADDR_FAMILY, &family.to_ne_bytes()),
            attribute(ADDR_ID, &[self.id]),
            attribute(kind, &address_bytes(self.address)),
            attribute(ADDR_FLAGS, &flags.to_ne_bytes()),
        ];
        if let Some(index) = self.interface {
            inner.push(attribute(ADDR_IF_IDX, &index.to_ne_bytes()));
        }
        if let Some(port) = self.port {
            inner.push(attribute(ADDR_PORT, &port.to_ne_bytes()));
        }
        nest(ATTR_ADDR, &inner)
    }

    fn parse(attributes: Attributes<'_>) -> Option<Self> {
        let flags = attributes.u32(ADDR_FLAGS).unwrap_or(0);
        Some(Self {
            id: *attributes.get(ADDR_ID)?.first()?,
            address: attributes
                .address(ADDR_ADDR4)
                .or_else(|| attributes.address(ADDR_ADDR6))?,
            port: attributes
                .get(ADDR_PORT)
                .and_then(|port| Some(u16::from_ne_bytes(port.try_into().ok()?)))
                .filter(|port| *port != 0),
            interface: attributes.u32(ADDR_IF_IDX).filter(|index| *index != 0),
            signal: flags & FLAG_SIGNAL != 0,
            subflow: flags & FLAG_SUBFLOW != 0,
            backup: flags & FLAG_BACKUP != 0,
            fullmesh: flags & FLAG_FULLMESH != 0,
        })
    }
}

pub struct PathManager(Family);

impl PathManager {
    pub fn open() -> Result<Self> {
        Family::open("mptcp_pm")
            .map(Self)
            .context("this kernel has no MPTCP path manager (CONFIG_MPTCP)")
    }

    pub fn limits(&mut self) -> Result<Limits> {
        let answer = self
            .0
            .get(GET_LIMITS, &[])
            .context("cannot read MPTCP's limits")?;
        let attributes = attributes(&answer)?;
        Ok(Limits {
            subflows: attributes.u32(ATTR_SUBFLOWS).unwrap_or(0),
            add_addr_accepted: attributes.u32(ATTR_RCV_ADD_ADDRS).unwrap_or(0),
        })
    }

    pub fn endpoints(&mut self) -> Result<Vec<Endpoint>> {
        let mut found = Vec::new();
        for answer in self
            .0
            .dump(GET_ADDR)
            .context("cannot read MPTCP's endpoints")?
        {
            let attributes = attributes(&answer)?;
            found.extend(attributes.nested(ATTR_ADDR).and_then(Endpoint::parse));
        }
        found.sort_by_key(|endpoint| endpoint.id);
        Ok(found)
    }

    pub fn set_limits(&mut self, limits: Limits) -> Result<()> {
        let attributes = [
            attribute(ATTR_RCV_ADD_ADDRS, &limits.add_addr_accepted.to_ne_bytes()),
            attribute(ATTR_SUBFLOWS, &limits.subflows.to_ne_bytes()),
        ];
        self.0
            .order(SET_LIMITS, &attributes)
            .context("cannot set MPTCP's limits")
    }

    /// With id 0 the kernel chooses one.
    pub fn add(&mut self, endpoint: &Endpoint) -> Result<()> {
        self.0
            .order(ADD_ADDR, &[endpoint.attributes()])
            .with_context(|| format!("cannot add the MPTCP endpoint {}", endpoint.address))
    }

    pub fn delete(&mut self, endpoint: &Endpoint) -> Result<()> {
        self.0
            .order(DEL_ADDR, &[endpoint.attributes()])
            .with_context(|| format!("cannot delete the MPTCP endpoint {}", endpoint.address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_core::Nla;

    #[test]
    fn an_endpoint_is_told_as_it_is_read() {
        for address in ["10.0.1.1", "fd00:1::1"] {
            let endpoint = Endpoint {
                id: 3,
                address: address.parse().unwrap(),
                port: Some(4420),
                interface: Some(5),
                signal: true,
                subflow: false,
                backup: true,
                fullmesh: false,
            };
            let nla = endpoint.attributes();
            let mut bytes = vec![0; nla.value_len()];
            nla.emit_value(&mut bytes);
            assert_eq!(Endpoint::parse(Attributes(&bytes)), Some(endpoint.clone()));
            assert_eq!(endpoint.flags(), "signal backup");
        }
    }
}
