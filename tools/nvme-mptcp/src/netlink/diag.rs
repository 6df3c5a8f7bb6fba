// SPDX-License-Identifier: GPL-2.0

//! sock_diag: MPTCP connections and TCP sockets of this network namespace.

use super::{address_from, attribute, Attributes, Connection, Fields, Message};
use anyhow::{Context, Result};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const IPPROTO_TCP: u8 = 6;
const IPPROTO_RAW: u8 = 255;
const IPPROTO_MPTCP: u32 = 262;
const REQ_PROTOCOL: u16 = 3;
const INET_DIAG_MSG: usize = 72;
const INET_DIAG_INFO: u16 = 2;
const INET_DIAG_CONG: u16 = 4;
const INET_DIAG_ULP_INFO: u16 = 19;
const ULP_NAME: u16 = 1;
const ULP_MPTCP: u16 = 3;
const SUBFLOW_TOKEN_LOC: u16 = 2;
const SUBFLOW_FLAGS: u16 = 8;
const SUBFLOW_BACKUP: u32 = (1 << 4) | (1 << 5);
const INFO_FALLBACK: u32 = 1 << 0;
/// States, as bits.
const ESTABLISHED: u32 = 1 << 1;
const LISTEN: u32 = 1 << 10;

/// An MPTCP connection as its socket tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mptcp {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub token: u32,
    pub fallback: bool,
    /// Paths besides the first, and how many there may be.
    pub extra_subflows: u8,
    pub extra_subflows_max: u8,
    pub sent: u64,
    pub received: u64,
}

/// A TCP socket: a subflow, or plain TCP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tcp {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// Token of the connection that it is a subflow of.
    #[serde(skip)]
    pub token: Option<u32>,
    /// The NIC that its packets leave through; the socket knows it only if it is bound to one.
    #[serde(skip)]
    pub interface: Option<u32>,
    pub nic: Option<String>,
    pub backup: bool,
    pub rtt_us: u32,
    pub min_rtt_us: u32,
    pub cwnd: u32,
    pub congestion: String,
    pub retransmits: u32,
    /// Payload bytes, retransmissions included.
    pub sent: u64,
    pub received: u64,
}

pub struct Diag(Connection);

impl Diag {
    pub fn open() -> Result<Self> {
        Connection::open(NETLINK_SOCK_DIAG).map(Self)
    }

    pub fn mptcp(&mut self) -> Result<Vec<Mptcp>> {
        self.sockets(IPPROTO_MPTCP, ESTABLISHED, mptcp)
            .context("cannot list MPTCP connections (mptcp_diag)")
    }

    pub fn tcp(&mut self) -> Result<Vec<Tcp>> {
        self.sockets(IPPROTO_TCP.into(), ESTABLISHED, tcp)
            .context("cannot list TCP connections (tcp_diag)")
    }

    /// The addresses that somebody listens on, the kernel included.
    pub fn listeners(&mut self) -> Result<Vec<SocketAddr>> {
        self.sockets(IPPROTO_TCP.into(), LISTEN, |head, _| Some(ends(head)?.0))
            .context("cannot list who listens (tcp_diag)")
    }

    fn sockets<T>(
        &mut self,
        protocol: u32,
        states: u32,
        parse: fn(&Fields<'_>, Attributes<'_>) -> Option<T>,
    ) -> Result<Vec<T>> {
        let mut found = Vec::new();
        for family in [2, 10] {
            for message in self.0.dump(request(family, protocol, states))? {
                let (head, attributes) = message.split(INET_DIAG_MSG)?;
                found.extend(parse(&Fields(head), attributes));
            }
        }
        Ok(found)
    }
}

/// struct inet_diag_req_v2. The number of MPTCP does not fit there, so an attribute has it.
fn request(family: u8, protocol: u32, states: u32) -> Message {
    let small = u8::try_from(protocol).unwrap_or(IPPROTO_RAW);
    let wanted = (1 << (INET_DIAG_INFO - 1)) | (1 << (INET_DIAG_CONG - 1));
    let mut head = vec![family, small, wanted, 0];
    head.extend(states.to_ne_bytes());
    head.extend([0; 48]);
    Message::new(
        SOCK_DIAG_BY_FAMILY,
        &head,
        &[attribute(REQ_PROTOCOL, &protocol.to_ne_bytes())],
    )
}

/// Source and destination in a struct inet_diag_msg.
fn ends(head: &Fields<'_>) -> Option<(SocketAddr, SocketAddr)> {
    let length = if head.u8(0)? == 2 { 4 } else { 16 };
    let address = |at: usize| -> Option<IpAddr> {
        // IPv4 over an IPv6 socket is IPv4.
        address_from(head.0.get(at..at + length)?).map(|address| address.to_canonical())
    };
    Some((
        SocketAddr::new(address(8)?, head.u16_be(4)?),
        SocketAddr::new(address(24)?, head.u16_be(6)?),
    ))
}

/// struct mptcp_info
fn mptcp(head: &Fields<'_>, attributes: Attributes<'_>) -> Option<Mptcp> {
    let (local, remote) = ends(head)?;
    let info = Fields(attributes.get(INET_DIAG_INFO)?);
    Some(Mptcp {
        local,
        remote,
        token: info.u32(12)?,
        fallback: info.u32(8)? & INFO_FALLBACK != 0,
        extra_subflows: info.u8(0)?,
        extra_subflows_max: info.u8(3)?,
        sent: info.u64(56).unwrap_or(0),
        received: info.u64(64).unwrap_or(0),
    })
}

/// struct tcp_info
fn tcp(head: &Fields<'_>, attributes: Attributes<'_>) -> Option<Tcp> {
    let (local, remote) = ends(head)?;
    let info = Fields(attributes.get(INET_DIAG_INFO)?);
    let ulp = attributes
        .nested(INET_DIAG_ULP_INFO)
        .filter(|ulp| ulp.text(ULP_NAME).as_deref() == Some("mptcp"))
        .and_then(|ulp| ulp.nested(ULP_MPTCP));
    Some(Tcp {
        local,
        remote,
        token: ulp.and_then(|ulp| ulp.u32(SUBFLOW_TOKEN_LOC)),
        interface: head.u32(40).filter(|index| *index != 0),
        nic: None,
        backup: ulp.and_then(|ulp| ulp.u32(SUBFLOW_FLAGS)).unwrap_or(0) & SUBFLOW_BACKUP != 0,
        rtt_us: info.u32(68)?,
        min_rtt_us: info.u32(148).unwrap_or(0),
        cwnd: info.u32(80)?,
        congestion: attributes.text(INET_DIAG_CONG).unwrap_or_default(),
        retransmits: info.u32(100)?,
        sent: info.u64(200).or(info.u64(120)).unwrap_or(0),
        received: info.u64(128).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_are_ipv4() {
        let mut head = vec![0; INET_DIAG_MSG];
        head[0] = 10;
        head[4..8].copy_from_slice(&[0x11, 0x44, 0x11, 0x45]);
        head[18..24].copy_from_slice(&[255, 255, 10, 0, 0, 1]);
        head[34..40].copy_from_slice(&[255, 255, 10, 0, 0, 2]);
        let (local, remote) = ends(&Fields(&head)).unwrap();
        assert_eq!(local.to_string(), "10.0.0.1:4420");
        assert_eq!(remote.to_string(), "10.0.0.2:4421");
    }

    #[test]
    fn the_protocol_number_of_mptcp_is_in_an_attribute() {
        let message = request(2, IPPROTO_MPTCP, ESTABLISHED);
        let (head, attributes) = message.split(56).unwrap();
        assert_eq!(head[1], IPPROTO_RAW);
        assert_eq!(attributes.u32(REQ_PROTOCOL), Some(262));
    }
}
