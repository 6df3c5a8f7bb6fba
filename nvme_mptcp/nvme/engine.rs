// SPDX-License-Identifier: GPL-2.0

//! The PDU engine of the host (`ffi/host_engine.h`): the wire format, done by the running kernel's
//! own `nvme/host/tcp.c`.
//!
//! # Ownership
//!
//! The `nvme_ctrl` is embedded in the engine's controller, on which the Rust controller and each of
//! its queues have a handle. The Rust controller is owned by the reference count of that very
//! `nvme_ctrl`: with the last reference it is dropped, with its queues, and the engine with them.
//! Queues and requests of the engine are opaque here.

use super::{
    ctrl::NvmeCtrl,
    request::SendRequest, //
};
use crate::{
    block::Request,
    ffi::bindings,
    net::mptcp::Socket, //
};
use core::{
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::Arc, //
};

/// Registers the engine's workqueue as long as it exists.
pub(crate) struct EngineModule(());

impl EngineModule {
    /// Sets the engine up. Once per module. Sleeps.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Called once, at module initialisation.
        to_result(unsafe { bindings::host_engine_init() })?;
        Ok(Self(()))
    }
}

impl Drop for EngineModule {
    fn drop(&mut self) {
        // SAFETY: All controllers are gone by now, and with them all work.
        unsafe { bindings::host_engine_exit() };
    }
}

/// The engine's controller.
///
/// # Invariants
///
/// `0` is what `host_engine_alloc()` returned, and not freed.
struct Inner(NonNull<bindings::nvme_ctrl>);

// SAFETY: The engine's functions and the nvme core do their own locking where they say so.
unsafe impl Send for Inner {}
// SAFETY: As above.
unsafe impl Sync for Inner {}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; nobody has a handle on it any more.
        unsafe { bindings::host_engine_free(self.0.as_ptr()) };
    }
}

/// A handle on the engine's controller, and so on the `nvme_ctrl` in it.
pub(crate) struct Engine(Arc<Inner>);

impl Engine {
    /// Allocates an engine for a controller with these options, which must outlive it.
    pub(super) fn new(opts: NonNull<bindings::nvmf_ctrl_options>) -> Result<Self> {
        // SAFETY: The options are valid, as the caller got them from fabrics.
        let ctrl = unsafe { bindings::host_engine_alloc(opts.as_ptr()) };
        // INVARIANT: Just allocated.
        let inner = Inner(NonNull::new(ctrl).ok_or(ENOMEM)?);
        Ok(Self(Arc::new(inner, GFP_KERNEL)?))
    }

    /// A handle on the queue `qid`, if there are that many.
    pub(crate) fn queue(&self, qid: u16) -> Option<EngineQueue> {
        if u32::from(qid) >= self.queue_count() {
            return None;
        }
        // SAFETY: The engine is live, and has `queue_count` queues from the beginning.
        let queue = unsafe { bindings::host_engine_queue(self.as_ptr(), u32::from(qid)) };
        // INVARIANT: Part of the engine, on which a handle is kept.
        Some(EngineQueue {
            queue: NonNull::new(queue)?,
            engine: Engine(self.0.clone()),
        })
    }
}

impl Deref for Engine {
    type Target = NvmeCtrl;

    fn deref(&self) -> &NvmeCtrl {
        // SAFETY: By the type invariant of `Inner`.
        unsafe { NvmeCtrl::from_raw(self.0 .0.as_ptr()) }
    }
}

/// A handle on the engine's side of a queue.
///
/// # Invariants
///
/// `queue` is a queue of `engine`.
pub(crate) struct EngineQueue {
    queue: NonNull<bindings::nvme_tcp_queue>,
    engine: Engine,
}

// SAFETY: See `Inner`.
unsafe impl Send for EngineQueue {}
// SAFETY: See `Inner`.
unsafe impl Sync for EngineQueue {}

/// The receive side of a queue that is connected.
///
/// # Invariants
///
/// The engine's queue is initialised and uses `socket`, both until this is dropped.
pub(crate) struct Receiver {
    queue: EngineQueue,
    socket: Arc<Socket>,
}

impl Receiver {
    /// The connection.
    pub(crate) fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    /// Lets the receive state machine run, from its beginning.
    pub(crate) fn start(&mut self) {
        // SAFETY: The queue is live.
        unsafe { bindings::host_engine_queue_start(self.queue.as_ptr()) };
    }

    /// Takes in what the socket has. Returns the bytes taken and the number of requests completed.
    /// Sleeps for the socket lock only.
    ///
    /// # Errors
    ///
    /// When the connection cannot be used any more; error recovery has then been started.
    pub(crate) fn receive(&mut self) -> Result<(usize, u32)> {
        let mut completed = 0;
        // SAFETY: The queue is live and has a socket by the type invariant; `&mut self` makes us
        // the only one who receives.
        let ret = unsafe { bindings::host_engine_recv(self.queue.as_ptr(), &mut completed) };
        to_result(ret)?;
        Ok((usize::try_from(ret)?, completed))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // SAFETY: The queue is live. It is not used any more, as its work has been stopped, if it
        // ever ran, before the receiver could be dropped.
        unsafe { bindings::host_engine_queue_free(self.queue.as_ptr()) };
    }
}

impl EngineQueue {
    fn as_ptr(&self) -> *mut bindings::nvme_tcp_queue {
        self.queue.as_ptr()
    }

    /// The controller.
    pub(crate) fn ctrl(&self) -> &NvmeCtrl {
        &self.engine
    }

    fn handle(&self) -> Self {
        // INVARIANT: A copy of ours.
        Self {
            queue: self.queue,
            engine: Engine(self.engine.0.clone()),
        }
    }

    /// Prepares the queue for a new connection, with sizes and digests by the options, and shakes
    /// hands (ICReq, ICResp) on the connected `socket`. Sleeps. The queue must not be connected.
    pub(crate) fn connect(&self, socket: Arc<Socket>) -> Result<Receiver> {
        // SAFETY: The queue is live.
        to_result(unsafe { bindings::host_engine_queue_init(self.as_ptr()) })?;
        // INVARIANT: Just initialised; the engine starts to use the socket below.
        let receiver = Receiver {
            queue: self.handle(),
            socket,
        };
        // SAFETY: Queue and socket are live, and the socket stays as long as the receiver.
        to_result(unsafe {
            bindings::host_engine_queue_connect(self.as_ptr(), receiver.socket.as_ptr())
        })?;
        Ok(receiver)
    }

    /// Picks the least loaded of the CPUs that the queue is mapped to.
    pub(crate) fn assign_cpu(&self) {
        // SAFETY: The queue is live, and its tag set is mapped.
        unsafe { bindings::host_engine_queue_assign_cpu(self.as_ptr()) };
    }

    /// Undoes `assign_cpu()`, if it has been done.
    pub(crate) fn release_cpu(&self) {
        // SAFETY: The queue is live.
        unsafe { bindings::host_engine_queue_release_cpu(self.as_ptr()) };
    }

    /// Its number, 0 for the admin queue.
    pub(crate) fn id(&self) -> u16 {
        // SAFETY: The queue is live.
        unsafe { bindings::host_engine_queue_id(self.as_ptr()) as u16 }
    }

    /// The CPU that the queue's work runs on, -1 if on any. Any context.
    pub(crate) fn cpu(&self) -> c_int {
        // SAFETY: The queue is live.
        let cpu = unsafe { bindings::host_engine_queue_cpu(self.as_ptr()) };
        if cpu == bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int {
            -1
        } else {
            cpu
        }
    }

    /// Whether the queue's work runs on this CPU. Any context.
    pub(crate) fn runs_on(&self, cpu: u32) -> bool {
        // SAFETY: The queue is live.
        u32::try_from(unsafe { bindings::host_engine_queue_cpu(self.as_ptr()) }) == Ok(cpu)
    }

    /// Has the queue's work run. Any context.
    pub(crate) fn kick(&self) {
        // SAFETY: The queue is live.
        unsafe { bindings::host_engine_queue_kick(self.as_ptr()) };
    }

    /// Calls the queue's work off and waits for it. Sleeps.
    pub(crate) fn stop_work(&self) {
        // SAFETY: The queue is live.
        unsafe { bindings::host_engine_queue_stop_work(self.as_ptr()) };
    }

    /// Stops the receive state machine, for good on this connection. Any context.
    pub(crate) fn stop_receiving(&self) {
        // SAFETY: The queue is live.
        unsafe { bindings::host_engine_queue_stop_receiving(self.as_ptr()) };
    }

    /// Whether the receive state machine runs. Any context.
    pub(crate) fn receives(&self) -> bool {
        // SAFETY: The queue is live.
        unsafe { bindings::host_engine_recv_enabled(self.as_ptr()) }
    }

    /// Puts a started request on the send list; true if nothing else came in meanwhile. Atomic.
    ///
    /// The request is the sender's from here on, and may be completed at any time.
    pub(crate) fn push(&self, rq: Request<'_>) -> bool {
        // SAFETY: Queue and request are live, and the request belongs to this queue.
        unsafe { bindings::host_engine_push(self.as_ptr(), rq.as_ptr()) }
    }

    /// Whether there is something to send. Any context.
    pub(crate) fn pending(&self) -> bool {
        // SAFETY: The queue is live.
        unsafe { bindings::host_engine_pending(self.as_ptr()) }
    }

    /// Takes the first request off the send list. For the holder of the send lock.
    pub(crate) fn pop(&self) -> Option<SendRequest> {
        // SAFETY: The queue is live, and the caller is the only sender.
        NonNull::new(unsafe { bindings::host_engine_pop(self.as_ptr()) }).map(SendRequest::new)
    }

    /// Forgets what is on the send list: whoever has started those requests, or finds them too slow,
    /// completes them. For the holder of the send lock, when the queue's work is stopped.
    pub(crate) fn forget(&self) {
        // SAFETY: The queue is live, and the caller is the only sender.
        unsafe { bindings::host_engine_forget(self.as_ptr()) };
    }

    /// Puts a request of whose current PDU `bytes` more are out back to the head of the send list.
    /// For the holder of the send lock, while the queue has a connection.
    ///
    /// # Errors
    ///
    /// `EPROTO` when the peer has answered meanwhile, before it could know all of the PDU. The request
    /// is not the sender's any more then, and the connection must not be used.
    pub(crate) fn put_back(&self, req: SendRequest, bytes: u32) -> Result {
        // SAFETY: Queue and socket are live, and the request was popped from the queue.
        to_result(unsafe { bindings::host_engine_put_back(self.as_ptr(), req.as_ptr(), bytes) })
    }

    /// The current PDU is out: builds the request's next one and queues it behind the others.
    ///
    /// # Errors
    ///
    /// As [`put_back`](Self::put_back).
    pub(crate) fn requeue_next_pdu(&self, req: SendRequest) -> Result {
        // SAFETY: Queue and socket are live, and so is the memory of the request; the engine sees
        // whether it has been completed by an answer that cannot be.
        to_result(unsafe { bindings::host_engine_next_pdu(self.as_ptr(), req.as_ptr()) })
    }
}
