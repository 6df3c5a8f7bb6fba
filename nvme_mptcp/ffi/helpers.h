/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Macros and static inlines of the kernel that bindgen cannot see, as real
 * functions. Both modules have them: helpers.c is compiled into the engine of
 * each side.
 */
#ifndef NVME_MPTCP_HELPERS_H
#define NVME_MPTCP_HELPERS_H

#include <linux/net.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>
#include <net/sock.h>

/* Network namespaces. */
struct net *ffi_current_net(void);
struct net *ffi_get_net(struct net *net);
void ffi_put_net(struct net *net);
struct net_device *ffi_dev_get_by_name(struct net *net, const char *name);
void ffi_dev_put(struct net_device *dev);

/* Sockets. */
int ffi_setsockopt_int(struct socket *sock, int level, int name, int value);
void ffi_sock_no_linger(struct socket *sock);
int ffi_setsockopt_str(struct socket *sock, int level, int name,
		       const char *value, unsigned int len);

/*
 * What the module parameter of that name says, as a string; empty if it is not
 * set. Sleeps.
 */
#define FFI_CONGESTION_MAX	16
void ffi_param_congestion(char *name);
/* Does nothing if the name is empty. Sleeps. */
int ffi_sock_set_congestion(struct socket *sock, const char *name);
/* For an MPTCP socket that has just been made, and does not linger. */
void ffi_sock_storage_prepare(struct socket *sock);
void ffi_sock_storage_subflows(struct socket *sock);
void ffi_sock_reclassify(struct socket *sock);
int ffi_sock_send_bvec(struct socket *sock, struct bio_vec *bv,
		       unsigned int nr, size_t len, int flags);
bool ffi_sock_is_mptcp(struct socket *sock);

/* What an MPTCP socket has written, and what its peer has acknowledged. */
u64 ffi_mptcp_written(struct sock *sk);
u64 ffi_mptcp_acked(struct sock *sk);

/*
 * Whether it has something to send, nothing in flight, and the peer room for it:
 * then it had no memory for a packet, and does not try again until somebody sends
 * more (7.3). And has it try again. Both sleep for the socket lock.
 */
bool ffi_mptcp_is_stuck(struct sock *sk);
void ffi_mptcp_push(struct sock *sk);

struct ffi_subflow {
	u64 rate;		/* bytes a second */
	u32 unsent;		/* bytes */
	u32 min_rtt;		/* microseconds */
};

/*
 * The subflows of an MPTCP socket that can send, at most @max; returns their
 * number. Sleeps for the socket lock.
 */
unsigned int ffi_mptcp_subflows(struct sock *sk, struct ffi_subflow *subflows,
				unsigned int max);

/* Callbacks of a socket, and what they find in sk_user_data. */
struct ffi_sock_callbacks {
	void *user_data;
	void (*data_ready)(struct sock *sk);
	void (*write_space)(struct sock *sk);
	void (*state_change)(struct sock *sk);
	void (*error_report)(struct sock *sk);
};

/*
 * Installs @callbacks and returns the former ones in their place. When it
 * returns, none of the former that hold sk_callback_lock runs any more.
 */
void ffi_sock_swap_callbacks(struct sock *sk,
			     struct ffi_sock_callbacks *callbacks);
void *ffi_sock_read_user_data(struct sock *sk,
			      void (*data_ready)(struct sock *sk));
void ffi_sock_callback_read_unlock(struct sock *sk);
bool ffi_sk_stream_is_writeable(struct sock *sk);
void ffi_sock_set_nospace(struct socket *sock);
void ffi_sock_clear_nospace(struct socket *sock);
void ffi_sk_set_timeouts(struct socket *sock, long rcv, long snd);
unsigned char ffi_sk_state(struct sock *sk);
void ffi_log_addr(const char *what, struct sockaddr_storage *addr);
int ffi_format_addr(char *buf, size_t len, struct sockaddr_storage *addr,
		    bool port);
bool ffi_may_log(void);

/* Memory. */
char *ffi_kstrdup(const char *s);
unsigned int ffi_memalloc_noreclaim_save(void);
void ffi_memalloc_noreclaim_restore(unsigned int flags);
bool ffi_in_reclaim(void);
unsigned int ffi_memalloc_noio_save(void);
void ffi_memalloc_noio_restore(unsigned int flags);

/* Work. */
struct workqueue_struct *ffi_alloc_workqueue(const char *name,
					     unsigned int flags);
/* Sleeps. */
void ffi_synchronize_rcu_tasks(void);
unsigned long ffi_jiffies(void);
unsigned long ffi_msecs_to_jiffies(unsigned int ms);
unsigned int ffi_this_cpu(void);
void ffi_smp_mb(void);
unsigned long ffi_current_task(void);

#endif
