// SPDX-License-Identifier: GPL-2.0
/*
 * The part of the target's engine that receives: reading ahead, digests, and
 * the C2HTermReq for what is not in order. Included by target_engine.c.
 */

static int engine_recvmsg(struct target_engine *engine, struct msghdr *msg)
{
	size_t want = msg_data_left(msg);
	int ret;

	if (engine->drained)
		return -EAGAIN;
	do {
		engine->again = false;
		ret = sock_recvmsg(engine->tcp.sock, msg, msg->msg_flags);
	} while (ret == -EAGAIN && engine->again);
	if (ret > 0) {
		engine->received += ret;
		engine->drained = ret < want && !engine->again;
	}
	return ret;
}

static u32 engine_take(struct target_engine *engine, u32 len)
{
	len = min(len, engine->ahead_len);
	engine->ahead_at += len;
	engine->ahead_len -= len;
	return len;
}

/* All of it if it is there: tcp.c takes less for a sign that no more is. */
static int engine_recv_ahead(struct nvmet_tcp_queue *queue, struct kvec *vec)
{
	struct target_engine *engine = to_engine(queue);
	const void *ahead = engine->ahead + engine->ahead_at;
	u32 have = engine_take(engine, vec->iov_len);
	u32 want = vec->iov_len - have;
	struct kvec both[2] = {
		{ .iov_base = vec->iov_base + have, .iov_len = want },
		{ .iov_base = engine->ahead, .iov_len = ENGINE_READ_AHEAD },
	};
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT };
	int ret;

	memcpy(vec->iov_base, ahead, have);
	if (!want)
		return have;
	iov_iter_kvec(&msg.msg_iter, ITER_DEST, both, 2,
		      want + ENGINE_READ_AHEAD);
	ret = engine_recvmsg(engine, &msg);
	if (ret <= 0)
		return have ? have : ret;
	engine->ahead_at = 0;
	engine->ahead_len = ret > want ? ret - want : 0;
	return have + ret - engine->ahead_len;
}

/*
 * tcp.c expects a digest of all the data of a command, but if they come in
 * several PDUs each has one of its own data.
 */
static void engine_expect_ddgst(struct nvmet_tcp_cmd *cmd)
{
	struct bio_vec *bv = cmd->iov;
	u32 left = cmd->pdu_len;
	u32 crc = ~0;

	/* The other one has cost its time nonetheless, however short this PDU. */
	to_engine(cmd->queue)->extra_steps +=
		cmd->req.transfer_len / ENGINE_DIGEST_STEP;
	for (; left; bv++) {
		u32 len = min(left, bv->bv_len);

		crc = crc32c(crc, bvec_virt(bv), len);
		left -= len;
	}
	cmd->exp_ddgst = cpu_to_le32(~crc);
}

/* How much data a command brings along. */
static u32 engine_capsule_data(struct nvmet_tcp_queue *queue)
{
	struct nvme_command *cmd = &queue->pdu.cmd.cmd;
	struct nvme_sgl_desc *sgl = &cmd->common.dptr.sgl;

	if (sgl->type != (NVME_SGL_FMT_DATA_DESC << 4 | NVME_SGL_FMT_OFFSET) ||
	    !nvme_is_write(cmd))
		return 0;
	return le32_to_cpu(sgl->length);
}

static bool engine_capsule_too_large(struct nvmet_tcp_queue *queue)
{
	struct nvmet_port *nport = to_engine(queue)->port.nport;
	u32 most = NVMET_TCP_MAXH2CDATA;

	/* An admin queue has capsules of one size, and so has what connects another. */
	if (!queue->nvme_sq.qid)
		most = ENGINE_ADMIN_CAPSULE;
	/* Of more tcp.c would fail the command before it takes the data. */
	return engine_capsule_data(queue) >
	       min_t(u32, nport->inline_data_size, most);
}

/* If the header is damaged, tcp.c says so, and not what it seems to say. */
static bool engine_header_damaged(struct nvmet_tcp_queue *queue)
{
	struct nvme_tcp_hdr *hdr = &queue->pdu.cmd.hdr;

	return queue->hdr_digest &&
	       le32_to_cpu(*(__le32 *)((void *)hdr + hdr->hlen)) !=
	       ~crc32c(~0, hdr, hdr->hlen);
}

/* tcp.c takes data by their tag, whatever command the host says they are of. */
static bool engine_data_of_another(struct nvmet_tcp_queue *queue)
{
	struct nvme_tcp_data_pdu *data = &queue->pdu.data;
	struct nvmet_tcp_cmd *cmd;

	if (data->ttag >= queue->nr_cmds)
		return false;
	cmd = &queue->cmds[data->ttag];
	return (cmd->flags & NVMET_TCP_F_R2T_SENT) &&
	       data->command_id != cmd->req.cmd->common.command_id;
}

static bool engine_data_valid(struct nvmet_tcp_queue *queue)
{
	struct nvme_tcp_data_pdu *data = &queue->pdu.data;

	if (!engine_data_of_another(queue) || engine_header_damaged(queue))
		return true;
	pr_err("queue %d: data of command %#x with the tag of another\n",
	       queue->idx, data->command_id);
	return false;
}

/*
 * tcp.c does not look at the length of a command's PDU, and fails a command
 * with too much data without receiving them. What follows in the stream would
 * not be where a PDU begins, and data would be taken for commands.
 */
static bool engine_capsule_valid(struct nvmet_tcp_queue *queue)
{
	struct nvme_tcp_hdr *hdr = &queue->pdu.cmd.hdr;
	u32 plen = le32_to_cpu(hdr->plen);
	u32 data = engine_capsule_data(queue);
	u64 expected = hdr->hlen + nvmet_tcp_hdgst_len(queue);

	if (data)
		expected += (u64)data + nvmet_tcp_ddgst_len(queue);
	if (plen == expected && !engine_capsule_too_large(queue))
		return true;
	if (engine_header_damaged(queue))
		return true;
	pr_err("queue %d: a command of %u bytes with %u bytes of data\n",
	       queue->idx, plen, data);
	return false;
}

/* Also receives data digests. */
static int engine_recv_header(struct nvmet_tcp_queue *queue, struct kvec *vec)
{
	int ret = engine_recv_ahead(queue, vec);
	u8 type = queue->pdu.cmd.hdr.type;

	if (queue->rcv_state == NVMET_TCP_RECV_PDU && ret == vec->iov_len &&
	    queue->offset >= sizeof(struct nvme_tcp_hdr) &&
	    ((type == nvme_tcp_cmd && !engine_capsule_valid(queue)) ||
	     (type == nvme_tcp_h2c_data && !engine_data_valid(queue)))) {
		queue->offset += ret;
		return -EPROTO;
	}

	if (ret > 0 && queue->rcv_state == NVMET_TCP_RECV_DDGST &&
	    !queue->offset &&
	    queue->cmd->pdu_len != queue->cmd->req.transfer_len)
		engine_expect_ddgst(queue->cmd);
	/* tcp.c replaces the digest of a header by the right one. */
	if (ret >= NVME_TCP_DIGEST_LENGTH &&
	    queue->rcv_state == NVMET_TCP_RECV_PDU)
		memcpy(&to_engine(queue)->hdgst,
		       vec->iov_base + ret - NVME_TCP_DIGEST_LENGTH,
		       NVME_TCP_DIGEST_LENGTH);
	return ret;
}

static int engine_recv_data(struct nvmet_tcp_queue *queue, struct msghdr *msg)
{
	struct target_engine *engine = to_engine(queue);
	const void *ahead = engine->ahead + engine->ahead_at;
	u32 have = engine_take(engine, min(msg_data_left(msg),
					   ENGINE_READ_AHEAD));

	if (have)
		return copy_to_iter(ahead, have, &msg->msg_iter);
	return engine_recvmsg(engine, msg);
}

/*
 * A command that is executed at once, by the io_work itself, does not need it
 * queued again: it looks for answers before it ends.
 */
static void engine_queue_work(int cpu, struct workqueue_struct *wq,
			      struct work_struct *work)
{
	struct target_engine *engine = container_of(work, struct target_engine,
						    tcp.io_work);

	if (in_task() && READ_ONCE(engine->worker) == current)
		return;
	queue_work_on(cpu, wq, work);
}

/*
 * Which rule the PDU breaks that tcp.c has just refused (NVMe/TCP, "Fatal Error
 * Status"), and where.
 */
static u16 engine_fault(struct nvmet_tcp_queue *queue, u32 *info)
{
	union nvme_tcp_pdu *pdu = &queue->pdu;
	struct nvme_tcp_hdr *hdr = &pdu->cmd.hdr;
	bool connecting = queue->state == NVMET_TCP_Q_CONNECTING;

	*info = offsetof(struct nvme_tcp_hdr, type);
	if (!nvmet_tcp_pdu_valid(hdr->type))
		return NVME_TCP_FES_INVALID_PDU_HDR;
	if (hdr->hlen != nvmet_tcp_pdu_size(hdr->type)) {
		*info = offsetof(struct nvme_tcp_hdr, hlen);
		return NVME_TCP_FES_INVALID_PDU_HDR;
	}
	if (queue->hdr_digest && (hdr->flags & NVME_TCP_F_HDGST) &&
	    queue->offset == hdr->hlen + NVME_TCP_DIGEST_LENGTH &&
	    memcmp((void *)pdu + hdr->hlen, &to_engine(queue)->hdgst,
		   NVME_TCP_DIGEST_LENGTH)) {
		*info = le32_to_cpu(to_engine(queue)->hdgst);
		return NVME_TCP_FES_HDR_DIGEST_ERR;
	}
	if ((hdr->type == nvme_tcp_icreq) != connecting)
		return NVME_TCP_FES_PDU_SEQ_ERR;

	*info = offsetof(struct nvme_tcp_hdr, plen);
	if (connecting &&
	    hdr->plen == cpu_to_le32(sizeof(struct nvme_tcp_icreq_pdu))) {
		*info = pdu->icreq.pfv != NVME_TCP_PFV_1_0 ?
			offsetof(struct nvme_tcp_icreq_pdu, pfv) :
			offsetof(struct nvme_tcp_icreq_pdu, hpda);
		return NVME_TCP_FES_UNSUPPORTED_PARAM;
	}
	if (hdr->type == nvme_tcp_h2c_data) {
		if (engine_data_of_another(queue)) {
			*info = offsetof(struct nvme_tcp_data_pdu, command_id);
			return NVME_TCP_FES_INVALID_PDU_HDR;
		}
		*info = offsetof(struct nvme_tcp_data_pdu, data_offset);
		return NVME_TCP_FES_DATA_OUT_OF_RANGE;
	}
	if (hdr->type == nvme_tcp_cmd && engine_capsule_too_large(queue))
		return NVME_TCP_FES_DATA_LIMIT_EXCEEDED;
	return NVME_TCP_FES_INVALID_PDU_HDR;
}

/*
 * Tells the host why its connection ends, unless it is in the middle of another
 * PDU of ours.
 */
static void engine_terminate(struct nvmet_tcp_queue *queue)
{
	struct nvme_tcp_hdr *hdr = &queue->pdu.cmd.hdr;
	u32 len = min_t(u32, queue->offset, sizeof(queue->pdu));
	struct nvmet_tcp_cmd *unsent;
	struct {
		struct nvme_tcp_term_pdu pdu;
		u8 header[sizeof(union nvme_tcp_pdu)];
	} term = {};
	struct kvec vec = { .iov_base = &term };
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };
	u32 info;

	unsent = list_first_entry_or_null(&to_engine(queue)->unsent,
					  struct nvmet_tcp_cmd, entry);
	/* Without a header at hand it is the data that are wrong. */
	if (len < sizeof(*hdr) || hdr->type == nvme_tcp_h2c_term ||
	    (unsent && unsent->offset))
		return;
	vec.iov_len = sizeof(term.pdu) + len;
	term.pdu.hdr.type = nvme_tcp_c2h_term;
	term.pdu.hdr.hlen = sizeof(term.pdu);
	term.pdu.hdr.plen = cpu_to_le32(vec.iov_len);
	term.pdu.fes = cpu_to_le16(engine_fault(queue, &info));
	term.pdu.feil = cpu_to_le16(lower_16_bits(info));
	term.pdu.feiu = cpu_to_le16(upper_16_bits(info));
	memcpy(term.header, &queue->pdu, len);
	kernel_sendmsg(queue->sock, &msg, &vec, 1, vec.iov_len);
}

/*
 * nvmet finds a controller by its number, whatever transport it is of, and if it
 * is not ours, nobody has asked us for the commands of this queue.
 */
static bool engine_is_astray(struct nvmet_tcp_queue *queue)
{
	if (!queue->nvme_sq.ctrl || queue->nr_cmds)
		return false;
	pr_err("queue %d: connected to a controller of another transport\n",
	       queue->idx);
	return true;
}

int target_engine_recv(struct nvmet_tcp_queue *queue, int budget, int *taken)
{
	struct target_engine *engine = to_engine(queue);
	int ret = 0;

	while (budget > 0) {
		ret = nvmet_tcp_try_recv_one(queue);
		if (engine_is_astray(queue)) {
			/* The controller is none of our business. */
			queue->rcv_state = NVMET_TCP_RECV_ERR;
			target_engine_release(queue);
			return -EPROTO;
		}
		if (ret <= 0)
			break;
		*taken += 1 + engine->extra_steps;
		budget -= 1 + engine->extra_steps;
		engine->extra_steps = 0;
	}
	if (ret < 0) {
		if (ret == -EPROTO || ret == -EIO)
			engine_terminate(queue);
		target_engine_fail(queue, ret);
	}
	return ret;
}

bool target_engine_again(struct nvmet_tcp_queue *queue)
{
	struct target_engine *engine = to_engine(queue);
	bool again = engine->again;

	engine->again = false;
	return again;
}

bool target_engine_has_failed(struct nvmet_tcp_queue *queue)
{
	struct nvmet_ctrl *ctrl = queue->nvme_sq.ctrl;

	return ctrl && (READ_ONCE(ctrl->csts) & NVME_CSTS_CFS);
}

bool target_engine_is_idle(struct nvmet_tcp_queue *queue)
{
	if (queue->rcv_state == NVMET_TCP_RECV_ERR)
		return true;
	return queue->rcv_state == NVMET_TCP_RECV_PDU && !queue->offset &&
	       !to_engine(queue)->asked && !target_engine_pending(queue) &&
	       !target_engine_has_failed(queue);
}

void target_engine_settle(struct nvmet_tcp_queue *queue)
{
	struct nvmet_tcp_cmd *cmd = queue->cmds;
	bool asked = false;
	u32 i;

	for (i = 0; i < queue->nr_cmds && !asked; i++, cmd++)
		asked = cmd->flags & NVMET_TCP_F_R2T_SENT &&
			nvmet_tcp_need_data_in(cmd);
	to_engine(queue)->asked = asked;
}

u64 target_engine_received(struct nvmet_tcp_queue *queue)
{
	return to_engine(queue)->received;
}

void target_engine_fail(struct nvmet_tcp_queue *queue, int error)
{
	nvmet_tcp_socket_error(queue, error);
	/* A controller that has failed before, as hosts can make it, is left alone. */
	target_engine_release(queue);
}

bool target_engine_keep_polling(struct nvmet_tcp_queue *queue, int steps)
{
	return nvmet_tcp_check_queue_deadline(queue, steps);
}

void target_engine_queue_response(struct nvmet_req *req)
{
	nvmet_tcp_queue_response(req);
}
