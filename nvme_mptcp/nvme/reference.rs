// SPDX-License-Identifier: GPL-2.0

//! Counted references on controllers.

use super::{
    ctrl::NvmeCtrl,
    fabrics::{
        FabricsDevice,
        Transport, //
    },
    ops::{
        Controller,
        Tables, //
    },
};
use crate::ffi::bindings;
use core::{
    marker::PhantomData,
    ops::Deref,
    pin::Pin,
    ptr::NonNull, //
};
use kernel::prelude::*;

/// A counted reference on a controller `T` and its `nvme_ctrl`.
///
/// # Invariants
///
/// `ctrl` was set up by `Tables::init()`, and one reference on it is owned.
pub(crate) struct CtrlRef<T: Controller> {
    ctrl: NonNull<bindings::nvme_ctrl>,
    _p: PhantomData<T>,
}

// SAFETY: The reference count is atomic, and a `T` is `Send` and `Sync`.
unsafe impl<T: Controller> Send for CtrlRef<T> {}
// SAFETY: As above.
unsafe impl<T: Controller> Sync for CtrlRef<T> {}

impl<T: Controller> CtrlRef<T> {
    /// Hands `controller`, made by the transport `N`, over to the nvme core. See
    /// [`engine`](super::engine) for who owns what.
    pub(crate) fn new<N>(controller: Pin<KBox<T>>, dev: &FabricsDevice) -> Result<Self>
    where
        N: Transport<Controller = T>,
    {
        Tables::<N>::init(controller, dev.as_ptr())
    }

    /// # Safety
    ///
    /// As the type invariant says; the reference is handed over.
    pub(super) unsafe fn from_raw(ctrl: *mut bindings::nvme_ctrl) -> Self {
        Self {
            // SAFETY: A live controller is not at null.
            // INVARIANT: As the caller promises.
            ctrl: unsafe { NonNull::new_unchecked(ctrl) },
            _p: PhantomData,
        }
    }

    /// Gives the reference to C.
    pub(super) fn into_raw(self) -> *mut bindings::nvme_ctrl {
        core::mem::ManuallyDrop::new(self).ctrl.as_ptr()
    }
}

impl<T: Controller> Clone for CtrlRef<T> {
    fn clone(&self) -> Self {
        // SAFETY: The controller is live by the type invariant.
        unsafe { bindings::ffi_nvme_get_ctrl(self.ctrl.as_ptr()) };
        Self { ..*self }
    }
}

impl<T: Controller> Deref for CtrlRef<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: By the type invariant.
        unsafe { NvmeCtrl::owner(self.ctrl.as_ptr()) }
    }
}

impl<T: Controller> Drop for CtrlRef<T> {
    fn drop(&mut self) {
        // SAFETY: The reference that the type invariant speaks of is given up here.
        unsafe { bindings::ffi_nvme_put_ctrl(self.ctrl.as_ptr()) };
    }
}
