// SPDX-License-Identifier: GPL-2.0

//! What can be seen of connections from outside: counters, files in debugfs, tracepoints. How it is
//! to be read is in `Documentation/observability.rst`.

pub(crate) mod counters;
pub(crate) mod debugfs;
#[cfg(host)]
pub(crate) mod paths;
pub(crate) mod queue;
pub(crate) mod trace;
