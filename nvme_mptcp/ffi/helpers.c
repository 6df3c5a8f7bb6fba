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

/*
 * sock_no_linger() would not reach the subflow that an accepted connection has
 * already.
 */
void ffi_sock_no_linger(struct socket *sock)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	/* Cannot fail, with these arguments. */
	ffi_setsockopt_str(sock, SOL_SOCKET, SO_LINGER, (const char *)&linger,
			   sizeof(linger));
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

int ffi_sock_send_bvec(struct socket *sock, struct bio_vec *bv,
		       unsigned int nr, size_t len, int flags)
{
	struct msghdr msg = { .msg_flags = flags };

	iov_iter_bvec(&msg.msg_iter, ITER_SOURCE, bv, nr, len);
	return sock_sendmsg(sock, &msg);
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

/*
 * Returns sk_user_data with sk_callback_lock held for reading; NULL if it is not
 * that of @data_ready: a callback may be on its way to a socket whose callbacks
 * have been replaced meanwhile.
 */
void *ffi_sock_read_user_data(struct sock *sk,
			      void (*data_ready)(struct sock *sk))
{
	read_lock_bh(&sk->sk_callback_lock);
	return sk->sk_data_ready == data_ready ? sk->sk_user_data : NULL;
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

void ffi_synchronize_rcu_tasks(void)
{
	synchronize_rcu_tasks();
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

void ffi_smp_mb(void)
{
	smp_mb(); /* for what, its callers tell */
}

/* 0 in an interrupt, where "current" is whom it has interrupted. */
unsigned long ffi_current_task(void)
{
	return in_task() ? (unsigned long)current : 0;
}

#include "mptcp.c"
#include "observe.c"
