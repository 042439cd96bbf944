#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "channel/protocol.h"
#include "exec/messages.h"
#include "exec_host.h"
#include "test/check.h"

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
	send_number(MSG_EXEC_CREDIT, ID, TAG_CREDIT, CREDIT);
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
	send_input(ID, EXEC_INPUT_MAX, false);
	step(&s);
	CHECK(s.taken == 4096 && !s.ended); /* what the pipe takes */
	send_input(ID, 4096, true);
	while (read_bytes < EXEC_INPUT_MAX + 4096u && (n = read(c.in, buf, sizeof buf)) > 0) {
		read_bytes += (size_t)n;
		ready();
		step(&s);
	}
	CHECK(read_bytes == EXEC_INPUT_MAX + 4096u && s.taken == EXEC_INPUT_MAX + 4096u);
	CHECK(read(c.in, buf, sizeof buf) == 0); /* its end */
	send_number(MSG_EXEC_SIGNAL, ID, TAG_SIGNAL, SIGKILL);
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
	send_input(ID, EXEC_INPUT_MAX + 1, false);
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
		send_input(ID, EXEC_INPUT_MAX, false);
		step(&s);
	}
	CHECK(s.taken == 4u * EXEC_INPUT_MAX);
	send_number(MSG_EXEC_KILL, ID, TAG_SIGNAL, 0);
	reap(&c, false);
	step(&s);
	CHECK(s.ended);
	close_outputs(&c);
}

static void output_leaves_room_for_answers(void)
{
	struct command c = begin(ID, 1024 * 1024);
	struct seen s = { 0 };

	exec_done(&c);
	step(&s);
	/* The host does not read. */
	for (int i = 0; i < 20; i++) {
		put(c.out, 4096);
		put(c.err, 4096);
		execs_update(&execs);
		while (execs_send(&execs))
			;
	}
	CHECK(!channel_has_room(&channel, EXEC_CHUNK + CHANNEL_RESERVE));
	CHECK(channel_has_room(&channel, CHANNEL_RESERVE - EXEC_HEADER));
	step(&s);
	kill(c.pid, SIGTERM);
	reap(&c, false);
	close_outputs(&c);
	step(&s);
	CHECK(s.ended && execs.count == 0);
	close(c.in);
}

void test_exec_flow(void)
{
	output_needs_credit_and_nothing_is_lost();
	a_command_without_credit_keeps_nobody_waiting();
	input_waits_for_the_command_up_to_a_limit();
	more_input_than_was_granted_kills_the_command();
	input_that_nobody_takes_is_granted_again();
	output_leaves_room_for_answers();
}
