// SPDX-License-Identifier: GPL-2.0

//! Registration with nvmet (`struct nvmet_fabrics_ops`).

use super::{
    engine::{
        Connection,
        ControllerId,
        SubmissionQueueId, //
    },
    flush_workqueue,
    port::PortConfig, //
};
use crate::{
    ffi::bindings,
    net::address::Address, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*,
    sync::Arc, //
};

/// Size of an address in the discovery log, its NUL included.
const ADDRESS_SIZE: usize = bindings::NVMF_TRADDR_SIZE as usize;

/// An NVMe status that nvmet sends to a host instead of success.
#[derive(Clone, Copy)]
pub(crate) enum Refusal {
    /// "Controller busy": too much is going on, come again.
    Busy,
    /// "Connect invalid parameters": there is no such controller for that queue. The host may come again, with
    /// another controller.
    Unknown,
    /// "Internal error".
    Internal,
}

impl Refusal {
    fn status(self) -> u16 {
        let status = match self {
            Self::Busy => bindings::NVME_SC_CONNECT_CTRL_BUSY,
            Self::Unknown => bindings::NVME_SC_CONNECT_INVALID_PARAM,
            Self::Internal => bindings::NVME_SC_INTERNAL,
        };
        // Status codes have eleven bits.
        status as u16
    }
}

/// A transport of nvmet. The methods are called in process context and may sleep.
pub(crate) trait Transport: Connection {
    /// What the module has once.
    type Context: Send + Sync + 'static;

    /// An enabled port.
    type Port: Send + Sync + 'static;

    /// Opens a port, in the context of the process that enables it.
    fn add_port(context: &Arc<Self::Context>, config: PortConfig) -> Result<Arc<Self::Port>>;

    /// Closes a port. No connection may use its configuration after it has been released.
    fn remove_port(context: &Self::Context, port: Arc<Self::Port>);

    /// Ends all connections of a controller.
    fn delete_controller(context: &Self::Context, controller: ControllerId);

    /// Makes room for the commands of a queue that has just been connected to a controller of this
    /// transport. The queue may be another transport's.
    fn install_queue(
        context: &Self::Context,
        queue: SubmissionQueueId,
    ) -> core::result::Result<(), Refusal>;

    /// The address by which the host of this connection can find the port, if its configuration
    /// does not say it.
    fn discovery_address(&self) -> Option<Address>;

    /// The address of the host of a controller.
    fn host_address(context: &Self::Context, controller: ControllerId) -> Result<Address>;

    /// Ends all connections. Called when the transport is not registered any more.
    fn shutdown(context: &Self::Context);
}

/// What the callbacks of nvmet find.
struct Tables<T: Transport> {
    context: Arc<T::Context>,
    fabrics: [bindings::nvmet_fabrics_ops; 2],
}

/// The engine, set up as long as this exists.
struct EngineModule(());

impl EngineModule {
    /// Sets the engine up. Once at a time. May sleep.
    ///
    /// # Safety
    ///
    /// `tables` must outlive this object.
    unsafe fn new<T: Transport>(tables: &Tables<T>) -> Result<Self> {
        // SAFETY: Called once, when the module is loaded.
        to_result(unsafe { bindings::target_engine_init((&raw const *tables).cast_mut().cast()) })?;
        Ok(Self(()))
    }
}

impl Drop for EngineModule {
    fn drop(&mut self) {
        // SAFETY: No connection is left.
        unsafe { bindings::target_engine_exit() };
    }
}

/// A registered transport, until this is dropped.
///
/// # Invariants
///
/// The engine's context is `tables`, and the first `registered` of its tables are registered with
/// nvmet.
pub(crate) struct Registration<T: Transport> {
    registered: usize,
    _engine: EngineModule,
    tables: KBox<Tables<T>>,
}

// SAFETY: The tables are constant, and the context is `Send`.
unsafe impl<T: Transport> Send for Registration<T> {}
// SAFETY: As above.
unsafe impl<T: Transport> Sync for Registration<T> {}

impl<T: Transport> Registration<T> {
    /// Registers with nvmet for two transport types. May sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if another transport has one of the types.
    pub(crate) fn new(
        module: &'static ThisModule,
        types: [u32; 2],
        context: Arc<T::Context>,
    ) -> Result<Self> {
        let tables = KBox::new(
            Tables {
                context,
                fabrics: types.map(|ty| Adapter::<T>::fabrics(module, ty)),
            },
            GFP_KERNEL,
        )?;
        // SAFETY: The fields of a `Registration` are dropped in the order of their declaration,
        // that is the tables last.
        let engine = unsafe { EngineModule::new(&tables)? };
        // INVARIANT: Nothing is registered yet.
        let mut this = Self {
            registered: 0,
            _engine: engine,
            tables,
        };
        for table in &this.tables.fabrics {
            // SAFETY: The table stays where it is until it is unregistered.
            to_result(unsafe { bindings::nvmet_register_transport(table) }).map_err(|_| EBUSY)?;
            // INVARIANT: One more.
            this.registered = this.registered.saturating_add(1);
        }
        Ok(this)
    }
}

impl<T: Transport> Drop for Registration<T> {
    fn drop(&mut self) {
        for table in self.tables.fabrics.iter().take(self.registered) {
            // SAFETY: It is registered by the type invariant. No port is enabled, because that
            // holds the module.
            unsafe { bindings::nvmet_unregister_transport(table) };
        }
        // Connections of ports that have been disabled may still be there. First those that are on
        // their way out or in.
        flush_workqueue();
        T::shutdown(&self.tables.context);
        flush_workqueue();
    }
}

/// The C side of [`Transport`].
struct Adapter<T: Transport>(PhantomData<T>);

impl<T: Transport> Adapter<T> {
    fn fabrics(module: &'static ThisModule, ty: u32) -> bindings::nvmet_fabrics_ops {
        bindings::nvmet_fabrics_ops {
            owner: module.as_ptr(),
            type_: ty,
            msdbd: 1,
            queue_response: Some(Self::queue_response),
            add_port: Some(Self::add_port),
            remove_port: Some(Self::remove_port),
            delete_ctrl: Some(Self::delete_ctrl),
            disc_traddr: Some(Self::disc_traddr),
            host_traddr: Some(Self::host_traddr),
            install_queue: Some(Self::install_queue),
            ..pin_init::zeroed()
        }
    }

    /// What was registered.
    ///
    /// # Safety
    ///
    /// Only for the callbacks below, which nvmet makes while the transport is registered, or while
    /// a connection of it is there, which `Registration::drop()` waits for.
    unsafe fn tables<'a>() -> &'a Tables<T> {
        // SAFETY: The context is the tables of a live registration, as this function demands.
        unsafe { &*bindings::target_engine_context().cast() }
    }

    /// # Safety
    ///
    /// Called by nvmet only, for a command that the engine has started.
    unsafe extern "C" fn queue_response(req: *mut bindings::nvmet_req) {
        // SAFETY: As this function demands.
        unsafe { bindings::target_engine_queue_response(req) };
    }

    /// # Safety
    ///
    /// Called by nvmet only, with a port that it is about to enable, under its configuration lock.
    unsafe extern "C" fn add_port(port: *mut bindings::nvmet_port) -> c_int {
        from_result(|| {
            // SAFETY: Only called while the transport is registered.
            let tables = unsafe { Self::tables() };
            // SAFETY: The port is valid as this function demands.
            let ty = unsafe { (*port).disc_addr.trtype };
            let fabrics = tables.fabrics.iter().find(|f| f.type_ == u32::from(ty));
            // SAFETY: The port is live, and its connections end when it is disabled, see
            // `remove_port()`.
            let config = unsafe {
                PortConfig::new(
                    NonNull::new(port).ok_or(EINVAL)?,
                    NonNull::from(fabrics.ok_or(EINVAL)?),
                )
            };
            let state = T::add_port(&tables.context, config)?;
            // SAFETY: The field is the transport's. It owns a reference, given back by
            // `remove_port()`.
            unsafe { (*port).priv_ = Arc::into_raw(state).cast_mut().cast() };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by nvmet only, with a port that `add_port()` has opened.
    unsafe extern "C" fn remove_port(port: *mut bindings::nvmet_port) {
        // SAFETY: Only called while the transport is registered, and `add_port()` has set the
        // field.
        let (tables, state) = unsafe {
            (
                Self::tables(),
                Arc::from_raw((*port).priv_.cast_const().cast::<T::Port>()),
            )
        };
        T::remove_port(&tables.context, state);
    }

    /// # Safety
    ///
    /// Called by nvmet only, with a live controller of this transport.
    unsafe extern "C" fn delete_ctrl(ctrl: *mut bindings::nvmet_ctrl) {
        // SAFETY: A controller of this transport has connections.
        let tables = unsafe { Self::tables() };
        if let Some(ctrl) = NonNull::new(ctrl) {
            T::delete_controller(&tables.context, ControllerId(ctrl));
        }
    }

    /// # Safety
    ///
    /// Called by nvmet only, for a command of the engine's that is being executed, with room for an
    /// address.
    unsafe extern "C" fn disc_traddr(
        req: *mut bindings::nvmet_req,
        port: *mut bindings::nvmet_port,
        traddr: *mut c_char,
    ) {
        // SAFETY: A connection with a command is started and not stopped, so its owner is there;
        // the port is that of the connection, which lives longer. The room is nvmet's stack, of which the host gets all
        // and on which nothing has been written yet.
        let (connection, configured, out) = unsafe {
            traddr.write_bytes(0, ADDRESS_SIZE);
            (
                &*bindings::target_engine_owner_of_req(req).cast::<T>(),
                &(*port).disc_addr.traddr,
                core::slice::from_raw_parts_mut(traddr.cast::<u8>(), ADDRESS_SIZE),
            )
        };
        match connection.discovery_address() {
            Some(address) => {
                address.format(out, false);
            }
            None => out.copy_from_slice(configured),
        }
    }

    /// # Safety
    ///
    /// Called by nvmet only, with a live controller of this transport, and room for `len` bytes.
    unsafe extern "C" fn host_traddr(
        ctrl: *mut bindings::nvmet_ctrl,
        traddr: *mut c_char,
        len: usize,
    ) -> isize {
        from_result(|| {
            // SAFETY: A controller of this transport has connections.
            let tables = unsafe { Self::tables() };
            let ctrl = ControllerId(NonNull::new(ctrl).ok_or(EINVAL)?);
            let address = T::host_address(&tables.context, ctrl)?;
            // SAFETY: As this function demands.
            let out = unsafe { core::slice::from_raw_parts_mut(traddr.cast::<u8>(), len) };
            Ok(isize::try_from(address.format(out, false))?)
        })
    }

    /// # Safety
    ///
    /// Called by nvmet only, for a queue that is being connected to a controller of this transport:
    /// of whichever transport it is itself.
    unsafe extern "C" fn install_queue(sq: *mut bindings::nvmet_sq) -> u16 {
        // SAFETY: A controller of this transport has connections.
        let tables = unsafe { Self::tables() };
        let installed = match NonNull::new(sq) {
            Some(sq) => T::install_queue(&tables.context, SubmissionQueueId(sq)),
            None => Err(Refusal::Unknown),
        };
        match installed {
            Ok(()) => 0,
            Err(refusal) => {
                // SAFETY: nvmet has just given this queue a controller, and holds another reference on it.
                unsafe { bindings::target_engine_refuse(sq) };
                refusal.status()
            }
        }
    }
}
