// SPDX-License-Identifier: GPL-2.0

//! All controllers of this transport: to refuse duplicates, and to delete them with the module.

use super::{
    controller::MptcpCtrl,
    options::Endpoints, //
};
use crate::{
    net::errno,
    nvme::{
        ctrl,
        fabrics::ConnectOptions,
        ops::Controller,
        reference::CtrlRef, //
    },
    work, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        global_lock, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};

global_lock! {
    // SAFETY: `Registry::new()` initialises it, before anything else here.
    unsafe(uninit) static CONTROLLERS: Mutex<KVec<CtrlRef<MptcpCtrl>>> = KVec::new();
}

/// The registry's life: with its end all controllers are deleted.
pub(crate) struct Registry(());

impl Registry {
    /// Prepares the registry. Once, at module initialisation.
    pub(crate) fn new() -> Self {
        // SAFETY: Called once, before any use.
        unsafe { CONTROLLERS.init() };
        Self(())
    }
}

impl Drop for Registry {
    /// Deletes all controllers and waits until the last one is gone. No new ones may be made meanwhile.
    fn drop(&mut self) {
        for ctrl in CONTROLLERS.lock().iter() {
            // The only failure is that it is being deleted already.
            let _ = ctrl.delete_later();
        }
        ctrl::flush_deletions();
        // A static is not dropped.
        let left = core::mem::take(&mut *CONTROLLERS.lock());
        drop(left);
        // One that the user has just deleted is not deleted by a work, but by the writer to its
        // attribute, and somebody else may still have a reference to what is left of it.
        while COUNT.load(Acquire) > 0 {
            fsleep(COUNT_INTERVAL);
        }
        // Who counted down to that may have been preempted before the end of the function.
        work::wait_for_tasks();
    }
}

/// How many controllers there are, those included that are about to be freed.
static COUNT: Atomic<i32> = Atomic::new(0);

/// How often the end of the module looks whether they are gone.
const COUNT_INTERVAL: Delta = Delta::from_millis(10);

/// A controller that counts as long as this exists.
pub(crate) struct Counted(());

impl Counted {
    pub(crate) fn new() -> Self {
        COUNT.fetch_add(1, Relaxed);
        Self(())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Release);
    }
}

/// Registers a controller, from before it connects, so that two connects at once cannot both
/// succeed. It must be taken out with [`remove`].
///
/// # Errors
///
/// `EALREADY` when there is one to the same port of the same subsystem from the same place, unless
/// the user wants another.
pub(crate) fn insert(ctrl: &CtrlRef<MptcpCtrl>) -> Result {
    let mut all = CONTROLLERS.lock();
    if !ctrl.options().duplicate_connect()
        && all
            .iter()
            .any(|other| is_duplicate(other, ctrl.options(), ctrl.endpoints()))
    {
        return Err(errno::already());
    }
    all.push(ctrl.clone(), GFP_KERNEL)?;
    Ok(())
}

fn is_duplicate(other: &MptcpCtrl, opts: &ConnectOptions, endpoints: &Endpoints) -> bool {
    // The same address in another network namespace is another target.
    other.endpoints().net == endpoints.net && opts.match_controller(other)
}

/// Takes a controller out, if it is in.
pub(crate) fn remove(ctrl: &MptcpCtrl) {
    let mut all = CONTROLLERS.lock();
    let found = all.iter().position(|other| core::ptr::eq(&**other, ctrl));
    // The reference is dropped outside of the lock; the caller has another one.
    let removed = found.and_then(|i| all.remove(i).ok());
    drop(all);
    drop(removed);
}
