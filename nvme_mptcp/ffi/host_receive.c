// SPDX-License-Identifier: GPL-2.0
/*
 * The part of the host's engine that receives: what tcp.c believes of an answer
 * without looking. Included by host_engine.c.
 *
 * tcp.c finds the request of an answer by its tag, and takes it if four bits of
 * the command's number fit; whether it is a command that could be answered it
 * does not ask. A target that answers a tag that is free, or a command that is
 * still to be sent, would have a request completed twice, or freed while it is
 * on the send list. And it puts data where the last ones ended, wherever the
 * target says that they belong.
 */

static struct engine_request *to_request(struct request *rq)
{
	return blk_mq_rq_to_pdu(rq);
}

static bool *engine_out(struct nvme_tcp_request *req)
{
	if (nvme_tcp_async_req(req))
		return &to_engine(&req->queue->ctrl->ctrl)->async_out;
	return &to_request(blk_mq_rq_from_pdu(req))->out;
}

/*
 * The request's PDU is described, and on the way to the socket: from here on it
 * may be answered, and then belongs to somebody else, so this is the last that
 * the sender has to do with it before that send takes the socket lock.
 */
static void engine_set_out(struct nvme_tcp_request *req)
{
	/* After all that the description has read: pairs with who answers. */
	smp_store_release(engine_out(req), true);
}

/* Whether data for @rq have begun to come in: tcp.c will not ask again. */
static bool engine_data_for(struct nvme_tcp_queue *queue, struct request *rq)
{
	struct nvme_tcp_data_pdu *pdu = queue->pdu;

	return nvme_tcp_recv_state(queue) != NVME_TCP_RECV_PDU &&
	       pdu->command_id == nvme_cid(rq);
}

static bool engine_is_answered(struct nvme_tcp_request *req)
{
	struct request *rq;

	if (nvme_tcp_async_req(req))
		return false;
	rq = blk_mq_rq_from_pdu(req);
	return blk_mq_rq_state(rq) != MQ_RQ_IN_FLIGHT ||
	       engine_data_for(req->queue, rq);
}

/*
 * The request is the sender's again, if it has not been answered meanwhile, nor
 * is just being answered. Under the socket lock, under which answers are handled.
 */
static bool engine_take_back(struct nvme_tcp_request *req)
{
	bool *out = engine_out(req);

	if (!*out || engine_is_answered(req))
		return false;
	WRITE_ONCE(*out, false);
	return true;
}

/* Before the request is built anew. */
static void engine_reset_request(struct request *rq)
{
	struct engine_request *req = to_request(rq);

	WRITE_ONCE(req->out, false);
	req->received = 0;
}

/* What is wrong with C2HData for @rq, or NULL. */
static const char *engine_data_fault(struct nvme_tcp_queue *queue,
				     struct request *rq)
{
	struct nvme_tcp_data_pdu *pdu = queue->pdu;
	struct engine_request *req = to_request(rq);
	u32 len = le32_to_cpu(pdu->data_length);
	u32 head = pdu->hdr.hlen + nvme_tcp_hdgst_len(queue);

	/* These tcp.c refuses itself. */
	if (rq_data_dir(rq) != READ || !req->tcp.data_len)
		return NULL;
	if (le32_to_cpu(pdu->data_offset) != req->received)
		return "data at a wrong offset";
	if (len > req->tcp.data_len - req->received)
		return "more data than asked for";
	/* Of these there could be any number, without an end. */
	if (!len)
		return "data of no length";
	if (pdu->hdr.pdo != head)
		return "data at a wrong place of the PDU";
	if (le32_to_cpu(pdu->hdr.plen) !=
	    head + len + nvme_tcp_ddgst_len(queue))
		return "data and a PDU of different lengths";
	req->received += len;
	return NULL;
}

/* What is wrong with the PDU just received, an answer to @rq, or NULL. */
static const char *engine_answer_fault(struct nvme_tcp_queue *queue,
				       struct request *rq)
{
	struct nvme_tcp_hdr *hdr = queue->pdu;
	struct engine_request *req = to_request(rq);

	if (req->tcp.queue != queue ||
	    blk_mq_rq_state(rq) != MQ_RQ_IN_FLIGHT)
		return "an answer to no command";
	/* Pairs with engine_set_out(). */
	if (!smp_load_acquire(&req->out) || req->tcp.h2cdata_left)
		return "an answer to a command that is not sent yet";
	if (hdr->type == nvme_tcp_c2h_data)
		return engine_data_fault(queue, rq);
	if (le32_to_cpu(hdr->plen) != hdr->hlen + nvme_tcp_hdgst_len(queue))
		return "an answer of a wrong length";
	/* tcp.c will queue it, unless the connection ends. */
	if (hdr->type == nvme_tcp_r2t)
		WRITE_ONCE(req->out, false);
	return NULL;
}

static struct request *engine_find_rq(struct nvme_tcp_queue *queue,
				      struct blk_mq_tags *tags, u16 cid)
{
	struct request *rq = nvme_find_rq(tags, cid);
	const char *fault;

	if (!rq)
		return NULL;
	fault = engine_answer_fault(queue, rq);
	if (!fault)
		return rq;
	dev_err(queue->ctrl->ctrl.device, "queue %d tag %#x: %s\n",
		nvme_tcp_queue_id(queue), rq->tag, fault);
	return NULL;
}

/*
 * An asynchronous event that nobody has asked for, or is just asking for, would
 * have the one request for all of them queued while it is queued.
 */
static bool engine_is_aen_req(struct nvme_tcp_queue *queue, u16 qid, u16 cid)
{
	bool *out = &to_engine(&queue->ctrl->ctrl)->async_out;

	if (!nvme_is_aen_req(qid, cid))
		return false;
	/* Pairs with engine_set_out(). */
	if (!smp_load_acquire(out)) {
		dev_err(queue->ctrl->ctrl.device,
			"queue %d: an event that was not asked for\n", qid);
		return false;
	}
	WRITE_ONCE(*out, false);
	return true;
}

int host_engine_recv(struct nvme_tcp_queue *queue, unsigned int *completed)
{
	int ret = nvme_tcp_try_recv(queue);

	/* What fails in the socket itself tcp.c of 7.2 does not care about. */
	if (ret < 0 && READ_ONCE(queue->rd_enabled)) {
		WRITE_ONCE(queue->rd_enabled, false);
		nvme_tcp_error_recovery(&queue->ctrl->ctrl);
	}
	*completed = queue->nr_cqe;
	return ret;
}

bool host_engine_recv_enabled(struct nvme_tcp_queue *queue)
{
	return READ_ONCE(queue->rd_enabled);
}
