// SPDX-License-Identifier: GPL-2.0
/*
 * The part of the target's engine that tells what to send. Included by
 * target_engine.c.
 */

bool target_engine_pending(struct nvmet_tcp_queue *queue)
{
	return !list_empty(&to_engine(queue)->unsent) ||
	       !list_empty(&queue->resp_send_list) ||
	       !llist_empty(&queue->resp_list);
}

/*
 * tcp.c's send states say here which PDUs the answer is made of. SEND_DATA is
 * ours: C2HData and a response, where SEND_DATA_PDU is C2HData that says
 * success by itself. cmd->offset counts the bytes of the whole answer sent.
 */
#define ENGINE_SEND_DATA_AND_RESPONSE	NVMET_TCP_SEND_DATA

struct nvmet_tcp_cmd *target_engine_pop(struct nvmet_tcp_queue *queue)
{
	struct target_engine *engine = to_engine(queue);
	struct nvmet_tcp_cmd *cmd;

	cmd = list_first_entry_or_null(&engine->unsent, struct nvmet_tcp_cmd,
				       entry);
	if (cmd) {
		list_del_init(&cmd->entry);
		return cmd;
	}
	cmd = nvmet_tcp_fetch_cmd(queue);
	queue->snd_cmd = NULL;
	if (!cmd || cmd->state != NVMET_TCP_SEND_DATA_PDU)
		return cmd;

	/*
	 * The bio_vec of a digest needs a page of the direct map, which the
	 * array of commands may not have. A command that is answered with data
	 * asks for none, so its R2T has room.
	 */
	if (queue->data_digest)
		memcpy(cmd->r2t_pdu, &cmd->exp_ddgst, NVME_TCP_DIGEST_LENGTH);
	if (!queue->nvme_sq.sqhd_disabled) {
		nvmet_setup_response_pdu(cmd);
		cmd->state = ENGINE_SEND_DATA_AND_RESPONSE;
	}
	return cmd;
}

void target_engine_put_back(struct nvmet_tcp_cmd *cmd)
{
	list_add(&cmd->entry, &to_engine(cmd->queue)->unsent);
}

struct engine_vector {
	struct bio_vec *bv;
	unsigned int max;
	u32 max_bytes;
	u32 skip;	/* bytes that have been sent */
	struct target_engine_pdu *pdu;
};

/* Appends what fits of @len bytes, or counts them as left. */
static void engine_append(struct engine_vector *vec, struct page *page,
			  u32 offset, u32 len)
{
	struct target_engine_pdu *pdu = vec->pdu;
	u32 skip = min(vec->skip, len);
	u32 room;

	vec->skip -= skip;
	offset += skip;
	len -= skip;
	room = pdu->left || pdu->segments == vec->max ? 0 :
	       min(len, vec->max_bytes - pdu->bytes);
	if (room) {
		bvec_set_page(&vec->bv[pdu->segments++], page, room, offset);
		pdu->bytes += room;
	}
	pdu->left += len - room;
}

static void engine_append_virt(struct engine_vector *vec, void *data, u32 len)
{
	engine_append(vec, virt_to_page(data), offset_in_page(data), len);
}

static void engine_append_data(struct engine_vector *vec,
			       struct nvmet_tcp_cmd *cmd)
{
	struct target_engine_pdu *pdu = vec->pdu;
	u32 left = cmd->req.transfer_len;
	struct scatterlist *sg;
	unsigned int i;

	/*
	 * tcp.c allocates it as an array of single pages, so the first unsent
	 * one is found without walking.
	 */
	i = min(vec->skip, left) / PAGE_SIZE;
	vec->skip -= i * PAGE_SIZE;
	left -= i * PAGE_SIZE;
	for (; left && i < cmd->req.sg_cnt; i++) {
		u32 len;

		if (pdu->left) {
			pdu->left += left;
			return;
		}
		sg = &cmd->req.sg[i];
		len = min(left, sg->length);
		engine_append(vec, sg_page(sg), sg->offset, len);
		left -= len;
	}
}

void target_engine_describe(struct nvmet_tcp_cmd *cmd, struct bio_vec *bv,
			    unsigned int max, u32 max_bytes,
			    struct target_engine_pdu *pdu)
{
	u32 hdgst = nvmet_tcp_hdgst_len(cmd->queue);
	struct engine_vector vec = {
		.bv = bv, .max = max, .max_bytes = max_bytes,
		.skip = cmd->offset, .pdu = pdu,
	};

	*pdu = (struct target_engine_pdu){};
	switch (cmd->state) {
	case NVMET_TCP_SEND_R2T:
		engine_append_virt(&vec, cmd->r2t_pdu,
				   sizeof(*cmd->r2t_pdu) + hdgst);
		return;
	case NVMET_TCP_SEND_DATA_PDU:
	case ENGINE_SEND_DATA_AND_RESPONSE:
		engine_append_virt(&vec, cmd->data_pdu,
				   sizeof(*cmd->data_pdu) + hdgst);
		engine_append_data(&vec, cmd);
		engine_append_virt(&vec, cmd->r2t_pdu,
				   nvmet_tcp_ddgst_len(cmd->queue));
		if (cmd->state == NVMET_TCP_SEND_DATA_PDU)
			return;
		fallthrough;
	default:
		engine_append_virt(&vec, cmd->rsp_pdu,
				   sizeof(*cmd->rsp_pdu) + hdgst);
	}
}

void target_engine_advance(struct nvmet_tcp_cmd *cmd, u32 bytes)
{
	cmd->offset += bytes;
}

void target_engine_sent(struct nvmet_tcp_cmd *cmd)
{
	if (cmd->state == NVMET_TCP_SEND_R2T) {
		cmd->flags |= NVMET_TCP_F_R2T_SENT;
		to_engine(cmd->queue)->asked = true;
		return;
	}
	nvmet_tcp_free_cmd_buffers(cmd);
	nvmet_tcp_put_cmd(cmd);
}
