// SPDX-License-Identifier: GPL-2.0

//! Sockets become connections of NVMe: which TCP sockets are whose subflows, and which controller or port has
//! them.

use crate::facts::{Connection, Facts, Side};
use crate::netlink::diag::{Mptcp, Tcp};
use crate::netlink::route::Routes;
use crate::sysfs::{Controller, Port};
use std::collections::BTreeMap;
use std::net::IpAddr;

impl Facts {
    pub fn connections(&self, mptcp: Vec<Mptcp>, mut tcp: Vec<Tcp>) -> Vec<Connection> {
        let mut found = Vec::new();
        for socket in mptcp {
            let (subflows, others) = tcp.into_iter().partition(|candidate| {
                candidate.token == Some(socket.token)
                    || (candidate.local, candidate.remote) == (socket.local, socket.remote)
            });
            tcp = others;
            let limits_reached =
                socket.extra_subflows_max > 0 && socket.extra_subflows >= socket.extra_subflows_max;
            found.extend(self.owned(Connection {
                side: Side::Host,
                controller: None,
                queue: None,
                port: None,
                local: socket.local,
                remote: socket.remote,
                mptcp: !socket.fallback,
                fallback: socket.fallback,
                token: Some(socket.token),
                sent: socket.sent,
                received: socket.received,
                subflows,
                limits_reached,
            }));
        }
        // A subflow without its connection is one that is just being made.
        for socket in tcp.into_iter().filter(|socket| socket.token.is_none()) {
            found.extend(self.owned(Connection {
                side: Side::Host,
                controller: None,
                queue: None,
                port: None,
                local: socket.local,
                remote: socket.remote,
                mptcp: false,
                fallback: false,
                token: None,
                sent: socket.sent,
                received: socket.received,
                limits_reached: false,
                subflows: vec![socket],
            }));
        }
        found
    }

    /// Notes by which NIC each path goes. That is not always the one with its address: a path to a target's first
    /// address may arrive through any NIC of it.
    pub fn find_nics(&mut self) {
        let mut routes = Routes::open().ok();
        let mut known: BTreeMap<(IpAddr, IpAddr), Option<u32>> = BTreeMap::new();
        let mut connections = std::mem::take(&mut self.connections);
        for path in connections
            .iter_mut()
            .flat_map(|connection| &mut connection.subflows)
        {
            let (from, to) = (path.local.ip(), path.remote.ip());
            path.interface = path.interface.or_else(|| {
                *known.entry((from, to)).or_insert_with(|| {
                    let way = routes.as_mut().and_then(|routes| routes.way(from, to).ok());
                    way.map(|way| way.interface)
                        .or(self.nic_of(from).map(|nic| nic.index))
                })
            });
            let nic = path.interface.and_then(|index| self.nic(index));
            path.nic = nic.map(|nic| nic.name.clone());
        }
        self.connections = connections;
    }

    /// Notes whose connection it is; nothing if it is not of NVMe.
    fn owned(&self, mut connection: Connection) -> Option<Connection> {
        let to = |controller: &&Controller| {
            controller.address == Some(connection.remote.ip())
                && controller.port == Some(connection.remote.port())
        };
        let at = |port: &&Port| {
            let any = port.address.is_none_or(|address| address.is_unspecified());
            port.port == connection.local.port()
                && (any || port.address == Some(connection.local.ip()))
        };
        if let Some((name, queue)) = connection
            .token
            .and_then(|token| self.observed.owner(token))
        {
            connection.controller = Some(name.to_string());
            connection.queue = Some(queue.queue);
        } else if let Some(port) = self.ports.iter().find(at) {
            connection.side = Side::Target;
            connection.port = Some(port.id.clone());
        } else {
            let candidates: Vec<&Controller> = self.controllers.iter().filter(to).collect();
            let first = candidates.first()?;
            // Two controllers at one address cannot be told apart by it.
            if candidates.len() == 1 {
                connection.controller = Some(first.name.clone());
            }
            // MPTCP was wanted by an MPTCP controller, so TCP is a fallback, if it is not of nvme-tcp beside it.
            let wanted = |controller: &&Controller| controller.transport == "mptcp";
            connection.fallback |= !connection.mptcp && candidates.iter().all(wanted);
        }
        Some(connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Queue;
    use crate::testing::{connection, facts, own, peer};

    /// What sock_diag would tell of a connection with paths on these NICs.
    fn sockets(token: u32, nics: &[u8]) -> (Mptcp, Vec<Tcp>) {
        let mut paths = connection("", nics).subflows;
        for path in &mut paths {
            path.token = Some(token);
            path.local.set_port(40000 + token as u16);
        }
        let socket = Mptcp {
            local: paths[0].local,
            remote: paths[0].remote,
            token,
            fallback: false,
            extra_subflows: nics.len() as u8 - 1,
            extra_subflows_max: 8,
            sent: 0,
            received: 0,
        };
        (socket, paths)
    }

    #[test]
    fn a_host_s_connections_by_the_target_s_address() {
        let facts = facts(2);
        let (socket, mut paths) = sockets(1, &[0, 1]);
        // Somebody else's.
        paths.push(Tcp {
            remote: (own(9), 22).into(),
            token: None,
            ..paths[0].clone()
        });
        let found = facts.connections(vec![socket], paths);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].controller.as_deref(), Some("nvme0"));
        assert_eq!(
            (found[0].subflows.len(), found[0].mptcp, found[0].side),
            (2, true, Side::Host)
        );
    }

    #[test]
    fn two_controllers_at_one_address() {
        let mut facts = facts(1);
        let mut second = facts.controllers[0].clone();
        second.name = "nvme1".into();
        facts.controllers.push(second);
        let (socket, paths) = sockets(7, &[0]);
        let found = facts.connections(vec![socket.clone()], paths.clone());
        assert_eq!(found[0].controller, None);
        // The module tells.
        let queue = Queue {
            queue: 3,
            token: Some(7),
            ..Queue::default()
        };
        facts
            .observed
            .controllers
            .insert("nvme1".into(), vec![queue]);
        let found = facts.connections(vec![socket], paths);
        assert_eq!(found[0].controller.as_deref(), Some("nvme1"));
        assert_eq!(found[0].queue, Some(3));
    }

    #[test]
    fn tcp_where_mptcp_was_wanted() {
        let facts = facts(1);
        let (_, mut paths) = sockets(1, &[0]);
        paths[0].token = None;
        let found = facts.connections(Vec::new(), paths);
        assert!(found[0].fallback && !found[0].mptcp);
        // As a socket of MPTCP that has given it up; its TCP socket is found by its ends.
        let (mut socket, mut paths) = sockets(1, &[0]);
        socket.fallback = true;
        paths[0].token = None;
        let found = facts.connections(vec![socket], paths);
        assert_eq!((found.len(), found[0].subflows.len()), (1, 1));
        assert!(found[0].fallback && !found[0].mptcp);
    }

    #[test]
    fn nvme_tcp_beside_it_is_no_fallback() {
        let mut facts = facts(1);
        let mut second = facts.controllers[0].clone();
        second.name = "nvme1".into();
        second.transport = "tcp".into();
        facts.controllers.push(second);
        let (socket, paths) = sockets(1, &[0]);
        let (_, mut plain) = sockets(2, &[0]);
        plain[0].token = None;
        let found = facts.connections(vec![socket], [paths, plain].concat());
        let told: Vec<_> = found.iter().map(|one| (one.mptcp, one.fallback)).collect();
        assert_eq!(told, [(true, false), (false, false)]);
    }

    #[test]
    fn a_target_s_connections_by_its_ports() {
        let mut facts = facts(1);
        facts.controllers.clear();
        let mut port = Port {
            id: "1".into(),
            address: Some("0.0.0.0".parse().unwrap()),
            port: 40001,
            ..Port::default()
        };
        facts.ports = vec![port.clone()];
        let (socket, paths) = sockets(1, &[0]);
        let found = facts.connections(vec![socket.clone()], paths.clone());
        assert_eq!(
            (found[0].side, found[0].port.as_deref()),
            (Side::Target, Some("1"))
        );
        // One that listens on another address has others.
        port.address = Some(peer(5));
        facts.ports = vec![port];
        assert_eq!(facts.connections(vec![socket], paths), []);
    }
}
