// SPDX-License-Identifier: GPL-2.0

//! Request dispatch: the blk-mq operations of the admin and of the I/O tag set.

use super::{
    controller::MptcpCtrl,
    queue::{
        self,
        Queue, //
    },
};
use crate::{
    block::{
        BlkStatus,
        HwQueue,
        Operations,
        Request,
        TagSet,
        Timeout, //
    },
    nvme::{
        ctrl::{
            Cause,
            State, //
        },
        request, //
    },
};
use kernel::prelude::*;

/// Operations of the I/O queues.
pub(crate) struct Io;

/// Operations of the admin queue.
pub(crate) struct Admin;

fn queue_rq<T: Operations<Queue = Queue>>(
    hctx: &HwQueue<'_, T>,
    rq: Request<'_>,
    last: bool,
) -> BlkStatus {
    let queue = hctx.queue();

    if !request::check_ready(queue.ctrl(), &rq, queue.is_live()) {
        let status = request::fail_nonready(queue.ctrl(), rq);
        // If it counts as done, blk-mq does not commit those that came before it.
        if last {
            queue.commit();
        }
        return status;
    }
    let status = request::setup(hctx, &rq);
    if status == BlkStatus::OK {
        queue.submit(rq, last);
    }
    status
}

fn timeout(rq: Request<'_>) -> Timeout {
    let ctrl = request::request_owner::<MptcpCtrl>(&rq);
    request::log_timeout(&rq);

    if ctrl.state() != State::Live {
        // Tear-down or set-up may be waiting for just this request, so it is completed at once:
        // those that shut the controller down, connect or identify it, and I/O that came in when
        // the queues were unquiesced. All others are cancelled by error recovery anyway.
        if let Some(queue) = ctrl.queue(request::request_qid(&rq)) {
            queue::complete_timed_out(queue, rq);
        }
        // It may have gone live meanwhile, with a queue that is closed now. In any other state nothing comes of this.
        ctrl.error_recovery(Cause::Timeout);
        return Timeout::Done;
    }
    // Error recovery tears the queues down and cancels this request with the others.
    ctrl.error_recovery(Cause::Timeout);
    Timeout::ResetTimer
}

/// The operations that are the same for both tag sets.
macro_rules! common_operations {
    () => {
        type Owner = MptcpCtrl;
        type Queue = Queue;

        fn queue_rq(hctx: HwQueue<'_, Self>, rq: Request<'_>, last: bool) -> BlkStatus {
            queue_rq(&hctx, rq, last)
        }

        fn commit_rqs(queue: &Queue) {
            queue.commit();
        }

        fn complete(rq: Request<'_>) {
            request::complete(rq);
        }

        fn timeout(rq: Request<'_>) -> Timeout {
            timeout(rq)
        }

        fn init_request(set: &TagSet, rq: &Request<'_>, index: c_uint) -> Result {
            request::init_request(set, rq, index)
        }

        fn exit_request(set: &TagSet, rq: &Request<'_>, index: c_uint) {
            request::exit_request(set, rq, index);
        }
    };
}

#[vtable]
impl Operations for Io {
    common_operations!();

    fn queue(ctrl: &MptcpCtrl, index: usize) -> Option<&Queue> {
        ctrl.queue(index.checked_add(1)?).map(|queue| &**queue)
    }

    fn map_queues(ctrl: &MptcpCtrl, set: &TagSet) {
        ctrl.map_queues(set);
    }

    fn poll(queue: &Queue) -> c_int {
        c_int::from(queue.poll())
    }
}

#[vtable]
impl Operations for Admin {
    common_operations!();

    fn queue(ctrl: &MptcpCtrl, _index: usize) -> Option<&Queue> {
        ctrl.queue(0).map(|queue| &**queue)
    }
}
