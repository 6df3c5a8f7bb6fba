// SPDX-License-Identifier: GPL-2.0

//! The list of all connections of the transport, from their start to their release.

use crate::{
    net::address::Address,
    nvmet::engine::{
        ControllerId,
        Stop,
        SubmissionQueueId, //
    },
    queue::Queue,
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
};

/// All connections of the transport that are not released yet.
#[pin_data]
pub(crate) struct Queues {
    #[pin]
    list: Mutex<KVVec<Arc<Queue>>>,
}

impl Queues {
    /// None yet.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                list <- new_mutex!(KVVec::new()),
            }),
            GFP_KERNEL,
        )
    }

    /// Adds one that starts. May sleep.
    pub(crate) fn add(&self, queue: Arc<Queue>) -> Result {
        Ok(self.list.lock().push(queue, GFP_KERNEL)?)
    }

    /// Forgets one that is released. May sleep.
    pub(crate) fn remove(&self, queue: &Arc<Queue>) {
        self.list.lock().retain(|other| !Arc::ptr_eq(other, queue));
    }

    /// Ends all connections that `condition` is true for. May sleep.
    pub(crate) fn end_where(&self, by: Stop, condition: impl Fn(&Queue) -> bool) {
        for queue in self.list.lock().iter() {
            if condition(queue) {
                queue.end(by);
            }
        }
    }

    /// The queue that nvmet is just connecting, unless it is another transport's, or the admin queue of
    /// its controller has been ended: who ends that ends the others as well, and may have been here
    /// before this one had a controller.
    pub(crate) fn connecting(&self, queue: SubmissionQueueId) -> Option<Arc<Queue>> {
        let list = self.list.lock();
        let queue = list
            .iter()
            .find(|q| q.engine.submission_queue() == Some(queue))?;
        let is_admin =
            |q: &Arc<Queue>| q.is_admin() || Arc::ptr_eq(q, queue) && queue.engine.is_admin();
        list.iter()
            .any(|q| is_admin(q) && q.controller() == queue.controller() && !q.engine.is_released())
            .then(|| queue.clone())
    }

    /// Number of controllers whose admin queue is being released, or about to be.
    pub(crate) fn controllers_ending(&self) -> usize {
        self.list
            .lock()
            .iter()
            .filter(|q| q.engine.is_released() && q.is_admin() && q.controller().is_some())
            .count()
    }

    /// The address of the host of a controller.
    pub(crate) fn host_of(&self, controller: ControllerId) -> Option<Address> {
        self.list
            .lock()
            .iter()
            .find(|q| q.is_admin() && q.controller() == Some(controller))
            .map(|q| q.peer())
    }
}
