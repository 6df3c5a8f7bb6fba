// SPDX-License-Identifier: GPL-2.0

//! The border with C.
//!
//! Nothing but `net`, `block`, `work`, `nvme` and `nvmet` may look in here; what they offer above
//! is safe.

pub(crate) mod bindings;
