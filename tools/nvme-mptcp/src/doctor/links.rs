// SPDX-License-Identifier: GPL-2.0

//! NICs that are down, or slower than the others.

use super::{hint, problem, Finding, Look};
use std::collections::BTreeMap;

pub fn down(look: &Look) -> Vec<Finding> {
    let mut found = Vec::new();
    for nic in look.candidates().filter(|nic| !nic.up || !nic.carrier) {
        let endpoint = look
            .endpoints_with_nic()
            .any(|(_, other)| other.index == nic.index);
        // A NIC that nobody has chosen may be down for good reasons.
        let kind = if endpoint { problem } else { hint };
        if nic.up {
            found.push(kind(
                "no-carrier",
                format!(
                    "{} is up but has no carrier: no cable, or nothing at its other end.",
                    nic.name
                ),
                &[&format!(
                    "check the cable and the switch; then: ip link show {}",
                    nic.name
                )],
            ));
        } else {
            found.push(kind(
                "nic-down",
                format!("{} is down, so its path carries nothing.", nic.name),
                &[&format!("ip link set {} up", nic.name)],
            ));
        }
    }
    found
}

/// A link at less than half of the others' speed: a bad cable makes that, but some have bought it so, and it works.
pub fn unequal(look: &Look) -> Vec<Finding> {
    let mut speeds: BTreeMap<&str, u32> = BTreeMap::new();
    for nic in look.candidates().filter(|nic| nic.carrier) {
        let path = look
            .endpoints_with_nic()
            .any(|(_, other)| other.index == nic.index)
            || look.has_path(nic.index);
        if let (true, Some(speed)) = (path, nic.speed_mbit) {
            speeds.insert(&nic.name, speed);
        }
    }
    let Some(most) = speeds.values().max().copied() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (name, speed) in speeds {
        if speed.saturating_mul(2) < most {
            found.push(hint(
                "unequal-links",
                format!(
                    "{name} runs at {speed} Mbit/s and another path at {most}. If that is not meant, a cable or a switch \
                     port may be bad; if it is, the slower one is of use, but a little only."
                ),
                &[&format!("ethtool {name}")],
            ));
        }
    }
    found
}
