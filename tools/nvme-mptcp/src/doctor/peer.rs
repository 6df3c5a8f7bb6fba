// SPDX-License-Identifier: GPL-2.0

//! What trying to reach a target has shown.

use super::{hint, problem, Finding, Look};
use crate::probe::{Outcome, Probe};

pub fn probes(look: &Look) -> Vec<Finding> {
    let Some(peer) = look.peer else {
        return Vec::new();
    };
    let with = |outcome: Outcome| {
        look.probes
            .iter()
            .filter(move |probe| probe.outcome == outcome)
    };
    let mptcp = with(Outcome::Mptcp).count();
    let tcp: Vec<&Probe> = with(Outcome::Tcp).collect();
    let names = |probes: &[&Probe]| {
        let names: Vec<String> = probes
            .iter()
            .map(|probe| format!("{} ({})", probe.nic, probe.from))
            .collect();
        names.join(", ")
    };
    let mut found = Vec::new();
    if mptcp == 0 && !tcp.is_empty() {
        found.push(problem(
            "peer-without-mptcp",
            format!(
                "{peer} answers, but without MPTCP: it is plain nvmet-tcp, its net.mptcp.enabled is 0, or something \
                 on the way removes MPTCP's options."
            ),
            &[
                "on the target: nvme-mptcp doctor",
                "on the way: tcpdump -v 'tcp[tcpflags] & tcp-syn != 0' at both ends; 'mptcp' must be in both",
            ],
        ));
    } else if !tcp.is_empty() {
        found.push(problem(
            "mptcp-stripped",
            format!(
                "From {} {peer} is reached without MPTCP, from others with it: something on this way removes \
                 MPTCP's options.",
                names(&tcp)
            ),
            &["look for a firewall or proxy on this way that must let TCP option 30 through"],
        ));
    }
    let failed: Vec<&Probe> = look
        .probes
        .iter()
        .filter(|probe| matches!(probe.outcome, Outcome::Failed(_)))
        .collect();
    if look.probes.is_empty() && look.facts.mptcp_enabled == Some(true) {
        found.push(problem(
            "peer-unreachable",
            format!(
                "No NIC here has an address of the kind that {} is.",
                peer.ip()
            ),
            &["ip address add ADDRESS/PREFIX dev NIC"],
        ));
    } else if mptcp == 0 && tcp.is_empty() && !failed.is_empty() {
        let why: Vec<String> = failed
            .iter()
            .map(|probe| match &probe.outcome {
                Outcome::Failed(why) => format!("{}: {why}", probe.nic),
                _ => probe.nic.clone(),
            })
            .collect();
        found.push(problem(
            "peer-unreachable",
            format!("{peer} is reached from no NIC ({}).", why.join("; ")),
            &[
                &format!("ping {}; ip route get {}", peer.ip(), peer.ip()),
                "on the target: nvme-mptcp status, which lists the ports it serves",
            ],
        ));
    } else if !failed.is_empty() {
        found.push(hint(
            "peer-unreachable",
            format!(
                "{peer} is not reached from {}. That is sound if the target announces an address that is.",
                names(&failed)
            ),
            &["on the target: nvme-mptcp paths show"],
        ));
    }
    found
}
