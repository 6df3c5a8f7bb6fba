// SPDX-License-Identifier: GPL-2.0
/* See host_params.h. tcp.c adds so_priority and wq_unbound to these. */

#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include "host_params.h"

static bool require_mptcp;
module_param(require_mptcp, bool, 0644);
MODULE_PARM_DESC(require_mptcp, "Refuse targets that do not speak MPTCP, instead of using one path (default false)");

bool host_param_require_mptcp(void)
{
	return READ_ONCE(require_mptcp);
}

static bool replace_tcp;
module_param(replace_tcp, bool, 0444);
MODULE_PARM_DESC(replace_tcp, "Also serve 'nvme connect -t tcp', if nvme-tcp is not loaded before (default false)");

bool host_param_replace_tcp(void)
{
	return replace_tcp;
}

/* By its directory in sysfs, which is beside our own. */
bool host_param_nvme_tcp_is_there(void)
{
	struct kobject *other = kset_find_obj(THIS_MODULE->mkobj.kobj.kset,
					      "nvme_tcp");

	kobject_put(other);
	return other;
}

/*
 * nvme-cli sends its digest options for the transport tcp only, so there is
 * another way to ask for them.
 */
static bool hdr_digest;
module_param(hdr_digest, bool, 0644);
MODULE_PARM_DESC(hdr_digest, "Header digests for new controllers of the transport mptcp, even if not asked for (default false)");

bool host_param_hdr_digest(void)
{
	return READ_ONCE(hdr_digest);
}

static bool data_digest;
module_param(data_digest, bool, 0644);
MODULE_PARM_DESC(data_digest, "Data digests for new controllers of the transport mptcp, even if not asked for (default false)");

bool host_param_data_digest(void)
{
	return READ_ONCE(data_digest);
}
