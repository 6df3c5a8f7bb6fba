// SPDX-License-Identifier: GPL-2.0

//! nvme-fabrics: registration of a transport, and the options of a connect.
//!
//! C header: [`drivers/nvme/host/fabrics.h`](srctree/drivers/nvme/host/fabrics.h)

use super::{
    engine::Engine,
    ops::Controller,
    reference::CtrlRef, //
};
use crate::ffi::bindings;
use core::{
    marker::{
        PhantomData,
        PhantomPinned, //
    },
    ptr::NonNull,
};
use kernel::{
    error::to_result,
    prelude::*,
    str::CStr,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    types::Opaque, //
};

/// The options that a user may give (`NVMF_OPT_*`), as a set.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Opts(u32);

impl Opts {
    pub(crate) const TRADDR: Self = Self(bindings::NVMF_OPT_TRADDR);
    pub(crate) const TRSVCID: Self = Self(bindings::NVMF_OPT_TRSVCID);
    pub(crate) const HOST_TRADDR: Self = Self(bindings::NVMF_OPT_HOST_TRADDR);
    pub(crate) const HOST_IFACE: Self = Self(bindings::NVMF_OPT_HOST_IFACE);
    pub(crate) const RECONNECT_DELAY: Self = Self(bindings::NVMF_OPT_RECONNECT_DELAY);
    pub(crate) const CTRL_LOSS_TMO: Self = Self(bindings::NVMF_OPT_CTRL_LOSS_TMO);
    pub(crate) const HDR_DIGEST: Self = Self(bindings::NVMF_OPT_HDR_DIGEST);
    pub(crate) const DATA_DIGEST: Self = Self(bindings::NVMF_OPT_DATA_DIGEST);
    pub(crate) const NR_WRITE_QUEUES: Self = Self(bindings::NVMF_OPT_NR_WRITE_QUEUES);
    pub(crate) const NR_POLL_QUEUES: Self = Self(bindings::NVMF_OPT_NR_POLL_QUEUES);
    pub(crate) const TOS: Self = Self(bindings::NVMF_OPT_TOS);
    pub(crate) const TLS: Self = Self(bindings::NVMF_OPT_TLS);
    pub(crate) const TLS_KEY: Self = Self(bindings::NVMF_OPT_TLS_KEY);
    pub(crate) const KEYRING: Self = Self(bindings::NVMF_OPT_KEYRING);
    pub(crate) const CONCAT: Self = Self(bindings::NVMF_OPT_CONCAT);

    /// The set of these options.
    pub(crate) const fn of(opts: &[Self]) -> Self {
        let mut bits = 0;
        let mut rest = opts;
        while let [first, tail @ ..] = rest {
            bits |= first.0;
            rest = tail;
        }
        Self(bits)
    }
}

/// The value of a field of the options: not by a reference, because some can be written through sysfs while a
/// controller is there (`ctrl_loss_tmo` and the like).
macro_rules! option {
    ($opts:expr, $field:ident) => {{
        // SAFETY: The options are valid by the type invariant, and each field is written at once.
        unsafe { (&raw const (*$opts.opts.as_ptr()).$field).read_volatile() }
    }};
}

/// The options of one connect, which the controller made of them will own.
///
/// # Invariants
///
/// `opts` points to options that stay valid as long as this. The strings that are read here and the host change
/// only by the setters.
pub(crate) struct ConnectOptions {
    opts: NonNull<bindings::nvmf_ctrl_options>,
    /// They are ours to free. Until the controller is complete they are still fabrics'.
    adopted: Atomic<bool>,
}

// SAFETY: After the controller has been created only numbers change that are read as a whole.
unsafe impl Send for ConnectOptions {}
// SAFETY: As above.
unsafe impl Sync for ConnectOptions {}

impl ConnectOptions {
    fn string(&self, s: *mut c_char) -> Option<&CStr> {
        if s.is_null() {
            return None;
        }
        // SAFETY: The strings of the options are C strings that live as long as they do.
        Some(unsafe { CStr::from_char_ptr(s) })
    }

    /// Whether the user gave this option.
    pub(crate) fn has(&self, opt: Opts) -> bool {
        option!(self, mask) & opt.0 != 0
    }

    /// Address of the target.
    pub(crate) fn traddr(&self) -> Option<&CStr> {
        self.string(option!(self, traddr))
    }

    /// Port of the target.
    pub(crate) fn trsvcid(&self) -> Option<&CStr> {
        self.string(option!(self, trsvcid))
    }

    /// Local address to bind to.
    pub(crate) fn host_traddr(&self) -> Option<&CStr> {
        self.string(option!(self, host_traddr))
    }

    /// Network interface to bind to.
    pub(crate) fn host_iface(&self) -> Option<&CStr> {
        self.string(option!(self, host_iface))
    }

    /// NQN of this host.
    pub(crate) fn host_nqn(&self) -> &CStr {
        let host = option!(self, host);
        // SAFETY: Fabrics gives every connect a host, which holds its NQN in an array.
        unsafe { CStr::from_char_ptr((*host).nqn.as_ptr()) }
    }

    /// Type of service, if given.
    pub(crate) fn tos(&self) -> Option<u8> {
        u8::try_from(option!(self, tos)).ok()
    }

    /// Entries of the submission queues.
    pub(crate) fn queue_size(&self) -> usize {
        option!(self, queue_size)
    }

    /// Whether queues for polling were asked for.
    pub(crate) fn polls(&self) -> bool {
        option!(self, nr_poll_queues) != 0
    }

    /// Seconds between reconnect attempts.
    pub(crate) fn reconnect_delay(&self) -> u32 {
        option!(self, reconnect_delay)
    }

    /// Most reconnect attempts, -1 for any number.
    pub(crate) fn max_reconnects(&self) -> c_int {
        option!(self, max_reconnects)
    }

    /// Whether a second controller to the same port may be made.
    pub(crate) fn duplicate_connect(&self) -> bool {
        option!(self, duplicate_connect)
    }

    /// Sets the port, if the user gave none.
    pub(crate) fn default_trsvcid(&mut self, port: &CStr) -> Result {
        if self.has(Opts::TRSVCID) {
            return Ok(());
        }
        // SAFETY: `port` is a C string.
        let copy = unsafe { bindings::ffi_kstrdup(port.as_char_ptr()) };
        if copy.is_null() {
            return Err(ENOMEM);
        }
        // SAFETY: The options are ours to change while the controller is made. They free the
        // string, which is allocated as they expect.
        unsafe {
            let opts = self.opts.as_mut();
            opts.trsvcid = copy;
            opts.mask |= Opts::TRSVCID.0;
        }
        Ok(())
    }

    /// Switches digests on that the user did not ask for.
    pub(crate) fn add_digests(&mut self, (header, data): (bool, bool)) {
        // SAFETY: The options are ours to change while the controller is made.
        let opts = unsafe { self.opts.as_mut() };
        opts.hdr_digest |= header;
        opts.data_digest |= data;
    }

    /// Allocates the engine of a controller with these options.
    pub(crate) fn engine(&self) -> Result<Engine> {
        Engine::new(self.opts)
    }

    /// Whether `ctrl` connects to the same port of the same subsystem from the same place, as far
    /// as addresses and names go (and not the network namespace).
    pub(crate) fn match_controller<T: Controller>(&self, ctrl: &T) -> bool {
        // SAFETY: Controller and options are live.
        unsafe { bindings::nvmf_ip_options_match(ctrl.as_ptr(), self.opts.as_ptr()) }
    }
}

impl Drop for ConnectOptions {
    fn drop(&mut self) {
        if self.adopted.load(Relaxed) {
            // SAFETY: Fabrics has handed them over, and this was their last use.
            unsafe { bindings::nvmf_free_options(self.opts.as_ptr()) };
        }
    }
}

/// The device that fabrics makes controllers under, during a connect.
pub(crate) struct FabricsDevice(NonNull<bindings::device>);

impl FabricsDevice {
    pub(super) fn as_ptr(&self) -> *mut bindings::device {
        self.0.as_ptr()
    }
}

/// A fabrics transport.
pub(crate) trait Transport: 'static {
    /// What it is called in `nvme connect -t`.
    const NAME: &'static CStr;
    /// Options that must be given.
    const REQUIRED: Opts;
    /// Options that may be given beyond those that fabrics handles itself.
    const ALLOWED: Opts;
    /// What it makes.
    type Controller: Controller;

    /// Makes and connects a controller. Runs in the context of the user who connects. Sleeps.
    ///
    /// When it fails nothing may be left that uses the options.
    fn create(dev: &FabricsDevice, opts: ConnectOptions) -> Result<CtrlRef<Self::Controller>>;
}

/// A transport, registered as long as this exists.
#[pin_data(PinnedDrop)]
pub(crate) struct Registration<T: Transport> {
    #[pin]
    ops: Opaque<bindings::nvmf_transport_ops>,
    #[pin]
    _pin: PhantomPinned,
    _p: PhantomData<T>,
}

// SAFETY: It is only touched at registration and deregistration.
unsafe impl<T: Transport> Send for Registration<T> {}
// SAFETY: As above.
unsafe impl<T: Transport> Sync for Registration<T> {}

impl<T: Transport> Registration<T> {
    /// Registers the transport; users may connect at once.
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            ops <- Opaque::try_ffi_init(|slot: *mut bindings::nvmf_transport_ops| {
                // SAFETY: `slot` is where the table is going to stay until it is unregistered.
                unsafe {
                    slot.write(bindings::nvmf_transport_ops {
                        module: (&raw const bindings::__this_module).cast_mut(),
                        name: T::NAME.as_char_ptr(),
                        required_opts: T::REQUIRED.0 as c_int,
                        allowed_opts: T::ALLOWED.0 as c_int,
                        create_ctrl: Some(create_ctrl::<T>),
                        ..pin_init::zeroed()
                    });
                    to_result(bindings::nvmf_register_transport(slot))
                }
            }),
            _pin: PhantomPinned,
            _p: PhantomData,
        }? Error)
    }
}

#[pinned_drop]
impl<T: Transport> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: It has been registered by `new()`.
        unsafe { bindings::nvmf_unregister_transport(self.ops.get()) };
    }
}

/// # Safety
///
/// Called by fabrics with its device and with options that are the new controller's if it succeeds.
unsafe extern "C" fn create_ctrl<T: Transport>(
    dev: *mut bindings::device,
    opts: *mut bindings::nvmf_ctrl_options,
) -> *mut bindings::nvme_ctrl {
    let (Some(dev), Some(opts)) = (NonNull::new(dev), NonNull::new(opts)) else {
        return EINVAL.to_ptr();
    };
    // INVARIANT: Fabrics keeps the options until the controller is complete.
    let opts = ConnectOptions {
        opts,
        adopted: Atomic::new(false),
    };
    match T::create(&FabricsDevice(dev), opts) {
        Ok(ctrl) => {
            ctrl.options().adopted.store(true, Relaxed);
            ctrl.into_raw()
        }
        Err(e) => e.to_ptr(),
    }
}
