// SPDX-License-Identifier: GPL-2.0

//! The PDU engine of one connection (`target_engine.h`).

use super::{
    answer::Answer,
    port::PortConfig, //
};
use crate::{
    ffi::bindings,
    net::mptcp::Socket, //
};
use core::{
    marker::PhantomData,
    num::NonZeroU32,
    ptr::NonNull, //
};
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    sync::Arc, //
};

/// The owner of an [`Engine`]: a connection.
pub(crate) trait Connection: Send + Sync + Sized + 'static {
    /// The engine of this connection.
    fn engine(&self) -> &Engine<Self>;

    /// Receives and sends. In process context, never twice at a time, after [`Engine::kick`].
    fn io_work(&self);

    /// Looks whether the host goes on. In process context, after [`Engine::check_in`].
    fn check(&self);

    /// Ends the connection. In process context, once, after [`Engine::release`].
    ///
    /// It must remove the socket's callbacks, and then [`Engine::stop`].
    fn release(this: Arc<Self>);
}

/// Why a connection ends, for tracing.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Stop {
    /// By the host, the network, or an error.
    Closed = bindings::target_stop_TARGET_STOP_CLOSED,
    /// Its controller has been deleted.
    Controller = bindings::target_stop_TARGET_STOP_CONTROLLER,
    /// Its port has been disabled.
    Port = bindings::target_stop_TARGET_STOP_PORT,
    /// The module goes.
    Module = bindings::target_stop_TARGET_STOP_MODULE,
    /// The host has not done what it should have.
    Overdue = bindings::target_stop_TARGET_STOP_OVERDUE,
}

/// Identifies a controller. Only to be compared.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct ControllerId(pub(super) NonNull<bindings::nvmet_ctrl>);

/// Identifies the submission queue that a connection has, or that is one of another transport's. Only
/// to be compared.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct SubmissionQueueId(pub(super) NonNull<bindings::nvmet_sq>);

/// The PDU engine of a connection.
///
/// # Invariants
///
/// `queue` is a live queue of the engine that this object owns. It was allocated for `socket` and
/// with the callbacks of `Adapter<C>`.
pub(crate) struct Engine<C: Connection> {
    queue: NonNull<bindings::nvmet_tcp_queue>,
    _socket: Arc<Socket>,
    _connection: PhantomData<fn(C)>,
}

// SAFETY: The engine's functions may be called from any thread; those that may not be called twice
// at a time belong to the io work, which runs once at a time.
unsafe impl<C: Connection> Send for Engine<C> {}
// SAFETY: As above.
unsafe impl<C: Connection> Sync for Engine<C> {}

impl<C: Connection> Engine<C> {
    /// Prepares to speak NVMe/TCP on a connection that has been accepted on `port`. May sleep.
    pub(crate) fn new(port: &PortConfig, socket: Arc<Socket>) -> Result<Self> {
        // SAFETY: The port is live as long as a connection of it by its invariant, the socket is
        // kept by this object, and both tables of operations are alive while a connection is.
        let queue = from_err_ptr(unsafe {
            bindings::target_engine_alloc(
                port.as_ptr(),
                socket.as_ptr(),
                port.fabrics(),
                &Adapter::<C>::OPS,
            )
        })?;
        // INVARIANT: Just allocated.
        Ok(Self {
            queue: NonNull::new(queue).ok_or(ENOMEM)?,
            _socket: socket,
            _connection: PhantomData,
        })
    }

    fn as_ptr(&self) -> *mut bindings::nvmet_tcp_queue {
        self.queue.as_ptr()
    }

    /// Makes `connection` the owner of its engine, once. Until its [`Connection::release`] it keeps
    /// itself alive.
    pub(crate) fn start(connection: Arc<C>) {
        let queue = connection.engine().as_ptr();
        // SAFETY: The queue is live. It owns a reference from now on, given back by
        // `Adapter::release_work`.
        unsafe {
            bindings::target_engine_start(queue, Arc::into_raw(connection).cast_mut().cast())
        };
    }

    /// Stops all work, and waits for commands that are being executed. May sleep.
    ///
    /// The socket must not have callbacks any more that kick.
    pub(crate) fn stop(&self) {
        // SAFETY: The queue is live.
        unsafe { bindings::target_engine_stop(self.as_ptr()) };
    }

    /// Has the connection released, if that has not been asked for before. Any context.
    pub(crate) fn release(&self) {
        // SAFETY: The queue is live.
        unsafe { bindings::target_engine_release(self.as_ptr()) };
    }

    /// Has the io work run. Any context.
    pub(crate) fn kick(&self) {
        // SAFETY: The queue is live.
        unsafe { bindings::target_engine_kick(self.as_ptr()) };
    }

    /// Has the io work run on this CPU, because data has come in here. Any context that may not
    /// migrate.
    pub(crate) fn data_ready(&self) {
        // SAFETY: The queue is live.
        unsafe { bindings::target_engine_data_ready(self.as_ptr()) };
    }

    /// The number of this connection in messages.
    pub(crate) fn id(&self) -> c_int {
        // SAFETY: The queue is live.
        unsafe { bindings::target_engine_id(self.as_ptr()) }
    }

    /// The controller that this connection is a queue of. Any context.
    pub(crate) fn controller(&self) -> Option<ControllerId> {
        // SAFETY: The queue is live.
        NonNull::new(unsafe { bindings::target_engine_ctrl(self.as_ptr()) }).map(ControllerId)
    }

    /// Its submission queue. Any context.
    pub(crate) fn submission_queue(&self) -> Option<SubmissionQueueId> {
        // SAFETY: The queue is live.
        NonNull::new(unsafe { bindings::target_engine_sq(self.as_ptr()) }).map(SubmissionQueueId)
    }

    /// The number in the subsystem of the controller that it is being connected to. For
    /// [`Transport::install_queue`] only.
    ///
    /// [`Transport::install_queue`]: super::transport::Transport::install_queue
    pub(crate) fn controller_number(&self) -> u16 {
        // SAFETY: The queue is live, and nvmet has a reference on the controller.
        unsafe { bindings::target_engine_cntlid(self.as_ptr()) }
    }

    /// Its number among the queues of its controller. Any context.
    pub(crate) fn qid(&self) -> u16 {
        // SAFETY: The queue is live.
        unsafe { bindings::target_engine_qid(self.as_ptr()) }
    }

    /// The CPU that its work runs on, -1 if on any. Any context.
    pub(crate) fn cpu(&self) -> c_int {
        // SAFETY: The queue is live.
        unsafe { bindings::target_engine_cpu(self.as_ptr()) }
    }

    /// Whether this is an admin queue, or not connected yet. Any context.
    pub(crate) fn is_admin(&self) -> bool {
        // SAFETY: The queue is live.
        unsafe { bindings::target_engine_is_admin(self.as_ptr()) }
    }

    /// Whether [`Engine::release`] has been called. Any context.
    pub(crate) fn is_released(&self) -> bool {
        // SAFETY: The queue is live.
        unsafe { bindings::target_engine_is_released(self.as_ptr()) }
    }

    /// Allocates the commands of a queue that is being connected. For [`Transport::install_queue`]
    /// only. May sleep.
    ///
    /// [`Transport::install_queue`]: super::transport::Transport::install_queue
    pub(crate) fn install(&self) -> Result {
        // SAFETY: The queue is live.
        to_result(unsafe { bindings::target_engine_install(self.as_ptr()) })
    }

    /// Takes at most `budget` PDUs from the socket and executes their commands. For the io work
    /// only.
    ///
    /// Adds the number of steps to `steps`, and returns whether there may be more.
    ///
    /// # Errors
    ///
    /// The connection, or its controller, is being ended.
    pub(crate) fn receive(&self, budget: c_int, steps: &mut c_int) -> Result<bool> {
        // SAFETY: The queue is live, and only its io work receives.
        let ret = unsafe { bindings::target_engine_recv(self.as_ptr(), budget, steps) };
        to_result(ret)?;
        Ok(ret > 0)
    }

    /// Ends the connection, or its controller, because of an error of the socket. For the io work
    /// only.
    pub(crate) fn fail(&self, error: Error) {
        // SAFETY: The queue is live.
        unsafe { bindings::target_engine_fail(self.as_ptr(), error.to_errno()) };
    }

    /// Has what MPTCP had no memory for sent, and then the io work run, after a while. For the io work
    /// only.
    pub(crate) fn retry_later(&self) {
        // SAFETY: The queue is live.
        unsafe { bindings::target_engine_retry(self.as_ptr()) };
    }

    /// Has [`Connection::check`] called after that time, unless it will be anyway. Any context.
    ///
    /// Returns whether that is new.
    pub(crate) fn check_in(&self, seconds: NonZeroU32) -> bool {
        // SAFETY: The queue is live.
        unsafe { bindings::target_engine_check_in(self.as_ptr(), seconds.get()) }
    }

    /// Whether [`Connection::check`], which is just called, will be called again already.
    pub(crate) fn check_is_armed(&self) -> bool {
        // SAFETY: The queue is live.
        unsafe { bindings::target_engine_check_is_armed(self.as_ptr()) }
    }

    /// Takes back [`Engine::check_in`], unless the time has come already. Any context.
    pub(crate) fn check_not(&self) {
        // SAFETY: The queue is live.
        unsafe { bindings::target_engine_check_not(self.as_ptr()) };
    }

    /// Whether it is a queue of the discovery subsystem, which anybody may connect to. For the io work
    /// only.
    pub(crate) fn is_discovery(&self) -> bool {
        // SAFETY: The queue is live, and its io work keeps it from being stopped.
        unsafe { bindings::target_engine_is_discovery(self.as_ptr()) }
    }

    /// Whether its controller has failed (`CSTS.CFS`) and waits for being reset. Before
    /// [`Connection::release`] ends, and not while io work runs.
    pub(crate) fn has_failed(&self) -> bool {
        // SAFETY: The queue is live, and not stopped yet.
        unsafe { bindings::target_engine_has_failed(self.as_ptr()) }
    }

    /// Finds out whether the host still owes data that it was asked for. Until then
    /// [`is_idle()`](Self::is_idle) takes it that it does. Not while io work runs.
    pub(crate) fn settle(&self) {
        // SAFETY: The queue is live.
        unsafe { bindings::target_engine_settle(self.as_ptr()) };
    }

    /// Whether the host owes us nothing: no PDU is half received, no data that it was asked for are
    /// missing, no answer waits to be sent, and the controller has not failed. Before
    /// [`Connection::release`] ends, and not while io work runs.
    pub(crate) fn is_idle(&self) -> bool {
        // SAFETY: The queue is live, and not stopped yet.
        unsafe { bindings::target_engine_is_idle(self.as_ptr()) }
    }

    /// Bytes received so far. Not while io work runs.
    pub(crate) fn received(&self) -> u64 {
        // SAFETY: The queue is live.
        unsafe { bindings::target_engine_received(self.as_ptr()) }
    }

    /// Whether to look for data again though there is none, because the administrator wants
    /// polling.
    pub(crate) fn keep_polling(&self, steps: c_int) -> bool {
        // SAFETY: The queue is live.
        unsafe { bindings::target_engine_keep_polling(self.as_ptr(), steps) }
    }

    /// Whether what the io work did on the socket has brought more to receive since this was last
    /// asked, which is not told in another way. For the io work only.
    pub(crate) fn again(&self) -> bool {
        // SAFETY: The queue is live.
        unsafe { bindings::target_engine_again(self.as_ptr()) }
    }

    /// Whether answers wait to be sent. For the io work only.
    pub(crate) fn has_answers(&self) -> bool {
        // SAFETY: The queue is live.
        unsafe { bindings::target_engine_pending(self.as_ptr()) }
    }

    /// Takes the next answer. For the io work only.
    pub(crate) fn pop(&self) -> Option<Answer> {
        // SAFETY: The queue is live, and only its io work sends.
        NonNull::new(unsafe { bindings::target_engine_pop(self.as_ptr()) }).map(Answer)
    }
}

impl<C: Connection> Drop for Engine<C> {
    fn drop(&mut self) {
        // SAFETY: The queue is live, and this is its last use. An engine that was started is
        // dropped by its connection, that is after its release.
        unsafe { bindings::target_engine_free(self.as_ptr()) };
    }
}

/// The C side of [`Connection`].
struct Adapter<C: Connection>(PhantomData<C>);

impl<C: Connection> Adapter<C> {
    const OPS: bindings::target_engine_ops = bindings::target_engine_ops {
        io_work: Some(Self::io_work),
        check_work: Some(Self::check_work),
        release_work: Some(Self::release_work),
    };

    /// # Safety
    ///
    /// Called by the engine only, with the owner given to `target_engine_start()`, before
    /// `target_engine_stop()` has returned, which the owner calls while it holds a reference on
    /// itself.
    unsafe extern "C" fn io_work(owner: *mut c_void) {
        // SAFETY: The owner is alive as this function demands.
        let connection = unsafe { &*owner.cast::<C>() };
        connection.io_work();
    }

    /// # Safety
    ///
    /// As `io_work()`.
    unsafe extern "C" fn check_work(owner: *mut c_void) {
        // SAFETY: The owner is alive as this function demands.
        let connection = unsafe { &*owner.cast::<C>() };
        connection.check();
    }

    /// # Safety
    ///
    /// Called by the engine only, once, with the owner given to `target_engine_start()`.
    unsafe extern "C" fn release_work(owner: *mut c_void) {
        // SAFETY: The reference is the one that `Engine::start()` gave away.
        let connection = unsafe { Arc::from_raw(owner.cast_const().cast::<C>()) };
        C::release(connection);
    }
}
