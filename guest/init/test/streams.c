#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent/agent.h"
#include "check.h"

enum { RING_BYTES = 384 * 1024, PAGE = 4096, LEFT = 140 * 1024 };

/* That of agent.c, which needs a VM. */
bool agent_watch(struct agent *a, int fd, void *data)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = data };

	return epoll_ctl(a->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void open_output(struct agent *a, struct output *o, enum stream stream)
{
	static char newlines[PAGE];
	int ends[2];

	memset(newlines, '\n', sizeof newlines);
	CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(write(ends[1], newlines, sizeof newlines) == sizeof newlines);
	close(ends[1]);
	*o = (struct output){ .stream = stream, .fd = ends[0], .watched = agent_watch(a, ends[0], o) };
}

static void a_ring_that_two_streams_fill_drops_nothing(void)
{
	static struct agent a;
	static uint8_t ring[RING_BYTES], line[LINE_MAX_BYTES];
	uint64_t written;

	a.epoll = epoll_create1(EPOLL_CLOEXEC);
	a.channel.synced = true;
	ring_init(&a.ring, ring, sizeof ring);
	while (ring_free(&a.ring) > LEFT)
		ring_push(&a.ring, 1, STREAM_STDOUT, line, sizeof line);
	written = ring_last(&a.ring) + 8 * PAGE;
	open_output(&a, &a.outputs[0], STREAM_STDOUT);
	open_output(&a, &a.outputs[1], STREAM_STDERR);
	for (int round = 0; round < 100 && (a.outputs[0].fd >= 0 || a.outputs[1].fd >= 0); round++) {
		/* Both events of one batch. */
		for (int i = 0; i < 2; i++)
			if (a.outputs[i].watched && a.outputs[i].fd >= 0)
				agent_on_output(&a, &a.outputs[i]);
		agent_apply_backpressure(&a);
		CHECK(a.ring.dropped_to == 0);
		/* The host is slow. */
		if (!a.outputs[0].watched && !a.outputs[1].watched)
			ring_ack(&a.ring, ring_last(&a.ring) - 100);
		agent_apply_backpressure(&a);
	}
	CHECK(a.outputs[0].fd < 0 && a.outputs[1].fd < 0 && ring_last(&a.ring) == written);
	close(a.epoll);
}

void test_streams(void)
{
	a_ring_that_two_streams_fill_drops_nothing();
}
