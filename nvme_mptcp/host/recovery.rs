// SPDX-License-Identifier: GPL-2.0

//! Error recovery, reconnecting and reset.
//!
//! Error recovery is started once, by whoever changes the state from live to resetting first: the
//! receive or the send path, the socket's state change, or a timeout. It tears down, and hands over
//! to reconnecting, which tries every `reconnect_delay` seconds until `ctrl_loss_tmo` is over.
//!
//! All of it runs in a scope in which allocating does not start I/O: memory may be short because what
//! is to be written waits for just this controller.

use super::controller::MptcpCtrl;
use crate::{
    nvme::{
        ctrl::State,
        ops::Controller, //
    },
    observe::trace,
    work::NoIo,
};
use kernel::prelude::*;

impl MptcpCtrl {
    /// Error recovery: tears everything down, fails or requeues what was in flight.
    pub(crate) fn recover(&self) {
        let _scope = NoIo::enter();
        self.stop_keep_alive();
        self.flush_async_event();
        self.tear_down_io(false);
        // Not before: it waits for the locks of sockets, and until then I/O does for the end of theirs.
        self.stop_watching();
        // What waits is to fail fast, or to wait in the multipath layer, not here.
        self.unquiesce_io_queues();
        self.tear_down_admin(false);
        self.unquiesce_admin_queue();
        self.stop_auth();

        if self.start_connecting() {
            self.reconnect_or_remove(0);
        }
    }

    /// One attempt to reconnect.
    pub(crate) fn reconnect(&self) {
        let _scope = NoIo::enter();
        self.count_reconnect();
        let result = self.set_up(false);
        trace::reconnect(|| {
            let status = result.as_ref().map_or_else(|s| s.raw(), |()| 0);
            (self.instance(), self.nr_reconnects(), status)
        });
        match result {
            Ok(()) => {
                dev_info!(
                    self.device(),
                    "Successfully reconnected (attempt {}/{})\n",
                    self.nr_reconnects(),
                    self.options().max_reconnects()
                );
                self.clear_reconnects();
            }
            Err(status) => {
                dev_info!(
                    self.device(),
                    "Failed reconnect attempt {}/{}\n",
                    self.nr_reconnects(),
                    self.options().max_reconnects()
                );
                self.reconnect_or_remove(status.raw());
            }
        }
    }

    /// A reset that the user or the nvme core has asked for; it is resetting already.
    pub(crate) fn reset(&self) {
        let _scope = NoIo::enter();
        self.stop_all();
        self.tear_down(false);
        if !self.start_connecting() {
            // A deletion waits for what waits in it: of a scan for namespaces, say.
            self.unquiesce_admin_queue();
            return;
        }
        if let Err(status) = self.set_up(false) {
            self.count_reconnect();
            self.reconnect_or_remove(status.raw());
        }
    }

    /// Resetting is over, connecting begins; false if the controller is being deleted instead.
    fn start_connecting(&self) -> bool {
        if self.change_state(State::Connecting) {
            return true;
        }
        if !matches!(self.state(), State::Deleting | State::DeletingNoIo) {
            dev_err!(self.device(), "state {:?} after tear-down\n", self.state());
        }
        false
    }

    /// After a failure with `status`: try again later, or give up.
    fn reconnect_or_remove(&self, status: c_int) {
        // What waits in it (of a scan for namespaces, say) can fail then: a deletion waits for that, and
        // a failed set-up leaves it quiesced.
        self.unquiesce_admin_queue();
        // Somebody resets or deletes the controller, and takes care of it.
        if self.state() != State::Connecting {
            return;
        }
        // As error recovery leaves them: a reset has quiesced them, and what waits in them may fail fast.
        self.unquiesce_io_queues();
        if self.should_reconnect(status) {
            let delay = self.options().reconnect_delay();
            dev_info!(self.device(), "Reconnecting in {delay} seconds...\n");
            self.schedule_connect(delay);
        } else {
            dev_info!(self.device(), "Removing controller ({status})...\n");
            // The only failure is that it is being deleted already.
            let _ = self.delete_later();
        }
    }
}
