#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent/agent.h"
#include "system/sys.h"

enum {
	READ_CHUNK = 4096,
	/* The most that one chunk adds to the ring: as many empty lines, and one long one. */
	CHUNK_RECORDS = READ_CHUNK * (RECORD_HEADER + 1) + LINE_MAX_BYTES + RECORD_HEADER,
};

/* Closes a stream of the workload, of which the child may still have a copy. */
static void close_output(struct agent *a, struct output *o)
{
	if (o->fd < 0)
		return;
	epoll_ctl(a->epoll, EPOLL_CTL_DEL, o->fd, NULL);
	close(o->fd);
	o->fd = -1;
	o->watched = false;
}

void agent_use_terminal(struct agent *a, int master)
{
	for (int i = 0; i < 2; i++)
		close_output(a, &a->outputs[i]);
	a->outputs[0].fd = master;
	a->outputs[0].watched = agent_watch(a, master, &a->outputs[0]);
}

struct line_target {
	struct agent *agent;
	enum stream stream;
	uint64_t time_us;
};

static void on_line(void *ctx, const uint8_t *text, size_t n)
{
	struct line_target *t = ctx;

	/* A terminal ends lines with both. */
	if (t->agent->request.tty && n > 0 && text[n - 1] == '\r')
		n--;
	ring_push(&t->agent->ring, t->time_us, (uint8_t)t->stream, text, n);
}

void agent_end_output(struct agent *a, struct output *o)
{
	struct line_target target = { a, o->stream, now_us() };

	if (o->fd < 0)
		return;
	lines_end(&o->lines, on_line, &target);
	close(o->fd);
	o->fd = -1;
}

/* Whether a chunk makes the ring drop nothing that the host could still take. */
static bool has_room(const struct agent *a)
{
	return !a->channel.synced || ring_free(&a->ring) >= CHUNK_RECORDS;
}

void agent_on_output(struct agent *a, struct output *o)
{
	uint8_t chunk[READ_CHUNK];
	struct line_target target = { a, o->stream, now_us() };
	ssize_t n;

	/* The other stream may just have taken the room. */
	if (!has_room(a))
		return;
	n = read(o->fd, chunk, sizeof chunk);
	if (n > 0)
		lines_push(&o->lines, chunk, (size_t)n, on_line, &target);
	else if (n == 0 || errno == EIO) /* of a terminal without readers and writers */
		agent_end_output(a, o);
}

void agent_apply_backpressure(struct agent *a)
{
	bool room = has_room(a);

	for (int i = 0; i < 2; i++) {
		struct output *o = &a->outputs[i];

		if (o->fd < 0 || o->watched == room)
			continue;
		/* Removed, as a pipe without writers reports that whatever events are asked for. */
		if (room ? agent_watch(a, o->fd, o) : epoll_ctl(a->epoll, EPOLL_CTL_DEL, o->fd, NULL) == 0)
			o->watched = room;
	}
}
