#include "agent/agent.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "system/identity.h"
#include "system/sys.h"
#include "channel/tlv.h"

enum {
	READ_CHUNK = 4096,
	/* What one chunk can become at most: as many empty lines, and the line that was begun. */
	CHUNK_RECORDS = READ_CHUNK * (RECORD_HEADER + 1) + LINE_MAX_BYTES + RECORD_HEADER,
	/* How long a process that was killed may take to go before the exit is told without it. */
	KILL_WAIT_MS = 5000,
};

static void set_state(struct agent *a, enum run_state state)
{
	a->state = state;
	a->state_news = true;
}

static void on_sync(struct agent *a, uint64_t nonce, uint64_t ack)
{
	channel_restart(&a->channel);
	ring_ack(&a->ring, ack);
	ring_rewind(&a->ring);
	a->nonce = nonce;
	a->state_news = true;
}

static void on_signal(struct agent *a, uint64_t request, uint64_t signal)
{
	uint8_t body[32];
	struct tlv_writer w = { .buf = body, .cap = sizeof body };
	int err = ESRCH;

	if (a->state == STATE_RUNNING && a->main > 0)
		err = signal > 0 && signal < 65 ? (kill(a->main, (int)signal) < 0 ? errno : 0) : EINVAL;
	tlv_put_u64(&w, TAG_REQUEST, request);
	tlv_put_u32(&w, TAG_ERRNO, (uint32_t)err);
	channel_send(&a->channel, MSG_SIGNALLED, body, w.len);
}

static void on_run(struct agent *a, bool rehearsing, const uint8_t *body, size_t n)
{
	const char *why;

	a->state_news = true;
	if (a->state != STATE_WAITING)
		return;
	a->run_at_us = now_us();
	a->rehearsing = rehearsing;
	if (run_request_parse(&a->request, body, n, &why)) {
		set_clock(a->request.host_time_us);
		add_entropy(a->request.entropy, a->request.entropy_len);
		agent_start(a, body, n);
		return;
	}
	agent_fail(a, STEP_REQUEST, 0, why);
}

void agent_on_frame(void *agent, uint8_t type, const uint8_t *body, size_t n)
{
	struct agent *a = agent;
	struct tlv_reader in = { .at = body, .left = n };
	uint64_t nonce = 0, ack = 0, request = 0, signal = 0;
	struct tlv field;

	if (type == MSG_RUN || type == MSG_WARM_UP) {
		on_run(a, type == MSG_WARM_UP, body, n);
		return;
	}
	while (tlv_next(&in, &field)) {
		uint64_t *number = field.tag == TAG_NONCE    ? &nonce
				   : field.tag == TAG_ACK     ? &ack
				   : field.tag == TAG_REQUEST ? &request
				   : field.tag == TAG_SIGNAL  ? &signal
							      : NULL;
		if (number && !tlv_number(&field, number))
			return;
	}
	if (in.broken)
		return;
	switch (type) {
	case MSG_SYNC: on_sync(a, nonce, ack); break;
	case MSG_ACK: ring_ack(&a->ring, ack); break;
	case MSG_SIGNAL: on_signal(a, request, signal); break;
	default: break; /* a newer host may say more */
	}
}

void agent_on_report(struct agent *a)
{
	struct report *r = &a->handover->report;
	uint8_t ignored;

	/* Only the end counts: exec has closed the pipe, or the child is gone. */
	if (read(a->report_fd, &ignored, 1) != 0)
		return;
	if (a->state != STATE_STARTING) {
		agent_drop_child(a);
		return;
	}
	close(a->report_fd);
	a->report_fd = -1;
	a->exec_at_us = now_us();
	for (int i = PHASE_DISK; i < PHASE_COUNT; i++)
		a->phases[i] = r->phases[i];
	if (!r->failed && !r->phases[PHASE_EXEC].end_us) {
		r->failed = true;
		r->failure = (struct failure){ .step = STEP_SYSTEM, .detail = "the child ended without a word" };
	}
	a->failure = r->failure;
	a->failed = r->failed;
	set_state(a, a->failed ? STATE_FAILED : STATE_RUNNING);
}

struct line_target {
	struct agent *agent;
	enum stream stream;
	uint64_t time_us;
};

static void on_line(void *ctx, const uint8_t *text, size_t n)
{
	struct line_target *t = ctx;

	ring_push(&t->agent->ring, t->time_us, (uint8_t)t->stream, text, n);
}

static void end_output(struct agent *a, struct output *o)
{
	struct line_target target = { a, o->stream, now_us() };

	if (o->fd < 0)
		return;
	lines_end(&o->lines, on_line, &target);
	close(o->fd);
	o->fd = -1;
}

void agent_on_output(struct agent *a, struct output *o)
{
	uint8_t chunk[READ_CHUNK];
	struct line_target target = { a, o->stream, now_us() };
	ssize_t n = read(o->fd, chunk, sizeof chunk);

	if (n > 0)
		lines_push(&o->lines, chunk, (size_t)n, on_line, &target);
	else if (n == 0)
		end_output(a, o);
}

void agent_on_children(struct agent *a)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != a->main)
			continue;
		if (a->state == STATE_WAITING) {
			agent_drop_child(a);
			continue;
		}
		a->main = 0;
		a->main_ended = true;
		a->status = status;
		a->exited_at_us = now_us();
		a->oom_killed = oom_ended(&a->oom, pid, status);
		kill(-1, SIGKILL);
	}
	a->childless = pid < 0 && errno == ECHILD;
}

/* Waiting for the rest of the workload to be gone, with all it said already in the ring. */
static bool is_lingering(const struct agent *a)
{
	const struct output *o = a->outputs;

	return a->state == STATE_RUNNING && a->main_ended && (o[0].fd < 0 || o[0].watched) && (o[1].fd < 0 || o[1].watched);
}

/* Exited means: nothing of the workload is left, and all it said is in the ring. */
static void conclude(struct agent *a)
{
	bool quiet = a->outputs[0].fd < 0 && a->outputs[1].fd < 0;

	if (!is_lingering(a) || (!(a->childless && quiet) && agent_timeout(a) != 0))
		return;
	for (int i = 0; i < 2; i++)
		end_output(a, &a->outputs[i]);
	if (a->rehearsing)
		agent_end_warm_up(a);
	else
		set_state(a, STATE_EXITED);
}

/* With the host there, a full ring makes the workload wait; without it, the oldest lines give way. */
static void adjust_watching(struct agent *a)
{
	bool room = !a->channel.synced || ring_free(&a->ring) >= CHUNK_RECORDS;

	for (int i = 0; i < 2; i++) {
		struct output *o = &a->outputs[i];

		if (o->fd < 0 || o->watched == room)
			continue;
		/* Taken out rather than silenced: a pipe whose writers are gone reports that whatever was asked for. */
		if (room ? agent_watch(a, o->fd, o) : epoll_ctl(a->epoll, EPOLL_CTL_DEL, o->fd, NULL) == 0)
			o->watched = room;
	}
}

void agent_settle(struct agent *a)
{
	conclude(a);
	agent_tell(a);
	/* Word that the workload runs should not wait for the workload; what it writes then should not interrupt it. */
	set_urgent(a->state == STATE_STARTING);
	adjust_watching(a);
}

int agent_timeout(const struct agent *a)
{
	uint64_t due = a->exited_at_us + KILL_WAIT_MS * 1000ull, now = now_us();

	if (!is_lingering(a))
		return -1;
	return now >= due ? 0 : (int)((due - now) / 1000) + 1;
}
