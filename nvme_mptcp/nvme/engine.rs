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
    ops::Controller, //
};
use crate::{
    block::{
        BlkStatus,
        HwQueue,
        Operations,
        Request,
        TagSet, //
    },
    ffi::bindings,
    net::{
        gather::Vector,
        mptcp::Socket, //
    },
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

/// What is described of a PDU in a vector.
pub(crate) struct Described {
    /// Bytes described now.
    pub(crate) bytes: u32,
    /// Bytes of the PDU that did not fit.
    pub(crate) left: u32,
    /// Another PDU of the same request follows this one.
    pub(crate) more: bool,
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
        NonNull::new(unsafe { bindings::host_engine_pop(self.as_ptr()) }).map(SendRequest)
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
        to_result(unsafe { bindings::host_engine_put_back(self.as_ptr(), req.0.as_ptr(), bytes) })
    }

    /// The current PDU is out: builds the request's next one and queues it behind the others.
    ///
    /// # Errors
    ///
    /// As [`put_back`](Self::put_back).
    pub(crate) fn requeue_next_pdu(&self, req: SendRequest) -> Result {
        // SAFETY: Queue and socket are live, and so is the memory of the request; the engine sees
        // whether it has been completed by an answer that cannot be.
        to_result(unsafe { bindings::host_engine_next_pdu(self.as_ptr(), req.0.as_ptr()) })
    }
}

/// A request in the hands of the sender.
///
/// It must not be used any more once all of it has been sent.
#[derive(Clone, Copy)]
pub(crate) struct SendRequest(NonNull<bindings::nvme_tcp_request>);

// SAFETY: See `Engine`.
unsafe impl Send for SendRequest {}

impl SendRequest {
    /// Appends the unsent rest of the request's current PDU to `vector`, as far as it fits.
    ///
    /// # Errors
    ///
    /// `EPROTO` when the peer has asked for data that the request does not have.
    pub(crate) fn describe(self, vector: &mut Vector) -> Result<Described> {
        let mut pdu: bindings::host_engine_pdu = pin_init::zeroed();
        let room = vector.room();
        // SAFETY: The request is live until it is sent completely, and `room` is valid.
        to_result(unsafe {
            bindings::host_engine_describe(
                self.0.as_ptr(),
                room.segments,
                room.max_segments,
                room.max_bytes,
                &mut pdu,
            )
        })?;
        // SAFETY: The engine has just written these. What they point to is memory with a reference
        // of its own (pages of the request, the command's PDU) as long as the tag set: until the
        // vector is cleared, which the sender does before it lets go of its lock. With a target that
        // keeps to the protocol the request is not completed before all of it has been sent. One
        // that answers early gets what its pages hold then, as with nvme-tcp (security.rst).
        unsafe { vector.commit(pdu.segments, pdu.bytes) };
        Ok(Described {
            bytes: pdu.bytes,
            left: pdu.left,
            more: pdu.more,
        })
    }

    /// The same as [`fail`](Self::fail) for a request just popped from a queue without a connection,
    /// unless somebody has cancelled it.
    pub(crate) fn refuse(self) {
        // SAFETY: The memory of the request lives as long as the tag set, thus as the queue's work. It
        // was pushed after the queue was closed, so nobody can have answered it; the engine looks
        // whether it has been cancelled.
        unsafe { bindings::host_engine_refuse(self.0.as_ptr()) };
    }

    /// Completes a request that cannot be sent with a host path error. Sleeps for the socket lock.
    pub(crate) fn fail(self) {
        // SAFETY: The memory of the request is live, and so is the socket, as there is a sender.
        unsafe { bindings::host_engine_fail(self.0.as_ptr()) };
    }
}

/// Private data of a request, set up and undone.
pub(crate) fn init_request(set: &TagSet, rq: &Request<'_>, index: c_uint) -> Result {
    // SAFETY: blk-mq's adapter hands over a live tag set and one of its unused requests.
    to_result(unsafe { bindings::host_engine_init_request(set.as_ptr(), rq.as_ptr(), index, -1) })
}

/// Undoes [`init_request`].
pub(crate) fn exit_request(set: &TagSet, rq: &Request<'_>, index: c_uint) {
    // SAFETY: As in `init_request()`.
    unsafe { bindings::host_engine_exit_request(set.as_ptr(), rq.as_ptr(), index) };
}

/// Whether the request may be sent now: the controller's state, and whether the queue is `live`.
pub(crate) fn check_ready(ctrl: &NvmeCtrl, rq: &Request<'_>, live: bool) -> bool {
    // SAFETY: Controller and request are live.
    unsafe { bindings::ffi_nvme_check_ready(ctrl.as_ptr(), rq.as_ptr(), live) }
}

/// Fails, or has requeued, a request that may not be sent now.
pub(crate) fn fail_nonready(ctrl: &NvmeCtrl, rq: Request<'_>) -> BlkStatus {
    // SAFETY: Controller and request are live, and the request is the driver's.
    BlkStatus(unsafe { bindings::nvme_fail_nonready_command(ctrl.as_ptr(), rq.as_ptr()) })
}

/// Builds the command PDU of a request and starts the request.
pub(crate) fn setup<T: Operations>(hctx: &HwQueue<'_, T>, rq: &Request<'_>) -> BlkStatus {
    // SAFETY: The request is live and the driver's. The owner of its request queue is an nvme
    // namespace, or null for an admin queue.
    let status = BlkStatus(unsafe {
        bindings::host_engine_setup_request(hctx.queue_data().cast(), rq.as_ptr())
    });
    if status == BlkStatus::OK {
        // SAFETY: As above.
        unsafe { bindings::ffi_nvme_start_request(rq.as_ptr()) };
    }
    status
}

/// Completes a request as the nvme core does: ends, retries or fails over.
pub(crate) fn complete(rq: Request<'_>) {
    // SAFETY: The request is live, and blk-mq has it completed.
    unsafe { bindings::nvme_complete_rq(rq.as_ptr()) };
}

/// Logs which command has timed out.
pub(crate) fn log_timeout(rq: &Request<'_>) {
    // SAFETY: The request is live and has a command PDU.
    unsafe { bindings::host_engine_log_timeout(rq.as_ptr()) };
}

/// Completes a request that has timed out, if it is not completed already.
pub(crate) fn complete_timed_out(rq: Request<'_>) {
    // SAFETY: The request is live; blk-mq holds a reference for the timeout handler.
    unsafe { bindings::ffi_nvmf_complete_timed_out_request(rq.as_ptr()) };
}

/// The controller that the request belongs to.
pub(crate) fn request_owner<'a, T: Controller>(rq: &Request<'a>) -> &'a T {
    // SAFETY: The request is live and initialised, and its tag set does not outlive its
    // controller, which is a `T` as all of this module's are.
    unsafe { NvmeCtrl::owner(bindings::host_engine_request_ctrl(rq.as_ptr())) }
}

/// The number of the queue that the request belongs to.
pub(crate) fn request_qid(rq: &Request<'_>) -> usize {
    // SAFETY: The request is live and initialised.
    unsafe { bindings::host_engine_request_qid(rq.as_ptr()) as usize }
}
