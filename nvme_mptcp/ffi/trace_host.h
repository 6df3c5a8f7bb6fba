/* SPDX-License-Identifier: GPL-2.0 */
/* Tracepoints of the host; see Documentation/observability.rst. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM nvme_mptcp

#if !defined(NVME_MPTCP_TRACE_HOST_H) || defined(TRACE_HEADER_MULTI_READ)
#define NVME_MPTCP_TRACE_HOST_H

#include <linux/tracepoint.h>
#include "host_engine.h"
#include "observe.h"

TRACE_DEFINE_ENUM(FFI_FALLBACK_NONE);
TRACE_DEFINE_ENUM(FFI_FALLBACK_PEER);
TRACE_DEFINE_ENUM(FFI_FALLBACK_DROPPED);
TRACE_DEFINE_ENUM(FFI_FALLBACK_BLACKHOLE);
TRACE_DEFINE_ENUM(FFI_FALLBACK_LOST);

#define show_nvme_mptcp_fallback(fallback)			\
	__print_symbolic(fallback,				\
			 { FFI_FALLBACK_NONE, "none" },		\
			 { FFI_FALLBACK_PEER, "peer" },		\
			 { FFI_FALLBACK_DROPPED, "dropped" },	\
			 { FFI_FALLBACK_BLACKHOLE, "blackhole" },	\
			 { FFI_FALLBACK_LOST, "lost" })

TRACE_EVENT(nvme_mptcp_queue_connected,
	TP_PROTO(int ctrl, u16 qid, u32 token, u32 fallback),
	TP_ARGS(ctrl, qid, token, fallback),
	TP_STRUCT__entry(
		__field(int, ctrl)
		__field(u16, qid)
		__field(u32, token)
		__field(u32, fallback)
	),
	TP_fast_assign(
		__entry->ctrl = ctrl;
		__entry->qid = qid;
		__entry->token = token;
		__entry->fallback = fallback;
	),
	TP_printk("nvme%d: qid=%u token=%08x fallback=%s", __entry->ctrl,
		  __entry->qid, __entry->token,
		  show_nvme_mptcp_fallback(__entry->fallback))
);

TRACE_DEFINE_ENUM(HOST_STOP_RECOVERY);
TRACE_DEFINE_ENUM(HOST_STOP_RESET);
TRACE_DEFINE_ENUM(HOST_STOP_DELETE);
TRACE_DEFINE_ENUM(HOST_STOP_SETUP);

TRACE_EVENT(nvme_mptcp_queue_stopped,
	TP_PROTO(int ctrl, u16 qid, u32 reason),
	TP_ARGS(ctrl, qid, reason),
	TP_STRUCT__entry(
		__field(int, ctrl)
		__field(u16, qid)
		__field(u32, reason)
	),
	TP_fast_assign(
		__entry->ctrl = ctrl;
		__entry->qid = qid;
		__entry->reason = reason;
	),
	TP_printk("nvme%d: qid=%u reason=%s", __entry->ctrl, __entry->qid,
		  __print_symbolic(__entry->reason,
				   { HOST_STOP_RECOVERY, "recovery" },
				   { HOST_STOP_RESET, "reset" },
				   { HOST_STOP_DELETE, "delete" },
				   { HOST_STOP_SETUP, "setup" }))
);

TRACE_EVENT(nvme_mptcp_batch_sent,
	TP_PROTO(int ctrl, u16 qid, u32 requests, u32 segments, u32 bytes,
		 int sent),
	TP_ARGS(ctrl, qid, requests, segments, bytes, sent),
	TP_STRUCT__entry(
		__field(int, ctrl)
		__field(u16, qid)
		__field(u32, requests)
		__field(u32, segments)
		__field(u32, bytes)
		__field(int, sent)
	),
	TP_fast_assign(
		__entry->ctrl = ctrl;
		__entry->qid = qid;
		__entry->requests = requests;
		__entry->segments = segments;
		__entry->bytes = bytes;
		__entry->sent = sent;
	),
	TP_printk("nvme%d: qid=%u requests=%u segments=%u bytes=%u sent=%d",
		  __entry->ctrl, __entry->qid, __entry->requests,
		  __entry->segments, __entry->bytes, __entry->sent)
);

TRACE_EVENT(nvme_mptcp_received,
	TP_PROTO(int ctrl, u16 qid, u32 bytes, u32 completed),
	TP_ARGS(ctrl, qid, bytes, completed),
	TP_STRUCT__entry(
		__field(int, ctrl)
		__field(u16, qid)
		__field(u32, bytes)
		__field(u32, completed)
	),
	TP_fast_assign(
		__entry->ctrl = ctrl;
		__entry->qid = qid;
		__entry->bytes = bytes;
		__entry->completed = completed;
	),
	TP_printk("nvme%d: qid=%u bytes=%u completed=%u", __entry->ctrl,
		  __entry->qid, __entry->bytes, __entry->completed)
);

TRACE_DEFINE_ENUM(HOST_CAUSE_RECEIVE);
TRACE_DEFINE_ENUM(HOST_CAUSE_SEND);
TRACE_DEFINE_ENUM(HOST_CAUSE_SOCKET);
TRACE_DEFINE_ENUM(HOST_CAUSE_TIMEOUT);

TRACE_EVENT(nvme_mptcp_error_recovery,
	TP_PROTO(int ctrl, u32 cause),
	TP_ARGS(ctrl, cause),
	TP_STRUCT__entry(
		__field(int, ctrl)
		__field(u32, cause)
	),
	TP_fast_assign(
		__entry->ctrl = ctrl;
		__entry->cause = cause;
	),
	TP_printk("nvme%d: cause=%s", __entry->ctrl,
		  __print_symbolic(__entry->cause,
				   { HOST_CAUSE_RECEIVE, "receive" },
				   { HOST_CAUSE_SEND, "send" },
				   { HOST_CAUSE_SOCKET, "socket" },
				   { HOST_CAUSE_TIMEOUT, "timeout" }))
);

TRACE_EVENT(nvme_mptcp_reconnect,
	TP_PROTO(int ctrl, int attempt, int status),
	TP_ARGS(ctrl, attempt, status),
	TP_STRUCT__entry(
		__field(int, ctrl)
		__field(int, attempt)
		__field(int, status)
	),
	TP_fast_assign(
		__entry->ctrl = ctrl;
		__entry->attempt = attempt;
		__entry->status = status;
	),
	TP_printk("nvme%d: attempt=%d status=%d", __entry->ctrl,
		  __entry->attempt, __entry->status)
);

DECLARE_EVENT_CLASS(nvme_mptcp_subflow,
	TP_PROTO(int ctrl, u16 qid, const u8 *local, const u8 *remote),
	TP_ARGS(ctrl, qid, local, remote),
	TP_STRUCT__entry(
		__field(int, ctrl)
		__field(u16, qid)
		__array(u8, local, 16)
		__array(u8, remote, 16)
	),
	TP_fast_assign(
		__entry->ctrl = ctrl;
		__entry->qid = qid;
		memcpy(__entry->local, local, 16);
		memcpy(__entry->remote, remote, 16);
	),
	TP_printk("nvme%d: qid=%u local=%pI6c remote=%pI6c", __entry->ctrl,
		  __entry->qid, __entry->local, __entry->remote)
);

DEFINE_EVENT(nvme_mptcp_subflow, nvme_mptcp_subflow_added,
	TP_PROTO(int ctrl, u16 qid, const u8 *local, const u8 *remote),
	TP_ARGS(ctrl, qid, local, remote)
);

DEFINE_EVENT(nvme_mptcp_subflow, nvme_mptcp_subflow_lost,
	TP_PROTO(int ctrl, u16 qid, const u8 *local, const u8 *remote),
	TP_ARGS(ctrl, qid, local, remote)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace_host
#include <trace/define_trace.h>
