// SPDX-License-Identifier: GPL-2.0

//! The callbacks of a socket (`sk_data_ready`, `sk_write_space`, `sk_state_change`,
//! `sk_error_report`) as a safe trait.
//!
//! C header: [`include/net/sock.h`](srctree/include/net/sock.h)

use super::mptcp::Socket;
use crate::ffi::bindings;
use core::marker::PhantomData;
use kernel::sync::Arc;

/// The state of a connection, as far as its owner cares.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum ConnectionState {
    /// Data can flow.
    Established,
    /// Waiting for connections.
    Listening,
    /// We have closed it and wait for the peer (`TCP_FIN_WAIT2`, `TCP_LAST_ACK`, `TCP_CLOSING`).
    Finishing,
    /// One side has ended it, or it broke.
    Closed,
    /// None of these, such as connecting.
    Other(u8),
}

impl ConnectionState {
    pub(super) fn from_raw(state: u8) -> Self {
        match u32::from(state) {
            bindings::TCP_ESTABLISHED => Self::Established,
            bindings::TCP_LISTEN => Self::Listening,
            bindings::TCP_FIN_WAIT2 | bindings::TCP_LAST_ACK | bindings::TCP_CLOSING => {
                Self::Finishing
            }
            bindings::TCP_CLOSE | bindings::TCP_CLOSE_WAIT | bindings::TCP_FIN_WAIT1 => {
                Self::Closed
            }
            _ => Self::Other(state),
        }
    }
}

/// What happens on a socket.
///
/// The methods are called in softirq context, or in process context with the socket lock held: they
/// must not sleep and not call into the socket, only set flags and queue work.
pub(crate) trait SocketEvents: Send + Sync + 'static {
    /// Data (or, on a listener, a connection) has arrived.
    fn data_ready(&self, state: ConnectionState);

    /// There is room to send: the peer has acknowledged what is before the position `acked` of the
    /// connection's stream, which is always 0 with plain TCP. Comes for sure only after
    /// [`Socket::want_room`] or a send that did not take all, and then again and again.
    fn write_space(&self, acked: u64);

    /// The connection has changed its state, or reports an error that has closed it; also both.
    fn state_change(&self, state: ConnectionState);
}

/// `SK_USER_DATA_NOCOPY`: a connection that a listener accepts must not inherit a pointer that it
/// owns no reference of.
const NOCOPY: usize = 1;

/// Callbacks that are installed on a socket, until this is dropped.
///
/// # Invariants
///
/// While this exists, `sk_user_data` of the socket's `struct sock` points to `*events`, marked not
/// to be copied to accepted sockets, and its callbacks are those of `Adapter<T>`.
pub(crate) struct Callbacks<T: SocketEvents> {
    socket: Arc<Socket>,
    _events: Arc<T>,
    former: bindings::ffi_sock_callbacks,
}

// SAFETY: The saved callbacks are plain function pointers, and those of a socket whose owner has
// not set `sk_user_data` do not use it; the rest is `Send`.
unsafe impl<T: SocketEvents> Send for Callbacks<T> {}

impl<T: SocketEvents> Callbacks<T> {
    /// Installs `events` on `socket`. Process context, must not hold the socket's callback lock.
    ///
    /// Data that has arrived before is not reported; look for it after this returns.
    pub(crate) fn install(socket: Arc<Socket>, events: Arc<T>) -> Self {
        let mut former = bindings::ffi_sock_callbacks {
            user_data: Arc::as_ptr(&events)
                .map_addr(|a| a | NOCOPY)
                .cast_mut()
                .cast(),
            data_ready: Some(Adapter::<T>::data_ready),
            write_space: Some(Adapter::<T>::write_space),
            state_change: Some(Adapter::<T>::state_change),
            error_report: Some(Adapter::<T>::error_report),
        };
        // SAFETY: The `struct sock` lives as long as `socket`, and these fit together.
        unsafe { bindings::ffi_sock_swap_callbacks(socket.sk(), &mut former) };
        // INVARIANT: Just installed.
        Self {
            socket,
            _events: events,
            former,
        }
    }
}

#[cfg(target)]
impl<T: SocketEvents> Callbacks<T> {
    /// Gives a connection that this listener has accepted the callbacks that the listener had
    /// before.
    ///
    /// A new connection inherits the listener's, though not the events (`SK_USER_DATA_NOCOPY`).
    /// Process context.
    pub(crate) fn disinherit(&self, accepted: &Socket) {
        let mut callbacks = self.former;
        // SAFETY: The `struct sock` lives as long as `accepted`; these are a new socket's own.
        unsafe { bindings::ffi_sock_swap_callbacks(accepted.sk(), &mut callbacks) };
    }
}

impl<T: SocketEvents> Drop for Callbacks<T> {
    fn drop(&mut self) {
        // SAFETY: The `struct sock` lives as long as the socket. After this none of our callbacks
        // runs, and later ones are the former, so `events` is not used any more when it is dropped.
        unsafe { bindings::ffi_sock_swap_callbacks(self.socket.sk(), &mut self.former) };
    }
}

/// The C side of [`Callbacks`].
struct Adapter<T>(PhantomData<T>);

impl<T: SocketEvents> Adapter<T> {
    /// Calls `f` with the events of `sk`, unless they have just been removed.
    ///
    /// # Safety
    ///
    /// `sk` must be a live `struct sock`.
    unsafe fn with(sk: *mut bindings::sock, f: impl FnOnce(&T, ConnectionState)) {
        // SAFETY: `sk` is live. Together with this `data_ready` only `Callbacks::<T>::install()` sets
        // `sk_user_data`. The callback lock is held for reading until the end of this function, and
        // `Callbacks::drop()` takes it for writing, so what is found here stays alive meanwhile.
        unsafe {
            let events = bindings::ffi_sock_read_user_data(sk, Some(Self::data_ready))
                .cast::<T>()
                .map_addr(|a| a & !NOCOPY);
            if let Some(events) = events.as_ref() {
                f(
                    events,
                    ConnectionState::from_raw(bindings::ffi_sk_state(sk)),
                );
            }
            bindings::ffi_sock_callback_read_unlock(sk);
        }
    }

    /// # Safety
    ///
    /// Called by the network stack only; `sk` is live. `Callbacks::<T>::install()` has set it up, or the
    /// listener that it was accepted from, and perhaps others have done so since.
    unsafe extern "C" fn data_ready(sk: *mut bindings::sock) {
        // SAFETY: As this function demands.
        unsafe { Self::with(sk, |events, state| events.data_ready(state)) };
    }

    /// # Safety
    ///
    /// As `data_ready()`.
    unsafe extern "C" fn write_space(sk: *mut bindings::sock) {
        // SAFETY: As this function demands.
        unsafe {
            Self::with(sk, |events, _| {
                if bindings::ffi_sk_stream_is_writeable(sk) {
                    events.write_space(bindings::ffi_mptcp_acked(sk));
                }
            });
        }
    }

    /// # Safety
    ///
    /// As `data_ready()`.
    unsafe extern "C" fn state_change(sk: *mut bindings::sock) {
        // SAFETY: As this function demands.
        unsafe { Self::with(sk, |events, state| events.state_change(state)) };
    }

    /// A connection that has fallen back to TCP and is reset tells in this way only.
    ///
    /// # Safety
    ///
    /// As `data_ready()`.
    unsafe extern "C" fn error_report(sk: *mut bindings::sock) {
        // SAFETY: As this function demands.
        unsafe {
            Self::with(sk, |events, state| {
                if state == ConnectionState::Closed {
                    events.state_change(state);
                }
            });
        }
    }
}
