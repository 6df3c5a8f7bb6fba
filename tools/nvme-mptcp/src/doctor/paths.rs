// SPDX-License-Identifier: GPL-2.0

//! Limits, endpoints, and the ways that their packets take.

use super::{hint, problem, rp_filter, Finding, Look};
use crate::facts::{Connection, Side};
use crate::table::count;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

pub fn limits(look: &Look) -> Vec<Finding> {
    let facts = &look.facts;
    let Some(limits) = facts.limits else {
        return Vec::new();
    };
    let mend = format!("nvme-mptcp paths setup {} --apply", look.side());
    let by_hand = "or: ip mptcp limits set subflows 8 add_addr_accepted 8";
    let mut found = Vec::new();
    // The first path of a connection uses one of the NICs and is not counted.
    let wanted = facts
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.subflow || endpoint.signal);
    let wanted = wanted.filter(|endpoint| facts.nic_of(endpoint.address).is_some());
    let (four, six): (Vec<_>, Vec<_>) = wanted.partition(|endpoint| endpoint.address.is_ipv4());
    let needed = u32::try_from(four.len().max(six.len()).saturating_sub(1)).unwrap_or(u32::MAX);
    let paths = look.candidates().count();
    if limits.subflows < needed || (limits.subflows == 0 && paths > 1) {
        found.push(problem(
            "limits-too-small",
            format!(
                "MPTCP may make {} besides the first of a connection, but there are endpoints for \
                 {needed} more.",
                count(limits.subflows as usize, "path")
            ),
            &[&mend, by_hand],
        ));
    }
    // Also without endpoints of its own: targets announce more than the host may use.
    let nics = look
        .candidates()
        .filter(|nic| nic.up && nic.carrier)
        .count();
    let starved = |connection: &&Connection| {
        let used: BTreeSet<_> = connection
            .subflows
            .iter()
            .map(|path| path.interface)
            .collect();
        connection.mptcp && connection.limits_reached && used.len() < nics
    };
    let starved = facts.connections.iter().filter(starved).count();
    if found.is_empty() && starved > 0 {
        found.push(problem(
            "limits-too-small",
            format!(
                "{} may have no more paths ({} besides the first), but not all of the {nics} NICs are used.",
                count(starved, "connection"),
                limits.subflows
            ),
            &[&mend, by_hand, "then, for connections that there are: nvme reset /dev/nvmeN"],
        ));
    }
    let announced = facts.counters.get("MPTcpExtAddAddr").copied().unwrap_or(0);
    let own = facts.endpoints.iter().any(|endpoint| endpoint.subflow);
    if look.is_host() && limits.add_addr_accepted == 0 && announced > 0 && !own {
        found.push(problem(
            "limits-too-small",
            "Targets announce their addresses, but the limit add_addr_accepted is 0: no path is made to them.",
            &[&mend, by_hand],
        ));
    }
    found
}

pub fn endpoints(look: &Look) -> Vec<Finding> {
    let facts = &look.facts;
    let mut found = Vec::new();
    if facts.limits.is_none() || look.candidates().count() < 2 {
        return wrong_endpoints(look);
    }
    if look.is_target() && !facts.endpoints.iter().any(|endpoint| endpoint.signal) {
        found.push(problem(
            "endpoints-missing",
            "This target announces no address (no endpoint has the flag 'signal'): hosts learn only the one that \
             they connect to.",
            &["nvme-mptcp paths setup --target --apply"],
        ));
    }
    if look.is_host()
        && !look.is_target()
        && !facts.endpoints.iter().any(|endpoint| endpoint.subflow)
    {
        let announced = facts.counters.get("MPTcpExtAddAddr").copied().unwrap_or(0);
        let mut paths = facts
            .connections
            .iter()
            .filter(|connection| connection.side == Side::Host && connection.mptcp)
            .map(|connection| connection.subflows.len())
            .peekable();
        let what = "This host has no endpoint with the flag 'subflow': it makes paths only to addresses that the \
                    target announces";
        let mend = "nvme-mptcp paths setup --host --apply";
        if paths.peek().is_none() {
            found.push(hint("endpoints-missing", format!("{what}."), &[mend]));
        } else if announced == 0 && paths.all(|paths| paths < 2) {
            found.push(problem(
                "endpoints-missing",
                format!("{what}, and none has."),
                &[
                    mend,
                    "or on the target: nvme-mptcp paths setup --target --apply",
                ],
            ));
        }
    }
    found.extend(wrong_endpoints(look));
    found
}

/// A port that does not listen where hosts are told to make paths to.
pub fn ports(look: &Look) -> Vec<Finding> {
    let facts = &look.facts;
    let mut found = Vec::new();
    for port in &facts.ports {
        let Some(own) = port.address.filter(|address| !address.is_unspecified()) else {
            continue;
        };
        // Any listener at the same port takes a path of any connection.
        let listens = |at: IpAddr| {
            let mut ports = facts
                .ports
                .iter()
                .filter(|other| other.port == port.port)
                .filter_map(|other| other.address);
            ports.any(|address| {
                address == at || address.is_unspecified() && (address.is_ipv6() || at.is_ipv4())
            })
        };
        let refused = facts.endpoints.iter().filter(|endpoint| {
            let alike = endpoint.address.is_ipv4() == own.is_ipv4();
            endpoint.signal && endpoint.port.is_none() && alike && !listens(endpoint.address)
        });
        let refused: Vec<_> = refused.collect();
        let Some(first) = refused.first() else {
            continue;
        };
        let names: Vec<_> = refused.iter().map(|e| e.address.to_string()).collect();
        let (id, at, service) = (&port.id, first.address, port.port);
        let any = if own.is_ipv4() { "0.0.0.0" } else { "::" };
        let nic = facts
            .nic_of(at)
            .map_or_else(String::new, |nic| format!(" dev {}", nic.name));
        found.push(problem(
            "port-on-one-address",
            format!(
                "Port {id} of the target listens on {own} only, and hosts are refused at what is announced besides: {}.",
                names.join(", ")
            ),
            &[
                &format!(
                    "with its subsystems unlinked: echo {any} > /sys/kernel/config/nvmet/ports/{id}/addr_traddr"
                ),
                &format!(
                    "or for each of them: ip mptcp endpoint delete id {}; ip mptcp endpoint add {at}{nic} signal port {service}",
                    first.id
                ),
            ],
        ));
    }
    found
}

fn wrong_endpoints(look: &Look) -> Vec<Finding> {
    let facts = &look.facts;
    let mut found = Vec::new();
    for endpoint in &facts.endpoints {
        if facts.nic_of_endpoint(endpoint).is_some() {
            continue;
        }
        let place = match (
            endpoint.interface.and_then(|index| facts.nic(index)),
            facts.nic_of(endpoint.address),
        ) {
            (Some(named), Some(other)) => {
                format!(
                    "is bound to {}, but the address is on {}",
                    named.name, other.name
                )
            }
            _ => "is on no NIC".to_string(),
        };
        found.push(problem(
            "endpoint-without-nic",
            format!(
                "The address of the endpoint {} (id {}) {place}: it can be no path.",
                endpoint.address, endpoint.id
            ),
            &[
                &format!("ip mptcp endpoint delete id {}", endpoint.id),
                &format!(
                    "or give it back: ip address add {}/PREFIX dev NIC",
                    endpoint.address
                ),
            ],
        ));
    }
    found
}

/// Packets from an endpoint's address should leave by its NIC, to at least one address of the peer.
pub fn ways(look: &Look) -> Vec<Finding> {
    let mut by_nic: BTreeMap<&str, Vec<&super::Way>> = BTreeMap::new();
    for way in &look.ways {
        by_nic.entry(&way.nic).or_default().push(way);
    }
    let mut found = Vec::new();
    for (name, ways) in by_nic {
        let index = look
            .facts
            .nics
            .iter()
            .find(|nic| nic.name == name)
            .map(|nic| nic.index);
        // Down, and said so already.
        let carrier = look
            .facts
            .nics
            .iter()
            .any(|nic| nic.name == name && nic.up && nic.carrier);
        let own = |way: &&super::Way| {
            way.route
                .is_some_and(|route| Some(route.interface) == index)
        };
        if !carrier || ways.iter().any(own) {
            continue;
        }
        // A subflow is bound to its NIC and may be answered there all the same.
        let mut paths = look
            .facts
            .connections
            .iter()
            .flat_map(|connection| &connection.subflows);
        if paths.any(|path| ways.iter().any(|way| way.from == path.local.ip())) {
            continue;
        }
        let Some(first) = ways.first() else {
            continue;
        };
        let (from, to) = (first.from, first.to);
        // 253 to 255 are the kernel's own.
        let table = 10_000 + index.unwrap_or(0);
        let rule = [
            format!("ip route add default via GATEWAY dev {name} table {table}"),
            format!("ip rule add from {from} table {table}"),
            format!("(without a gateway: ip route add SUBNET dev {name} table {table})"),
        ];
        let rule: Vec<&str> = rule.iter().map(String::as_str).collect();
        let Some(other) = ways
            .iter()
            .find_map(|way| way.route)
            .and_then(|route| look.facts.nic(route.interface))
        else {
            found.push(problem(
                "no-route",
                format!("There is no route from {from} ({name}) to {to}."),
                &rule,
            ));
            continue;
        };
        let what = format!(
            "Packets from {from} ({name}) to {to} leave by {}, not by {name}",
            other.name
        );
        // Before there is an MPTCP connection nobody knows which addresses the target has besides this one.
        let tried = look
            .facts
            .connections
            .iter()
            .any(|connection| connection.mptcp);
        let kind = if tried { problem } else { hint };
        found.push(kind("asymmetric-route", format!("{what}."), &rule));
        let set = look.rp_filter.get(name).copied();
        found.extend(rp_filter::check(kind, &what, name, set, &ways));
    }
    found
}
