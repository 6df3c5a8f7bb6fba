// SPDX-License-Identifier: GPL-2.0

//! Limits and endpoints of MPTCP, for NICs by their names.

mod choose;
mod persist;
mod plan;

use crate::advice;
use crate::cli;
use crate::facts::{Connection, Facts};
use crate::netlink::pm::{Endpoint, Limits, PathManager};
use crate::netlink::route::Nic;
use crate::table::{json, out, table};
use anyhow::Result;
use plan::{Plan, Step};
use serde::Serialize;
use std::net::IpAddr;

/// What a kernel has that nobody has configured.
const DEFAULT: Limits = Limits {
    subflows: 2,
    add_addr_accepted: 0,
};

#[derive(Serialize)]
struct Shown<'a> {
    limits: Option<Limits>,
    endpoints: Vec<ShownEndpoint<'a>>,
    nics: &'a [Nic],
}

#[derive(Serialize)]
struct ShownEndpoint<'a> {
    #[serde(flatten)]
    endpoint: &'a Endpoint,
    /// None if no NIC has the address.
    nic: Option<&'a str>,
}

fn show(options: &cli::Show) -> Result<()> {
    let facts = Facts::gather()?;
    if let Some(why) = facts.blind.first() {
        return Err(advice::error(why.clone(), "the same as root"));
    }
    let limits = facts.limits.ok_or_else(no_mptcp)?;
    let endpoints: Vec<ShownEndpoint<'_>> = facts
        .endpoints
        .iter()
        .map(|endpoint| ShownEndpoint {
            endpoint,
            nic: facts.nic_of_endpoint(endpoint).map(|nic| nic.name.as_str()),
        })
        .collect();
    if options.json {
        return json(&Shown {
            limits: Some(limits),
            endpoints,
            nics: &facts.nics,
        });
    }
    let mut text = format!(
        "limits: {} paths besides the first, {} of them to addresses that the target announces\n\n",
        limits.subflows, limits.add_addr_accepted
    );
    let rows = endpoints.iter().map(|shown| {
        vec![
            shown.endpoint.id.to_string(),
            shown.endpoint.address.to_string(),
            shown.nic.unwrap_or("(no NIC)").to_string(),
            shown.endpoint.flags(),
        ]
    });
    text += &match endpoints.is_empty() {
        true => "no endpoints\n".to_string(),
        false => table(&[">ID", "ENDPOINT", "NIC", "FLAGS"], rows),
    };
    let nics = facts.nics.iter().filter(|nic| !nic.loopback);
    let rows = nics.map(|nic| {
        let addresses = nic
            .addresses
            .iter()
            .map(|own| format!("{}/{}", own.address, own.prefix));
        vec![
            nic.name.clone(),
            match (nic.up, nic.carrier) {
                (false, _) => "down",
                (true, false) => "no carrier",
                (true, true) => "up",
            }
            .to_string(),
            nic.speed_mbit
                .map_or("-".into(), |speed| format!("{speed} Mbit/s")),
            addresses.collect::<Vec<_>>().join(" "),
        ]
    });
    text += "\n";
    text += &table(&["NIC", "STATE", ">SPEED", "ADDRESSES"], rows);
    out(&text)
}

fn no_mptcp() -> anyhow::Error {
    advice::error(
        "this kernel has no MPTCP",
        "a kernel with CONFIG_MPTCP, as Debian's",
    )
}

/// The end of what was done for some NICs and could not be for others.
fn missing(missing: &[String], nics: &[Nic]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let there: Vec<&str> = nics.iter().map(|nic| nic.name.as_str()).collect();
    Err(advice::error(
        missing.join(", "),
        format!(
            "one of {}, or ip address add ADDRESS/PREFIX dev NIC",
            there.join(" ")
        ),
    ))
}

/// Says what is planned, and does it if told to.
fn carry_out(plan: &Plan, apply: bool, again: &str) -> Result<()> {
    for kept in &plan.kept {
        out(&format!(
            "the endpoint {kept} stays as it is: a connection began from there (nvme-mptcp status); disconnect it, or \
             paths clear --force\n"
        ))?;
    }
    if plan.is_empty() {
        return out("nothing to do\n");
    }
    for step in &plan.steps {
        out(&format!("{}\n", step.as_command()))?;
    }
    if !apply {
        return out(&format!("\nnot done; {again}\n"));
    }
    let mut manager = PathManager::open()?;
    for step in &plan.steps {
        match step {
            Step::Limits(limits) => manager.set_limits(*limits)?,
            Step::Add(_, endpoint) => manager.add(endpoint)?,
            Step::Delete(endpoint) => manager.delete(endpoint)?,
            Step::WriteUnit(unit) => unit.write()?,
            Step::RemoveUnit(unit) => unit.remove()?,
        }
    }
    Ok(())
}

fn setup(options: &cli::Setup) -> Result<()> {
    let facts = Facts::gather()?;
    let limits = facts.limits.ok_or_else(no_mptcp)?;
    let chosen = match options.nics.as_slice() {
        [] => choose::all(&facts.nics),
        names => choose::named(&facts.nics, names),
    };
    if options.nics.is_empty() {
        out(&chosen.tell())?;
        if chosen.taken.is_empty() {
            return Err(advice::error(
                "no NIC of hardware is up and has an address",
                "ip address, ip link set NIC up; or name the NICs",
            ));
        }
    }
    for why in &chosen.missing {
        advice::warn(&format!("{why}: it is left out"));
    }
    let needed = in_use(&facts.connections);
    let mut plan = plan::setup(
        &chosen.taken,
        options.host,
        limits,
        &facts.endpoints,
        &needed,
    );
    if options.persistent {
        // One that is missing now may be there at boot.
        let names: Vec<&str> = match options.nics.is_empty() {
            true => chosen.taken.iter().map(|nic| nic.name.as_str()).collect(),
            false => options.nics.iter().map(String::as_str).collect(),
        };
        let unit = persist::Unit::new(&options.place.unit_directory);
        plan.push(Step::WriteUnit(unit.with(options.host, &names)?));
    }
    carry_out(&plan, options.apply, "with --apply it is")?;
    missing(&chosen.missing, &facts.nics)
}

fn clear(options: &cli::Clear) -> Result<()> {
    let facts = Facts::gather()?;
    let limits = facts.limits.ok_or_else(no_mptcp)?;
    let chosen = match options.nics.is_empty() {
        true => None,
        false => {
            let chosen = choose::named(&facts.nics, &options.nics);
            missing(&chosen.missing, &facts.nics)?;
            Some(chosen.taken)
        }
    };
    let needed = match options.force {
        true => Vec::new(),
        false => in_use(&facts.connections),
    };
    let mut plan = plan::clear(
        chosen.as_deref(),
        limits,
        DEFAULT,
        &facts.endpoints,
        &needed,
    );
    let unit = persist::Unit::new(&options.place.unit_directory);
    if chosen.is_none() && unit.exists() {
        plan.push(Step::RemoveUnit(unit));
    }
    carry_out(&plan, options.apply, "with --apply it is")
}

/// The addresses that live connections began from. With the endpoint of such an address the kernel closes the first
/// path, and if the others have endpoints that go as well, nothing is left to tell the peer so.
fn in_use(connections: &[Connection]) -> Vec<IpAddr> {
    let live = connections.iter().filter(|connection| connection.mptcp);
    live.map(|connection| connection.local.ip()).collect()
}

pub fn run(command: &cli::Paths) -> Result<()> {
    match command {
        cli::Paths::Show(options) => show(options),
        cli::Paths::Setup(options) => setup(options),
        cli::Paths::Clear(options) => clear(options),
    }
}
