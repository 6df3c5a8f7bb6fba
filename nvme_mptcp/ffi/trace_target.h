/* SPDX-License-Identifier: GPL-2.0 */
/* Tracepoints of the target; see Documentation/observability.rst. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM nvmet_mptcp

#if !defined(NVME_MPTCP_TRACE_TARGET_H) || defined(TRACE_HEADER_MULTI_READ)
#define NVME_MPTCP_TRACE_TARGET_H

#include <linux/tracepoint.h>
#include "observe.h"
#include "target_engine.h"

TRACE_DEFINE_ENUM(FFI_FALLBACK_NONE);
TRACE_DEFINE_ENUM(FFI_FALLBACK_PEER);
TRACE_DEFINE_ENUM(FFI_FALLBACK_LOST);

TRACE_EVENT(nvmet_mptcp_queue_connected,
	TP_PROTO(int id, u16 cntlid, u16 qid, u32 token, u32 fallback),
	TP_ARGS(id, cntlid, qid, token, fallback),
	TP_STRUCT__entry(
		__field(int, id)
		__field(u16, cntlid)
		__field(u16, qid)
		__field(u32, token)
		__field(u32, fallback)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->cntlid = cntlid;
		__entry->qid = qid;
		__entry->token = token;
		__entry->fallback = fallback;
	),
	TP_printk("queue %d: cntlid=%u qid=%u token=%08x fallback=%s",
		  __entry->id, __entry->cntlid, __entry->qid, __entry->token,
		  __print_symbolic(__entry->fallback,
				   { FFI_FALLBACK_NONE, "none" },
				   { FFI_FALLBACK_PEER, "peer" },
				   { FFI_FALLBACK_LOST, "lost" }))
);

TRACE_DEFINE_ENUM(TARGET_STOP_CLOSED);
TRACE_DEFINE_ENUM(TARGET_STOP_CONTROLLER);
TRACE_DEFINE_ENUM(TARGET_STOP_PORT);
TRACE_DEFINE_ENUM(TARGET_STOP_MODULE);
TRACE_DEFINE_ENUM(TARGET_STOP_OVERDUE);

TRACE_EVENT(nvmet_mptcp_queue_stopped,
	TP_PROTO(int id, u16 cntlid, u16 qid, u32 reason),
	TP_ARGS(id, cntlid, qid, reason),
	TP_STRUCT__entry(
		__field(int, id)
		__field(u16, cntlid)
		__field(u16, qid)
		__field(u32, reason)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->cntlid = cntlid;
		__entry->qid = qid;
		__entry->reason = reason;
	),
	TP_printk("queue %d: cntlid=%u qid=%u reason=%s", __entry->id,
		  __entry->cntlid, __entry->qid,
		  __print_symbolic(__entry->reason,
				   { TARGET_STOP_CLOSED, "closed" },
				   { TARGET_STOP_CONTROLLER, "controller" },
				   { TARGET_STOP_PORT, "port" },
				   { TARGET_STOP_MODULE, "module" },
				   { TARGET_STOP_OVERDUE, "overdue" }))
);

TRACE_EVENT(nvmet_mptcp_batch_sent,
	TP_PROTO(int id, u16 qid, u32 answers, u32 segments, u32 bytes,
		 int sent),
	TP_ARGS(id, qid, answers, segments, bytes, sent),
	TP_STRUCT__entry(
		__field(int, id)
		__field(u16, qid)
		__field(u32, answers)
		__field(u32, segments)
		__field(u32, bytes)
		__field(int, sent)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->qid = qid;
		__entry->answers = answers;
		__entry->segments = segments;
		__entry->bytes = bytes;
		__entry->sent = sent;
	),
	TP_printk("queue %d: qid=%u answers=%u segments=%u bytes=%u sent=%d",
		  __entry->id, __entry->qid, __entry->answers,
		  __entry->segments, __entry->bytes, __entry->sent)
);

TRACE_EVENT(nvmet_mptcp_received,
	TP_PROTO(int id, u16 qid, u32 bytes),
	TP_ARGS(id, qid, bytes),
	TP_STRUCT__entry(
		__field(int, id)
		__field(u16, qid)
		__field(u32, bytes)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->qid = qid;
		__entry->bytes = bytes;
	),
	TP_printk("queue %d: qid=%u bytes=%u", __entry->id, __entry->qid,
		  __entry->bytes)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace_target
#include <trace/define_trace.h>
