// SPDX-License-Identifier: GPL-2.0

//! The nvme core's controller (`struct nvme_ctrl`).
//!
//! C headers: [`drivers/nvme/host/nvme.h`](srctree/drivers/nvme/host/nvme.h),
//! [`drivers/nvme/host/fabrics.h`](srctree/drivers/nvme/host/fabrics.h)
//!
//! The methods are the nvme core's functions of the same names; unless said otherwise they may
//! sleep, and which order they must be called in is what `host/setup.rs` and `host/recovery.rs`
//! are about. Those about its queues are in [`queues`](super::queues).

use super::{
    ops::Controller,
    status::Status, //
};
use crate::ffi::bindings;
use kernel::{
    device::Device,
    prelude::*,
    types::Opaque, //
};

/// State of a controller (`enum nvme_ctrl_state`).
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum State {
    New,
    Live,
    Resetting,
    Connecting,
    Deleting,
    DeletingNoIo,
    Dead,
}

/// What has started error recovery. The receive side does so by itself.
#[derive(Clone, Copy)]
pub(crate) enum Cause {
    Send,
    Socket,
    Timeout,
}

/// A live `struct nvme_ctrl`.
#[repr(transparent)]
pub(crate) struct NvmeCtrl(Opaque<bindings::nvme_ctrl>);

// SAFETY: The nvme core's functions do their own locking and may be called from any thread.
unsafe impl Send for NvmeCtrl {}
// SAFETY: As above.
unsafe impl Sync for NvmeCtrl {}

/// Declares methods that only call a function of the core with the controller.
macro_rules! core_calls {
    ($($(#[$meta:meta])* fn $name:ident => $function:ident $(-> $kind:ident)?;)*) => {
        $(core_calls!(@method [$(#[$meta])*] $name, $function $(, $kind)?);)*
    };
    (@method [$($meta:tt)*] $name:ident, $function:ident) => {
        $($meta)*
        pub(crate) fn $name(&self) {
            // SAFETY: The controller is live.
            unsafe { bindings::$function(self.as_ptr()) };
        }
    };
    (@method [$($meta:tt)*] $name:ident, $function:ident, Result) => {
        $($meta)*
        pub(crate) fn $name(&self) -> Result<(), Status> {
            // SAFETY: The controller is live.
            Status::check(unsafe { bindings::$function(self.as_ptr()) })
        }
    };
    (@method [$($meta:tt)*] $name:ident, $function:ident, bool) => {
        $($meta)*
        pub(crate) fn $name(&self) -> bool {
            // SAFETY: The controller is live.
            unsafe { bindings::$function(self.as_ptr()) }
        }
    };
}

impl NvmeCtrl {
    /// The raw controller.
    pub(crate) fn as_ptr(&self) -> *mut bindings::nvme_ctrl {
        self.0.get()
    }

    /// # Safety
    ///
    /// `ctrl` must be live for `'a`.
    pub(super) unsafe fn from_raw<'a>(ctrl: *mut bindings::nvme_ctrl) -> &'a Self {
        // SAFETY: As the caller promises; the types have the same layout.
        unsafe { &*ctrl.cast() }
    }

    /// The owner of `ctrl`.
    ///
    /// # Safety
    ///
    /// `ctrl` must have been set up by `Tables::init()` and be live for `'a`.
    pub(super) unsafe fn owner<'a, T: Controller>(ctrl: *mut bindings::nvme_ctrl) -> &'a T {
        // SAFETY: `init()` has stored a `T` that lives as long as `ctrl`.
        unsafe { &*bindings::host_engine_owner(ctrl).cast::<T>() }
    }

    /// The character device, for messages.
    pub(crate) fn device(&self) -> &Device {
        // SAFETY: The controller is live, and so is its device from `nvme_init_ctrl()` on.
        unsafe { Device::from_raw((*self.as_ptr()).device) }
    }

    /// The state. Any context.
    pub(crate) fn state(&self) -> State {
        // SAFETY: The controller is live.
        match unsafe { bindings::ffi_nvme_ctrl_state(self.as_ptr()) } {
            bindings::nvme_ctrl_state_NVME_CTRL_NEW => State::New,
            bindings::nvme_ctrl_state_NVME_CTRL_LIVE => State::Live,
            bindings::nvme_ctrl_state_NVME_CTRL_RESETTING => State::Resetting,
            bindings::nvme_ctrl_state_NVME_CTRL_CONNECTING => State::Connecting,
            bindings::nvme_ctrl_state_NVME_CTRL_DELETING => State::Deleting,
            bindings::nvme_ctrl_state_NVME_CTRL_DELETING_NOIO => State::DeletingNoIo,
            _ => State::Dead,
        }
    }

    /// Changes the state, if the core allows it. Any context.
    pub(crate) fn change_state(&self, to: State) -> bool {
        let to = match to {
            State::New => bindings::nvme_ctrl_state_NVME_CTRL_NEW,
            State::Live => bindings::nvme_ctrl_state_NVME_CTRL_LIVE,
            State::Resetting => bindings::nvme_ctrl_state_NVME_CTRL_RESETTING,
            State::Connecting => bindings::nvme_ctrl_state_NVME_CTRL_CONNECTING,
            State::Deleting => bindings::nvme_ctrl_state_NVME_CTRL_DELETING,
            State::DeletingNoIo => bindings::nvme_ctrl_state_NVME_CTRL_DELETING_NOIO,
            State::Dead => bindings::nvme_ctrl_state_NVME_CTRL_DEAD,
        };
        // SAFETY: The controller is live.
        unsafe { bindings::nvme_change_ctrl_state(self.as_ptr(), to) }
    }

    core_calls! {
        fn add => nvme_add_ctrl -> Result;
        fn uninit => nvme_uninit_ctrl;
        fn enable => nvme_enable_ctrl -> Result;
        fn start => nvme_start_ctrl;
        fn stop_all => nvme_stop_ctrl;
        fn stop_keep_alive => nvme_stop_keep_alive;
        fn stop_auth => nvme_auth_stop;
        fn quiesce_admin_queue => nvme_quiesce_admin_queue;
        fn unquiesce_admin_queue => nvme_unquiesce_admin_queue;
        fn quiesce_io_queues => nvme_quiesce_io_queues;
        fn unquiesce_io_queues => nvme_unquiesce_io_queues;
        fn sync_io_queues => nvme_sync_io_queues;
        fn start_freeze => nvme_start_freeze;
        fn unfreeze => nvme_unfreeze;
        fn cancel_admin_tag_set => nvme_cancel_admin_tagset;
        fn cancel_io_tag_set => nvme_cancel_tagset;
        fn remove_admin_tag_set => nvme_remove_admin_tag_set;
        fn remove_io_tag_set => nvme_remove_io_tag_set;
        fn connect_admin_queue => nvmf_connect_admin_queue -> Result;
        /// Whether error recovery is at work.
        fn recovers => host_engine_recovers -> bool;
        fn sgl_supported => ffi_nvme_ctrl_sgl_supported -> bool;
        /// Deletes the controller, from a work item.
        fn delete_later => nvme_delete_ctrl -> Result;
        /// Waits for error recovery, and calls off a reconnect.
        fn stop_recovery => host_engine_stop_work;
        /// Calls the watch work off, and waits for it.
        fn stop_watching => host_engine_watch_stop;
        /// As `stop_watching()`, for good.
        fn end_watching => host_engine_watch_end;
        fn submit_async => host_engine_submit_async;
        fn free_async => host_engine_free_async;
        fn alloc_async => host_engine_alloc_async -> Result;
    }

    /// Has error recovery run, once, if the controller is live. Any context.
    pub(crate) fn error_recovery(&self, cause: Cause) {
        let cause = match cause {
            Cause::Send => bindings::host_cause_HOST_CAUSE_SEND,
            Cause::Socket => bindings::host_cause_HOST_CAUSE_SOCKET,
            Cause::Timeout => bindings::host_cause_HOST_CAUSE_TIMEOUT,
        };
        // SAFETY: The controller is live.
        unsafe { bindings::host_engine_error_recovery(self.as_ptr(), cause) };
    }

    /// Why a queue is being stopped now, for tracing.
    pub(crate) fn stop_reason(&self) -> u32 {
        match self.state() {
            _ if self.recovers() => bindings::host_stop_HOST_STOP_RECOVERY,
            State::Resetting => bindings::host_stop_HOST_STOP_RESET,
            State::Deleting | State::DeletingNoIo => bindings::host_stop_HOST_STOP_DELETE,
            _ => bindings::host_stop_HOST_STOP_SETUP,
        }
    }

    /// Tells the controller to shut down, or to reset itself.
    pub(crate) fn disable(&self, shutdown: bool) {
        // A controller that cannot be told any more is not told.
        // SAFETY: The controller is live.
        let _ = unsafe { bindings::nvme_disable_ctrl(self.as_ptr(), shutdown) };
    }

    /// Identifies the controller and finishes its initialisation.
    pub(crate) fn init_finish(&self) -> Result<(), Status> {
        // SAFETY: The controller is live.
        Status::check(unsafe { bindings::nvme_init_ctrl_finish(self.as_ptr(), false) })
    }

    /// Sends the Connect command of an I/O queue.
    pub(crate) fn connect_io_queue(&self, qid: u16) -> Result<(), Status> {
        // SAFETY: The controller is live.
        Status::check(unsafe { bindings::nvmf_connect_io_queue(self.as_ptr(), qid) })
    }

    /// Waits until nothing runs in the admin request queue.
    pub(crate) fn sync_admin_queue(&self) {
        // SAFETY: The controller is live, and its admin queue exists from when its tag set was
        // allocated until the controller is freed.
        unsafe { bindings::blk_sync_queue((*self.as_ptr()).admin_q) };
    }

    /// Waits until a freeze is complete; false when that took too long.
    pub(crate) fn wait_freeze_timeout(&self) -> bool {
        // SAFETY: The controller is live.
        unsafe { bindings::nvme_wait_freeze_timeout(self.as_ptr()) != 0 }
    }

    /// Waits for a running asynchronous event work.
    pub(crate) fn flush_async_event(&self) {
        // SAFETY: The controller is live, and the core has initialised the work.
        unsafe { bindings::flush_work(&raw mut (*self.as_ptr()).async_event_work) };
    }

    /// Whether to try again after `status`, by the options and the number of attempts.
    pub(crate) fn should_reconnect(&self, status: c_int) -> bool {
        // SAFETY: The controller is live.
        unsafe { bindings::nvmf_should_reconnect(self.as_ptr(), status) }
    }

    /// Has `connect_work` run after this many seconds.
    pub(crate) fn schedule_connect(&self, seconds: u32) {
        let delay = crate::work::msecs_to_jiffies(seconds.saturating_mul(1000));
        // SAFETY: The controller is live.
        unsafe { bindings::host_engine_schedule_connect(self.as_ptr(), delay) };
    }

    /// Has `watch_work` run after so many milliseconds, unless that has come to an end. Any context.
    pub(crate) fn watch_in(&self, ms: u32) {
        let delay = crate::work::msecs_to_jiffies(ms);
        // SAFETY: The controller is live.
        unsafe { bindings::host_engine_watch_in(self.as_ptr(), delay) };
    }

    /// The number in its name.
    pub(crate) fn instance(&self) -> c_int {
        // SAFETY: The controller is live, and keeps its number.
        unsafe { (*self.as_ptr()).instance }
    }

    /// Most commands that the controller takes at a time (MAXCMD).
    pub(crate) fn maxcmd(&self) -> u16 {
        // SAFETY: The controller is live; the field changes during set-up only.
        unsafe { (*self.as_ptr()).maxcmd }
    }

    /// In-capsule data offset (ICDOFF).
    pub(crate) fn icdoff(&self) -> u16 {
        // SAFETY: The controller is live; the field changes during set-up only.
        unsafe { (*self.as_ptr()).icdoff }
    }

    /// Failed reconnect attempts since the connection was lost.
    pub(crate) fn nr_reconnects(&self) -> c_int {
        // SAFETY: The controller is live; only reset and reconnect work change it, one at a time.
        unsafe { (*self.as_ptr()).nr_reconnects }
    }

    /// Counts a reconnect attempt.
    pub(crate) fn count_reconnect(&self) {
        // SAFETY: As `nr_reconnects()`.
        unsafe {
            let ctrl = self.as_ptr();
            (*ctrl).nr_reconnects = (*ctrl).nr_reconnects.saturating_add(1);
        }
    }

    /// A reconnect attempt has succeeded.
    pub(crate) fn clear_reconnects(&self) {
        // SAFETY: The controller is live.
        unsafe { bindings::host_engine_clear_reconnects(self.as_ptr()) };
    }

    /// The NQN of the subsystem.
    pub(crate) fn subsystem_nqn(&self) -> &CStr {
        // SAFETY: The controller is live, and has options or a subsystem with an NQN.
        unsafe { CStr::from_char_ptr(bindings::ffi_nvmf_ctrl_subsysnqn(self.as_ptr())) }
    }
}

/// Waits for all deletions that `delete_later()` has started. Sleeps.
pub(crate) fn flush_deletions() {
    // SAFETY: The workqueue is the nvme core's and exists as long as it is loaded.
    unsafe { bindings::__flush_workqueue(bindings::nvme_delete_wq) };
}
