// SPDX-License-Identifier: GPL-2.0

//! Files in debugfs.
//!
//! The kernel crate's `debugfs` has no module own its files, so that ours could be unloaded while one
//! is open (7.3). These are owned, by `ffi/observe.c`.

use crate::ffi::bindings;
use core::marker::PhantomData;
use kernel::{
    fmt,
    prelude::*,
    seq_file::SeqFile,
    str::CString,
    sync::Arc, //
};

/// The directory of the module, as long as it exists. All others are in it.
pub(crate) struct Root(());

impl Root {
    /// Makes the directory. Once per module. Sleeps.
    pub(crate) fn new() -> Self {
        // SAFETY: Called once, at module initialisation.
        unsafe { bindings::ffi_debugfs_init() };
        Self(())
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // SAFETY: The other directories are gone by now.
        unsafe { bindings::ffi_debugfs_exit() };
    }
}

/// What a file tells when it is read.
pub(crate) trait Show: Send + Sync + 'static {
    /// Writes all of it. In process context. Must not wait for anything that waits for the removal
    /// of the file.
    fn show(&self, out: &SeqFile);
}

/// A directory with files that tell of `T`s, and no others. Its drop waits until nobody reads.
///
/// # Invariants
///
/// `dentry` is what `debugfs_create_dir()` has returned, errors included, and not removed.
pub(crate) struct Directory<T: Show> {
    dentry: *mut bindings::dentry,
    sources: KVec<Source<T>>,
}

// SAFETY: debugfs does its own locking, and may be called from any thread.
unsafe impl<T: Show> Send for Directory<T> {}
// SAFETY: As above.
unsafe impl<T: Show> Sync for Directory<T> {}

/// What C reads to show a file, and what keeps the shown alive.
struct Source<T: Show> {
    _raw: KBox<bindings::ffi_debugfs_source>,
    _shown: Arc<T>,
}

impl<T: Show> Directory<T> {
    /// Makes an empty directory. That there is no debugfs, or the name is taken, is no error: then
    /// there is nothing to see. Sleeps.
    pub(crate) fn new(name: fmt::Arguments<'_>) -> Result<Self> {
        let name = CString::try_from_fmt(name)?;
        // SAFETY: A C string; the root exists as long as the module's other parts.
        let dentry = unsafe { bindings::ffi_debugfs_dir(name.as_char_ptr()) };
        // INVARIANT: Just made.
        Ok(Self {
            dentry,
            sources: KVec::new(),
        })
    }

    /// Adds a file that tells of `shown`. Sleeps.
    pub(crate) fn add(&mut self, name: fmt::Arguments<'_>, shown: Arc<T>) -> Result {
        let name = CString::try_from_fmt(name)?;
        let raw = KBox::new(
            bindings::ffi_debugfs_source {
                show: Some(Adapter::<T>::show),
                data: Arc::as_ptr(&shown).cast_mut().cast(),
            },
            GFP_KERNEL,
        )?;
        let source: *const _ = &*raw;
        self.sources.push(
            Source {
                _raw: raw,
                _shown: shown,
            },
            GFP_KERNEL,
        )?;
        // SAFETY: The directory is there or an error, which debugfs knows; the source stays as it is
        // until the directory is removed, because it is in a box that is kept until then.
        unsafe { bindings::ffi_debugfs_file(self.dentry, name.as_char_ptr(), source) };
        Ok(())
    }
}

impl<T: Show> Drop for Directory<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; it removes the files in it as well, and waits for readers.
        unsafe { bindings::ffi_debugfs_remove(self.dentry) };
    }
}

/// The C side of [`Show`].
struct Adapter<T: Show>(PhantomData<T>);

impl<T: Show> Adapter<T> {
    /// # Safety
    ///
    /// Called by `ffi/observe.c` only, with an open `seq_file` and the data of a source made by
    /// `Directory::<T>::add()` whose directory is not removed yet.
    unsafe extern "C" fn show(m: *mut bindings::seq_file, data: *mut c_void) {
        // SAFETY: As this function demands; the source keeps a reference on what is shown.
        let (out, shown) = unsafe { (SeqFile::from_raw(m), &*data.cast_const().cast::<T>()) };
        shown.show(out);
    }
}
