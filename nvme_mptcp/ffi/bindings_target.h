/* SPDX-License-Identifier: GPL-2.0 */
/* What bindgen reads for the target crate. */

#include <linux/module.h>
#include <linux/inet.h>
#include <linux/netdevice.h>
#include <linux/nvme.h>
#include <net/mptcp.h>
#include <net/sock.h>
#include <net/tcp_states.h>
#include "nvmet.h"
#include "helpers.h"
#include "observe.h"
#include "target_engine.h"
#include "target_params.h"
#include "trace_target.h"

/* Macros that bindgen cannot evaluate; the prefix is removed from the generated names. */
const __u32 RUST_CONST_HELPER_MPTCP_INFO_FLAG_FALLBACK =
	MPTCP_INFO_FLAG_FALLBACK;
