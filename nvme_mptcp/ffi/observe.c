// SPDX-License-Identifier: GPL-2.0
/* See observe.h. Included by helpers.c, thus part of the engine of each side. */

#include <linux/debugfs.h>
#include <linux/inetdevice.h>
#include <net/addrconf.h>
#include <net/ipv6.h>
#include <net/tcp.h>
#include "observe.h"

/* Connections. */

static u32 observe_fallback(struct mptcp_sock *msk)
{
	struct mptcp_subflow_context *subflow;

	if (!__mptcp_check_fallback(msk))
		return FFI_FALLBACK_NONE;
	if (!msk->first)
		return FFI_FALLBACK_LOST;
	subflow = mptcp_subflow_ctx(msk->first);
	if (subflow->mp_capable)
		return FFI_FALLBACK_LOST;
	if (subflow->request_mptcp)
		return FFI_FALLBACK_PEER;
	return subflow->mpc_drop ? FFI_FALLBACK_DROPPED :
				   FFI_FALLBACK_BLACKHOLE;
}

static void observe_congestion(struct sock *ssk, char *name, size_t size)
{
	const struct tcp_congestion_ops *ops;

	rcu_read_lock();
	ops = READ_ONCE(inet_csk(ssk)->icsk_ca_ops);
	if (ops)
		strscpy(name, ops->name, size);
	rcu_read_unlock();
}

void ffi_connection_info(struct sock *sk, struct ffi_connection_info *info)
{
	struct mptcp_sock *msk;

	memset(info, 0, sizeof(*info));
	lock_sock(sk);
	if (sk->sk_protocol != IPPROTO_MPTCP) {
		info->fallback = FFI_FALLBACK_PEER;
		observe_congestion(sk, info->congestion,
				   sizeof(info->congestion));
	} else {
		msk = mptcp_sk(sk);
		info->fallback = observe_fallback(msk);
		info->token = msk->token;
		info->retransmitted = msk->bytes_retrans;
		if (msk->first)
			observe_congestion(msk->first, info->congestion,
					   sizeof(info->congestion));
	}
	release_sock(sk);
}

/* Subflows. */

static void observe_address(const struct sock *ssk, struct in6_addr *local,
			    struct in6_addr *remote)
{
	const struct inet_sock *inet = inet_sk(ssk);

	if (ssk->sk_family == AF_INET) {
		ipv6_addr_set_v4mapped(inet->inet_saddr, local);
		ipv6_addr_set_v4mapped(inet->inet_daddr, remote);
	} else {
#if IS_ENABLED(CONFIG_IPV6)
		*local = inet6_sk(ssk)->saddr;
		*remote = ssk->sk_v6_daddr;
#endif
	}
}

/* Where its packets leave; if there is no route just now, who has its address. */
static void observe_interface(struct sock *ssk, const struct in6_addr *local,
			      char *name)
{
	struct net_device *dev = NULL;
	struct dst_entry *dst;

	rcu_read_lock();
	dst = rcu_dereference(ssk->sk_dst_cache);
	if (dst)
		dev = dst_dev_rcu(dst);
	if (!dev || dev == blackhole_netdev) {
		if (ipv6_addr_v4mapped(local))
			dev = __ip_dev_find(sock_net(ssk), local->s6_addr32[3],
					    false);
#if IS_ENABLED(CONFIG_IPV6)
		else
			dev = ipv6_dev_find(sock_net(ssk), local, NULL);
#endif
	}
	strscpy(name, dev ? dev->name : "-", IFNAMSIZ);
	rcu_read_unlock();
}

/*
 * A subflow that has repeated the same so often without an answer does not
 * deliver. MPTCP takes it for stale as well, but may need a minute.
 */
#define OBSERVE_TIMEOUTS	3

static void observe_subflow(struct sock *ssk,
			    const struct mptcp_subflow_context *subflow,
			    struct ffi_subflow_info *info)
{
	struct in6_addr local = {}, remote = {};
	struct tcp_info tcp;

	/* Takes the lock of @ssk. */
	tcp_get_info(ssk, &tcp);
	observe_address(ssk, &local, &remote);
	*info = (struct ffi_subflow_info){
		.bytes_sent = tcp.tcpi_bytes_sent,
		.bytes_acked = tcp.tcpi_bytes_acked,
		.bytes_received = tcp.tcpi_bytes_received,
		.bytes_retrans = tcp.tcpi_bytes_retrans,
		.pacing_rate = tcp.tcpi_pacing_rate,
		.rtt = tcp.tcpi_rtt,
		.min_rtt = tcp.tcpi_min_rtt == U32_MAX ? 0 : tcp.tcpi_min_rtt,
		.cwnd = tcp.tcpi_snd_cwnd,
		.mss = tcp.tcpi_snd_mss,
		.unacked = tcp.tcpi_unacked,
		.unsent = tcp.tcpi_notsent_bytes,
		.retransmits = tcp.tcpi_total_retrans,
		.local_port = ntohs(inet_sk(ssk)->inet_sport),
		.remote_port = ntohs(inet_sk(ssk)->inet_dport),
		.state = tcp.tcpi_state,
		.timeouts = tcp.tcpi_retransmits,
		.usable = tcp.tcpi_state == TCP_ESTABLISHED &&
			  tcp.tcpi_retransmits < OBSERVE_TIMEOUTS,
	};
	memcpy(info->local, &local, sizeof(info->local));
	memcpy(info->remote, &remote, sizeof(info->remote));
	observe_interface(ssk, &local, info->interface);
	if (subflow) {
		info->id = subflow->subflow_id;
		info->backup = subflow->backup || subflow->request_bkup;
		info->stale = subflow->stale;
		info->usable &= !subflow->stale && !subflow->closing &&
				(!subflow->request_join ||
				 READ_ONCE(subflow->fully_established));
	}
}

void ffi_each_subflow(struct sock *sk, ffi_subflow_fn *fn, void *arg)
{
	struct mptcp_subflow_context *subflow;
	struct ffi_subflow_info info;

	if (sk->sk_protocol != IPPROTO_MPTCP) {
		observe_subflow(sk, NULL, &info);
		fn(&info, arg);
		return;
	}
	lock_sock(sk);
	mptcp_for_each_subflow(mptcp_sk(sk), subflow) {
		observe_subflow(mptcp_subflow_tcp_sock(subflow), subflow,
				&info);
		fn(&info, arg);
	}
	release_sock(sk);
}

int ffi_format_ip(char *buf, size_t len, const u8 *address)
{
	struct in6_addr ip;

	memcpy(&ip, address, sizeof(ip));
	if (ipv6_addr_v4mapped(&ip))
		return scnprintf(buf, len, "%pI4", &ip.s6_addr32[3]);
	return scnprintf(buf, len, "%pI6c", &ip);
}

/*
 * debugfs. The kernel crate has it too, but its files have no owner, so the
 * module could be unloaded while one is open (7.3).
 */

static struct dentry *observe_root;

static int observe_source_show(struct seq_file *m, void *unused)
{
	const struct ffi_debugfs_source *source = m->private;

	source->show(m, source->data);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(observe_source);

void ffi_debugfs_init(void)
{
	observe_root = debugfs_create_dir(KBUILD_MODNAME, NULL);
}

void ffi_debugfs_exit(void)
{
	debugfs_remove(observe_root);
}

struct dentry *ffi_debugfs_dir(const char *name)
{
	return debugfs_create_dir(name, observe_root);
}

void ffi_debugfs_file(struct dentry *dir, const char *name,
		      const struct ffi_debugfs_source *source)
{
	debugfs_create_file(name, 0400, dir, (void *)source,
			    &observe_source_fops);
}

void ffi_debugfs_remove(struct dentry *dir)
{
	debugfs_remove(dir);
}
