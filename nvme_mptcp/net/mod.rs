// SPDX-License-Identifier: GPL-2.0

//! What the kernel crate lacks for sockets: network namespaces, MPTCP sockets, their callbacks, and
//! the gather send.

pub(crate) mod address;
pub(crate) mod allowance;
pub(crate) mod callbacks;
pub(crate) mod errno;
pub(crate) mod gate;
pub(crate) mod gather;
pub(crate) mod ledger;
pub(crate) mod log;
pub(crate) mod mptcp;
pub(crate) mod namespace;
pub(crate) mod options;
pub(crate) mod reclaim;
pub(crate) mod subflows;
