// SPDX-License-Identifier: GPL-2.0

//! Trying to reach a target from a NIC, as a subflow would: bound to its address and to itself.

use crate::netlink::diag::Diag;
use crate::netlink::route::Nic;
use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// As a controller waits: the first SYN without MPTCP leaves after three seconds.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Mptcp,
    /// Connected, but as plain TCP.
    Tcp,
    Failed(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    pub nic: String,
    pub from: IpAddr,
    pub outcome: Outcome,
}

/// From each address of the family that the peer's address has.
pub fn all(nics: &[Nic], peer: SocketAddr) -> Result<Vec<Probe>> {
    let mut probes = Vec::new();
    for nic in nics.iter().filter(|nic| nic.up && !nic.loopback) {
        let own = nic.addresses.iter().map(|own| own.address);
        for from in own.filter(|from| from.is_ipv4() == peer.is_ipv4()) {
            probes.push(Probe {
                nic: nic.name.clone(),
                from,
                outcome: one(nic, from, peer)?,
            });
        }
    }
    Ok(probes)
}

fn one(nic: &Nic, from: IpAddr, peer: SocketAddr) -> Result<Outcome> {
    let socket = Socket::new(
        Domain::for_address(peer),
        Type::STREAM,
        Some(Protocol::MPTCP),
    )
    .context("cannot make an MPTCP socket (net.mptcp.enabled?)")?;
    let connected = || -> io::Result<()> {
        socket.bind_device(Some(nic.name.as_bytes()))?;
        socket.bind(&SocketAddr::new(from, 0).into())?;
        socket.connect_timeout(&peer.into(), PATIENCE)
    };
    if let Err(error) = connected() {
        return Ok(Outcome::Failed(error.to_string()));
    }
    let local = socket.local_addr()?.as_socket();
    // The socket itself would tell too, by an option that only unsafe code can read.
    let mptcp = Diag::open()?.mptcp()?.into_iter().any(|connection| {
        Some(connection.local) == local && connection.remote == peer && !connection.fallback
    });
    Ok(if mptcp { Outcome::Mptcp } else { Outcome::Tcp })
}
