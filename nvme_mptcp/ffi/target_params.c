// SPDX-License-Identifier: GPL-2.0
/*
 * See target_params.h. tcp.c adds so_priority and idle_poll_period_usecs to
 * these.
 */

#include <linux/jiffies.h>
#include <linux/moduleparam.h>
#include "target_params.h"

static bool require_mptcp;
module_param(require_mptcp, bool, 0644);
MODULE_PARM_DESC(require_mptcp, "Refuse hosts that speak plain TCP (default false)");

bool target_param_require_mptcp(void)
{
	return READ_ONCE(require_mptcp);
}

/* A number of seconds that a timer can count. */
static int set_seconds(const char *text, const struct kernel_param *param)
{
	return param_set_uint_minmax(text, param, 0, 24 * 60 * 60);
}

static const struct kernel_param_ops seconds_ops = {
	.set = set_seconds,
	.get = param_get_uint,
};

static unsigned int connect_timeout = 30;
module_param_cb(connect_timeout, &seconds_ops, &connect_timeout, 0644);
MODULE_PARM_DESC(connect_timeout, "Seconds in which a new connection must become a queue of a controller (default 30, 0: no limit)");

unsigned int target_param_connect_timeout(void)
{
	return READ_ONCE(connect_timeout);
}

static unsigned int stall_timeout = 60;
module_param_cb(stall_timeout, &seconds_ops, &stall_timeout, 0644);
MODULE_PARM_DESC(stall_timeout, "Seconds after which a host is dropped that leaves a PDU or a write unfinished, or takes no answers (default 60, 0: never)");

unsigned int target_param_stall_timeout(void)
{
	return READ_ONCE(stall_timeout);
}
