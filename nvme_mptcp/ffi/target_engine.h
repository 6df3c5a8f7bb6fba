/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The PDU engine of the target: what Rust uses of the running kernel's
 * nvme/target/tcp.c.
 *
 * The engine knows the wire format: it runs the receive state machine, answers
 * the ICReq, hands commands to nvmet, builds response, R2T and C2HData PDUs
 * with their digests, and owns a connection's commands. It does not listen,
 * accept, close or send (but for the ICResp and the C2HTermReq), and does not
 * decide how long a connection lives. Its structs are opaque to the caller.
 *
 * Unless said otherwise a function may sleep.
 */
#ifndef NVME_MPTCP_TARGET_ENGINE_H
#define NVME_MPTCP_TARGET_ENGINE_H

#include <linux/bvec.h>
#include <linux/net.h>

struct nvmet_ctrl;
struct nvmet_fabrics_ops;
struct nvmet_port;
struct nvmet_req;
struct nvmet_sq;
struct nvmet_tcp_cmd;
struct nvmet_tcp_queue;

/* Why a connection ends, for tracing. */
enum target_stop {
	TARGET_STOP_CLOSED,	/* by the host, the network, or an error */
	TARGET_STOP_CONTROLLER,	/* its controller has been deleted */
	TARGET_STOP_PORT,	/* its port has been disabled */
	TARGET_STOP_MODULE,
	TARGET_STOP_OVERDUE,	/* the host has not done what it should have */
};

/*
 * What the engine calls back, always from a work item, with the owner of the
 * queue.
 */
struct target_engine_ops {
	void (*io_work)(void *owner);
	void (*check_work)(void *owner);	/* after target_engine_check_in() */
	void (*release_work)(void *owner);	/* once; the owner is the callee's */
};

/* What is left of a command's answer, as bio_vecs. */
struct target_engine_pdu {
	u32 bytes;		/* described by the bio_vecs of this call */
	u32 left;		/* not described yet */
	unsigned int segments;	/* bio_vecs used */
};

/* Module wide. nvmet gives add_port no pointer of ours; @context is for it. */
int target_engine_init(void *context);
void target_engine_exit(void);
void *target_engine_context(void);
int target_engine_priority(void);	/* the so_priority parameter */
u32 target_engine_max_data(void);	/* bytes that a PDU may carry */

/*
 * Queues: one connection each. @sock and what @fabrics and @ops point to stay
 * alive until target_engine_free(), and so does @nport, because nvmet waits for
 * the work of all queues before it frees a port.
 */
struct nvmet_tcp_queue *
target_engine_alloc(struct nvmet_port *nport, struct socket *sock,
		    const struct nvmet_fabrics_ops *fabrics,
		    const struct target_engine_ops *ops);
void target_engine_start(struct nvmet_tcp_queue *queue, void *owner);
void target_engine_stop(struct nvmet_tcp_queue *queue);
void target_engine_free(struct nvmet_tcp_queue *queue);

/* Has release_work called, the first time; atomic. */
void target_engine_release(struct nvmet_tcp_queue *queue);
void target_engine_kick(struct nvmet_tcp_queue *queue);		/* atomic */
void target_engine_data_ready(struct nvmet_tcp_queue *queue);	/* atomic */

/* Has what MPTCP had no memory for sent, and io_work called, soon; atomic. */
void target_engine_retry(struct nvmet_tcp_queue *queue);

/*
 * Has check_work called in @seconds, unless it will be called anyway; atomic.
 * Returns whether that is new.
 */
bool target_engine_check_in(struct nvmet_tcp_queue *queue,
			    unsigned int seconds);
void target_engine_check_not(struct nvmet_tcp_queue *queue);	/* atomic */
/* Called from check_work: whether it has been asked for anew meanwhile. */
bool target_engine_check_is_armed(struct nvmet_tcp_queue *queue);

int target_engine_id(struct nvmet_tcp_queue *queue);
struct nvmet_ctrl *target_engine_ctrl(struct nvmet_tcp_queue *queue);
/* While its queue is being installed. */
u16 target_engine_cntlid(struct nvmet_tcp_queue *queue);
u16 target_engine_qid(struct nvmet_tcp_queue *queue);
int target_engine_cpu(struct nvmet_tcp_queue *queue);
bool target_engine_is_admin(struct nvmet_tcp_queue *queue);
bool target_engine_is_released(struct nvmet_tcp_queue *queue);

/* For the io_work, or while it is kept from running, and not stopped. */
bool target_engine_is_discovery(struct nvmet_tcp_queue *queue);
bool target_engine_has_failed(struct nvmet_tcp_queue *queue);	/* CSTS.CFS */

struct nvmet_sq *target_engine_sq(struct nvmet_tcp_queue *queue);
/* Given to target_engine_start() of the queue that the command came on. */
void *target_engine_owner_of_req(struct nvmet_req *req);

/* Makes room for the commands of a queue that is being connected. */
int target_engine_install(struct nvmet_tcp_queue *queue);
/*
 * Gives back the reference on the controller that a queue of any transport has
 * by its completion queue, which nvmet would keep until the queue ends when it
 * is told that the queue cannot be installed.
 */
void target_engine_refuse(struct nvmet_sq *sq);

/*
 * Takes at most @budget PDUs from the socket and executes their commands. A PDU
 * that breaks the protocol is answered with a C2HTermReq.
 * Returns a negative errno after which the connection is being ended, 0 when
 * there is no more to take, else 1. @taken grows by the number of steps done.
 */
int target_engine_recv(struct nvmet_tcp_queue *queue, int budget, int *taken);

/*
 * Whether data has arrived while the io_work held the socket's lock, for which
 * it is not queued again. Forgets it.
 */
bool target_engine_again(struct nvmet_tcp_queue *queue);
/* Ends the connection, or the controller, because of an error of the socket. */
void target_engine_fail(struct nvmet_tcp_queue *queue, int error);
/*
 * Whether the host owes nothing: the rest of a PDU, data it was asked for, room
 * for answers, the reset of a failed controller. It may seem to owe data that
 * are here until that is looked at more closely, by settle. For the io_work, or
 * while it is kept from running, and not stopped.
 */
bool target_engine_is_idle(struct nvmet_tcp_queue *queue);
void target_engine_settle(struct nvmet_tcp_queue *queue);
u64 target_engine_received(struct nvmet_tcp_queue *queue);	/* bytes */
/*
 * Whether to look again even though nothing is there (idle_poll_period_usecs).
 */
bool target_engine_keep_polling(struct nvmet_tcp_queue *queue, int steps);

/* nvmet has executed a command; any context. */
void target_engine_queue_response(struct nvmet_req *req);

/*
 * Answers waiting to be sent, for the io_work only. pop builds the PDUs of the
 * next one, put_back makes an answer the next one again. An answer is an R2T,
 * or a response, or C2HData with its response if flow control wants one.
 */
bool target_engine_pending(struct nvmet_tcp_queue *queue);
struct nvmet_tcp_cmd *target_engine_pop(struct nvmet_tcp_queue *queue);
void target_engine_put_back(struct nvmet_tcp_cmd *cmd);
/*
 * Describes the unsent rest in at most @max entries of @bv and at most
 * @max_bytes.
 */
void target_engine_describe(struct nvmet_tcp_cmd *cmd, struct bio_vec *bv,
			    unsigned int max, u32 max_bytes,
			    struct target_engine_pdu *pdu);
/* @bytes more have been sent, and at least one has not. */
void target_engine_advance(struct nvmet_tcp_cmd *cmd, u32 bytes);
/*
 * All has been sent: the command waits for its data (R2T), or can be used anew.
 */
void target_engine_sent(struct nvmet_tcp_cmd *cmd);

/*
 * The type of service with which the peer of an accepted connection has set up
 * its first subflow over IPv4, otherwise 0.
 */
u8 ffi_sock_received_tos(struct socket *sock);

#endif
