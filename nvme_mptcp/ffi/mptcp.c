// SPDX-License-Identifier: GPL-2.0
/*
 * Connections and their subflows: their locks, their use of memory, and how far
 * they have come. See helpers.h; included by helpers.c.
 */

/*
 * MPTCP's own work on a connection holds its lock, and makes subflows, for which
 * it allocates as anybody does. Without memory it would swap to the disk that is
 * behind this connection, and wait for it with the lock held that the disk's
 * requests need. So it gets the reserves, as sends do, and does not reclaim.
 *
 * It is over when the socket has been released: closed without lingering, a
 * connection has its work cancelled (mptcp_close()), and is not given any more.
 */
static work_func_t mptcp_work;

static void storage_work(struct work_struct *work)
{
	unsigned int flags = memalloc_noreclaim_save();

	READ_ONCE(mptcp_work)(work);
	memalloc_noreclaim_restore(flags);
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
	/* The socket is new, so this is not queued. */
	WRITE_ONCE(mptcp_work, mptcp_sk(sk)->work.func);
	mptcp_sk(sk)->work.func = storage_work;
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
	if (sk->sk_protocol != IPPROTO_MPTCP)
		return;
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
	unsigned int n = 0, rank, best = 3;

	lock_sock(sk);
	mptcp_for_each_subflow(mptcp_sk(sk), subflow) {
		struct sock *ssk = mptcp_subflow_tcp_sock(subflow);
		struct tcp_sock *tp = tcp_sk(ssk);

		if (!__mptcp_subflow_active(subflow))
			continue;
		/* Those that MPTCP gives nothing to while it has others. */
		rank = subflow->stale ? 2 :
		       subflow->backup || subflow->request_bkup ? 1 : 0;
		if (rank < best) {
			best = rank;
			n = 0;
		}
		if (rank > best || n == max)
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
