// SPDX-License-Identifier: GPL-2.0

//! What the nvme core, the engine's work items and sysfs call in a controller, as a safe trait.

use super::{
    ctrl::NvmeCtrl,
    fabrics::{
        ConnectOptions,
        Transport, //
    },
    reference::CtrlRef,
};
use crate::{
    block::TagSetOwner,
    ffi::bindings, //
};
use core::{
    fmt::Write,
    marker::PhantomData,
    ops::Deref,
    pin::Pin, //
};
use kernel::{
    error::to_result,
    fmt,
    prelude::*,
    str::Formatter, //
};

/// An attribute of a controller in sysfs.
#[derive(Clone, Copy)]
pub(crate) enum Attribute {
    Subflows,
    Fallback,
    Policy,
    Congestion,
}

/// A controller. It owns the engine's controller ([`Engine`](super::engine::Engine)), in which the
/// nvme core's is embedded, and is freed with the last reference on that.
///
/// All methods may sleep.
pub(crate) trait Controller:
    Deref<Target = NvmeCtrl> + Send + Sync + Sized + 'static
{
    /// Sends an asynchronous event request.
    fn submit_async_event(&self);

    /// Tears the connections down for good.
    fn delete(&self);

    /// Stops error recovery and reconnecting, before a reset or a deletion.
    fn stop(&self);

    /// Appends the local address to `buf` at `len`; returns the new length.
    fn local_address(&self, buf: &mut [u8], len: usize) -> usize;

    /// Work of the queue `qid`.
    fn io_work(&self, qid: usize);

    /// Error recovery has been started.
    fn error_work(&self);

    /// Time to reconnect.
    fn connect_work(&self);

    /// A reset has been asked for.
    fn reset_work(&self);

    /// Time to look at the paths.
    fn watch_work(&self);

    /// Writes the value of an attribute in sysfs.
    fn attribute(&self, which: Attribute, out: &mut Formatter<'_>) -> fmt::Result;

    /// What it was made with.
    fn options(&self) -> &ConnectOptions;
}

impl<T: Controller> TagSetOwner for T {
    unsafe fn from_driver_data<'a>(data: *mut c_void) -> &'a Self {
        // SAFETY: The nvme core stores the `nvme_ctrl` as a tag set's `driver_data`, and the
        // caller promises that the tag set is live and one of ours.
        unsafe { NvmeCtrl::owner(data.cast()) }
    }
}

/// The tables of the controllers that the transport `T` makes.
pub(super) struct Tables<T: Transport>(PhantomData<T>);

/// The callbacks get what they are given at registration: an `nvme_ctrl` that [`Tables::init`] has
/// set up, or its owner.
impl<T: Transport> Tables<T> {
    const ENGINE: bindings::host_engine_ops = bindings::host_engine_ops {
        io_work: Some(Self::io_work),
        error_work: Some(Self::error_work),
        connect_work: Some(Self::connect_work),
        reset_work: Some(Self::reset_work),
        watch_work: Some(Self::watch_work),
        show_attr: Some(Self::show_attr),
    };

    const CTRL: bindings::nvme_ctrl_ops = bindings::nvme_ctrl_ops {
        name: T::NAME.to_bytes_with_nul().as_ptr().cast(),
        module: (&raw const bindings::__this_module).cast_mut(),
        dev_attr_groups: (&raw const bindings::host_engine_attr_groups)
            .cast_mut()
            .cast(),
        flags: bindings::NVME_F_FABRICS | bindings::NVME_F_BLOCKING,
        reg_read32: Some(bindings::nvmf_reg_read32),
        reg_read64: Some(bindings::nvmf_reg_read64),
        reg_write32: Some(bindings::nvmf_reg_write32),
        subsystem_reset: Some(bindings::nvmf_subsystem_reset),
        free_ctrl: Some(Self::free_ctrl),
        submit_async_event: Some(Self::submit_async_event),
        delete_ctrl: Some(Self::delete_ctrl),
        stop_ctrl: Some(Self::stop_ctrl),
        get_address: Some(Self::get_address),
        get_virt_boundary: Some(bindings::ffi_nvmf_get_virt_boundary),
        ..pin_init::zeroed()
    };

    /// Hands `controller` over to the nvme core.
    ///
    /// From here on it is owned by the reference count of its `nvme_ctrl`, of which the result is
    /// the first reference.
    pub(super) fn init(
        controller: Pin<KBox<T::Controller>>,
        dev: *mut bindings::device,
    ) -> Result<CtrlRef<T::Controller>> {
        let ctrl = controller.as_ptr();
        // SAFETY: The pointee stays pinned: it is only dropped, by `free_ctrl()` or right below.
        let owner = KBox::into_raw(unsafe { Pin::into_inner_unchecked(controller) });

        // SAFETY: The engine's controller is live as long as `owner`, and not in use yet. The
        // tables are static.
        unsafe { bindings::host_engine_set_owner(ctrl, owner.cast(), &Self::ENGINE) };
        // SAFETY: `ctrl` is zeroed but for what the engine has set, `dev` is the fabrics device.
        let ret = unsafe { bindings::nvme_init_ctrl(ctrl, dev, &Self::CTRL, 0) };
        if let Err(e) = to_result(ret) {
            // SAFETY: The nvme core did not take it, so it is still ours, as made above.
            drop(unsafe { KBox::from_raw(owner) });
            return Err(e);
        }
        // SAFETY: `nvme_init_ctrl()` has initialised the reference count to one, which is ours.
        Ok(unsafe { CtrlRef::from_raw(ctrl) })
    }

    /// # Safety
    ///
    /// Called by the nvme core with the last reference gone.
    unsafe extern "C" fn free_ctrl(ctrl: *mut bindings::nvme_ctrl) {
        // SAFETY: `init()` has stored a `KBox<T>` there, and nobody else uses it any more.
        drop(unsafe { KBox::from_raw(bindings::host_engine_owner(ctrl).cast::<T::Controller>()) });
    }

    /// # Safety
    ///
    /// `ctrl` is live.
    unsafe extern "C" fn submit_async_event(ctrl: *mut bindings::nvme_ctrl) {
        // SAFETY: As this function demands.
        unsafe { NvmeCtrl::owner::<T::Controller>(ctrl) }.submit_async_event();
    }

    /// # Safety
    ///
    /// `ctrl` is live.
    unsafe extern "C" fn delete_ctrl(ctrl: *mut bindings::nvme_ctrl) {
        // SAFETY: As this function demands.
        unsafe { NvmeCtrl::owner::<T::Controller>(ctrl) }.delete();
    }

    /// # Safety
    ///
    /// `ctrl` is live.
    unsafe extern "C" fn stop_ctrl(ctrl: *mut bindings::nvme_ctrl) {
        // SAFETY: As this function demands.
        unsafe { NvmeCtrl::owner::<T::Controller>(ctrl) }.stop();
    }

    /// # Safety
    ///
    /// `ctrl` is live, `buf` has room for `size` bytes.
    unsafe extern "C" fn get_address(
        ctrl: *mut bindings::nvme_ctrl,
        buf: *mut c_char,
        size: c_int,
    ) -> c_int {
        // SAFETY: As this function demands.
        let len = unsafe { bindings::nvmf_get_address(ctrl, buf, size) };
        let (Ok(size), Ok(used)) = (usize::try_from(size), usize::try_from(len)) else {
            return len;
        };
        // SAFETY: As this function demands.
        let (owner, buf) = unsafe {
            (
                NvmeCtrl::owner::<T::Controller>(ctrl),
                core::slice::from_raw_parts_mut(buf.cast::<u8>(), size),
            )
        };
        c_int::try_from(owner.local_address(buf, used)).unwrap_or(len)
    }

    /// # Safety
    ///
    /// `owner` is what `init()` gave the engine, which is live.
    unsafe extern "C" fn io_work(owner: *mut c_void, qid: c_uint) {
        // SAFETY: As this function demands.
        unsafe { &*owner.cast::<T::Controller>() }.io_work(qid as usize);
    }

    /// # Safety
    ///
    /// As `io_work()`.
    unsafe extern "C" fn error_work(owner: *mut c_void) {
        // SAFETY: As this function demands.
        unsafe { &*owner.cast::<T::Controller>() }.error_work();
    }

    /// # Safety
    ///
    /// As `io_work()`.
    unsafe extern "C" fn connect_work(owner: *mut c_void) {
        // SAFETY: As this function demands.
        unsafe { &*owner.cast::<T::Controller>() }.connect_work();
    }

    /// # Safety
    ///
    /// As `io_work()`.
    unsafe extern "C" fn reset_work(owner: *mut c_void) {
        // SAFETY: As this function demands.
        unsafe { &*owner.cast::<T::Controller>() }.reset_work();
    }

    /// # Safety
    ///
    /// As `io_work()`.
    unsafe extern "C" fn watch_work(owner: *mut c_void) {
        // SAFETY: As this function demands.
        unsafe { &*owner.cast::<T::Controller>() }.watch_work();
    }

    /// # Safety
    ///
    /// As `io_work()`; `buf` has room for `size` bytes.
    unsafe extern "C" fn show_attr(
        owner: *mut c_void,
        which: bindings::host_engine_attr,
        buf: *mut c_char,
        size: usize,
    ) -> isize {
        let which = match which {
            bindings::host_engine_attr_HOST_ATTR_SUBFLOWS => Attribute::Subflows,
            bindings::host_engine_attr_HOST_ATTR_FALLBACK => Attribute::Fallback,
            bindings::host_engine_attr_HOST_ATTR_POLICY => Attribute::Policy,
            _ => Attribute::Congestion,
        };
        // SAFETY: As this function demands.
        let (owner, buf) = unsafe {
            (
                &*owner.cast::<T::Controller>(),
                core::slice::from_raw_parts_mut(buf.cast::<u8>(), size),
            )
        };
        let mut out = Formatter::new(buf);
        match owner
            .attribute(which, &mut out)
            .and_then(|()| out.write_str("\n"))
        {
            Ok(()) => out.bytes_written() as isize,
            Err(_) => EINVAL.to_errno() as isize,
        }
    }
}
