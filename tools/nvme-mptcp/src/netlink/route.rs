// SPDX-License-Identifier: GPL-2.0

//! rtnetlink: the NICs of this network namespace, their addresses, and which way the kernel would go.

use super::{address_bytes, attribute, Attributes, Connection, Fields, Message};
use anyhow::{Context, Result};
use netlink_sys::protocols::NETLINK_ROUTE;
use serde::Serialize;
use std::net::IpAddr;

const RTM_GETLINK: u16 = 18;
const RTM_GETADDR: u16 = 22;
const RTM_GETROUTE: u16 = 26;
const IFINFOMSG: usize = 16;
const IFADDRMSG: usize = 8;
const RTMSG: usize = 12;
const IFLA_IFNAME: u16 = 3;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_STATS64: u16 = 23;
const IFLA_CARRIER: u16 = 33;
const IFLA_PARENT_DEV_NAME: u16 = 56;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;
const RTA_SRC: u16 = 2;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const IFF_UP: u32 = 1 << 0;
const IFF_LOOPBACK: u32 = 1 << 3;
/// RT_SCOPE_UNIVERSE; link-local addresses and those of the host itself have others.
const SCOPE_GLOBAL: u8 = 0;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Address {
    pub address: IpAddr,
    pub prefix: u8,
}

/// A network interface, with its global addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Nic {
    #[serde(skip)]
    pub index: u32,
    pub name: String,
    pub up: bool,
    pub carrier: bool,
    #[serde(skip)]
    pub loopback: bool,
    /// There is a device behind it, as of PCI or virtio: what /sys/class/net/NIC/device is, in any network namespace.
    #[serde(skip)]
    pub hardware: bool,
    /// What a virtual one is, as "bridge" or "veth".
    #[serde(skip)]
    pub kind: Option<String>,
    /// The bond or bridge whose port it is.
    #[serde(skip)]
    pub master: Option<u32>,
    pub speed_mbit: Option<u32>,
    pub addresses: Vec<Address>,
    /// Bytes of everything that goes through it, not of NVMe alone.
    pub sent: u64,
    pub received: u64,
}

impl Nic {
    pub fn has(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|own| own.address == address)
    }

    /// Not a bridge, a tunnel or a bond, which go over others, and not a port of one.
    pub fn is_hardware_of_its_own(&self) -> bool {
        self.hardware && self.master.is_none()
    }
}

/// Where the kernel would send a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    pub interface: u32,
    pub gateway: Option<IpAddr>,
}

pub struct Routes(Connection);

impl Routes {
    pub fn open() -> Result<Self> {
        Connection::open(NETLINK_ROUTE).map(Self)
    }

    pub fn nics(&mut self) -> Result<Vec<Nic>> {
        let links = self.0.dump(Message::new(RTM_GETLINK, &[0; IFINFOMSG], &[]));
        let mut nics = Vec::new();
        for link in links.context("cannot list the network interfaces")? {
            let (head, attributes) = link.split(IFINFOMSG)?;
            nics.extend(nic(&Fields(head), attributes));
        }
        let addresses = self.0.dump(Message::new(RTM_GETADDR, &[0; IFADDRMSG], &[]));
        for message in addresses.context("cannot list the addresses")? {
            let (head, attributes) = message.split(IFADDRMSG)?;
            let head = Fields(head);
            // On a point-to-point link the one is the peer's.
            let address = attributes
                .address(IFA_LOCAL)
                .or_else(|| attributes.address(IFA_ADDRESS));
            let (Some(address), Some(SCOPE_GLOBAL)) = (address, head.u8(3)) else {
                continue;
            };
            if let Some(nic) = nics.iter_mut().find(|nic| Some(nic.index) == head.u32(4)) {
                nic.addresses.push(Address {
                    address,
                    prefix: head.u8(1).unwrap_or(0),
                });
            }
        }
        Ok(nics)
    }

    /// The way to an address for packets that come from another one; an error if there is none.
    pub fn way(&mut self, from: IpAddr, to: IpAddr) -> Result<Route> {
        let (family, bits) = if to.is_ipv4() { (2, 32) } else { (10, 128) };
        let mut head = [0; RTMSG];
        for (field, value) in head.iter_mut().zip([family, bits, bits]) {
            *field = value;
        }
        let answer = self.0.get(Message::new(
            RTM_GETROUTE,
            &head,
            &[
                attribute(RTA_DST, &address_bytes(to)),
                attribute(RTA_SRC, &address_bytes(from)),
            ],
        ))?;
        let (_, attributes) = answer.split(RTMSG)?;
        Ok(Route {
            interface: attributes
                .u32(RTA_OIF)
                .context("a route without an interface")?,
            gateway: attributes.address(RTA_GATEWAY),
        })
    }
}

fn nic(head: &Fields<'_>, attributes: Attributes<'_>) -> Option<Nic> {
    let flags = head.u32(8)?;
    // struct rtnl_link_stats64: packets received and sent, then bytes.
    let statistics = Fields(attributes.get(IFLA_STATS64).unwrap_or_default());
    Some(Nic {
        index: head.u32(4)?,
        name: attributes.text(IFLA_IFNAME)?,
        up: flags & IFF_UP != 0,
        carrier: attributes.get(IFLA_CARRIER).and_then(|value| value.first()) == Some(&1),
        loopback: flags & IFF_LOOPBACK != 0,
        hardware: attributes.get(IFLA_PARENT_DEV_NAME).is_some(),
        kind: attributes
            .nested(IFLA_LINKINFO)
            .and_then(|info| info.text(IFLA_INFO_KIND)),
        master: attributes.u32(IFLA_MASTER),
        speed_mbit: None,
        addresses: Vec::new(),
        sent: statistics.u64(24).unwrap_or(0),
        received: statistics.u64(16).unwrap_or(0),
    })
}
