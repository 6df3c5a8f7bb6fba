// SPDX-License-Identifier: GPL-2.0

//! Requests, as far as the PDU engine of the host has to do with them: from their first allocation
//! to their completion.

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
    net::gather::Vector,
};
use core::ptr::NonNull;
use kernel::{
    error::to_result,
    prelude::*, //
};

/// What is described of a PDU in a vector.
pub(crate) struct Described {
    /// Bytes described now.
    pub(crate) bytes: u32,
    /// Bytes of the PDU that did not fit.
    pub(crate) left: u32,
    /// Another PDU of the same request follows this one.
    pub(crate) more: bool,
}

/// A request in the hands of the sender.
///
/// It must not be used any more once all of it has been sent.
#[derive(Clone, Copy)]
pub(crate) struct SendRequest(NonNull<bindings::nvme_tcp_request>);

// SAFETY: See `Engine`.
unsafe impl Send for SendRequest {}

impl SendRequest {
    /// One that the engine has just taken from a send list.
    pub(super) fn new(req: NonNull<bindings::nvme_tcp_request>) -> Self {
        Self(req)
    }

    pub(super) fn as_ptr(self) -> *mut bindings::nvme_tcp_request {
        self.0.as_ptr()
    }

    /// Appends the unsent rest of the request's current PDU to `vector`, as far as it fits.
    ///
    /// # Errors
    ///
    /// `EPROTO` when the peer has asked for data that the request does not have.
    pub(crate) fn describe(self, vector: &mut Vector) -> Result<Described> {
        let mut pdu: bindings::host_engine_pdu = pin_init::zeroed();
        let room = vector.room();
        // SAFETY: The request has been popped and is not described yet, so no answer to it is taken before
        // the engine marks it as out, with which its use ends; who cancels requests stops the sender first.
        // `room` is valid.
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

    /// The same as [`fail`](Self::fail) for a request just popped from a queue and not described since,
    /// unless somebody has cancelled it. Needs no connection.
    pub(crate) fn refuse(self) {
        // SAFETY: The memory of the request lives as long as the tag set, thus as the queue's work. It is
        // not out, so nobody can have answered it; the engine looks whether it has been cancelled.
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
