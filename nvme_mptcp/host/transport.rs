// SPDX-License-Identifier: GPL-2.0

//! The transports `mptcp` and, if wanted, `tcp` of nvme-fabrics: how a connect makes a controller.

use super::{
    controller::MptcpCtrl,
    options,
    registry, //
};
use crate::nvme::{
    ctrl::State,
    fabrics::{
        ConnectOptions,
        FabricsDevice,
        Opts,
        Transport, //
    },
    ops::Controller,
    params,
    reference::CtrlRef,
    status::Status, //
};
use kernel::{
    c_str,
    prelude::*, //
};

/// `nvme connect -t mptcp`.
pub(crate) struct Mptcp;

impl Transport for Mptcp {
    const NAME: &'static CStr = c_str!("mptcp");
    const REQUIRED: Opts = options::REQUIRED;
    const ALLOWED: Opts = options::ALLOWED;
    type Controller = MptcpCtrl;

    fn create(dev: &FabricsDevice, mut opts: ConnectOptions) -> Result<CtrlRef<MptcpCtrl>> {
        opts.add_digests(params::digests());
        create::<Self>(dev, opts)
    }
}

/// `nvme connect -t tcp`, with the parameter `replace_tcp`: for tools that know only `tcp`.
pub(crate) struct InPlaceOfTcp;

impl Transport for InPlaceOfTcp {
    const NAME: &'static CStr = c_str!("tcp");
    const REQUIRED: Opts = options::REQUIRED;
    const ALLOWED: Opts = options::ALLOWED;
    type Controller = MptcpCtrl;

    fn create(dev: &FabricsDevice, opts: ConnectOptions) -> Result<CtrlRef<MptcpCtrl>> {
        create::<Self>(dev, opts)
    }
}

fn create<T>(dev: &FabricsDevice, mut opts: ConnectOptions) -> Result<CtrlRef<MptcpCtrl>>
where
    T: Transport<Controller = MptcpCtrl>,
{
    let endpoints = options::check(&mut opts)?;
    let ctrl = CtrlRef::new::<T>(MptcpCtrl::new(opts, endpoints)?, dev)?;

    registry::insert(&ctrl)?;
    match connect(&ctrl) {
        Ok(()) => Ok(ctrl),
        Err(status) => {
            registry::remove(&ctrl);
            Err(status.into_error())
        }
    }
}

/// Brings a new controller up; undoes all of it if that fails.
fn connect(ctrl: &MptcpCtrl) -> Result<(), Status> {
    ctrl.add()?;
    // At once: sysfs is there, and a new controller could be reset.
    let connecting = ctrl.change_state(State::Connecting);
    // Without debugfs there is less to see, that is all.
    let _ = ctrl.publish();
    let up = if connecting {
        ctrl.set_up(true)
    } else {
        Err(EINTR.into())
    };
    if let Err(status) = up {
        ctrl.end_watching();
        ctrl.unpublish();
        ctrl.uninit();
        return Err(status);
    }
    dev_info!(
        ctrl.device(),
        "new ctrl: NQN \"{}\", addr {}, hostnqn: {}\n",
        ctrl.subsystem_nqn().to_str().unwrap_or("?"),
        ctrl.endpoints().target,
        ctrl.options().host_nqn().to_str().unwrap_or("?")
    );
    Ok(())
}
