// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a queue in the PDU engine of the target: its work, how it is made,
 * installed, stopped and freed. Included by target_engine.c.
 */

static void engine_io_work(struct work_struct *work)
{
	struct target_engine *engine = container_of(work, struct target_engine,
						    tcp.io_work);

	/*
	 * What arrives from now on queues this work anew, so once the socket
	 * was found empty this run need not look again.
	 */
	engine->drained = false;
	WRITE_ONCE(engine->worker, current);
	engine->ops->io_work(engine->owner);
	WRITE_ONCE(engine->worker, NULL);
}

static void engine_release_work(struct work_struct *work)
{
	struct target_engine *engine = container_of(work, struct target_engine,
						    tcp.release_work);

	engine->ops->release_work(engine->owner);
}

static void engine_check_work(struct work_struct *work)
{
	struct target_engine *engine = container_of(to_delayed_work(work),
						    struct target_engine,
						    check_work);

	engine->ops->check_work(engine->owner);
}

static void engine_retry_work(struct work_struct *work)
{
	struct target_engine *engine = container_of(to_delayed_work(work),
						    struct target_engine,
						    retry_work);

	ffi_mptcp_push(engine->tcp.sock->sk);
	target_engine_kick(&engine->tcp);
}

struct nvmet_tcp_queue *
target_engine_alloc(struct nvmet_port *nport, struct socket *sock,
		    const struct nvmet_fabrics_ops *fabrics,
		    const struct target_engine_ops *ops)
{
	struct target_engine *engine;
	struct nvmet_tcp_queue *queue;
	int ret;

	engine = kzalloc_obj(*engine);
	if (!engine)
		return ERR_PTR(-ENOMEM);
	engine->port.nport = nport;
	engine->fabrics = fabrics;
	engine->ops = ops;
	INIT_LIST_HEAD(&engine->unsent);

	queue = &engine->tcp;
	queue->sock = sock;
	queue->port = &engine->port;
	queue->state = NVMET_TCP_Q_CONNECTING;
	spin_lock_init(&queue->state_lock);
	kref_init(&queue->kref);
	INIT_WORK(&queue->io_work, engine_io_work);
	INIT_WORK(&queue->release_work, engine_release_work);
	INIT_DELAYED_WORK(&engine->check_work, engine_check_work);
	INIT_DELAYED_WORK(&engine->retry_work, engine_retry_work);
	INIT_LIST_HEAD(&queue->free_list);
	INIT_LIST_HEAD(&queue->resp_send_list);
	init_llist_head(&queue->resp_list);

	queue->idx = ida_alloc(&nvmet_tcp_queue_ida, GFP_KERNEL);
	if (queue->idx < 0) {
		ret = queue->idx;
		goto free_engine;
	}
	ret = nvmet_tcp_alloc_cmd(queue, &queue->connect);
	if (ret)
		goto free_id;
	nvmet_cq_init(&queue->nvme_cq);
	ret = nvmet_sq_init(&queue->nvme_sq, &queue->nvme_cq);
	if (ret)
		goto free_connect;
	nvmet_prepare_receive_pdu(queue);
	return queue;

free_connect:
	nvmet_cq_put(&queue->nvme_cq);
	nvmet_tcp_free_cmd(&queue->connect);
free_id:
	page_frag_cache_drain(&queue->pf_cache);
	ida_free(&nvmet_tcp_queue_ida, queue->idx);
free_engine:
	kfree(engine);
	return ERR_PTR(ret);
}

void target_engine_start(struct nvmet_tcp_queue *queue, void *owner)
{
	to_engine(queue)->owner = owner;
	if (idle_poll_period_usecs)
		nvmet_tcp_arm_queue_deadline(queue);
}

/*
 * A command whose data are all there, but not their digest, is one that tcp.c
 * forgets (7.3): it has not been executed, and does not need data. So nobody
 * would give back its reference on the submission queue, which is waited for.
 */
static void engine_uninit_undigested(struct nvmet_tcp_queue *queue)
{
	struct nvmet_tcp_cmd *cmd = queue->cmd;

	if (cmd && nvme_is_write(cmd->req.cmd) && cmd->req.transfer_len &&
	    cmd->rbytes_done == cmd->req.transfer_len &&
	    !cmd->req.cqe->status && !(cmd->flags & NVMET_TCP_F_INIT_FAILED))
		nvmet_req_uninit(&cmd->req);
}

/*
 * In the order of nvmet_tcp_release_queue_work(); the socket's callbacks are
 * gone.
 */
void target_engine_stop(struct nvmet_tcp_queue *queue)
{
	struct target_engine *engine = to_engine(queue);

	if (engine->stopped)
		return;
	engine->stopped = true;
	/*
	 * Without a controller there is no answer that has to go out first, and the
	 * io_work may be waiting for memory to send its ICResp.
	 */
	if (!target_engine_ctrl(queue))
		kernel_sock_shutdown(queue->sock, SHUT_RDWR);
	/*
	 * Commands that are being executed would have it run again, and it would
	 * take in more of them, from what is read ahead.
	 */
	disable_work_sync(&queue->io_work);
	cancel_delayed_work_sync(&engine->retry_work);
	/* It looks at the controller, on which nvmet_sq_destroy() drops our reference. */
	cancel_delayed_work_sync(&engine->check_work);
	queue->rcv_state = NVMET_TCP_RECV_ERR;
	/*
	 * Not earlier: the command that ends its own controller is answered first, or
	 * the host waits for that until it times out. And not later: commands may take
	 * long, and the host shall know at once.
	 */
	kernel_sock_shutdown(queue->sock, SHUT_RDWR);
	nvmet_tcp_uninit_data_in_cmds(queue);
	engine_uninit_undigested(queue);
	nvmet_sq_destroy(&queue->nvme_sq);
	nvmet_cq_put(&queue->nvme_cq);
}

void target_engine_free(struct nvmet_tcp_queue *queue)
{
	target_engine_stop(queue);
	nvmet_tcp_free_cmd_data_in_buffers(queue);
	nvmet_tcp_free_cmds(queue);
	ida_free(&nvmet_tcp_queue_ida, queue->idx);
	page_frag_cache_drain(&queue->pf_cache);
	kfree(to_engine(queue));
}

void target_engine_release(struct nvmet_tcp_queue *queue)
{
	nvmet_tcp_schedule_release_queue(queue);
}

void target_engine_kick(struct nvmet_tcp_queue *queue)
{
	queue_work_on(queue_cpu(queue), nvmet_tcp_wq, &queue->io_work);
}

/*
 * tcp.c works on the CPU that a connection's packets come in on. TCP keeps that
 * in its socket, MPTCP in those of the subflows only, so for the connection it
 * is done here.
 */
void target_engine_data_ready(struct nvmet_tcp_queue *queue)
{
	struct target_engine *engine = to_engine(queue);

	/* Its own doing, by letting go of the lock: it will look again. */
	if (in_task() && READ_ONCE(engine->worker) == current) {
		engine->again = true;
		engine->drained = false;
		return;
	}
	sk_incoming_cpu_update(queue->sock->sk);
	target_engine_kick(queue);
}

void target_engine_retry(struct nvmet_tcp_queue *queue)
{
	queue_delayed_work(nvmet_tcp_wq, &to_engine(queue)->retry_work, HZ / 10);
}

bool target_engine_check_in(struct nvmet_tcp_queue *queue, unsigned int seconds)
{
	return queue_delayed_work(nvmet_wq, &to_engine(queue)->check_work,
				  secs_to_jiffies(seconds));
}

bool target_engine_check_is_armed(struct nvmet_tcp_queue *queue)
{
	return delayed_work_pending(&to_engine(queue)->check_work);
}

void target_engine_check_not(struct nvmet_tcp_queue *queue)
{
	cancel_delayed_work(&to_engine(queue)->check_work);
}

void target_engine_refuse(struct nvmet_sq *sq)
{
	struct nvmet_cq *cq = sq->cq;
	struct nvmet_ctrl *ctrl = cq->ctrl;

	ctrl->cqs[cq->qid] = NULL;
	cq->ctrl = NULL;
	/* Not the last one: nvmet_install_queue() was called with another. */
	nvmet_ctrl_put(ctrl);
}

int target_engine_install(struct nvmet_tcp_queue *queue)
{
	u32 most = nvmet_is_disc_subsys(queue->nvme_sq.ctrl->subsys) ?
		   ENGINE_DISC_ENTRIES : NVMET_MAX_QUEUE_SIZE;
	int ret;

	/* nvmet limits I/O queues only. */
	if (!queue->nvme_sq.size || queue->nvme_sq.size > most) {
		pr_warn_ratelimited("queue %d: a queue of %u entries, at most %u are served\n",
				    queue->idx, queue->nvme_sq.size, most);
		return -EINVAL;
	}
	queue->nr_cmds = queue->nvme_sq.size * 2;
	ret = nvmet_tcp_alloc_cmds(queue);
	if (ret) {
		queue->nr_cmds = 0;
		/* Some were on it, and are freed. */
		INIT_LIST_HEAD(&queue->free_list);
	}
	return ret;
}
