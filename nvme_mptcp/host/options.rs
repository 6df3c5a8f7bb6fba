// SPDX-License-Identifier: GPL-2.0

//! The options of a connect, checked before anything is created.

use crate::{
    net::{
        address::{
            Address,
            Family, //
        },
        errno,
        namespace::NetNamespace,
    },
    nvme::fabrics::{
        ConnectOptions,
        Opts, //
    },
};
use kernel::{
    c_str,
    prelude::*, //
};

/// Options that must be given.
pub(crate) const REQUIRED: Opts = Opts::TRADDR;

/// Options that may be given, beyond those that fabrics handles for every transport.
///
/// Those for TLS are among them so that they can be refused with the reason.
pub(crate) const ALLOWED: Opts = Opts::of(&[
    Opts::TRSVCID,
    Opts::HOST_TRADDR,
    Opts::HOST_IFACE,
    Opts::RECONNECT_DELAY,
    Opts::CTRL_LOSS_TMO,
    Opts::HDR_DIGEST,
    Opts::DATA_DIGEST,
    Opts::NR_WRITE_QUEUES,
    Opts::NR_POLL_QUEUES,
    Opts::TOS,
    Opts::TLS,
    Opts::TLS_KEY,
    Opts::KEYRING,
    Opts::CONCAT,
]);

/// The port that is assigned to NVMe/TCP discovery controllers, and the default.
const DEFAULT_PORT: &CStr = c_str!("8009");

/// Where a controller connects from and to.
pub(crate) struct Endpoints {
    /// The network namespace of the user who connected, for every connection of the controller,
    /// at every reconnect.
    pub(crate) net: NetNamespace,
    /// The target.
    pub(crate) target: Address,
    /// The local address of the first subflow, if one was given.
    pub(crate) local: Option<Address>,
}

/// Checks the options; fills in the default port.
///
/// # Errors
///
/// `EOPNOTSUPP` for what cannot work over MPTCP, `EINVAL` for malformed addresses, `ENODEV` for an
/// interface that is not there. Each with a message.
pub(crate) fn check(opts: &mut ConnectOptions) -> Result<Endpoints> {
    for (opt, name) in [
        (Opts::TLS, "tls"),
        (Opts::CONCAT, "concat"),
        (Opts::TLS_KEY, "tls_key"),
        (Opts::KEYRING, "keyring"),
    ] {
        if opts.has(opt) {
            pr_err!(
                "option '{name}' refused: no TLS on MPTCP sockets, use WireGuard or IPsec below\n"
            );
            return Err(errno::not_supported());
        }
    }

    opts.default_trsvcid(DEFAULT_PORT)?;
    let net = NetNamespace::current();
    let (Some(traddr), Some(trsvcid)) = (opts.traddr(), opts.trsvcid()) else {
        return Err(EINVAL);
    };
    let target = Address::parse(&net, Family::Any, traddr, Some(trsvcid)).inspect_err(|_| {
        pr_err!(
            "malformed target address {}:{}\n",
            traddr.to_str().unwrap_or("?"),
            trsvcid.to_str().unwrap_or("?")
        );
    })?;
    if opts.has(Opts::TOS) && target.is_ip6() {
        pr_warn!("option 'tos' has no effect: MPTCP sockets have no traffic class for IPv6\n");
    }
    let local = match opts.host_traddr() {
        Some(text) => Some(
            Address::parse(&net, Family::Any, text, None).inspect_err(|_| {
                pr_err!("malformed host address {}\n", text.to_str().unwrap_or("?"));
            })?,
        ),
        None => None,
    };
    if let Some(name) = opts.host_iface() {
        if !net.has_interface(name) {
            pr_err!("there is no interface {}\n", name.to_str().unwrap_or("?"));
            return Err(ENODEV);
        }
    }
    Ok(Endpoints { net, target, local })
}
