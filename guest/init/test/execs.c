#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel/protocol.h"
#include "channel/tlv.h"
#include "check.h"
#include "exec/execs.h"
#include "exec/messages.h"

enum { ID = 7, CREDIT = 100000 };

static struct execs execs;
static struct channel channel;
static const struct exec_target nobody;

/* What the host has been sent of one command. */
struct seen {
	uint64_t id; /* 0: of all */
	bool started, ended, interrupted, failed;
	uint64_t pid, code, signal, taken;
	size_t out, err;
	uint8_t text[256]; /* the beginning of the output */
};

static void on_frame(void *ctx, uint8_t type, const uint8_t *body, size_t n)
{
	struct seen *s = ctx;
	struct tlv_reader in = { .at = body, .left = n };
	struct tlv field;
	uint64_t value, stream = 0;

	if (s->id && (!tlv_next(&in, &field) || !tlv_number(&field, &value) || value != s->id))
		return;
	while (tlv_next(&in, &field)) {
		bool is_number = field.tag != TAG_DATA && tlv_number(&field, &value);

		if (field.tag == TAG_STREAM && is_number)
			stream = value;
		if (field.tag == TAG_DATA && stream == STREAM_STDERR)
			s->err += field.len;
		if (field.tag == TAG_DATA && stream == STREAM_STDOUT) {
			for (size_t i = 0; i < field.len && s->out + i < sizeof s->text; i++)
				s->text[s->out + i] = field.value[i];
			s->out += field.len;
		}
		if (!is_number)
			continue;
		s->pid = field.tag == TAG_PID ? value : s->pid;
		s->code = field.tag == TAG_EXIT_CODE ? value : s->code;
		s->signal = field.tag == TAG_EXIT_SIGNAL ? value : s->signal;
		s->taken += field.tag == TAG_CREDIT ? value : 0;
		s->interrupted |= field.tag == TAG_INTERRUPTED;
		s->failed |= field.tag == TAG_FAILED_STEP;
	}
	CHECK(!s->ended); /* nothing follows the end */
	s->started |= type == MSG_EXEC_STARTED;
	s->ended |= type == MSG_EXEC_ENDED;
}

/* Sends what is due and reads it as the host does. */
static void step(struct seen *s)
{
	static struct frame_reader reader;

	execs_update(&execs);
	do
		frame_reader_push(&reader, channel.out + channel.out_from, channel.out_len - channel.out_from, on_frame, s);
	while (channel.out_from = channel.out_len = 0, execs_send(&execs));
	frame_reader_push(&reader, channel.out + channel.out_from, channel.out_len - channel.out_from, on_frame, s);
	channel.out_from = channel.out_len = 0;
}

/* A command that has been forked; the test is its other side. */
struct command {
	pid_t pid;
	int report, in, out, err;
};

static void pair(int ends[2])
{
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
}

/* Its process only waits to be killed. */
static struct command begin(uint64_t id, uint64_t credit)
{
	int report[2], in[2], out[2], err[2], closed[2];
	struct command c;
	struct exec *e;
	char none;

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, report) == 0);
	pair(in);
	pair(out);
	pair(err);
	pair(closed);
	c = (struct command){ fork(), report[1], in[0], out[1], err[1] };
	if (c.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close_range(3, ~0u, 0);
		setpgid(0, 0);
		for (;;)
			pause();
	}
	close(closed[1]);
	CHECK(read(closed[0], &none, 1) == 0); /* it has no copies left */
	close(closed[0]);
	setpgid(c.pid, c.pid);
	e = execs_add(&execs, id, c.pid, &(struct exec_fds){ report[0], in[1], out[0], err[0] });
	CHECK(e);
	e->credit = credit;
	e->is_list = true; /* so that nothing looks for its session */
	execs_on_event(&execs, e);
	return c;
}

static void exec_done(struct command *c)
{
	struct exec_report report = { .pid = 42 };

	CHECK(send(c->report, &report, sizeof report, 0) == sizeof report);
	close(c->report);
}

static void ready(void)
{
	for (size_t i = 0; i < EXECS_MAX; i++)
		execs_on_event(&execs, &execs.all[i]);
}

static void put(int fd, size_t n)
{
	char bytes[1024];

	memset(bytes, 'x', sizeof bytes);
	for (; n > 0; n -= n < sizeof bytes ? n : sizeof bytes)
		CHECK(write(fd, bytes, n < sizeof bytes ? n : sizeof bytes) > 0);
	ready();
}

static void close_outputs(struct command *c)
{
	close(c->out);
	close(c->err);
	ready();
}

static void tell(uint8_t type, const struct tlv_writer *w)
{
	execs_on_message(&execs, &nobody, type, w->buf, w->len);
}

static void tell_number(uint8_t type, uint64_t id, uint16_t tag, uint64_t value)
{
	uint8_t body[64];
	struct tlv_writer w = { .buf = body, .cap = sizeof body };

	tlv_put_u64(&w, TAG_EXEC, id);
	tlv_put_u64(&w, tag, value);
	tell(type, &w);
}

static void tell_input(uint64_t id, size_t n, bool end)
{
	static uint8_t body[EXEC_INPUT_MAX * 2 + 64], data[EXEC_INPUT_MAX * 2];
	struct tlv_writer w = { .buf = body, .cap = sizeof body };

	memset(data, 'i', sizeof data);
	tlv_put_u64(&w, TAG_EXEC, id);
	if (n > 0)
		tlv_put(&w, TAG_DATA, data, n);
	if (end)
		tlv_put_u8(&w, TAG_END, 1);
	CHECK(!w.full);
	tell(MSG_EXEC_INPUT, &w);
}

static void reap(const struct command *c, bool main_is_ending)
{
	int status;

	CHECK(waitpid(c->pid, &status, 0) == c->pid);
	execs_on_exit(&execs, c->pid, status, main_is_ending);
}

static void output_needs_credit_and_nothing_is_lost(void)
{
	struct command c = begin(ID, 1500);
	struct seen s = { 0 };

	put(c.out, 4000);
	step(&s);
	CHECK(!s.started && s.out == 0); /* not before it runs */
	exec_done(&c);
	ready();
	step(&s);
	CHECK(s.started && s.pid == 42 && s.out == 1500);
	step(&s);
	CHECK(s.out == 1500);
	kill(c.pid, SIGTERM);
	reap(&c, false);
	close_outputs(&c);
	step(&s);
	CHECK(!s.ended); /* its output is not drained */
	tell_number(MSG_EXEC_CREDIT, ID, TAG_CREDIT, CREDIT);
	step(&s);
	CHECK(s.out == 4000 && s.err == 0 && s.ended && s.signal == SIGTERM && execs.count == 0);
	close(c.in);
}

static void a_command_without_credit_keeps_nobody_waiting(void)
{
	struct command stuck = begin(1, 0), quick = begin(2, CREDIT);
	struct seen s = { 0 };

	exec_done(&stuck);
	exec_done(&quick);
	put(stuck.out, 4000);
	put(quick.err, 3000);
	step(&s);
	CHECK(s.err == 3000 && s.out == 0);
	execs_abandon(&execs);
	reap(&stuck, false);
	reap(&quick, false);
	step(&s);
	CHECK(execs.count == 0 && !s.ended); /* their session is over */
	close_outputs(&stuck);
	close_outputs(&quick);
	close(stuck.in);
	close(quick.in);
}

static void input_waits_for_the_command_up_to_a_limit(void)
{
	struct command c = begin(ID, CREDIT);
	struct seen s = { 0 };
	size_t read_bytes = 0;
	uint8_t buf[4096];
	ssize_t n;

	exec_done(&c);
	fcntl(c.in, F_SETPIPE_SZ, 4096);
	tell_input(ID, EXEC_INPUT_MAX, false);
	step(&s);
	CHECK(s.taken == 4096 && !s.ended); /* what the pipe takes */
	tell_input(ID, 4096, true);
	while (read_bytes < EXEC_INPUT_MAX + 4096u && (n = read(c.in, buf, sizeof buf)) > 0) {
		read_bytes += (size_t)n;
		ready();
		step(&s);
	}
	CHECK(read_bytes == EXEC_INPUT_MAX + 4096u && s.taken == EXEC_INPUT_MAX + 4096u);
	CHECK(read(c.in, buf, sizeof buf) == 0); /* its end */
	tell_number(MSG_EXEC_SIGNAL, ID, TAG_SIGNAL, SIGKILL);
	reap(&c, false);
	close_outputs(&c);
	step(&s);
	CHECK(s.ended && s.signal == SIGKILL);
	close(c.in);
}

static void more_input_than_was_granted_kills_the_command(void)
{
	struct command c = begin(ID, CREDIT);
	struct seen s = { 0 };

	exec_done(&c);
	tell_input(ID, EXEC_INPUT_MAX + 1, false);
	reap(&c, false);
	step(&s);
	CHECK(s.ended && s.signal == SIGKILL && execs.count == 0);
	close_outputs(&c);
	close(c.in);
}

static void input_that_nobody_takes_is_granted_again(void)
{
	struct command c = begin(ID, CREDIT);
	struct seen s = { 0 };

	exec_done(&c);
	close(c.in);
	for (int i = 0; i < 4; i++) {
		tell_input(ID, EXEC_INPUT_MAX, false);
		step(&s);
	}
	CHECK(s.taken == 4u * EXEC_INPUT_MAX);
	tell_number(MSG_EXEC_KILL, ID, TAG_SIGNAL, 0);
	reap(&c, false);
	step(&s);
	CHECK(s.ended);
	close_outputs(&c);
}

static void a_daemon_keeps_the_end_back_for_a_moment_only(void)
{
	struct command c = begin(ID, CREDIT);
	struct seen s = { 0 };
	int rounds = 0;

	exec_done(&c);
	kill(c.pid, SIGKILL);
	reap(&c, false);
	step(&s);
	CHECK(!s.ended && execs_timeout(&execs) > 0);
	for (; !s.ended && rounds < 100; rounds++) {
		usleep((useconds_t)execs_timeout(&execs) * 1000);
		step(&s);
	}
	CHECK(s.ended);
	close_outputs(&c);
	close(c.in);
}

static void the_end_of_the_workload_interrupts(void)
{
	struct command killed = begin(1, CREDIT), exited = begin(2, CREDIT);
	struct seen s = { .id = 1 };

	exec_done(&killed);
	exec_done(&exited);
	kill(killed.pid, SIGKILL);
	reap(&killed, true);
	close_outputs(&killed);
	step(&s);
	CHECK(s.ended && s.interrupted);
	s = (struct seen){ .id = 2 };
	kill(exited.pid, SIGTERM); /* it ended by itself just before */
	execs_interrupt(&execs);
	reap(&exited, true);
	close_outputs(&exited);
	step(&s);
	CHECK(s.ended && !s.interrupted && s.signal == SIGTERM);
	close(killed.in);
	close(exited.in);
}

static void a_failure_is_told(void)
{
	struct command c = begin(ID, CREDIT);
	struct seen s = { 0 };
	struct exec_report report = { .pid = 42, .has_failed = true };

	memset(report.failure.detail, 'd', sizeof report.failure.detail); /* no zero at its end */
	CHECK(send(c.report, &report, sizeof report, 0) == sizeof report);
	close(c.report);
	kill(c.pid, SIGKILL);
	reap(&c, false);
	ready();
	step(&s);
	CHECK(s.ended && s.failed && !s.started);
	close_outputs(&c);
	close(c.in);
}

static void all_slots_can_be_used_and_no_more(void)
{
	struct command all[EXECS_MAX];
	struct seen s = { 0 };
	uint8_t body[64];
	struct tlv_writer w = { .buf = body, .cap = sizeof body };

	for (uint64_t i = 0; i < EXECS_MAX; i++)
		all[i] = begin(i + 1, CREDIT);
	CHECK(!execs_add(&execs, 99, 1, &(struct exec_fds){ -1, -1, -1, -1 }));
	tlv_put_u64(&w, TAG_EXEC, 99);
	tell(MSG_EXEC, &w);
	step(&s);
	CHECK(s.ended && s.failed);
	s = (struct seen){ 0 };
	execs_abandon(&execs);
	for (size_t i = 0; i < EXECS_MAX; i++) {
		reap(&all[i], false);
		close_outputs(&all[i]);
		close(all[i].in);
		close(all[i].report);
	}
	step(&s);
	CHECK(execs.count == 0 && !s.ended);
}

static void damaged_messages_do_no_harm(void)
{
	struct command c = begin(ID, CREDIT);
	uint8_t body[64], bent[64];
	struct tlv_writer w = { .buf = body, .cap = sizeof body };
	struct exec_message m;
	size_t taken = 0;

	exec_done(&c);
	tlv_put_u64(&w, TAG_EXEC, ID);
	tlv_put_u32(&w, TAG_ROWS, 24);
	tlv_put_u64(&w, TAG_CREDIT, 5);
	tlv_put(&w, TAG_DATA, "abc", 3);
	for (int round = 0; round < 20000; round++) {
		static const uint8_t types[] = { MSG_EXEC_INPUT, MSG_EXEC_CREDIT, MSG_EXEC_RESIZE };
		size_t n = 1 + dice() % w.len;
		uint8_t *exact = malloc(n);

		memcpy(bent, body, w.len);
		for (unsigned hits = 1 + dice() % 3; hits > 0; hits--)
			bent[dice() % w.len] = (uint8_t)dice();
		memcpy(exact, bent, n);
		taken += exec_message_parse(&m, MSG_EXEC, exact, n);
		execs_on_message(&execs, &nobody, types[dice() % sizeof types], exact, n);
		execs_update(&execs);
		free(exact);
	}
	CHECK(taken < 20000);
	execs_abandon(&execs);
	reap(&c, false);
	execs_update(&execs);
	CHECK(execs.count == 0);
	close_outputs(&c);
	close(c.in);
}

void test_execs(void)
{
	signal(SIGPIPE, SIG_IGN);
	execs_init(&execs, epoll_create1(EPOLL_CLOEXEC), &channel);
	channel.synced = true;
	output_needs_credit_and_nothing_is_lost();
	a_command_without_credit_keeps_nobody_waiting();
	input_waits_for_the_command_up_to_a_limit();
	more_input_than_was_granted_kills_the_command();
	input_that_nobody_takes_is_granted_again();
	a_daemon_keeps_the_end_back_for_a_moment_only();
	the_end_of_the_workload_interrupts();
	a_failure_is_told();
	all_slots_can_be_used_and_no_more();
	damaged_messages_do_no_harm();
}
