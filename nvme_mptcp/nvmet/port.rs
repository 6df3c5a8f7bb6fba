// SPDX-License-Identifier: GPL-2.0

//! A port as it is configured (`struct nvmet_port`).

use crate::{
    ffi::bindings,
    net::{
        address::{
            Address,
            Family, //
        },
        errno,
        namespace::NetNamespace, //
    },
};
use core::ptr::NonNull;
use kernel::{
    prelude::*,
    str::{
        BStr,
        CStr, //
    },
};

/// What a port gets for in-capsule data if it is not configured: four pages, as nvmet-tcp has it.
const INLINE_DATA_SIZE: c_int = 4 << 12;

/// The configuration of a port, and the transport that it was enabled for.
///
/// # Invariants
///
/// `port` is a live `struct nvmet_port`, and `fabrics` the table of operations registered for its
/// type. nvmet frees the former only after it has disabled the port and waited for
/// [`workqueue`](super::workqueue), that is for the end of all connections of the port.
pub(crate) struct PortConfig {
    port: NonNull<bindings::nvmet_port>,
    fabrics: NonNull<bindings::nvmet_fabrics_ops>,
}

// SAFETY: nvmet does not change the fields read here while a port is enabled.
unsafe impl Send for PortConfig {}
// SAFETY: As above.
unsafe impl Sync for PortConfig {}

impl PortConfig {
    /// Wraps the port that nvmet is about to enable.
    ///
    /// # Safety
    ///
    /// The type invariants must hold, and all connections of the port must be told to end when it
    /// is disabled.
    pub(super) unsafe fn new(
        port: NonNull<bindings::nvmet_port>,
        fabrics: NonNull<bindings::nvmet_fabrics_ops>,
    ) -> Self {
        // INVARIANT: As the caller promises.
        Self { port, fabrics }
    }

    /// The raw port, valid as the type invariant says.
    pub(super) fn as_ptr(&self) -> *mut bindings::nvmet_port {
        self.port.as_ptr()
    }

    /// The operations it was registered with.
    pub(super) fn fabrics(&self) -> *const bindings::nvmet_fabrics_ops {
        self.fabrics.as_ptr()
    }

    fn disc_addr(&self) -> &bindings::nvmf_disc_rsp_page_entry {
        // SAFETY: The port is live by the type invariant, and does not change while it is enabled.
        unsafe { &(*self.as_ptr()).disc_addr }
    }

    /// The number by which the administrator knows the port.
    pub(crate) fn id(&self) -> u16 {
        u16::from_le(self.disc_addr().portid)
    }

    /// Whether the port asks for TLS, or its hosts to ask for it.
    pub(crate) fn wants_tls(&self) -> bool {
        let addr = self.disc_addr();
        // SAFETY: nvmet fills the TCP variant for the types that this transport registers; any byte
        // is a valid value.
        let sectype = unsafe { addr.tsas.tcp.as_ref().sectype };
        let mask = bindings::NVMF_TREQ_REQUIRED | bindings::NVMF_TREQ_NOT_REQUIRED;
        let secure_channel = u32::from(addr.treq) & mask;

        u32::from(sectype) == bindings::NVMF_TCP_SECTYPE_TLS13
            || secure_channel == bindings::NVMF_TREQ_REQUIRED
    }

    /// The address to listen on. A scope such as `%eth0` is looked up in `net`. May sleep.
    ///
    /// # Errors
    ///
    /// `EAFNOSUPPORT` if it is not an IP address at all, `EINVAL` if it is malformed.
    pub(crate) fn address(&self, net: &NetNamespace) -> Result<Address> {
        let addr = self.disc_addr();
        let family = match u32::from(addr.adrfam) {
            bindings::NVMF_ADDR_FAMILY_IP4 => Family::Ip4,
            bindings::NVMF_ADDR_FAMILY_IP6 => Family::Ip6,
            _ => return Err(errno::family_not_supported()),
        };
        let host = text(&addr.traddr);
        let port = text(&addr.trsvcid);

        Address::parse(net, family, host, Some(port))
    }

    /// The address to listen on, as the administrator has written it.
    pub(crate) fn traddr(&self) -> &BStr {
        BStr::from_bytes(text(&self.disc_addr().traddr).to_bytes())
    }

    /// The service id, as the administrator has written it.
    pub(crate) fn trsvcid(&self) -> &BStr {
        BStr::from_bytes(text(&self.disc_addr().trsvcid).to_bytes())
    }

    /// Settles how much data a command capsule may carry, in bytes: what the administrator has configured, if anything,
    /// but not more than the engine takes in a PDU. Returns what is too much for it. To be called while the port is
    /// being enabled.
    pub(crate) fn settle_inline_data_size(&self) -> Result<(), c_int> {
        // SAFETY: Has no requirements.
        let most = unsafe { bindings::target_engine_max_data() };
        let most = c_int::try_from(most).unwrap_or(c_int::MAX);
        // SAFETY: The port is live, and nvmet holds its configuration lock while it enables a port, so that nobody else
        // accesses the field.
        let size = unsafe { &mut (*self.as_ptr()).inline_data_size };
        let wanted = *size;
        if wanted > most {
            *size = most;
            return Err(wanted);
        }
        if wanted < 0 {
            *size = INLINE_DATA_SIZE;
        }
        Ok(())
    }
}

/// The text of a field of the discovery log that nvmet has terminated; of another one, nothing.
fn text(field: &[u8]) -> &CStr {
    CStr::from_bytes_until_nul(field).unwrap_or_default()
}
