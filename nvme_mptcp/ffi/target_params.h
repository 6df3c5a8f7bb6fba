/* SPDX-License-Identifier: GPL-2.0 */
/* The target's module parameters, but for those that tcp.c declares. */
#ifndef NVME_MPTCP_TARGET_PARAMS_H
#define NVME_MPTCP_TARGET_PARAMS_H

#include <linux/types.h>

bool target_param_require_mptcp(void);
unsigned int target_param_connect_timeout(void);	/* seconds; 0: none */
unsigned int target_param_stall_timeout(void);		/* seconds; 0: none */

#endif
