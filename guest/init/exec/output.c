#include <errno.h>
#include <unistd.h>

#include "exec/exec.h"
#include "system/sys.h"

static bool has_output(const struct exec *e)
{
	return (e->fds.out >= 0 && e->may_read[0]) || (e->fds.err >= 0 && e->may_read[1]);
}

static uint64_t grace_end(const struct exec *e)
{
	return e->ended_us + EXEC_GRACE_MS * 1000ull;
}

static bool is_over(const struct exec *e)
{
	if (e->pid > 0 || e->fds.report >= 0)
		return false;
	if (e->fds.out < 0 && e->fds.err < 0)
		return true;
	return now_us() >= grace_end(e) && (!has_output(e) || e->late > EXEC_LATE_MAX);
}

int execs_timeout(const struct execs *x)
{
	uint64_t now = now_us(), first = UINT64_MAX;

	for (size_t i = 0; x->count > 0 && i < EXECS_MAX; i++) {
		const struct exec *e = &x->all[i];

		if (e->id && e->pid == 0 && !e->is_abandoned && !has_output(e) && grace_end(e) < first)
			first = grace_end(e);
	}
	if (first == UINT64_MAX)
		return -1;
	/* The port may be full: then its event is what counts. */
	return first > now ? (int)((first - now) / 1000) + 1 : EXEC_GRACE_MS;
}

static bool send_output(struct execs *x, struct exec *e, int which)
{
	static uint8_t chunk[EXEC_CHUNK];
	int fd = which ? e->fds.err : e->fds.out;
	size_t want = e->credit < sizeof chunk ? (size_t)e->credit : sizeof chunk;
	ssize_t n;

	if (fd < 0 || !e->may_read[which] || want == 0 || !e->started_sent || !channel_has_room(x->channel, sizeof chunk + EXEC_HEADER + CHANNEL_RESERVE))
		return false;
	n = read(fd, chunk, want);
	if (n > 0) {
		e->credit -= (uint64_t)n;
		if (e->pid == 0)
			e->late += (uint64_t)n;
		send_chunk(x->channel, e->id, which ? STREAM_STDERR : STREAM_STDOUT, chunk, (size_t)n);
		return true;
	}
	if (n == 0 || errno == EIO) /* of a terminal without readers and writers */
		exec_close_output(x, e, which);
	else if (errno != EINTR)
		e->may_read[which] = false;
	return n < 0 && errno == EINTR;
}

static bool send_one(struct execs *x, struct exec *e)
{
	bool more = false;

	if (e->is_started && !e->started_sent)
		e->started_sent = send_started(x->channel, e->id, e->guest_pid);
	if (e->taken > 0 && send_taken(x->channel, e->id, e->taken))
		e->taken = 0;
	more |= send_output(x, e, 0);
	more |= send_output(x, e, 1);
	if (is_over(e) && send_ended(x->channel, e))
		exec_release(x, e);
	return more;
}

bool execs_send(struct execs *x)
{
	bool more = false;

	for (unsigned i = 0; x->count > 0 && i < EXECS_MAX; i++) {
		struct exec *e = &x->all[(x->turn + i) % EXECS_MAX];

		if (e->id && !e->is_abandoned)
			more |= send_one(x, e);
	}
	x->turn++;
	return more;
}
