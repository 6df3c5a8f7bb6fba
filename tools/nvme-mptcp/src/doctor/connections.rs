// SPDX-License-Identifier: GPL-2.0

//! What connections show: fallback to TCP, paths that are not there.

use super::{hint, problem, Finding, Look};
use crate::facts::{Connection, Side};
use crate::table::count;
use std::collections::BTreeSet;

fn owners<'a>(connections: &[&'a Connection]) -> String {
    let names: BTreeSet<&'a str> = connections
        .iter()
        .map(|connection| connection.controller.as_deref().unwrap_or("a controller"))
        .collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// In the words of the module, if it tells.
fn why(look: &Look, connections: &[&Connection]) -> &'static str {
    let names = connections
        .iter()
        .filter_map(|connection| connection.controller.as_deref());
    let mut whys = names.filter_map(|name| {
        let controller = look
            .facts
            .controllers
            .iter()
            .find(|controller| controller.name == name)?;
        controller.why_tcp.as_deref()
    });
    match whys.next() {
        Some("peer") => "the target answers without MPTCP: it is plain nvmet-tcp, its net.mptcp.enabled is 0, or \
                         something on the way removes the option",
        Some("dropped" | "blackhole") => "something on the way drops SYNs that have MPTCP's options",
        Some("lost") => "it was MPTCP, until something on the way removed its options or changed its data",
        _ => "the target does not speak MPTCP (plain nvmet-tcp, or net.mptcp.enabled=0 there), or a firewall or \
              middlebox removes MPTCP's options",
    }
}

pub fn fallback(look: &Look) -> Vec<Finding> {
    let facts = &look.facts;
    let mut found = Vec::new();
    let lost: Vec<&Connection> = facts
        .connections
        .iter()
        .filter(|connection| connection.fallback)
        .collect();
    let (host, target): (Vec<_>, Vec<_>) = lost
        .into_iter()
        .partition(|connection| connection.side == Side::Host);
    if let Some(first) = host.first() {
        found.push(problem(
            "fallback",
            format!(
                "{} of {} to {} are TCP, with one path: {}.",
                count(host.len(), "connection"),
                owners(&host),
                first.remote,
                why(look, &host)
            ),
            &[
                "on the target: nvme-mptcp doctor",
                &format!(
                    "nvme-mptcp doctor --peer {} --port {}",
                    first.remote.ip(),
                    first.remote.port()
                ),
                "when that is mended: nvme reset /dev/nvmeN",
            ],
        ));
    }
    let counter = |name: &str| facts.counters.get(name).copied().unwrap_or(0);
    let stripped = counter("MPTcpExtMPCapableFallbackACK");
    if !target.is_empty() || (stripped > 0 && look.is_target()) {
        let kind = if target.is_empty() { hint } else { problem };
        found.push(kind(
            "fallback",
            format!(
                "Hosts began with MPTCP and went on without (now {}, {stripped} since boot): a firewall or middlebox \
                 on the way removes MPTCP's options.",
                target.len()
            ),
            &["look for a firewall or proxy that must let TCP option 30 through"],
        ));
    }
    let answers = counter("MPTcpExtMPCapableFallbackSYNACK");
    if host.is_empty() && answers > 0 && !look.is_target() {
        found.push(hint(
            "fallback",
            format!(
                "{} got an answer without MPTCP since boot; none is so now.",
                count(answers as usize, "connection")
            ),
            &["dmesg | grep MPTCP"],
        ));
    }
    found
}

/// Connections of MPTCP with a single path, where there could be more.
pub fn paths(look: &Look) -> Vec<Finding> {
    let nics = look
        .candidates()
        .filter(|nic| nic.up && nic.carrier)
        .count();
    if nics < 2 {
        return Vec::new();
    }
    let single: Vec<&Connection> = look
        .facts
        .connections
        .iter()
        .filter(|connection| connection.mptcp && connection.side == Side::Host)
        .filter(|connection| connection.subflows.len() == 1)
        .collect();
    if single.is_empty() {
        return Vec::new();
    }
    let counter = |name: &str| look.facts.counters.get(name).copied().unwrap_or(0);
    let (tried, answered) = (
        counter("MPTcpExtMPJoinSynTx"),
        counter("MPTcpExtMPJoinSynAckRx"),
    );
    let joins = match (tried, answered) {
        (0, _) => "The kernel has tried no other path: it knows none.".to_string(),
        _ => format!("Of {tried} tries of another path {answered} were answered."),
    };
    vec![problem(
        "one-subflow",
        format!(
            "{} of {} have one path, but {nics} NICs are up. {joins}",
            count(single.len(), "connection"),
            owners(&single)
        ),
        &[
            &format!("nvme-mptcp paths setup {} --apply", look.side()),
            "on the target: nvme-mptcp doctor, nvme-mptcp paths setup --target --apply",
        ],
    )]
}

/// NICs with an endpoint that no connection has a path on.
pub fn unused(look: &Look) -> Vec<Finding> {
    let all = look
        .facts
        .connections
        .iter()
        .filter(|connection| connection.mptcp);
    let all: Vec<&Connection> = all.collect();
    // With one path only the rest is said already.
    if !all.iter().any(|connection| connection.subflows.len() > 1) {
        return Vec::new();
    }
    let paths = || all.iter().flat_map(|connection| &connection.subflows);
    let mut found = Vec::new();
    for (endpoint, nic) in look.endpoints_with_nic() {
        let family = paths().any(|path| path.local.is_ipv4() == endpoint.address.is_ipv4());
        if !nic.up
            || !nic.carrier
            || !family
            || paths().any(|path| path.interface == Some(nic.index))
        {
            continue;
        }
        found.push(problem(
            "unused-nic",
            format!(
                "{} has the endpoint {}, but no connection has a path there: nobody answers, or a firewall drops \
                 what goes that way.",
                nic.name, endpoint.address
            ),
            &[
                &format!("ping -I {} ADDRESS-OF-THE-PEER; nft list ruleset", nic.name),
                "then: nvme reset /dev/nvmeN, which tries all paths again",
            ],
        ));
    }
    found
}

pub fn states(look: &Look) -> Vec<Finding> {
    let mut found = Vec::new();
    for controller in look
        .facts
        .controllers
        .iter()
        .filter(|controller| controller.state != "live")
    {
        found.push(problem(
            "controller-not-live",
            format!(
                "{} is in the state '{}'.",
                controller.name, controller.state
            ),
            &[&format!("dmesg | grep {}", controller.name)],
        ));
    }
    found
}
