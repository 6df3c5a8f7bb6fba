// SPDX-License-Identifier: GPL-2.0
/*
 * The part of the host's engine that sends: what waits, and what of it goes into
 * the next batch. Included by host_engine.c.
 */

/* The send list. */

bool host_engine_push(struct nvme_tcp_queue *queue, struct request *rq)
{
	struct nvme_tcp_request *req = blk_mq_rq_to_pdu(rq);

	return llist_add(&req->lentry, &queue->req_list);
}

bool host_engine_pending(struct nvme_tcp_queue *queue)
{
	return nvme_tcp_queue_has_pending(queue);
}

struct nvme_tcp_request *host_engine_pop(struct nvme_tcp_queue *queue)
{
	return nvme_tcp_fetch_request(queue);
}

void host_engine_forget(struct nvme_tcp_queue *queue)
{
	init_llist_head(&queue->req_list);
	INIT_LIST_HEAD(&queue->send_list);
}

/*
 * A target may answer what it cannot have yet, and the request is not ours any
 * more then. Answers are handled under the socket lock, and so is this.
 */
int host_engine_put_back(struct nvme_tcp_queue *queue,
			 struct nvme_tcp_request *req, u32 bytes)
{
	struct sock *sk = queue->sock->sk;
	int ret = -EPROTO;

	lock_sock(sk);
	if (engine_take_back(req)) {
		req->offset += bytes;
		list_add(&req->entry, &queue->send_list);
		ret = 0;
	}
	release_sock(sk);
	return ret;
}

/*
 * What tcp.c's send states mean here: CMD_PDU and H2C_PDU are set by tcp.c when
 * it has built that PDU, and mean that its digests are still to be computed.
 * The other two are ours: digests done. req->offset counts the bytes of the PDU
 * sent.
 */
#define ENGINE_CMD_READY	NVME_TCP_SEND_DATA
#define ENGINE_H2C_READY	NVME_TCP_SEND_DDGST

typedef bool engine_bvec_fn(struct bio_vec *bv, void *arg);

/*
 * Calls @fn(bvec, arg) for the request's data from @start, @len bytes long,
 * until it returns false.
 */
static void engine_walk_data(struct request *rq, u32 start, u32 len,
			     engine_bvec_fn *fn, void *arg)
{
	struct req_iterator iter;
	struct bio_vec bv, part;

	if (rq->rq_flags & RQF_SPECIAL_PAYLOAD) {
		part = rq->special_vec;
		part.bv_offset += start;
		part.bv_len = len;
		fn(&part, arg);
		return;
	}

	rq_for_each_bvec(bv, rq, iter) {
		if (start >= bv.bv_len) {
			start -= bv.bv_len;
			continue;
		}
		/* The loop goes on from bv, so that must stay as it is. */
		part = bv;
		part.bv_offset += start;
		part.bv_len = min(bv.bv_len - start, len);
		start = 0;
		len -= part.bv_len;
		if (!fn(&part, arg) || !len)
			return;
	}
}

static bool engine_digest_bvec(struct bio_vec *bv, void *crc)
{
	nvme_tcp_ddgst_update(crc, bv->bv_page, bv->bv_offset, bv->bv_len);
	return true;
}

/*
 * First time that the current PDU is looked at: check its bounds, compute its
 * digests.
 */
static int engine_prepare(struct nvme_tcp_request *req)
{
	struct nvme_tcp_queue *queue = req->queue;
	bool h2c = req->state == NVME_TCP_SEND_H2C_PDU;
	u32 start = h2c ? req->h2cdata_offset : 0;

	/*
	 * What an R2T asks for is the peer's word; tcp.c has checked its length
	 * only.
	 */
	if (start > req->data_len || req->pdu_len > req->data_len - start)
		return -EPROTO;

	if (queue->hdr_digest && h2c)
		nvme_tcp_set_hdgst(nvme_tcp_req_data_pdu(req),
				   sizeof(struct nvme_tcp_data_pdu));
	else if (queue->hdr_digest)
		nvme_tcp_set_hdgst(nvme_tcp_req_cmd_pdu(req),
				   sizeof(struct nvme_tcp_cmd_pdu));
	if (queue->data_digest && req->pdu_len) {
		u32 crc = NVME_TCP_CRC_SEED;

		engine_walk_data(blk_mq_rq_from_pdu(req), start, req->pdu_len,
				 engine_digest_bvec, &crc);
		req->ddgst = nvme_tcp_ddgst_final(crc);
	}
	/*
	 * From here on an R2T for this part is one too many (tcp.c compares
	 * with data_sent).
	 */
	if (req->pdu_len)
		req->data_sent = start + req->pdu_len;
	req->state = h2c ? ENGINE_H2C_READY : ENGINE_CMD_READY;
	return 0;
}

struct engine_vector {
	struct bio_vec *bv;
	unsigned int max;
	u32 max_bytes;
	struct host_engine_pdu *pdu;
};

/* Appends what fits; false when the vector is full. */
static bool engine_append(struct bio_vec *bv, void *arg)
{
	struct engine_vector *vec = arg;
	struct host_engine_pdu *pdu = vec->pdu;
	u32 len = min(bv->bv_len, vec->max_bytes - pdu->bytes);

	if (!len || pdu->segments == vec->max)
		return false;
	vec->bv[pdu->segments] = *bv;
	vec->bv[pdu->segments].bv_len = len;
	pdu->segments++;
	pdu->bytes += len;
	return len == bv->bv_len;
}

static int engine_describe(struct nvme_tcp_request *req,
			   struct engine_vector *vec)
{
	struct nvme_tcp_queue *queue = req->queue;
	struct host_engine_pdu *pdu = vec->pdu;
	u32 head, data, tail, skip = req->offset;
	struct bio_vec one;
	bool h2c;
	int ret;

	if (req->state == NVME_TCP_SEND_CMD_PDU ||
	    req->state == NVME_TCP_SEND_H2C_PDU) {
		ret = engine_prepare(req);
		if (ret)
			return ret;
	}
	h2c = req->state == ENGINE_H2C_READY;
	head = (h2c ? sizeof(struct nvme_tcp_data_pdu) :
		      sizeof(struct nvme_tcp_cmd_pdu)) +
	       nvme_tcp_hdgst_len(queue);
	data = req->pdu_len;
	tail = data ? nvme_tcp_ddgst_len(queue) : 0;
	pdu->left = head + data + tail - skip;
	pdu->more = h2c && req->h2cdata_left;

	if (skip < head) {
		bvec_set_virt(&one, (h2c ? nvme_tcp_req_data_pdu(req) :
			      nvme_tcp_req_cmd_pdu(req)) + skip, head - skip);
		if (!engine_append(&one, vec))
			goto out;
		skip = head;
	}
	if (skip < head + data)
		engine_walk_data(blk_mq_rq_from_pdu(req),
				 (h2c ? req->h2cdata_offset : 0) + skip - head,
				 head + data - skip, engine_append, vec);
	/* The digest can only follow when all data before it is in. */
	if (tail && pdu->left - pdu->bytes <= tail) {
		u32 sent = tail - (pdu->left - pdu->bytes);

		bvec_set_virt(&one, (void *)&req->ddgst + sent, tail - sent);
		engine_append(&one, vec);
	}
out:
	pdu->left -= pdu->bytes;
	return 0;
}

int host_engine_describe(struct nvme_tcp_request *req, struct bio_vec *bv,
			 unsigned int max, u32 max_bytes,
			 struct host_engine_pdu *pdu)
{
	struct engine_vector vec = {
		.bv = bv, .max = max, .max_bytes = max_bytes, .pdu = pdu,
	};
	int ret;

	*pdu = (struct host_engine_pdu){};
	ret = engine_describe(req, &vec);
	/*
	 * Not before: an answer would complete the request, and its bios would
	 * be somebody else's. Whatever has come of it, because only what is out
	 * is taken back or failed.
	 */
	engine_set_out(req);
	return ret;
}

int host_engine_next_pdu(struct nvme_tcp_queue *queue,
			 struct nvme_tcp_request *req)
{
	struct sock *sk = queue->sock->sk;
	int ret = -EPROTO;

	lock_sock(sk);
	if (engine_take_back(req)) {
		nvme_tcp_setup_h2c_data_pdu(req);
		llist_add(&req->lentry, &queue->req_list);
		ret = 0;
	}
	release_sock(sk);
	return ret;
}

void host_engine_fail(struct nvme_tcp_request *req)
{
	struct sock *sk = req->queue->sock->sk;
	bool ours;

	lock_sock(sk);
	ours = engine_take_back(req);
	release_sock(sk);
	if (ours)
		nvme_tcp_fail_request(req);
}

void host_engine_refuse(struct nvme_tcp_request *req)
{
	if (nvme_tcp_async_req(req) ||
	    blk_mq_rq_state(blk_mq_rq_from_pdu(req)) == MQ_RQ_IN_FLIGHT)
		nvme_tcp_fail_request(req);
}
