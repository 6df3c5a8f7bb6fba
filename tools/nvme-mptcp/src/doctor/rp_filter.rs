// SPDX-License-Identifier: GPL-2.0

//! Reverse path filtering: a NIC that drops packets whose answers would leave by another one. IPv4 only.

use super::{Finding, Way};
use crate::sysfs::Sysfs;

/// What of it is set: for all NICs, and for one. The kernel takes the larger (IN_DEV_RPFILTER), so 2, loose, for one NIC
/// undoes 1, strict, for all, and 0 does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RpFilter {
    pub all: u8,
    pub own: u8,
}

impl RpFilter {
    pub fn of(sysfs: &Sysfs, nic: &str) -> Self {
        let value = |name: &str| {
            let value = sysfs.sysctl(&format!("ipv4/conf/{name}/rp_filter"));
            value.and_then(|value| value.parse().ok()).unwrap_or(0)
        };
        Self {
            all: value("all"),
            own: value(nic),
        }
    }

    /// Loose asks for any way back, which there is by the other NIC.
    fn is_strict(self) -> bool {
        self.all.max(self.own) == 1
    }
}

/// What it does to ways whose answers leave by another NIC, `what` says which.
pub fn check(
    kind: fn(&'static str, String, &[&str]) -> Finding,
    what: &str,
    nic: &str,
    set: Option<RpFilter>,
    ways: &[&Way],
) -> Option<Finding> {
    let set = set.filter(|set| set.is_strict())?;
    if !ways.iter().any(|way| way.from.is_ipv4()) {
        return None;
    }
    // sysctl has slashes for the dots of a name, as eth0.5.
    let key = format!("net.ipv4.conf.{}.rp_filter", nic.replace('.', "/"));
    Some(kind(
        "rp-filter",
        format!(
            "{what}, and {nic} drops what comes another way than answers would go: its rp_filter is 1, strict \
             (the larger of {} for all NICs and {} for {nic}).",
            set.all, set.own
        ),
        &[
            &format!("sysctl -w {key}=2"),
            &format!("and at boot: echo '{key} = 2' > /etc/sysctl.d/90-{nic}-rp-filter.conf"),
            "or mend the route, as above",
        ],
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_is_in_force() {
        let strict = |all, own| RpFilter { all, own }.is_strict();
        assert!(strict(1, 0) && strict(0, 1) && strict(1, 1));
        assert!(!strict(0, 0) && !strict(1, 2) && !strict(2, 1) && !strict(2, 0));
    }
}
