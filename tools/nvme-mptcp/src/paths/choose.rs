// SPDX-License-Identifier: GPL-2.0

//! Which NICs are taken: pure logic.

use crate::netlink::route::Nic;

/// What is taken, and of the others why not.
#[derive(Debug, Default, PartialEq)]
pub struct Chosen<'a> {
    pub taken: Vec<&'a Nic>,
    /// Not meant as it seems. Nobody has named them.
    pub left: Vec<(&'a Nic, String)>,
    /// Named, and not there yet, or without an address.
    pub missing: Vec<String>,
}

impl Chosen<'_> {
    /// The first line of what is planned, where the user has not named them.
    pub fn tell(&self) -> String {
        let names: Vec<&str> = self.taken.iter().map(|nic| nic.name.as_str()).collect();
        let mut text = match names.is_empty() {
            true => String::new(),
            false => format!("NICs: {}\n", names.join(" ")),
        };
        for (nic, why) in &self.left {
            text += &format!("not {}: {why} (taken if named)\n", nic.name);
        }
        text
    }
}

/// The NICs of these names, each once. One that is missing keeps no other from being set up: at boot it may come later,
/// or never.
pub fn named<'a>(nics: &'a [Nic], names: &[String]) -> Chosen<'a> {
    let mut chosen = Chosen::default();
    for (at, name) in names.iter().enumerate() {
        if names.iter().take(at).any(|before| before == name) {
            continue;
        }
        match nics.iter().find(|nic| nic.name == *name) {
            None => chosen.missing.push(format!("there is no NIC {name}")),
            Some(nic) if nic.addresses.is_empty() => {
                chosen.missing.push(format!("{name} has no address"));
            }
            Some(nic) => chosen.taken.push(nic),
        }
    }
    chosen
}

/// Those that are up, have an address and are hardware of their own. A bridge or a tunnel goes over one of these, and
/// what docker0 or tun0 reaches is seldom a storage network.
pub fn all(nics: &[Nic]) -> Chosen<'_> {
    let mut chosen = Chosen::default();
    for nic in nics.iter().filter(|nic| !nic.loopback) {
        match why_not(nic, nics) {
            _ if !nic.up || nic.addresses.is_empty() => (),
            Some(why) => chosen.left.push((nic, why)),
            None => chosen.taken.push(nic),
        }
    }
    chosen
}

fn why_not(nic: &Nic, nics: &[Nic]) -> Option<String> {
    if let Some(master) = nic.master {
        let master = nics.iter().find(|nic| nic.index == master);
        let master = master.map_or("another one", |nic| nic.name.as_str());
        return Some(format!("a port of {master}"));
    }
    match (nic.hardware, &nic.kind) {
        (true, _) => None,
        (false, Some(kind)) => Some(format!("no hardware, but {kind}")),
        (false, None) => Some("no hardware".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::facts;

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    fn taken<'a>(chosen: &Chosen<'a>) -> Vec<&'a str> {
        chosen.taken.iter().map(|nic| nic.name.as_str()).collect()
    }

    #[test]
    fn hardware_is_taken_and_the_rest_named() {
        let mut nics = facts(6).nics;
        nics[1].master = Some(12);
        nics[2].hardware = false;
        nics[2].kind = Some("bond".into());
        nics[3].hardware = false;
        nics[4].up = false;
        nics[5].addresses.clear();
        let chosen = all(&nics);
        assert_eq!(
            chosen.tell(),
            "NICs: eth0\n\
             not eth1: a port of eth2 (taken if named)\n\
             not eth2: no hardware, but bond (taken if named)\n\
             not eth3: no hardware (taken if named)\n"
        );
        let by_name = named(&nics, &strings(&["eth2", "eth3"]));
        assert_eq!(taken(&by_name), ["eth2", "eth3"]);
    }

    #[test]
    fn a_missing_one_keeps_no_other() {
        let mut nics = facts(3).nics;
        nics[1].addresses.clear();
        let chosen = named(&nics, &strings(&["eth9", "eth0", "eth1", "eth2", "eth0"]));
        assert_eq!(taken(&chosen), ["eth0", "eth2"]);
        assert_eq!(
            chosen.missing,
            ["there is no NIC eth9", "eth1 has no address"]
        );
    }
}
