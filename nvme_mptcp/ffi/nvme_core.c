// SPDX-License-Identifier: GPL-2.0
/* See nvme_core.h. */

#include "nvme.h"
#include "fabrics.h"
#include "nvme_core.h"

bool ffi_nvme_check_ready(struct nvme_ctrl *ctrl, struct request *rq, bool live)
{
	return nvme_check_ready(ctrl, rq, live);
}

void ffi_nvme_start_request(struct request *rq)
{
	nvme_start_request(rq);
}

enum nvme_ctrl_state ffi_nvme_ctrl_state(struct nvme_ctrl *ctrl)
{
	return nvme_ctrl_state(ctrl);
}

bool ffi_nvme_ctrl_sgl_supported(struct nvme_ctrl *ctrl)
{
	return nvme_ctrl_sgl_supported(ctrl);
}

void ffi_nvme_get_ctrl(struct nvme_ctrl *ctrl)
{
	nvme_get_ctrl(ctrl);
}

void ffi_nvme_put_ctrl(struct nvme_ctrl *ctrl)
{
	nvme_put_ctrl(ctrl);
}

unsigned int ffi_nvmf_nr_io_queues(struct nvmf_ctrl_options *opts)
{
	return nvmf_nr_io_queues(opts);
}

bool ffi_request_is_in_flight(struct request *rq)
{
	return blk_mq_rq_state(rq) == MQ_RQ_IN_FLIGHT;
}

void ffi_nvmf_complete_timed_out_request(struct request *rq)
{
	nvmf_complete_timed_out_request(rq);
}

unsigned long ffi_nvmf_get_virt_boundary(struct nvme_ctrl *ctrl, bool admin)
{
	return nvmf_get_virt_boundary(ctrl, admin);
}

const char *ffi_nvmf_ctrl_subsysnqn(struct nvme_ctrl *ctrl)
{
	return nvmf_ctrl_subsysnqn(ctrl);
}
