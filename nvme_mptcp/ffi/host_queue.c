// SPDX-License-Identifier: GPL-2.0
/*
 * The part of the host's engine that is about queues and their requests.
 * Included by host_engine.c.
 */

struct nvme_tcp_queue *host_engine_queue(struct nvme_ctrl *ctrl,
					 unsigned int qid)
{
	return &to_tcp_ctrl(ctrl)->queues[qid];
}

int host_engine_queue_init(struct nvme_tcp_queue *queue)
{
	struct nvme_ctrl *ctrl = &queue->ctrl->ctrl;

	host_engine_forget(queue);
	if (nvme_tcp_admin_queue(queue))
		queue->cmnd_capsule_len = sizeof(struct nvme_command) +
					  NVME_TCP_ADMIN_CCSZ;
	else
		queue->cmnd_capsule_len = ctrl->ioccsz * 16;
	queue->hdr_digest = ctrl->opts->hdr_digest;
	queue->data_digest = ctrl->opts->data_digest;
	queue->flags = 0;
	if (nvme_tcp_admin_queue(queue))
		to_engine(ctrl)->async_out = false;
	/*
	 * tcp.c sends from the submitter's context when nothing else is being
	 * sent. Sending is Rust's here, so to tcp.c this queue always is in the
	 * middle of a request.
	 */
	queue->request = &queue->ctrl->async_req;
	queue->pdu = kmalloc(sizeof(struct nvme_tcp_rsp_pdu) +
			     nvme_tcp_hdgst_len(queue), GFP_KERNEL);
	return queue->pdu ? 0 : -ENOMEM;
}

int host_engine_queue_connect(struct nvme_tcp_queue *queue, struct socket *sock)
{
	queue->sock = sock;
	return nvme_tcp_init_connection(queue);
}

void host_engine_queue_start(struct nvme_tcp_queue *queue)
{
	queue->rd_enabled = true;
	nvme_tcp_init_recv_ctx(queue);
}

void host_engine_queue_stop_receiving(struct nvme_tcp_queue *queue)
{
	WRITE_ONCE(queue->rd_enabled, false);
}

void host_engine_queue_free(struct nvme_tcp_queue *queue)
{
	/* A new namespace or I/O scheduler may have requests made at any time. */
	mutex_lock(&queue->pf_cache_lock);
	page_frag_cache_drain(&queue->pf_cache);
	mutex_unlock(&queue->pf_cache_lock);
	queue->sock = NULL;
	kfree(queue->pdu);
	queue->pdu = NULL;
}

void host_engine_queue_assign_cpu(struct nvme_tcp_queue *queue)
{
	nvme_tcp_set_queue_io_cpu(queue);
}

void host_engine_queue_release_cpu(struct nvme_tcp_queue *queue)
{
	if (test_and_clear_bit(NVME_TCP_Q_IO_CPU_SET, &queue->flags))
		atomic_dec(&nvme_tcp_cpu_queues[queue->io_cpu]);
	queue->io_cpu = WORK_CPU_UNBOUND;
}

unsigned int host_engine_queue_id(struct nvme_tcp_queue *queue)
{
	return nvme_tcp_queue_id(queue);
}

int host_engine_queue_cpu(struct nvme_tcp_queue *queue)
{
	return queue->io_cpu;
}

/*
 * A poller spins on its CPU until the work has received, so the scheduler is to
 * find another CPU for the work.
 */
static bool engine_queue_work(struct work_struct *io_work)
{
	struct nvme_tcp_queue *queue = container_of(io_work,
						    struct nvme_tcp_queue,
						    io_work);

	if (nvme_tcp_poll_queue(queue))
		return queue_work(engine_poll_wq, io_work);
	return queue_work_on(queue->io_cpu, nvme_tcp_wq, io_work);
}

void host_engine_queue_kick(struct nvme_tcp_queue *queue)
{
	engine_queue_work(&queue->io_work);
}

void host_engine_queue_stop_work(struct nvme_tcp_queue *queue)
{
	cancel_work_sync(&queue->io_work);
}

/* blk-mq. */

int host_engine_init_request(struct blk_mq_tag_set *set, struct request *rq,
			     unsigned int hctx_idx, int node)
{
	return nvme_tcp_init_request(set, rq, hctx_idx, node);
}

void host_engine_exit_request(struct blk_mq_tag_set *set, struct request *rq,
			      unsigned int hctx_idx)
{
	nvme_tcp_exit_request(set, rq, hctx_idx);
}

blk_status_t host_engine_setup_request(struct nvme_ns *ns, struct request *rq)
{
	engine_reset_request(rq);
	return nvme_tcp_setup_cmd_pdu(ns, rq);
}

struct nvme_ctrl *host_engine_request_ctrl(struct request *rq)
{
	return nvme_req(rq)->ctrl;
}

unsigned int host_engine_request_qid(struct request *rq)
{
	struct nvme_tcp_request *req = blk_mq_rq_to_pdu(rq);

	return nvme_tcp_queue_id(req->queue);
}

void host_engine_log_timeout(struct request *rq)
{
	struct nvme_tcp_request *req = blk_mq_rq_to_pdu(rq);
	struct nvme_tcp_cmd_pdu *pdu = nvme_tcp_req_cmd_pdu(req);
	int qid = nvme_tcp_queue_id(req->queue);

	dev_warn(req->queue->ctrl->ctrl.device,
		 "queue %d: command %#x (opcode %#x, %s) timed out\n",
		 qid, nvme_cid(rq), pdu->cmd.common.opcode,
		 nvme_fabrics_opcode_str(qid, &pdu->cmd));
}
