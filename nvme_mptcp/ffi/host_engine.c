// SPDX-License-Identifier: GPL-2.0
/*
 * The PDU engine of the host. See host_engine.h for what it promises.
 *
 * This file includes the running kernel's nvme/host/tcp.c, so wire format,
 * receive state machine and their fixes come from there. What follows the
 * include is the narrow interface to it; where a new kernel release changes
 * tcp.c, this is the file to look at.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include "nvme.h"
#include "fabrics.h"
#include "host_engine.h"
#include "trace_host.h"

/*
 * The module's identity is Rust's (host/main.rs); so_priority and wq_unbound
 * stay as tcp.c declares them.
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
#undef CONFIG_NVME_TCP_TLS

struct nvme_tcp_queue;

/* Answers that are in order for tcp.c are looked at here first. */
static struct request *engine_find_rq(struct nvme_tcp_queue *queue,
				      struct blk_mq_tags *tags, u16 cid);
static bool engine_is_aen_req(struct nvme_tcp_queue *queue, u16 qid, u16 cid);
#define nvme_find_rq(tags, cid) engine_find_rq(queue, tags, cid)
#define nvme_is_aen_req(qid, cid) engine_is_aen_req(queue, qid, cid)

/*
 * Where error recovery begins, tcp.c changes the state to this; what made it do
 * so is of interest.
 */
static bool engine_change_state(struct nvme_ctrl *ctrl,
				enum nvme_ctrl_state state);
#define nvme_change_ctrl_state(ctrl, state) engine_change_state(ctrl, state)

/*
 * tcp.c queues a queue's work itself when it has an R2T to serve. All of a
 * queue's work must be in one workqueue, or it could run twice at once.
 */
static bool engine_queue_work(struct work_struct *io_work);
#define queue_work_on(cpu, wq, work) ({					\
	BUILD_BUG_ON_MSG(__builtin_strcmp(#work, "&queue->io_work"),	\
			 "tcp.c queues other work");			\
	engine_queue_work(work);					\
})

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wunused-const-variable"
#include "tcp.c"
#pragma GCC diagnostic pop
#undef nvme_change_ctrl_state
#undef queue_work_on

#undef nvme_find_rq
#undef nvme_is_aen_req

#include "helpers.c"

/* For the work of poll queues, see host_engine_queue_kick(). */
static struct workqueue_struct *engine_poll_wq;

struct host_engine {
	struct nvme_tcp_ctrl tcp;
	unsigned int nr_queues;	/* allocated; ctrl->queue_count may be less */
	struct delayed_work watch_work;
	enum host_cause cause;	/* while host_engine_error_recovery() runs */
	bool recovers;
	const struct host_engine_ops *ops;
	void *owner;
	bool async_out;		/* as in struct engine_request */
};

/* The driver's part of each request. */
struct engine_request {
	struct nvme_tcp_request tcp;	/* first: tcp.c finds it there */
	bool out;		/* off the send list, may be answered */
	u32 received;		/* bytes of data, the current PDU's included */
};

static struct host_engine *to_engine(struct nvme_ctrl *ctrl)
{
	return container_of(ctrl, struct host_engine, tcp.ctrl);
}

int host_engine_init(void)
{
	unsigned int flags = WQ_MEM_RECLAIM | WQ_HIGHPRI | WQ_SYSFS;
	int cpu;

	flags |= wq_unbound ? WQ_UNBOUND : WQ_PERCPU;
	nvme_tcp_wq = alloc_workqueue("nvme_mptcp_wq", flags, 0);
	if (!nvme_tcp_wq)
		return -ENOMEM;
	engine_poll_wq = alloc_workqueue("nvme_mptcp_poll_wq", WQ_UNBOUND |
					 WQ_MEM_RECLAIM | WQ_HIGHPRI | WQ_SYSFS,
					 0);
	if (!engine_poll_wq) {
		destroy_workqueue(nvme_tcp_wq);
		return -ENOMEM;
	}
	for_each_possible_cpu(cpu)
		atomic_set(&nvme_tcp_cpu_queues[cpu], 0);
	return 0;
}

int host_engine_so_priority(void)
{
	return READ_ONCE(so_priority);
}

void host_engine_exit(void)
{
	destroy_workqueue(engine_poll_wq);
	destroy_workqueue(nvme_tcp_wq);
}

/* Controllers. */

static void engine_error_work(struct work_struct *work)
{
	struct nvme_tcp_ctrl *tcp = container_of(work, struct nvme_tcp_ctrl,
						 err_work);
	struct host_engine *engine = to_engine(&tcp->ctrl);

	WRITE_ONCE(engine->recovers, true);
	engine->ops->error_work(engine->owner);
	WRITE_ONCE(engine->recovers, false);
}

static void engine_connect_work(struct work_struct *work)
{
	struct nvme_tcp_ctrl *tcp = container_of(to_delayed_work(work),
						 struct nvme_tcp_ctrl,
						 connect_work);
	struct host_engine *engine = to_engine(&tcp->ctrl);

	engine->ops->connect_work(engine->owner);
}

static void engine_reset_work(struct work_struct *work)
{
	struct nvme_ctrl *ctrl = container_of(work, struct nvme_ctrl,
					      reset_work);
	struct host_engine *engine = to_engine(ctrl);

	engine->ops->reset_work(engine->owner);
}

static void engine_watch_work(struct work_struct *work)
{
	struct host_engine *engine = container_of(to_delayed_work(work),
						  struct host_engine,
						  watch_work);

	engine->ops->watch_work(engine->owner);
}

static void engine_io_work(struct work_struct *work)
{
	struct nvme_tcp_queue *queue = container_of(work, struct nvme_tcp_queue,
						    io_work);
	struct host_engine *engine = to_engine(&queue->ctrl->ctrl);

	engine->ops->io_work(engine->owner, nvme_tcp_queue_id(queue));
}

struct nvme_ctrl *host_engine_alloc(struct nvmf_ctrl_options *opts)
{
	struct host_engine *engine;
	struct nvme_ctrl *ctrl;
	unsigned int i;

	engine = kzalloc_obj(*engine);
	if (!engine)
		return NULL;
	ctrl = &engine->tcp.ctrl;
	ctrl->queue_count = opts->nr_io_queues + opts->nr_write_queues +
			    opts->nr_poll_queues + 1;
	engine->nr_queues = ctrl->queue_count;
	engine->tcp.queues = kzalloc_objs(*engine->tcp.queues,
					  ctrl->queue_count);
	if (!engine->tcp.queues) {
		kfree(engine);
		return NULL;
	}
	for (i = 0; i < ctrl->queue_count; i++) {
		struct nvme_tcp_queue *queue = &engine->tcp.queues[i];

		queue->ctrl = &engine->tcp;
		queue->io_cpu = WORK_CPU_UNBOUND;
		mutex_init(&queue->pf_cache_lock);
		INIT_WORK(&queue->io_work, engine_io_work);
	}
	ctrl->opts = opts;
	ctrl->sqsize = opts->queue_size - 1;
	ctrl->kato = opts->kato;
	INIT_WORK(&engine->tcp.err_work, engine_error_work);
	INIT_DELAYED_WORK(&engine->tcp.connect_work, engine_connect_work);
	INIT_WORK(&ctrl->reset_work, engine_reset_work);
	INIT_DELAYED_WORK(&engine->watch_work, engine_watch_work);
	return ctrl;
}

void host_engine_set_owner(struct nvme_ctrl *ctrl, void *owner,
			   const struct host_engine_ops *ops)
{
	struct host_engine *engine = to_engine(ctrl);

	engine->owner = owner;
	engine->ops = ops;
}

void host_engine_free(struct nvme_ctrl *ctrl)
{
	struct host_engine *engine = to_engine(ctrl);
	unsigned int i;

	/* A request that was initialised without a connection has filled it. */
	for (i = 0; i < engine->nr_queues; i++)
		page_frag_cache_drain(&engine->tcp.queues[i].pf_cache);
	kfree(engine->tcp.queues);
	kfree(engine);
}

void *host_engine_owner(struct nvme_ctrl *ctrl)
{
	return to_engine(ctrl)->owner;
}

struct blk_mq_tag_set *host_engine_tag_set(struct nvme_ctrl *ctrl)
{
	return &to_tcp_ctrl(ctrl)->tag_set;
}

struct blk_mq_tag_set *host_engine_admin_tag_set(struct nvme_ctrl *ctrl)
{
	return &to_tcp_ctrl(ctrl)->admin_tag_set;
}

u32 *host_engine_io_queues(struct nvme_ctrl *ctrl)
{
	return to_tcp_ctrl(ctrl)->io_queues;
}

unsigned int host_engine_request_size(void)
{
	return sizeof(struct engine_request);
}

static bool engine_change_state(struct nvme_ctrl *ctrl,
				enum nvme_ctrl_state state)
{
	bool changed = nvme_change_ctrl_state(ctrl, state);

	if (changed && state == NVME_CTRL_RESETTING)
		trace_nvme_mptcp_error_recovery(ctrl->instance,
				READ_ONCE(to_engine(ctrl)->cause));
	return changed;
}

/* If two causes come in the same moment, it may be the other one that is told. */
void host_engine_error_recovery(struct nvme_ctrl *ctrl, enum host_cause cause)
{
	struct host_engine *engine = to_engine(ctrl);

	WRITE_ONCE(engine->cause, cause);
	nvme_tcp_error_recovery(ctrl);
	WRITE_ONCE(engine->cause, HOST_CAUSE_RECEIVE);
}

bool host_engine_recovers(struct nvme_ctrl *ctrl)
{
	return READ_ONCE(to_engine(ctrl)->recovers);
}

void host_engine_schedule_connect(struct nvme_ctrl *ctrl, unsigned long delay)
{
	queue_delayed_work(nvme_wq, &to_tcp_ctrl(ctrl)->connect_work, delay);
}

void host_engine_stop_work(struct nvme_ctrl *ctrl)
{
	nvme_tcp_stop_ctrl(ctrl);
}

/* Nobody waits for it, so it may wait for other timers of the machine. */
void host_engine_watch_in(struct nvme_ctrl *ctrl, unsigned long delay)
{
	queue_delayed_work(system_power_efficient_wq,
			   &to_engine(ctrl)->watch_work,
			   round_jiffies_relative(delay));
}

void host_engine_watch_stop(struct nvme_ctrl *ctrl)
{
	cancel_delayed_work_sync(&to_engine(ctrl)->watch_work);
}

void host_engine_watch_end(struct nvme_ctrl *ctrl)
{
	disable_delayed_work_sync(&to_engine(ctrl)->watch_work);
}

void host_engine_clear_reconnects(struct nvme_ctrl *ctrl)
{
	atomic_long_add(ctrl->nr_reconnects, &ctrl->acc_reconnects);
	ctrl->nr_reconnects = 0;
}

int host_engine_alloc_async(struct nvme_ctrl *ctrl)
{
	return nvme_tcp_alloc_async_req(to_tcp_ctrl(ctrl));
}

void host_engine_free_async(struct nvme_ctrl *ctrl)
{
	struct nvme_tcp_ctrl *tcp = to_tcp_ctrl(ctrl);

	if (!tcp->async_req.pdu)
		return;
	cancel_work_sync(&ctrl->async_event_work);
	nvme_tcp_free_async_req(tcp);
	tcp->async_req.pdu = NULL;
}

/*
 * tcp.c queues it for io_work, because engine_queue_init() keeps tcp.c's own
 * sender out of the way.
 */
void host_engine_submit_async(struct nvme_ctrl *ctrl)
{
	nvme_tcp_submit_async_event(ctrl);
}

#include "host_receive.c"
#include "host_queue.c"
#include "host_attrs.c"
#include "host_send.c"
