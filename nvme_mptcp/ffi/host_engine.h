/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The PDU engine of the host: what Rust uses of the running kernel's
 * nvme/host/tcp.c.
 *
 * The engine knows the wire format: it builds command and H2CData PDUs with
 * their SGLs and digests, does the ICReq/ICResp handshake and runs the receive
 * state machine. It does not create, connect or close sockets, does not send
 * (but for the handshake), and decides nothing about the life of a controller.
 * Its structs are opaque to the caller.
 *
 * Unless said otherwise a function may sleep.
 */
#ifndef NVME_MPTCP_HOST_ENGINE_H
#define NVME_MPTCP_HOST_ENGINE_H

#include <linux/blk-mq.h>
#include <linux/bvec.h>
#include <linux/net.h>

struct nvme_ctrl;
struct nvme_ns;
struct nvmf_ctrl_options;
struct nvme_tcp_queue;
struct nvme_tcp_request;

/* What has started error recovery; and why a queue is stopped. For tracing. */
enum host_cause {
	HOST_CAUSE_RECEIVE,
	HOST_CAUSE_SEND,
	HOST_CAUSE_SOCKET,	/* the connection has ended */
	HOST_CAUSE_TIMEOUT,	/* of a command */
};

enum host_stop {
	HOST_STOP_RECOVERY,
	HOST_STOP_RESET,
	HOST_STOP_DELETE,
	HOST_STOP_SETUP,	/* connecting has failed later on, or timed out */
};

/* Attributes of a controller in sysfs. */
enum host_engine_attr {
	HOST_ATTR_SUBFLOWS,
	HOST_ATTR_FALLBACK,
	HOST_ATTR_POLICY,
	HOST_ATTR_CONGESTION,
};

/* What the engine calls back, always where it may sleep. */
struct host_engine_ops {
	void (*io_work)(void *owner, unsigned int qid);
	void (*error_work)(void *owner);
	void (*connect_work)(void *owner);
	void (*reset_work)(void *owner);
	void (*watch_work)(void *owner);	/* after host_engine_watch_in() */
	/* Writes an attribute and a newline to @buf; returns the length. */
	ssize_t (*show_attr)(void *owner, enum host_engine_attr which,
			     char *buf, size_t size);
};

/* One PDU, or what is left of it, as bio_vecs. */
struct host_engine_pdu {
	u32 bytes;		/* described by the bio_vecs of this call */
	u32 left;		/* of the PDU, not described yet */
	unsigned int segments;	/* bio_vecs used */
	bool more;		/* another PDU of the same request follows */
};

/* Module wide. */
int host_engine_init(void);
void host_engine_exit(void);
int host_engine_so_priority(void);	/* atomic */

/*
 * Controllers. The nvme_ctrl is part of the engine's controller. @owner, to be
 * set before anything else is done with it, is handed to every callback. @opts
 * stays the caller's until host_engine_free(), which does not free it.
 */
struct nvme_ctrl *host_engine_alloc(struct nvmf_ctrl_options *opts);
void host_engine_set_owner(struct nvme_ctrl *ctrl, void *owner,
			   const struct host_engine_ops *ops);
void host_engine_free(struct nvme_ctrl *ctrl);
void *host_engine_owner(struct nvme_ctrl *ctrl);
struct blk_mq_tag_set *host_engine_tag_set(struct nvme_ctrl *ctrl);
struct blk_mq_tag_set *host_engine_admin_tag_set(struct nvme_ctrl *ctrl);
u32 *host_engine_io_queues(struct nvme_ctrl *ctrl);
unsigned int host_engine_request_size(void);

extern const struct attribute_group *host_engine_attr_groups[];

/*
 * Has watch_work called after @delay; that calls it off and waits for it; and that
 * it is never called again.
 */
void host_engine_watch_in(struct nvme_ctrl *ctrl, unsigned long delay);
void host_engine_watch_stop(struct nvme_ctrl *ctrl);
void host_engine_watch_end(struct nvme_ctrl *ctrl);

/*
 * Starts error recovery unless it runs already or the controller is not live.
 * Any context. The receive side (tcp.c) does this by itself.
 */
void host_engine_error_recovery(struct nvme_ctrl *ctrl, enum host_cause cause);
/* Whether error recovery is at work. */
bool host_engine_recovers(struct nvme_ctrl *ctrl);
void host_engine_schedule_connect(struct nvme_ctrl *ctrl, unsigned long delay);
void host_engine_stop_work(struct nvme_ctrl *ctrl);
void host_engine_clear_reconnects(struct nvme_ctrl *ctrl);

/*
 * The asynchronous event request of the admin queue; submit builds its PDU and
 * queues it.
 */
int host_engine_alloc_async(struct nvme_ctrl *ctrl);
void host_engine_free_async(struct nvme_ctrl *ctrl);
void host_engine_submit_async(struct nvme_ctrl *ctrl);

/* Queues: init before connect before start; stop_work before free. */
struct nvme_tcp_queue *host_engine_queue(struct nvme_ctrl *ctrl,
					 unsigned int qid);
int host_engine_queue_init(struct nvme_tcp_queue *queue);
int host_engine_queue_connect(struct nvme_tcp_queue *queue,
			      struct socket *sock);
void host_engine_queue_start(struct nvme_tcp_queue *queue);
/* Nothing is received any more on this connection. Any context. */
void host_engine_queue_stop_receiving(struct nvme_tcp_queue *queue);
void host_engine_queue_free(struct nvme_tcp_queue *queue);
void host_engine_queue_assign_cpu(struct nvme_tcp_queue *queue);
void host_engine_queue_release_cpu(struct nvme_tcp_queue *queue);
unsigned int host_engine_queue_id(struct nvme_tcp_queue *queue);
int host_engine_queue_cpu(struct nvme_tcp_queue *queue);	/* atomic */
void host_engine_queue_kick(struct nvme_tcp_queue *queue);	/* atomic */
void host_engine_queue_stop_work(struct nvme_tcp_queue *queue);

/*
 * Takes what the socket has: parses PDUs, places data, completes requests.
 * Returns bytes taken, 0 when there was nothing, or a negative errno after
 * which error recovery has been started. @completed is the number of requests
 * completed.
 */
int host_engine_recv(struct nvme_tcp_queue *queue, unsigned int *completed);
bool host_engine_recv_enabled(struct nvme_tcp_queue *queue);	/* atomic */

/* blk-mq. */
int host_engine_init_request(struct blk_mq_tag_set *set, struct request *rq,
			     unsigned int hctx_idx, int node);
void host_engine_exit_request(struct blk_mq_tag_set *set, struct request *rq,
			      unsigned int hctx_idx);
blk_status_t host_engine_setup_request(struct nvme_ns *ns, struct request *rq);
struct nvme_ctrl *host_engine_request_ctrl(struct request *rq);
unsigned int host_engine_request_qid(struct request *rq);
void host_engine_log_timeout(struct request *rq);

/*
 * The send list. push is lock-free and may be called in any context; it tells
 * whether nothing else was waiting. The others belong to the holder of the
 * queue's send lock.
 */
bool host_engine_push(struct nvme_tcp_queue *queue, struct request *rq);
bool host_engine_pending(struct nvme_tcp_queue *queue);
struct nvme_tcp_request *host_engine_pop(struct nvme_tcp_queue *queue);
/*
 * @bytes more of the current PDU are out, and at least one is not. -EPROTO when
 * the peer has answered a PDU that it cannot have yet: the request is not the
 * sender's any more. Sleeps for the socket lock.
 */
int host_engine_put_back(struct nvme_tcp_queue *queue,
			 struct nvme_tcp_request *req, u32 bytes);

/*
 * Describes the unsent rest of the request's current PDU in at most @max
 * entries of @bv and at most @max_bytes. Header and data digests are computed
 * when the PDU is first described, and never again.
 */
int host_engine_describe(struct nvme_tcp_request *req, struct bio_vec *bv,
			 unsigned int max, u32 max_bytes,
			 struct host_engine_pdu *pdu);
/*
 * The current PDU is out and another one of the same request follows: build it,
 * and queue it behind the others. Fails as put_back does.
 */
int host_engine_next_pdu(struct nvme_tcp_queue *queue,
			 struct nvme_tcp_request *req);
/*
 * The request cannot be sent: complete it with a host path error, unless the
 * peer has answered it nevertheless. Sleeps for the socket lock.
 */
void host_engine_fail(struct nvme_tcp_request *req);
/*
 * The same for a request just popped from a queue without a connection, so that
 * nobody can have answered it, unless it has been cancelled.
 */
void host_engine_refuse(struct nvme_tcp_request *req);
/*
 * Empties the send list, of requests that somebody else completes. With the work
 * stopped.
 */
void host_engine_forget(struct nvme_tcp_queue *queue);

#endif
