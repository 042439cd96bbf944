#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel/protocol.h"
#include "exec/messages.h"
#include "exec_host.h"
#include "test/check.h"

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

static void a_daemon_that_writes_without_pause_does_not_keep_the_end_back(void)
{
	struct command c = begin(ID, 0);
	struct seen s = { 0 };

	exec_done(&c);
	kill(c.pid, SIGTERM);
	reap(&c, false);
	put(c.out, 4096);
	for (int i = 0; i < 4000 && !s.ended; i++) {
		put(c.out, 4096); /* so that the pipe is never empty */
		send_number(MSG_EXEC_CREDIT, ID, TAG_CREDIT, 4096);
		step(&s);
		usleep(500);
	}
	CHECK(s.ended && s.signal == SIGTERM && s.out > EXEC_LATE_MAX && execs.count == 0);
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

static void a_failure_is_reported(void)
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
	send_message(MSG_EXEC, &w);
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
	test_exec_flow();
	a_daemon_keeps_the_end_back_for_a_moment_only();
	a_daemon_that_writes_without_pause_does_not_keep_the_end_back();
	the_end_of_the_workload_interrupts();
	a_failure_is_reported();
	all_slots_can_be_used_and_no_more();
	damaged_messages_do_no_harm();
}
