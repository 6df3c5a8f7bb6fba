// SPDX-License-Identifier: GPL-2.0

//! What functions of the nvme core return.

use kernel::{
    alloc::AllocError,
    prelude::*, //
};

/// Why something failed: a negative errno, or a positive NVMe status of the controller.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Status(c_int);

impl Status {
    /// Success if `ret` is 0.
    pub(super) fn check(ret: c_int) -> Result<(), Self> {
        if ret == 0 {
            Ok(())
        } else {
            Err(Self(ret))
        }
    }

    /// The number, for messages.
    pub(crate) fn raw(self) -> c_int {
        self.0
    }

    /// As an errno: an NVMe status becomes `EIO`.
    pub(crate) fn into_error(self) -> Error {
        if self.0 < 0 {
            Error::from_errno(self.0)
        } else {
            EIO
        }
    }
}

impl From<Error> for Status {
    fn from(e: Error) -> Self {
        Self(e.to_errno())
    }
}

impl From<AllocError> for Status {
    fn from(e: AllocError) -> Self {
        Error::from(e).into()
    }
}
