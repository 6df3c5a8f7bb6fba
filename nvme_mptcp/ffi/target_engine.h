/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NVME_MPTCP_TARGET_ENGINE_H
#define NVME_MPTCP_TARGET_ENGINE_H
#endif
