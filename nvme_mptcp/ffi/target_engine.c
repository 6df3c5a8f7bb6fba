// SPDX-License-Identifier: GPL-2.0
/*
 * The PDU engine of the target. See target_engine.h for what it promises.
 *
 * This file includes the running kernel's nvme/target/tcp.c, so wire format,
 * receive state machine and their fixes come from there. What follows the
 * include is the narrow interface to it; where a new kernel release changes
 * tcp.c, this is the file to look at.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/ratelimit.h>
#include "nvmet.h"
#include "target_engine.h"

/*
 * The module's identity is Rust's (target/main.rs); tcp.c's parameters stay as
 * it declares them.
 */
#undef module_init
#undef module_exit
#undef MODULE_LICENSE
#undef MODULE_DESCRIPTION
#undef MODULE_ALIAS
#define module_init(fn)
#define module_exit(fn)
#define MODULE_LICENSE(text)
#define MODULE_DESCRIPTION(text)
#define MODULE_ALIAS(text)

/*
 * There is no kTLS on an MPTCP socket, so tcp.c is compiled as on a kernel
 * without NVMe/TLS. This comes after the headers whose struct layouts depend on
 * it.
 */
#undef CONFIG_NVME_TARGET_TCP_TLS

struct nvmet_tcp_queue;

/*
 * tcp.c starts a command with its own ops; nvmet must get those that the port
 * was registered with.
 */
static bool engine_req_init(struct nvmet_req *req, struct nvmet_sq *sq);
#define nvmet_req_init(req, sq, ops) engine_req_init(req, sq)

/*
 * tcp.c receives a PDU in pieces: the first bytes of its header, the rest of
 * it, the data, the digest. On an MPTCP socket each of these calls is
 * expensive, so they are served from what one call has read ahead.
 */
static int engine_recv_header(struct nvmet_tcp_queue *queue, struct kvec *vec);
static int engine_recv_data(struct nvmet_tcp_queue *queue, struct msghdr *msg);
#define kernel_recvmsg(sock, msg, vec, num, size, flags) \
	engine_recv_header(queue, vec)
#define sock_recvmsg(sock, msg, flags) engine_recv_data(queue, msg)

/* tcp.c queues the io_work for each command that has been executed. */
static void engine_queue_work(int cpu, struct workqueue_struct *wq,
			      struct work_struct *work);
#define queue_work_on(cpu, wq, work) ({					\
	BUILD_BUG_ON_MSG(__builtin_strcmp(#work, "&queue->io_work") &&	\
			 __builtin_strcmp(#work, "&cmd->queue->io_work"), \
			 "tcp.c queues other work");			\
	engine_queue_work(cpu, wq, work);				\
})

/* Any peer can cause these, as often as it likes. */
#undef pr_err
#define pr_err pr_err_ratelimited

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wunused-const-variable"
#include "tcp.c"
#pragma GCC diagnostic pop

#undef nvmet_req_init
#undef kernel_recvmsg
#undef sock_recvmsg
#undef queue_work_on

#include "helpers.c"

/*
 * Enough for some dozens of read commands, or some small writes with their
 * data. What is read ahead of large data is copied twice, so not more.
 */
#define ENGINE_READ_AHEAD	8192

/* More than any fabrics command has, which messages of an authentication are. */
#define ENGINE_FABRICS_DATA	SZ_16K

/*
 * Anybody may connect to the discovery subsystem: entries of a queue, of which
 * hosts use 32, and data of a command. A host that reads a long log does it in
 * pieces, or may have 255 entries at a time.
 */
#define ENGINE_DISC_ENTRIES	128
#define ENGINE_DISC_READ	SZ_256K
#define ENGINE_DISC_WRITE	SZ_4K

/* Data in the capsule of an admin command (NVMe/TCP, "Command Capsules"). */
#define ENGINE_ADMIN_CAPSULE	SZ_8K

/* So many bytes to digest take as long as another step of receiving. */
#define ENGINE_DIGEST_STEP	SZ_64K

struct target_engine {
	struct nvmet_tcp_queue tcp;
	struct nvmet_tcp_port port;	/* tcp.c looks up nport here */
	struct list_head unsent;	/* answers that were put back */
	const struct nvmet_fabrics_ops *fabrics;
	const struct target_engine_ops *ops;
	void *owner;
	struct task_struct *worker;	/* runs the io_work now */
	struct delayed_work check_work;
	struct delayed_work retry_work;
	u64 received;			/* bytes, the read ahead ones too */
	__le32 hdgst;			/* received with the last PDU */
	bool stopped;
	bool drained;			/* the socket is, unless io_work runs again */
	bool again;			/* ... or has brought more itself */
	bool asked;			/* for data, which may not be here yet */
	int extra_steps;		/* of receiving, not counted yet */
	u32 ahead_at;			/* read ahead, not taken yet: from here, */
	u32 ahead_len;			/* so much */
	u8 ahead[ENGINE_READ_AHEAD];
};

static void *engine_context;

static struct target_engine *to_engine(struct nvmet_tcp_queue *queue)
{
	return container_of(queue, struct target_engine, tcp);
}

static struct nvmet_tcp_queue *engine_sq_queue(struct nvmet_sq *sq)
{
	return container_of(sq, struct nvmet_tcp_queue, nvme_sq);
}

/* How much data a command may have. tcp.c would allocate it for a stranger. */
static u32 engine_max_data(struct nvmet_sq *sq, struct nvme_command *cmd)
{
	if (!sq->ctrl)
		return sizeof(struct nvmf_connect_data);
	/* On each queue these come before the authentication. */
	if (nvme_is_fabrics(cmd))
		return ENGINE_FABRICS_DATA;
	if (nvmet_is_disc_subsys(sq->ctrl->subsys))
		return nvme_is_write(cmd) ? ENGINE_DISC_WRITE : ENGINE_DISC_READ;
	return U32_MAX;
}

/*
 * tcp.c takes every small write for one with its data in the capsule, and waits
 * for them before it answers. But a host may also want to be asked for them.
 * So that case, until the state is set anew for the next PDU, is told apart
 * here; and a command of it that fails has no data to be skipped.
 */
static bool engine_req_init(struct nvmet_req *req, struct nvmet_sq *sq)
{
	struct nvmet_tcp_queue *queue = engine_sq_queue(sq);
	struct nvme_sgl_desc *sgl = &req->cmd->common.dptr.sgl;
	bool ask = sgl->type != (NVME_SGL_FMT_DATA_DESC << 4 |
				 NVME_SGL_FMT_OFFSET);

	if (ask && nvme_is_write(req->cmd))
		WRITE_ONCE(queue->rcv_state, NVMET_TCP_RECV_DATA);
	if (nvmet_req_init(req, sq, to_engine(queue)->fabrics)) {
		if (le32_to_cpu(sgl->length) <= engine_max_data(sq, req->cmd))
			return true;
		nvmet_req_complete(req,
				   NVME_SC_SGL_INVALID_DATA | NVME_STATUS_DNR);
	}
	if (ask)
		sgl->length = 0;
	return false;
}

int target_engine_init(void *context)
{
	nvmet_tcp_wq = alloc_workqueue("nvmet_mptcp_wq",
				       WQ_MEM_RECLAIM | WQ_HIGHPRI | WQ_PERCPU,
				       0);
	if (!nvmet_tcp_wq)
		return -ENOMEM;
	engine_context = context;
	return 0;
}

void target_engine_exit(void)
{
	destroy_workqueue(nvmet_tcp_wq);
	ida_destroy(&nvmet_tcp_queue_ida);
}

void *target_engine_context(void)
{
	return engine_context;
}

int target_engine_priority(void)
{
	return so_priority;
}

u32 target_engine_max_data(void)
{
	return NVMET_TCP_MAXH2CDATA;
}

#include "target_queue.c"

int target_engine_id(struct nvmet_tcp_queue *queue)
{
	return queue->idx;
}

struct nvmet_ctrl *target_engine_ctrl(struct nvmet_tcp_queue *queue)
{
	return READ_ONCE(queue->nvme_sq.ctrl);
}

u16 target_engine_cntlid(struct nvmet_tcp_queue *queue)
{
	return queue->nvme_sq.ctrl->cntlid;
}

u16 target_engine_qid(struct nvmet_tcp_queue *queue)
{
	return READ_ONCE(queue->nvme_sq.qid);
}

int target_engine_cpu(struct nvmet_tcp_queue *queue)
{
	return READ_ONCE(queue->sock->sk->sk_incoming_cpu);
}

bool target_engine_is_admin(struct nvmet_tcp_queue *queue)
{
	return !queue->nvme_sq.qid;
}

bool target_engine_is_discovery(struct nvmet_tcp_queue *queue)
{
	struct nvmet_ctrl *ctrl = queue->nvme_sq.ctrl;

	return ctrl && nvmet_is_disc_subsys(ctrl->subsys);
}

bool target_engine_is_released(struct nvmet_tcp_queue *queue)
{
	return READ_ONCE(queue->state) == NVMET_TCP_Q_DISCONNECTING;
}

struct nvmet_sq *target_engine_sq(struct nvmet_tcp_queue *queue)
{
	return &queue->nvme_sq;
}

void *target_engine_owner_of_req(struct nvmet_req *req)
{
	return to_engine(engine_sq_queue(req->sq))->owner;
}

#include "target_receive.c"
#include "target_answers.c"

/* Sockets. */

u8 ffi_sock_received_tos(struct socket *sock)
{
	struct sock *sk = sock->sk;
	u8 tos = 0;

	lock_sock(sk);
	/* Only the subflows see packets. */
	if (sk->sk_protocol == IPPROTO_MPTCP)
		sk = mptcp_sk(sk)->first;
	if (sk && sk->sk_family == AF_INET)
		tos = READ_ONCE(inet_sk(sk)->rcv_tos);
	release_sock(sock->sk);
	return tos;
}
