/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Static inlines of the nvme core's private headers, as real functions; see
 * helpers.h.
 */
#ifndef NVME_MPTCP_NVME_CORE_H
#define NVME_MPTCP_NVME_CORE_H

bool ffi_nvme_check_ready(struct nvme_ctrl *ctrl, struct request *rq,
			  bool live);
void ffi_nvme_start_request(struct request *rq);
enum nvme_ctrl_state ffi_nvme_ctrl_state(struct nvme_ctrl *ctrl);
bool ffi_nvme_ctrl_sgl_supported(struct nvme_ctrl *ctrl);
void ffi_nvme_get_ctrl(struct nvme_ctrl *ctrl);
void ffi_nvme_put_ctrl(struct nvme_ctrl *ctrl);
unsigned int ffi_nvmf_nr_io_queues(struct nvmf_ctrl_options *opts);
bool ffi_request_is_in_flight(struct request *rq);
void ffi_nvmf_complete_timed_out_request(struct request *rq);
unsigned long ffi_nvmf_get_virt_boundary(struct nvme_ctrl *ctrl, bool admin);
const char *ffi_nvmf_ctrl_subsysnqn(struct nvme_ctrl *ctrl);

#endif
