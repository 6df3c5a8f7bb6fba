// SPDX-License-Identifier: GPL-2.0
/*
 * See helpers.h. Included by the engine of each side, so that each module has
 * its own copy.
 */

#include <linux/moduleparam.h>
#include <linux/netdevice.h>
#include <linux/nsproxy.h>
#include <linux/ratelimit.h>
#include <linux/sched/mm.h>
#include <net/mptcp.h>
#include "../../../net/mptcp/protocol.h"
#include "helpers.h"

struct net *ffi_current_net(void)
{
	return get_net(current->nsproxy->net_ns);
}

struct net *ffi_get_net(struct net *net)
{
	return get_net(net);
}

void ffi_put_net(struct net *net)
{
	put_net(net);
}

struct net_device *ffi_dev_get_by_name(struct net *net, const char *name)
{
	return dev_get_by_name(net, name);
}

void ffi_dev_put(struct net_device *dev)
{
	dev_put(dev);
}

/*
 * SOL_SOCKET goes through the socket's own setsockopt when it is an MPTCP
 * socket, which hands the option on to the subflows; a plain TCP socket's own
 * setsockopt does not know that level (-ENOPROTOOPT).
 */
int ffi_setsockopt_str(struct socket *sock, int level, int name,
		       const char *value, unsigned int len)
{
	sockptr_t val = KERNEL_SOCKPTR((void *)value);

	if (level == SOL_SOCKET && !ffi_sock_is_mptcp(sock))
		return sock_setsockopt(sock, level, name, val, len);
	return READ_ONCE(sock->ops)->setsockopt(sock, level, name, val, len);
}

int ffi_setsockopt_int(struct socket *sock, int level, int name, int value)
{
	return ffi_setsockopt_str(sock, level, name, (const char *)&value,
				  sizeof(value));
}

static char congestion[TCP_CA_NAME_MAX];
module_param_string(congestion, congestion, sizeof(congestion), 0644);
MODULE_PARM_DESC(congestion, "Congestion control of new controllers or ports (default: that of the network namespace)");

void ffi_param_congestion(char *name)
{
	char copy[TCP_CA_NAME_MAX];

	BUILD_BUG_ON(FFI_CONGESTION_MAX != TCP_CA_NAME_MAX);
	kernel_param_lock(THIS_MODULE);
	strscpy(copy, congestion);
	kernel_param_unlock(THIS_MODULE);
	/* What is written to sysfs ends with a newline. */
	strscpy(name, strim(copy), TCP_CA_NAME_MAX);
}

int ffi_sock_set_congestion(struct socket *sock, const char *name)
{
	int ret;

	if (!*name)
		return 0;
	/*
	 * Only a subflow knows whether there is one of that name, and later it
	 * would not tell. Setting this option, to what it is, makes the first.
	 */
	ret = ffi_setsockopt_int(sock, SOL_SOCKET, SO_REUSEADDR,
				 sock->sk->sk_reuse == SK_CAN_REUSE);
	if (ret)
		return ret;
	return ffi_setsockopt_str(sock, SOL_TCP, TCP_CONGESTION, name,
				  strlen(name));
}

/*
 * A socket that carries storage may be needed to write back dirty pages, so it
 * may use the memory reserves, must not wait for reclaim, and must not use the
 * page fragment of a task that is itself in the middle of an allocation.
 */
void ffi_sock_storage_prepare(struct socket *sock)
{
	static atomic_t counted = ATOMIC_INIT(0);
	struct sock *sk = sock->sk;

	sk->sk_allocation = GFP_ATOMIC | __GFP_MEMALLOC;
	sk->sk_use_task_frag = false;
	/*
	 * Once is enough, and not when a controller comes back: see
	 * ffi_sock_storage_subflows().
	 */
	if (atomic_xchg(&counted, 1))
		sock_set_flag(sk, SOCK_MEMALLOC);
	else
		sk_set_memalloc(sk);
}

/*
 * A subflow is a socket of its own, and inherits nothing of this, so it is done
 * to those that there are. Not by sk_set_memalloc(): that counts in a static
 * key, for which it takes the lock of CPU hotplug; who holds that may be waiting
 * for our requests, and the first connection of all has counted already.
 */
void ffi_sock_storage_subflows(struct socket *sock)
{
	struct mptcp_subflow_context *subflow;
	struct sock *sk = sock->sk;

	lock_sock(sk);
	mptcp_for_each_subflow(mptcp_sk(sk), subflow) {
		struct sock *ssk = mptcp_subflow_tcp_sock(subflow);

		if (sock_flag(ssk, SOCK_MEMALLOC))
			continue;
		lock_sock_nested(ssk, SINGLE_DEPTH_NESTING);
		ssk->sk_allocation = GFP_ATOMIC | __GFP_MEMALLOC;
		sock_set_flag(ssk, SOCK_MEMALLOC);
		release_sock(ssk);
	}
	release_sock(sk);
}

/*
 * For lockdep only. The lock of a subflow is taken under that of its connection,
 * and both would be of the same class, that of the kernel's sockets. So a new
 * connection gets a class of its own, which also is not that of sockets of user
 * space, whose lock is taken under mmap_lock and file system locks, while ours is
 * taken when writing back for those same file systems. What a listener accepts
 * is a clone, with the class that sk_kern_sock tells: user space's.
 */
void ffi_sock_reclassify(struct socket *sock)
{
#ifdef CONFIG_DEBUG_LOCK_ALLOC
	static struct lock_class_key sk_key[2], slock_key[2];
	struct sock *sk = sock->sk;
	int i = sk->sk_family == AF_INET6;

	if (WARN_ON_ONCE(!sock_allow_reclassification(sk)))
		return;
	sock_lock_init_class_and_name(sk, "slock-" KBUILD_MODNAME,
				      &slock_key[i], "sk_lock-" KBUILD_MODNAME,
				      &sk_key[i]);
	sk->sk_kern_sock = 0;
#endif
}

int ffi_sock_send_bvec(struct socket *sock, struct bio_vec *bv,
		       unsigned int nr, size_t len, int flags)
{
	struct msghdr msg = { .msg_flags = flags };

	iov_iter_bvec(&msg.msg_iter, ITER_SOURCE, bv, nr, len);
	return sock_sendmsg(sock, &msg);
}

bool ffi_sock_is_mptcp(struct socket *sock)
{
	return sock->sk->sk_protocol == IPPROTO_MPTCP;
}

u64 ffi_mptcp_written(struct sock *sk)
{
	return READ_ONCE(mptcp_sk(sk)->write_seq);
}

/* 0 for a plain TCP socket, which tells of room only when it was waited for. */
u64 ffi_mptcp_acked(struct sock *sk)
{
	if (sk->sk_protocol != IPPROTO_MPTCP)
		return 0;
	return READ_ONCE(mptcp_sk(sk)->snd_una);
}

static bool mptcp_looks_stuck(struct sock *sk)
{
	struct mptcp_sock *msk = mptcp_sk(sk);
	u64 next;

	if (!mptcp_send_head(sk))
		return false;
	next = READ_ONCE(msk->snd_nxt);
	return next == READ_ONCE(msk->snd_una) &&
	       before64(next, READ_ONCE(msk->wnd_end));
}

bool ffi_mptcp_is_stuck(struct sock *sk)
{
	if (sk->sk_protocol != IPPROTO_MPTCP || !mptcp_looks_stuck(sk))
		return false;
	/* Or an acknowledgement is just making it send: that is over then. */
	lock_sock(sk);
	release_sock(sk);
	return mptcp_looks_stuck(sk);
}

void ffi_mptcp_push(struct sock *sk)
{
	lock_sock(sk);
	if (mptcp_send_head(sk)) {
		mptcp_data_lock(sk);
		mptcp_sk(sk)->cb_flags |= BIT(MPTCP_PUSH_PENDING);
		mptcp_data_unlock(sk);
	}
	release_sock(sk);
}

unsigned int ffi_mptcp_subflows(struct sock *sk, struct ffi_subflow *subflows,
				unsigned int max)
{
	struct mptcp_subflow_context *subflow;
	unsigned int n = 0;

	lock_sock(sk);
	mptcp_for_each_subflow(mptcp_sk(sk), subflow) {
		struct sock *ssk = mptcp_subflow_tcp_sock(subflow);
		struct tcp_sock *tp = tcp_sk(ssk);

		if (n == max)
			break;
		if (!__mptcp_subflow_active(subflow))
			continue;
		/* A snapshot is enough, so without the subflow's lock. */
		subflows[n++] = (struct ffi_subflow){
			.rate = READ_ONCE(ssk->sk_pacing_rate),
			.unsent = READ_ONCE(tp->write_seq) -
				  READ_ONCE(tp->snd_nxt),
			.min_rtt = tcp_min_rtt(tp),
		};
	}
	release_sock(sk);
	return n;
}

void ffi_sock_swap_callbacks(struct sock *sk,
			     struct ffi_sock_callbacks *callbacks)
{
	write_lock_bh(&sk->sk_callback_lock);
	swap(sk->sk_user_data, callbacks->user_data);
	swap(sk->sk_data_ready, callbacks->data_ready);
	swap(sk->sk_write_space, callbacks->write_space);
	swap(sk->sk_state_change, callbacks->state_change);
	swap(sk->sk_error_report, callbacks->error_report);
	write_unlock_bh(&sk->sk_callback_lock);
}

/* Returns sk_user_data with sk_callback_lock held for reading. */
void *ffi_sock_read_user_data(struct sock *sk)
{
	read_lock_bh(&sk->sk_callback_lock);
	return sk->sk_user_data;
}

void ffi_sock_callback_read_unlock(struct sock *sk)
{
	read_unlock_bh(&sk->sk_callback_lock);
}

bool ffi_sk_stream_is_writeable(struct sock *sk)
{
	return sk_stream_is_writeable(sk);
}

void ffi_sock_set_nospace(struct socket *sock)
{
	set_bit(SOCK_NOSPACE, &sock->flags);
}

void ffi_sock_clear_nospace(struct socket *sock)
{
	if (test_bit(SOCK_NOSPACE, &sock->flags))
		clear_bit(SOCK_NOSPACE, &sock->flags);
}

void ffi_sk_set_timeouts(struct socket *sock, long rcv, long snd)
{
	WRITE_ONCE(sock->sk->sk_rcvtimeo, rcv);
	WRITE_ONCE(sock->sk->sk_sndtimeo, snd);
}

unsigned char ffi_sk_state(struct sock *sk)
{
	return READ_ONCE(sk->sk_state);
}

void ffi_log_addr(const char *what, struct sockaddr_storage *addr)
{
	pr_info("%s %pISpc\n", what, addr);
}

int ffi_format_addr(char *buf, size_t len, struct sockaddr_storage *addr,
		    bool port)
{
	if (port)
		return scnprintf(buf, len, "%pISpc", addr);
	return scnprintf(buf, len, "%pISc", addr);
}

/* What many peers can cause at will must not fill the log. */
bool ffi_may_log(void)
{
	static DEFINE_RATELIMIT_STATE(limit, 5 * HZ, 20);

	return __ratelimit(&limit);
}

char *ffi_kstrdup(const char *s)
{
	return kstrdup(s, GFP_KERNEL);
}

unsigned int ffi_memalloc_noreclaim_save(void)
{
	return memalloc_noreclaim_save();
}

void ffi_memalloc_noreclaim_restore(unsigned int flags)
{
	memalloc_noreclaim_restore(flags);
}

/* Direct reclaim, that of a memory cgroup, and kswapd. */
bool ffi_in_reclaim(void)
{
	return current->flags & PF_MEMALLOC;
}

unsigned int ffi_memalloc_noio_save(void)
{
	return memalloc_noio_save();
}

void ffi_memalloc_noio_restore(unsigned int flags)
{
	memalloc_noio_restore(flags);
}

struct workqueue_struct *ffi_alloc_workqueue(const char *name,
					     unsigned int flags)
{
	return alloc_workqueue("%s", flags, 0, name);
}

unsigned long ffi_jiffies(void)
{
	return jiffies;
}

unsigned long ffi_msecs_to_jiffies(unsigned int ms)
{
	return msecs_to_jiffies(ms);
}

unsigned int ffi_this_cpu(void)
{
	return raw_smp_processor_id();
}

/* 0 in an interrupt, where "current" is whom it has interrupted. */
unsigned long ffi_current_task(void)
{
	return in_task() ? (unsigned long)current : 0;
}

#include "observe.c"
