// SPDX-License-Identifier: GPL-2.0

//! Kernel MPTCP sockets.
//!
//! Their options are in [`options`](super::options).
//!
//! C headers: [`include/linux/net.h`](srctree/include/linux/net.h),
//! [`include/net/mptcp.h`](srctree/include/net/mptcp.h); RFC 8684.

#[cfg(host)]
use super::errno;
use super::{
    address::Address,
    allowance::Subflow,
    callbacks::ConnectionState,
    gate::{
        Progress,
        SUBFLOWS, //
    },
    gather::Vector,
    namespace::NetNamespace,
    reclaim::NoReclaim, //
};
use crate::ffi::bindings;
use core::{
    mem::size_of,
    ptr::NonNull, //
};
#[cfg(host)]
use kernel::time::{
    delay::fsleep,
    Delta, //
};
use kernel::{
    error::to_result,
    prelude::*, //
};

/// How long until a packet is tried again that there was no memory for.
#[cfg(host)]
const RETRY: Delta = Delta::from_millis(100);

/// A kernel socket, created as an MPTCP one or accepted from an MPTCP listener.
///
/// # Invariants
///
/// `sock` is a live socket with a `struct sock`, owned by this object and released by its drop. The
/// `sock` holds a reference on its network namespace.
pub(crate) struct Socket {
    sock: NonNull<bindings::socket>,
}

// SAFETY: Socket operations lock the socket themselves and may be called from any thread.
unsafe impl Send for Socket {}
// SAFETY: As above.
unsafe impl Sync for Socket {}

impl Socket {
    /// Creates an MPTCP socket for addresses of the family of `address` in `net`.
    ///
    /// That of a host is set up for storage traffic: it may use memory reserves and never waits for
    /// reclaim. May sleep.
    pub(crate) fn new(net: &NetNamespace, address: &Address) -> Result<Self> {
        let mut raw = core::ptr::null_mut();
        // SAFETY: The namespace is alive, and `raw` is a valid place for the result.
        to_result(unsafe {
            bindings::sock_create_kern(
                net.as_ptr(),
                address.family(),
                bindings::sock_type_SOCK_STREAM as c_int,
                bindings::IPPROTO_MPTCP as c_int,
                &mut raw,
            )
        })?;
        let sock = NonNull::new(raw).ok_or(EINVAL)?;
        // SAFETY: The socket is new, so nothing else uses it; a socket of sock_create_kern() has no
        // reference on its namespace, and gets one here, because TCP state may outlive the socket.
        unsafe { bindings::sk_net_refcnt_upgrade((*sock.as_ptr()).sk.cast()) };
        // SAFETY: The socket is live, and its lock is not used yet.
        unsafe { bindings::ffi_sock_reclassify(sock.as_ptr()) };
        #[cfg(host)]
        // SAFETY: The socket is live.
        unsafe {
            bindings::ffi_sock_storage_prepare(sock.as_ptr())
        };
        // INVARIANT: Created above.
        Ok(Self { sock })
    }

    /// The raw socket, valid as long as `self`.
    pub(crate) fn as_ptr(&self) -> *mut bindings::socket {
        self.sock.as_ptr()
    }

    /// The raw `struct sock`, valid as long as `self`.
    pub(super) fn sk(&self) -> *mut bindings::sock {
        // SAFETY: The socket is live by the type invariant.
        unsafe { (*self.as_ptr()).sk.cast() }
    }

    /// Binds to a local address. May sleep.
    pub(crate) fn bind(&self, address: &Address) -> Result {
        let mut copy = address.0;
        // SAFETY: The socket is live, the address is valid and has the length given.
        to_result(unsafe {
            bindings::kernel_bind(
                self.as_ptr(),
                (&raw mut copy).cast(),
                size_of::<bindings::__kernel_sockaddr_storage>() as c_int,
            )
        })
    }

    /// Connects, and waits for it as long as the send timeout says.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT` when nobody answered, else what the network says, such as `ECONNREFUSED`.
    #[cfg(host)]
    pub(crate) fn connect(&self, address: &Address) -> Result {
        let mut copy = address.0;
        // SAFETY: The socket is live, the address is valid and has the length given.
        let ret = to_result(unsafe {
            bindings::kernel_connect(
                self.as_ptr(),
                (&raw mut copy).cast(),
                size_of::<bindings::__kernel_sockaddr_storage>() as c_int,
                0,
            )
        });
        match ret {
            // A blocking connect whose time is up says that it goes on.
            Err(e) if e == errno::in_progress() => return Err(ETIMEDOUT),
            other => other?,
        }
        self.prepare_subflows();
        Ok(())
    }

    /// Sets up for storage traffic the subflows that are not yet: the socket's own set-up does not
    /// reach them. Of a socket made by [`new`](Self::new). Sleeps for the socket lock.
    #[cfg(host)]
    pub(crate) fn prepare_subflows(&self) {
        // SAFETY: The socket is live, an MPTCP one because it was created as such, and we do not
        // hold its lock.
        unsafe { bindings::ffi_sock_storage_subflows(self.as_ptr()) };
    }

    /// Starts listening. MPTCP listeners accept plain TCP peers too.
    #[cfg(target)]
    pub(crate) fn listen(&self, backlog: c_int) -> Result {
        // SAFETY: The socket is live.
        to_result(unsafe { bindings::kernel_listen(self.as_ptr(), backlog) })
    }

    /// Takes the next connection of a listener, or `None` when nobody waits. May sleep, does not
    /// wait.
    ///
    /// The accepted socket is an MPTCP one, or a TCP one if that is what the peer speaks.
    #[cfg(target)]
    pub(crate) fn accept(&self) -> Result<Option<Self>> {
        let mut raw = core::ptr::null_mut();
        // SAFETY: The listener is live, and `raw` is a valid place for the result.
        let ret = to_result(unsafe {
            bindings::kernel_accept(self.as_ptr(), &mut raw, bindings::O_NONBLOCK as c_int)
        });
        match ret {
            Err(e) if e == EAGAIN => return Ok(None),
            other => other?,
        }
        let sock = NonNull::new(raw).ok_or(EINVAL)?;
        // INVARIANT: kernel_accept() hands the new socket to its caller. It inherits the listener's
        // reference counting of the namespace.
        Ok(Some(Self { sock }))
    }

    /// The local address. May sleep.
    pub(crate) fn local_address(&self) -> Result<Address> {
        let mut address = Address::unspecified();
        let _scope = NoReclaim::enter();
        // SAFETY: The socket is live, and the address has room for every kind of socket address.
        let len =
            unsafe { bindings::kernel_getsockname(self.as_ptr(), (&raw mut address.0).cast()) };
        to_result(len)?;
        Ok(address)
    }

    /// The peer's address. May sleep.
    #[cfg(target)]
    pub(crate) fn peer_address(&self) -> Result<Address> {
        let mut address = Address::unspecified();
        // SAFETY: As in `local_address()`.
        let len =
            unsafe { bindings::kernel_getpeername(self.as_ptr(), (&raw mut address.0).cast()) };
        to_result(len)?;
        Ok(address)
    }

    /// Ends the connection in both directions; its callbacks see the change of state. May sleep.
    #[cfg(host)]
    pub(crate) fn shutdown(&self) {
        let _scope = NoReclaim::enter();
        // The only failure is a connection that is gone already.
        // SAFETY: The socket is live.
        let _ = unsafe {
            bindings::kernel_sock_shutdown(self.as_ptr(), bindings::sock_shutdown_cmd_SHUT_RDWR)
        };
    }

    /// The state of the connection. Any context.
    pub(crate) fn state(&self) -> ConnectionState {
        // SAFETY: The socket is live.
        ConnectionState::from_raw(unsafe { bindings::ffi_sk_state(self.sk()) })
    }

    /// How far the connection has come, unless it is plain TCP. Any context.
    pub(crate) fn progress(&self) -> Option<Progress> {
        // SAFETY: The socket is live.
        if !unsafe { bindings::ffi_sock_is_mptcp(self.as_ptr()) } {
            return None;
        }
        // SAFETY: As above, and it is an MPTCP one.
        unsafe {
            Some(Progress {
                acked: bindings::ffi_mptcp_acked(self.sk()),
                written: bindings::ffi_mptcp_written(self.sk()),
            })
        }
    }

    /// Whether MPTCP had no memory for a packet when nothing else was in flight. It does not try
    /// again by itself then (7.3). Sleeps for the socket lock, if it looks like that.
    pub(crate) fn is_stuck(&self) -> bool {
        // SAFETY: The socket is live, and we do not hold its lock.
        unsafe { bindings::ffi_mptcp_is_stuck(self.sk()) }
    }

    /// Waits for memory for a while, and has MPTCP try again, when [`is_stuck`](Self::is_stuck). Sleeps.
    #[cfg(host)]
    pub(crate) fn retry(&self) {
        fsleep(RETRY);
        // SAFETY: The socket is live, and we do not hold its lock.
        unsafe { bindings::ffi_mptcp_push(self.sk()) };
    }

    /// The subflows that MPTCP sends on, backups only if there are no others; of an MPTCP connection. Sleeps for the socket lock.
    pub(crate) fn subflows<'a>(&self, subflows: &'a mut [Subflow; SUBFLOWS]) -> &'a [Subflow] {
        let mut raw: [bindings::ffi_subflow; SUBFLOWS] = pin_init::zeroed();
        // SAFETY: The socket is live, we do not hold its lock, and there is room for so many.
        let number = unsafe {
            bindings::ffi_mptcp_subflows(self.sk(), raw.as_mut_ptr(), SUBFLOWS as c_uint)
        };
        for (subflow, raw) in subflows.iter_mut().zip(&raw) {
            *subflow = Subflow {
                unsent: raw.unsent,
                rate: raw.rate,
                min_rtt: raw.min_rtt,
            };
        }
        subflows.get(..number as usize).unwrap_or_default()
    }

    /// Has the socket tell of room (`SocketEvents::write_space`), until
    /// [`have_room`](Self::have_room). Any context.
    pub(crate) fn want_room(&self) {
        // SAFETY: The socket is live; this sets an atomic flag.
        unsafe { bindings::ffi_sock_set_nospace(self.as_ptr()) };
    }

    /// The socket need not tell of room. Any context.
    pub(crate) fn have_room(&self) {
        // SAFETY: The socket is live; this clears an atomic flag.
        unsafe { bindings::ffi_sock_clear_nospace(self.as_ptr()) };
    }

    /// Whether there is room to send. Any context.
    pub(crate) fn is_writeable(&self) -> bool {
        // SAFETY: The socket is live.
        unsafe { bindings::ffi_sk_stream_is_writeable(self.sk()) }
    }

    /// Sends a vector without waiting, in one go.
    ///
    /// `more` says that more follows at once, so that the last segment may wait to be filled.
    /// Returns how many bytes were taken, 0 if there is no room. The data is copied: nothing of it
    /// is used after the return. May sleep for the socket lock.
    pub(crate) fn send(&self, vector: &mut Vector, more: bool) -> Result<usize> {
        let flags = bindings::MSG_DONTWAIT
            | bindings::MSG_NOSIGNAL
            | if more {
                bindings::MSG_MORE
            } else {
                bindings::MSG_EOR
            };
        let (bvecs, segments, bytes) = vector.as_raw();
        // SAFETY: The socket is live, and the vector holds `segments` valid segments of `bytes`
        // bytes in all.
        let ret = unsafe {
            bindings::ffi_sock_send_bvec(self.as_ptr(), bvecs, segments, bytes, flags as c_int)
        };
        match to_result(ret) {
            Ok(()) => Ok(usize::try_from(ret)?),
            Err(e) if e == EAGAIN => Ok(0),
            Err(e) => Err(e),
        }
    }

    /// Whether the connection uses MPTCP, and has not fallen back to plain TCP (RFC 8684, 3.7).
    /// Sleeps for the socket lock.
    pub(crate) fn speaks_mptcp(&self) -> bool {
        // SAFETY: The socket is live.
        if !unsafe { bindings::ffi_sock_is_mptcp(self.as_ptr()) } {
            return false;
        }
        let mut info: bindings::mptcp_info = pin_init::zeroed();
        // SAFETY: The `sock` is an MPTCP one, thus the first member of a `struct mptcp_sock`.
        unsafe { bindings::mptcp_diag_fill_info(self.sk().cast(), &mut info) };
        info.mptcpi_flags & bindings::MPTCP_INFO_FLAG_FALLBACK == 0
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Closing may allocate, and reclaim could wait for the very device that is being torn down.
        let _scope = NoReclaim::enter();
        // SAFETY: The socket is live and owned by this object, whose last use this is.
        unsafe { bindings::sock_release(self.as_ptr()) };
    }
}
