/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What can be seen of connections: their subflows, and files in debugfs. Both
 * modules have this: observe.c is compiled into the engine of each side.
 */
#ifndef NVME_MPTCP_OBSERVE_H
#define NVME_MPTCP_OBSERVE_H

#include <linux/if.h>
#include <linux/seq_file.h>
#include <net/sock.h>

/* Why a connection is plain TCP. Ordered: of several, the greatest counts. */
enum ffi_fallback {
	FFI_FALLBACK_NONE,
	FFI_FALLBACK_PEER,	/* the answer to the SYN was without MPTCP */
	FFI_FALLBACK_DROPPED,	/* a SYN with MPTCP had no answer */
	FFI_FALLBACK_BLACKHOLE,	/* so the namespace does not try just now */
	FFI_FALLBACK_LOST,	/* it was MPTCP until something was in its way */
};

struct ffi_connection_info {
	u64 retransmitted;	/* bytes that MPTCP has sent again */
	u32 token;
	u32 fallback;		/* enum ffi_fallback */
	char congestion[16];
};

/* Sleeps for the socket lock. */
void ffi_connection_info(struct sock *sk, struct ffi_connection_info *info);

struct ffi_subflow_info {
	u8 local[16];		/* of IPv4 the mapped address */
	u8 remote[16];
	u64 bytes_sent;
	u64 bytes_acked;
	u64 bytes_received;
	u64 bytes_retrans;
	u64 pacing_rate;	/* bytes a second */
	u32 id;
	u32 rtt;		/* microseconds */
	u32 min_rtt;
	u32 cwnd;		/* segments */
	u32 mss;
	u32 unacked;		/* segments */
	u32 unsent;		/* bytes */
	u32 retransmits;	/* segments */
	u16 local_port;
	u16 remote_port;
	u8 state;		/* of TCP */
	bool backup;
	bool stale;
	u8 timeouts;		/* repetitions that had no answer, in a row */
	bool usable;		/* established, joined, and it delivers */
	char interface[IFNAMSIZ];
};

typedef void ffi_subflow_fn(const struct ffi_subflow_info *info, void *arg);

/*
 * Calls @fn for every subflow of a connection; for plain TCP once. Sleeps for
 * the socket lock, and holds it while it calls.
 */
void ffi_each_subflow(struct sock *sk, ffi_subflow_fn *fn, void *arg);

/* An address as in struct ffi_subflow_info; returns the length. */
int ffi_format_ip(char *buf, size_t len, const u8 *address);

/*
 * debugfs. A source stays as it is until the directory in which its file is has
 * been removed; then nobody reads it any more.
 */
struct ffi_debugfs_source {
	void (*show)(struct seq_file *m, void *data);
	void *data;
};

void ffi_debugfs_init(void);
void ffi_debugfs_exit(void);
struct dentry *ffi_debugfs_dir(const char *name);
void ffi_debugfs_file(struct dentry *dir, const char *name,
		      const struct ffi_debugfs_source *source);
void ffi_debugfs_remove(struct dentry *dir);

#endif
