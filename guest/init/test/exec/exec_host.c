#include "exec_host.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel/protocol.h"
#include "test/check.h"

struct execs execs;
struct channel channel;
const struct exec_target nobody;

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

void step(struct seen *s)
{
	static struct frame_reader reader;

	execs_update(&execs);
	do
		frame_reader_push(&reader, channel.out + channel.out_from, channel.out_len - channel.out_from, on_frame, s);
	while (channel.out_from = channel.out_len = 0, execs_send(&execs));
	frame_reader_push(&reader, channel.out + channel.out_from, channel.out_len - channel.out_from, on_frame, s);
	channel.out_from = channel.out_len = 0;
}

static void pair(int ends[2])
{
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
}

struct command begin(uint64_t id, uint64_t credit)
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

void exec_done(struct command *c)
{
	struct exec_report report = { .pid = 42 };

	CHECK(send(c->report, &report, sizeof report, 0) == sizeof report);
	close(c->report);
}

void ready(void)
{
	for (size_t i = 0; i < EXECS_MAX; i++)
		execs_on_event(&execs, &execs.all[i]);
}

void put(int fd, size_t n)
{
	char bytes[1024];

	memset(bytes, 'x', sizeof bytes);
	for (; n > 0; n -= n < sizeof bytes ? n : sizeof bytes)
		CHECK(write(fd, bytes, n < sizeof bytes ? n : sizeof bytes) > 0);
	ready();
}

void close_outputs(struct command *c)
{
	close(c->out);
	close(c->err);
	ready();
}

void send_message(uint8_t type, const struct tlv_writer *w)
{
	execs_on_message(&execs, &nobody, type, w->buf, w->len);
}

void send_number(uint8_t type, uint64_t id, uint16_t tag, uint64_t value)
{
	uint8_t body[64];
	struct tlv_writer w = { .buf = body, .cap = sizeof body };

	tlv_put_u64(&w, TAG_EXEC, id);
	tlv_put_u64(&w, tag, value);
	send_message(type, &w);
}

void send_input(uint64_t id, size_t n, bool end)
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
	send_message(MSG_EXEC_INPUT, &w);
}

void reap(const struct command *c, bool main_is_ending)
{
	int status;

	CHECK(waitpid(c->pid, &status, 0) == c->pid);
	execs_on_exit(&execs, c->pid, status, main_is_ending);
}
