// SPDX-License-Identifier: GPL-2.0

//! The queues of a controller: tag sets, their number and size.

use super::{
    ctrl::NvmeCtrl,
    status::Status, //
};
use crate::{
    block::{
        Operations,
        OperationsVTable,
        TagSet, //
    },
    ffi::bindings,
};
use kernel::prelude::*;

/// What I/O queues may be used for, and how many there are of each.
const MAX_QUEUE_TYPES: u32 = bindings::hctx_type_HCTX_MAX_TYPES;

impl NvmeCtrl {
    /// Allocates the admin tag set, with `O` as its operations.
    pub(crate) fn alloc_admin_tag_set<O: Operations>(&self) -> Result<(), Status> {
        // SAFETY: The controller is live, and the tag set is part of it.
        Status::check(unsafe {
            bindings::nvme_alloc_admin_tag_set(
                self.as_ptr(),
                bindings::host_engine_admin_tag_set(self.as_ptr()),
                OperationsVTable::<O>::build(),
                bindings::host_engine_request_size(),
            )
        })
    }

    /// Allocates the I/O tag set, with `O` as its operations; with poll queues if `poll`.
    pub(crate) fn alloc_io_tag_set<O: Operations>(&self, poll: bool) -> Result<(), Status> {
        let maps = if poll { MAX_QUEUE_TYPES } else { 2 };
        // SAFETY: The controller is live, and the tag set is part of it.
        Status::check(unsafe {
            bindings::nvme_alloc_io_tag_set(
                self.as_ptr(),
                bindings::host_engine_tag_set(self.as_ptr()),
                OperationsVTable::<O>::build(),
                maps,
                bindings::host_engine_request_size(),
            )
        })
    }

    /// Asks the controller for `count` I/O queues; returns how many it grants.
    pub(crate) fn negotiate_io_queues(&self) -> Result<u32, Status> {
        // SAFETY: The controller is live, and so are its options.
        let mut count = unsafe { bindings::ffi_nvmf_nr_io_queues((*self.as_ptr()).opts) } as c_int;
        // SAFETY: The controller is live.
        Status::check(unsafe { bindings::nvme_set_queue_count(self.as_ptr(), &mut count) })?;
        Ok(u32::try_from(count).unwrap_or(0))
    }

    /// Splits `count` I/O queues into default, read and poll queues.
    pub(crate) fn set_io_queues(&self, count: u32) {
        // SAFETY: The controller is live, with its options and its array of queue counts.
        unsafe {
            bindings::nvmf_set_io_queues(
                (*self.as_ptr()).opts,
                count,
                bindings::host_engine_io_queues(self.as_ptr()),
            )
        };
    }

    /// Maps CPUs to the I/O queues as `set_io_queues()` has split them.
    pub(crate) fn map_queues(&self, set: &TagSet) {
        // SAFETY: The controller and the tag set, which is part of it, are live.
        unsafe {
            bindings::nvmf_map_queues(
                set.as_ptr(),
                self.as_ptr(),
                bindings::host_engine_io_queues(self.as_ptr()),
            )
        };
    }

    /// Number of hardware queues of the I/O tag set, 0 before it exists.
    pub(crate) fn nr_hw_queues(&self) -> u32 {
        // SAFETY: The controller is live; `tagset` is null or its I/O tag set.
        unsafe { (*self.as_ptr()).tagset.as_ref() }.map_or(0, |set| set.nr_hw_queues)
    }

    /// Changes the number of hardware queues of the I/O tag set, which must be frozen.
    pub(crate) fn update_nr_hw_queues(&self, nr: u32) {
        // SAFETY: The controller is live.
        let set = unsafe { (*self.as_ptr()).tagset };
        if !set.is_null() {
            // SAFETY: The I/O tag set is live as long as the controller points to it.
            unsafe { TagSet::from_raw(set) }.update_nr_hw_queues(nr);
        }
    }

    /// Number of queues in use, the admin queue included.
    pub(crate) fn queue_count(&self) -> u32 {
        // SAFETY: The controller is live; the field changes during set-up only.
        unsafe { (*self.as_ptr()).queue_count }
    }

    /// Sets the number of queues in use, the admin queue included. During set-up only.
    pub(crate) fn set_queue_count(&self, count: u32) {
        // SAFETY: The controller is live; set-up runs once at a time.
        unsafe { (*self.as_ptr()).queue_count = count };
    }

    /// Size of the submission queues, 0's based.
    pub(crate) fn sqsize(&self) -> u16 {
        // SAFETY: The controller is live; the field changes during set-up only.
        unsafe { (*self.as_ptr()).sqsize }
    }

    /// Sets the size of the submission queues, 0's based. During set-up only.
    pub(crate) fn set_sqsize(&self, sqsize: u16) {
        // SAFETY: The controller is live; set-up runs once at a time.
        unsafe { (*self.as_ptr()).sqsize = sqsize };
    }
}
