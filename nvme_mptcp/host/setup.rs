// SPDX-License-Identifier: GPL-2.0

//! Bring-up and tear-down of a controller's queues, in symmetric pairs.
//!
//! | up | down |
//! |---|---|
//! | [`set_up`](MptcpCtrl::set_up) | [`tear_down`](MptcpCtrl::tear_down) |
//! | [`set_up_admin`](MptcpCtrl::set_up_admin) | [`tear_down_admin`](MptcpCtrl::tear_down_admin) |
//! | [`set_up_io`](MptcpCtrl::set_up_io) | [`tear_down_io`](MptcpCtrl::tear_down_io) |
//! | [`connect_io`](MptcpCtrl::connect_io) | [`release_io`](MptcpCtrl::release_io) |
//! | [`start_io`](MptcpCtrl::start_io) | [`stop_io`](MptcpCtrl::stop_io) |
//!
//! `new` and `remove` say whether tag sets and their request queues come and go as well: they live
//! from the first connect to the deletion, so that I/O can wait out a reset or a reconnect.
//!
//! Requests are cancelled when their connection has been released, not before: until then MPTCP delivers
//! what it was given, and a request that is tried again elsewhere must not be overtaken by itself.
//!
//! All of this sleeps, and runs once at a time: in the connect, reset, reconnect or error recovery
//! work, which the controller's state keeps apart.

use super::{
    controller::MptcpCtrl,
    dispatch, //
};
use crate::{
    net::errno,
    nvme::{
        ctrl::{
            Cause,
            State, //
        },
        ops::Controller,
        status::Status, //
    },
};
use kernel::prelude::*;

impl MptcpCtrl {
    /// Connects all queues and makes the controller live.
    pub(crate) fn set_up(&self, new: bool) -> Result<(), Status> {
        self.apply_policy();
        self.set_up_admin(new)?;

        let up = self.check_capabilities().and_then(|()| {
            if self.queue_count() > 1 {
                self.set_up_io(new)?;
            }
            self.go_live(new)
        });
        if let Err(status) = up {
            self.stop_keep_alive();
            self.tear_down_admin(new);
            return Err(status);
        }
        // Before anybody can delete it.
        self.start_watching();
        self.start();
        Ok(())
    }

    /// Disconnects all queues, telling the controller to shut down, or only to reset itself.
    pub(crate) fn tear_down(&self, shutdown: bool) {
        self.stop_watching();
        self.tear_down_io(shutdown);
        self.quiesce_admin_queue();
        self.disable(shutdown);
        self.tear_down_admin(shutdown);
    }

    /// Refuses what this transport cannot do, and trims what the controller cannot.
    fn check_capabilities(&self) -> Result<(), Status> {
        if self.icdoff() != 0 {
            dev_err!(self.device(), "icdoff is not supported\n");
            return Err(errno::not_supported().into());
        }
        if !self.sgl_supported() {
            dev_err!(
                self.device(),
                "the controller does not support SGLs, which are mandatory\n"
            );
            return Err(errno::not_supported().into());
        }

        let granted = usize::from(self.sqsize()).saturating_add(1);
        if self.options().queue_size() > granted {
            dev_warn!(
                self.device(),
                "queue_size {} > ctrl sqsize {}, clamping down\n",
                self.options().queue_size(),
                granted
            );
        }
        if granted > usize::from(self.maxcmd()) {
            dev_warn!(
                self.device(),
                "sqsize {} > ctrl maxcmd {}, clamping down\n",
                granted,
                self.maxcmd()
            );
            self.set_sqsize(self.maxcmd().saturating_sub(1));
        }
        Ok(())
    }

    /// The last step of bring-up. If it fails the I/O queues are taken down again.
    fn go_live(&self, new: bool) -> Result<(), Status> {
        if self.change_state(State::Live) {
            // While a controller connects, a command that times out closes its queue, a connection may
            // end or break, and nobody else minds.
            let mut queues = self.used_queues().take(self.mapped_queue_count() as usize);
            if !queues.all(|queue| queue.is_sound()) {
                dev_warn!(self.device(), "a queue was closed while connecting\n");
                self.error_recovery(Cause::Socket);
            }
            return Ok(());
        }
        // Somebody deletes the controller. That cannot be before its creation is complete.
        if new || !matches!(self.state(), State::Deleting | State::DeletingNoIo) {
            dev_err!(self.device(), "state {:?} when going live\n", self.state());
        }
        if self.queue_count() > 1 {
            self.quiesce_io_queues();
            self.sync_io_queues();
            self.stop_io(1, self.queue_count());
            self.release_io();
            self.cancel_io_tag_set();
            if new {
                self.remove_io_tag_set();
            }
        }
        Err(EINVAL.into())
    }

    fn set_up_admin(&self, new: bool) -> Result<(), Status> {
        let queue = self.queue(0).ok_or(EINVAL)?;

        queue.connect(&self.connection_params(new))?;
        self.report_fallback(queue);
        let mut up = self.alloc_async();
        if up.is_ok() && new {
            up = self.alloc_admin_tag_set::<dispatch::Admin>();
        }
        if let Err(status) = up {
            self.release_admin();
            return Err(status);
        }

        if let Err(status) = self.start_admin() {
            self.release_admin();
            self.cancel_admin_tag_set();
            if new {
                self.remove_admin_tag_set();
            }
            return Err(status);
        }
        Ok(())
    }

    /// The Connect command, enabling and identifying. Stops the queue again if any of it fails.
    fn start_admin(&self) -> Result<(), Status> {
        let queue = self.queue(0).ok_or(EINVAL)?;

        queue.start()?;
        let up = self.enable().and_then(|()| {
            self.unquiesce_admin_queue();
            self.init_finish().inspect_err(|_| {
                self.quiesce_admin_queue();
                self.sync_admin_queue();
            })
        });
        if up.is_err() {
            queue.stop();
        }
        up
    }

    pub(crate) fn tear_down_admin(&self, remove: bool) {
        self.quiesce_admin_queue();
        self.sync_admin_queue();
        if let Some(queue) = self.queue(0) {
            queue.stop();
        }
        self.release_admin();
        self.cancel_admin_tag_set();
        if remove {
            self.unquiesce_admin_queue();
            self.remove_admin_tag_set();
        }
    }

    fn release_admin(&self) {
        self.free_async();
        if let Some(queue) = self.queue(0) {
            queue.release();
        }
    }

    fn set_up_io(&self, new: bool) -> Result<(), Status> {
        self.connect_io(new)?;
        if new {
            let up = self.alloc_io_tag_set::<dispatch::Io>(self.options().polls());
            if let Err(status) = up {
                self.release_io();
                return Err(status);
            }
        }

        // After a reconnect there may be fewer or more queues than the tag set has: start those
        // that it has first, so that what waits in it can be finished.
        let have = self.mapped_queue_count();
        let up = self
            .start_io(1, have)
            .and_then(|()| self.resize_tag_set(new))
            .and_then(|()| self.start_io(have, self.nr_hw_queues().saturating_add(1)));
        if up.is_err() {
            // Nobody submits to a queue while its requests are cancelled.
            self.quiesce_io_queues();
            self.sync_io_queues();
            self.stop_io(1, self.queue_count());
            self.release_io();
            self.cancel_io_tag_set();
            // As error recovery left them: what waits may fail fast.
            self.unquiesce_io_queues();
            if new {
                self.remove_io_tag_set();
            }
        }
        up
    }

    /// Fits the tag set to the number of queues, which is only possible when it is frozen.
    fn resize_tag_set(&self, new: bool) -> Result<(), Status> {
        if new {
            return Ok(());
        }
        self.start_freeze();
        self.unquiesce_io_queues();
        let frozen = self.wait_freeze_timeout();
        if frozen {
            self.update_nr_hw_queues(self.queue_count().saturating_sub(1));
        }
        self.unfreeze();
        if frozen {
            Ok(())
        } else {
            // Requests are stuck, so the new connection does not work either.
            Err(ENODEV.into())
        }
    }

    pub(crate) fn tear_down_io(&self, remove: bool) {
        if self.queue_count() <= 1 {
            return;
        }
        self.quiesce_io_queues();
        self.sync_io_queues();
        self.stop_io(1, self.queue_count());
        self.release_io();
        self.cancel_io_tag_set();
        if remove {
            self.unquiesce_io_queues();
            self.remove_io_tag_set();
        }
    }

    /// Negotiates the number of I/O queues and connects them.
    fn connect_io(&self, new: bool) -> Result<(), Status> {
        let granted = self.negotiate_io_queues()?;
        if granted == 0 {
            dev_err!(self.device(), "unable to set any I/O queues\n");
            return Err(ENOMEM.into());
        }
        self.set_queue_count(granted.saturating_add(1));
        dev_info!(self.device(), "creating {granted} I/O queues.\n");
        self.set_io_queues(granted);

        let params = self.connection_params(new);
        for queue in self.all_io_queues() {
            if let Err(e) = queue.connect(&params) {
                self.release_io();
                return Err(e.into());
            }
            self.report_fallback(queue);
        }
        Ok(())
    }

    fn release_io(&self) {
        for queue in self.all_io_queues() {
            queue.release();
        }
    }

    /// Starts the I/O queues from the number `first` to below `end`, or none.
    fn start_io(&self, first: u32, end: u32) -> Result<(), Status> {
        for queue in self.io_queues(first, end) {
            if let Err(status) = queue.start() {
                self.stop_io(first, end);
                return Err(status);
            }
        }
        Ok(())
    }

    fn stop_io(&self, first: u32, end: u32) {
        for queue in self.io_queues(first, end) {
            queue.stop();
        }
    }
}
