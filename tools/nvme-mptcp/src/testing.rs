// SPDX-License-Identifier: GPL-2.0

//! Machines for unit tests: NICs eth0, eth1... with the addresses 10.0.0.1, 10.0.1.1...

use crate::facts::{Connection, Facts, Side};
use crate::netlink::diag::Tcp;
use crate::netlink::pm::{Endpoint, Limits};
use crate::netlink::route::{Address, Nic};
use crate::sysfs::{Controller, Module};
use std::net::IpAddr;

pub fn own(nic: u8) -> IpAddr {
    [10, 0, nic, 1].into()
}

pub fn peer(nic: u8) -> IpAddr {
    [10, 0, nic, 2].into()
}

/// A host that is set up for that many NICs, and has one controller without connections.
pub fn facts(nics: u8) -> Facts {
    let nic = |number: u8| Nic {
        index: u32::from(number) + 10,
        name: format!("eth{number}"),
        up: true,
        carrier: true,
        loopback: false,
        hardware: true,
        kind: None,
        master: None,
        speed_mbit: Some(10000),
        addresses: vec![Address {
            address: own(number),
            prefix: 24,
        }],
        sent: 0,
        received: 0,
    };
    let endpoint = |number: u8| Endpoint {
        id: number + 1,
        address: own(number),
        port: None,
        interface: Some(u32::from(number) + 10),
        signal: false,
        subflow: true,
        backup: false,
        fullmesh: false,
    };
    Facts {
        host_module: Module::Loaded,
        mptcp_enabled: Some(true),
        path_manager: Some("kernel".into()),
        limits: Some(Limits {
            subflows: 8,
            add_addr_accepted: 8,
        }),
        nics: (0..nics).map(nic).collect(),
        endpoints: (0..nics).map(endpoint).collect(),
        controllers: vec![Controller {
            name: "nvme0".into(),
            transport: "mptcp".into(),
            state: "live".into(),
            address: Some(peer(0)),
            port: Some(4420),
            ..Controller::default()
        }],
        ..Facts::default()
    }
}

pub fn connection(controller: &str, nics: &[u8]) -> Connection {
    let path = |nic: &u8| Tcp {
        local: (own(*nic), 40000).into(),
        remote: (peer(*nic), 4420).into(),
        token: Some(1),
        interface: Some(u32::from(*nic) + 10),
        nic: Some(format!("eth{nic}")),
        backup: false,
        rtt_us: 500,
        min_rtt_us: 400,
        cwnd: 10,
        congestion: "cubic".into(),
        retransmits: 0,
        sent: 0,
        received: 0,
    };
    Connection {
        side: Side::Host,
        controller: Some(controller.into()),
        queue: None,
        port: None,
        local: (own(0), 40000).into(),
        remote: (peer(0), 4420).into(),
        mptcp: true,
        fallback: false,
        token: Some(1),
        sent: 0,
        received: 0,
        subflows: nics.iter().map(path).collect(),
        limits_reached: false,
    }
}
