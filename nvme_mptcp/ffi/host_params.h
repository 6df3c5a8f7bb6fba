/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Module parameters of the host. They are C, because those of Rust modules can
 * be neither seen nor changed in sysfs.
 */
#ifndef NVME_MPTCP_HOST_PARAMS_H
#define NVME_MPTCP_HOST_PARAMS_H

#include <linux/types.h>

bool host_param_require_mptcp(void);
bool host_param_replace_tcp(void);
/* Whether nvme-tcp is loaded. May sleep. */
bool host_param_nvme_tcp_is_there(void);
bool host_param_hdr_digest(void);
bool host_param_data_digest(void);

#endif
