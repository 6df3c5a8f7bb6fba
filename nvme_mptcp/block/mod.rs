// SPDX-License-Identifier: GPL-2.0

//! A blk-mq vtable adapter, in the style of `rust/kernel/block/mq/operations.rs`.
//!
//! The kernel crate's own cannot express a driver whose tag sets, request data and request life
//! cycle belong to the nvme core, which is why this one is here.
//!
//! C header: [`include/linux/blk-mq.h`](srctree/include/linux/blk-mq.h)

use crate::ffi::bindings;
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    error::from_result,
    prelude::*, //
};

/// A block layer status (`blk_status_t`).
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct BlkStatus(pub(crate) bindings::blk_status_t);

impl BlkStatus {
    /// The request has been taken.
    pub(crate) const OK: Self = Self(bindings::BLK_STS_OK as bindings::blk_status_t);
}

/// What a timeout handler did.
pub(crate) enum Timeout {
    /// The request is completed.
    Done,
    /// Somebody else will complete it; look again later.
    ResetTimer,
}

/// A request, owned by the driver between `queue_rq` and its completion.
///
/// # Invariants
///
/// `0` is a live request of a tag set whose requests have the private data that the tag set was
/// made with.
pub(crate) struct Request<'a>(NonNull<bindings::request>, PhantomData<&'a ()>);

impl Request<'_> {
    /// # Safety
    ///
    /// `rq` must be as the type invariant says, for as long as the result is used.
    unsafe fn from_raw(rq: *mut bindings::request) -> Self {
        // SAFETY: A live request is not at null.
        // INVARIANT: As the caller promises.
        Self(unsafe { NonNull::new_unchecked(rq) }, PhantomData)
    }

    /// The raw request.
    pub(crate) fn as_ptr(&self) -> *mut bindings::request {
        self.0.as_ptr()
    }

    /// Whether it is started and not completed. Any context.
    pub(crate) fn is_in_flight(&self) -> bool {
        // SAFETY: The request is live by the type invariant.
        unsafe { bindings::ffi_request_is_in_flight(self.as_ptr()) }
    }
}

/// What a tag set belongs to.
pub(crate) trait TagSetOwner: Sync {
    /// # Safety
    ///
    /// `data` must be the `driver_data` of a live tag set of this owner, which must outlive `'a`.
    unsafe fn from_driver_data<'a>(data: *mut c_void) -> &'a Self;
}

/// A tag set.
///
/// # Invariants
///
/// `0` is a live tag set.
pub(crate) struct TagSet(NonNull<bindings::blk_mq_tag_set>);

impl TagSet {
    /// # Safety
    ///
    /// `set` must be live for as long as the result is used.
    pub(crate) unsafe fn from_raw(set: *mut bindings::blk_mq_tag_set) -> Self {
        // SAFETY: A live tag set is not at null.
        // INVARIANT: As the caller promises.
        Self(unsafe { NonNull::new_unchecked(set) })
    }

    /// The raw tag set.
    pub(crate) fn as_ptr(&self) -> *mut bindings::blk_mq_tag_set {
        self.0.as_ptr()
    }

    /// Changes the number of hardware queues. Sleeps; the queues must be frozen.
    pub(crate) fn update_nr_hw_queues(&self, nr: u32) {
        // SAFETY: The tag set is live by the type invariant.
        unsafe { bindings::blk_mq_update_nr_hw_queues(self.as_ptr(), nr as c_int) };
    }
}

/// A hardware queue during a callback.
///
/// # Invariants
///
/// `hctx` is live and initialised; its `driver_data` is a `T::Queue` that outlives it.
pub(crate) struct HwQueue<'a, T: Operations> {
    hctx: NonNull<bindings::blk_mq_hw_ctx>,
    _p: PhantomData<(&'a (), T)>,
}

impl<'a, T: Operations> HwQueue<'a, T> {
    /// # Safety
    ///
    /// `hctx` must be as the type invariant says.
    unsafe fn from_raw(hctx: *mut bindings::blk_mq_hw_ctx) -> Self {
        Self {
            // SAFETY: A live hctx is not at null.
            // INVARIANT: As the caller promises.
            hctx: unsafe { NonNull::new_unchecked(hctx) },
            _p: PhantomData,
        }
    }

    /// The driver's queue.
    pub(crate) fn queue(&self) -> &'a T::Queue {
        // SAFETY: By the type invariant.
        unsafe { &*(*self.hctx.as_ptr()).driver_data.cast::<T::Queue>() }
    }

    /// The owner of the request queue (`queuedata`), null for an admin queue.
    pub(crate) fn queue_data(&self) -> *mut c_void {
        // SAFETY: The hctx is live, and so is its request queue.
        unsafe { (*(*self.hctx.as_ptr()).queue).queuedata }
    }
}

/// The blk-mq operations of a driver.
///
/// Unless said otherwise they may sleep: tag sets using them must have `BLK_MQ_F_BLOCKING`.
#[vtable]
pub(crate) trait Operations: Sized {
    /// Owner of the tag set.
    type Owner: TagSetOwner;
    /// The driver's side of a hardware queue.
    type Queue: Sync;

    /// The queue behind the hardware queue `index`. It must outlive the tag set.
    fn queue(owner: &Self::Owner, index: usize) -> Option<&Self::Queue>;

    /// Takes a request. If `last` is false, more follow or `commit_rqs` is called.
    fn queue_rq(hctx: HwQueue<'_, Self>, rq: Request<'_>, last: bool) -> BlkStatus;

    /// No more requests for now, although the last one said so.
    fn commit_rqs(queue: &Self::Queue);

    /// Completes a request (softirq, or wherever it was completed). Atomic.
    fn complete(rq: Request<'_>);

    /// A request has been out for too long.
    fn timeout(rq: Request<'_>) -> Timeout;

    /// Sets up a request's private data.
    fn init_request(set: &TagSet, rq: &Request<'_>, index: c_uint) -> Result;

    /// Undoes `init_request`.
    fn exit_request(set: &TagSet, rq: &Request<'_>, index: c_uint);

    /// Maps CPUs to hardware queues.
    fn map_queues(_owner: &Self::Owner, _set: &TagSet) {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Looks for completions; returns how many, or a negative errno.
    fn poll(_queue: &Self::Queue) -> c_int {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }
}

/// The `blk_mq_ops` of `T`.
pub(crate) struct OperationsVTable<T: Operations>(PhantomData<T>);

/// All callbacks are called by blk-mq only, with what its own contract says; the safety sections
/// name what each relies on.
impl<T: Operations> OperationsVTable<T> {
    /// # Safety
    ///
    /// `hctx` is live and initialised by `init_hctx`; `bd` is valid, its request owned by us.
    unsafe extern "C" fn queue_rq(
        hctx: *mut bindings::blk_mq_hw_ctx,
        bd: *const bindings::blk_mq_queue_data,
    ) -> bindings::blk_status_t {
        // SAFETY: As this function demands.
        let (hctx, rq, last) = unsafe {
            (
                HwQueue::from_raw(hctx),
                Request::from_raw((*bd).rq),
                (*bd).last,
            )
        };
        T::queue_rq(hctx, rq, last).0
    }

    /// # Safety
    ///
    /// `hctx` is live and initialised by `init_hctx`.
    unsafe extern "C" fn commit_rqs(hctx: *mut bindings::blk_mq_hw_ctx) {
        // SAFETY: As this function demands.
        T::commit_rqs(unsafe { HwQueue::<T>::from_raw(hctx) }.queue());
    }

    /// # Safety
    ///
    /// `rq` is a live, started request.
    unsafe extern "C" fn complete(rq: *mut bindings::request) {
        // SAFETY: As this function demands.
        T::complete(unsafe { Request::from_raw(rq) });
    }

    /// # Safety
    ///
    /// `rq` is a live, started request; the block layer holds a reference on it.
    unsafe extern "C" fn timeout(rq: *mut bindings::request) -> bindings::blk_eh_timer_return {
        // SAFETY: As this function demands.
        match T::timeout(unsafe { Request::from_raw(rq) }) {
            Timeout::Done => bindings::blk_eh_timer_return_BLK_EH_DONE,
            Timeout::ResetTimer => bindings::blk_eh_timer_return_BLK_EH_RESET_TIMER,
        }
    }

    /// # Safety
    ///
    /// `data` is the `driver_data` of the tag set, which belongs to a `T::Owner`.
    unsafe extern "C" fn init_hctx(
        hctx: *mut bindings::blk_mq_hw_ctx,
        data: *mut c_void,
        index: c_uint,
    ) -> c_int {
        from_result(|| {
            // SAFETY: As this function demands.
            let owner = unsafe { T::Owner::from_driver_data(data) };
            let queue = T::queue(owner, index as usize).ok_or(EINVAL)?;
            // SAFETY: `hctx` is being initialised, and this field of it is the driver's.
            unsafe { (*hctx).driver_data = core::ptr::from_ref(queue).cast_mut().cast() };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// `set` is a live tag set, `rq` one of its requests, not in use.
    unsafe extern "C" fn init_request(
        set: *mut bindings::blk_mq_tag_set,
        rq: *mut bindings::request,
        index: c_uint,
        _numa_node: c_int,
    ) -> c_int {
        from_result(|| {
            // SAFETY: As this function demands.
            let (set, rq) = unsafe { (TagSet::from_raw(set), Request::from_raw(rq)) };
            T::init_request(&set, &rq, index)?;
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// As `init_request`, which has succeeded for `rq`.
    unsafe extern "C" fn exit_request(
        set: *mut bindings::blk_mq_tag_set,
        rq: *mut bindings::request,
        index: c_uint,
    ) {
        // SAFETY: As this function demands.
        let (set, rq) = unsafe { (TagSet::from_raw(set), Request::from_raw(rq)) };
        T::exit_request(&set, &rq, index);
    }

    /// # Safety
    ///
    /// `set` is a live tag set that belongs to a `T::Owner`.
    unsafe extern "C" fn map_queues(set: *mut bindings::blk_mq_tag_set) {
        // SAFETY: As this function demands.
        let (owner, set) = unsafe {
            (
                T::Owner::from_driver_data((*set).driver_data),
                TagSet::from_raw(set),
            )
        };
        T::map_queues(owner, &set);
    }

    /// # Safety
    ///
    /// `hctx` is live and initialised by `init_hctx`.
    unsafe extern "C" fn poll(
        hctx: *mut bindings::blk_mq_hw_ctx,
        _iob: *mut bindings::io_comp_batch,
    ) -> c_int {
        // SAFETY: As this function demands.
        T::poll(unsafe { HwQueue::<T>::from_raw(hctx) }.queue())
    }

    /// The table.
    pub(crate) const VTABLE: bindings::blk_mq_ops = bindings::blk_mq_ops {
        queue_rq: Some(Self::queue_rq),
        commit_rqs: Some(Self::commit_rqs),
        complete: Some(Self::complete),
        timeout: Some(Self::timeout),
        init_hctx: Some(Self::init_hctx),
        init_request: Some(Self::init_request),
        exit_request: Some(Self::exit_request),
        map_queues: if T::HAS_MAP_QUEUES {
            Some(Self::map_queues)
        } else {
            None
        },
        poll: if T::HAS_POLL { Some(Self::poll) } else { None },
        ..pin_init::zeroed()
    };

    /// The table as a static.
    pub(crate) const fn build() -> &'static bindings::blk_mq_ops {
        &Self::VTABLE
    }
}
