// SPDX-License-Identifier: GPL-2.0
/* The tracepoints of the host themselves; Rust calls them (observe/trace.rs). */

#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include "trace_host.h"
