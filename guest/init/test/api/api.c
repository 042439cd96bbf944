#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api_host.h"
#include "channel/protocol.h"
#include "channel/tlv.h"
#include "test/check.h"

static void every_user_may_connect(void)
{
	struct stat st;

	CHECK(stat(api_path, &st) == 0 && S_ISSOCK(st.st_mode) && (st.st_mode & 0777) == 0666);
}

static void a_request_and_its_answer_pass(void)
{
	int fd = dial();
	struct heard h;

	CHECK(write(fd, "ping", 4) == 4);
	h = api_step();
	CHECK(h.opened == 1 && h.id != 0 && h.bytes == 4 && memcmp(h.text, "ping", 4) == 0 && h.ended == 0);
	tell_bytes(h.id, 5);
	CHECK(api_step().taken == 5 && drain(fd) == 5 && !is_at_end(fd));
	tell(MSG_API_CLOSE, h.id, 0, 0);
	CHECK(api_step().closed == 1 && is_at_end(fd) && api.count == 0);
	close(fd);
}

static void a_process_that_sends_no_more_still_gets_its_answer(void)
{
	int fd = dial();
	struct heard h;

	CHECK(write(fd, "ping", 4) == 4 && shutdown(fd, SHUT_WR) == 0);
	h = api_step();
	CHECK(h.bytes == 4 && h.ended == 1 && h.closed == 0);
	tell_bytes(h.id, 5);
	tell(MSG_API_DATA, h.id, TAG_END, 1);
	CHECK(api_step().closed == 1 && drain(fd) == 5 && is_at_end(fd) && api.count == 0);
	close(fd);
}

static void a_process_that_is_gone_is_told_of(void)
{
	int fd = dial();
	struct heard h = api_step();
	struct api_connection *c = &api.all[0];

	CHECK(c->id == h.id);
	close(fd);
	api_on_event(&api, c, true);
	h = api_step();
	CHECK(h.ended == 1 && h.closed == 1 && api.count == 0);
}

static void connections_beyond_the_limit_wait_for_a_slot(void)
{
	int fds[API_CONNECTIONS_MAX + 2];
	struct heard h;

	for (size_t i = 0; i < API_CONNECTIONS_MAX; i++)
		fds[i] = dial();
	h = api_step();
	CHECK(h.opened == API_CONNECTIONS_MAX);
	fds[API_CONNECTIONS_MAX] = dial();
	fds[API_CONNECTIONS_MAX + 1] = dial();
	h = api_step();
	CHECK(h.opened == 0 && api.count == API_CONNECTIONS_MAX);
	tell(MSG_API_CLOSE, api.all[3].id, 0, 0);
	h = api_step();
	CHECK(h.closed == 1 && h.opened == 1 && api.count == API_CONNECTIONS_MAX);
	api_abandon(&api);
	CHECK(api.count == 0 && is_at_end(fds[0]));
	h = api_step();
	CHECK(h.opened == 1 && h.closed == 0); /* nobody hears of those of another session */
	api_abandon(&api);
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		close(fds[i]);
	api_step();
}

static void without_a_host_connections_wait_and_an_older_host_refuses_them(void)
{
	int fd = dial();

	to_host.synced = false;
	CHECK(api_step().opened == 0 && !is_at_end(fd));
	to_host.synced = true;
	api.is_served = false;
	CHECK(api_step().opened == 0 && is_at_end(fd));
	api.is_served = true;
	close(fd);
}

static void messages_of_any_bytes_do_no_harm(void)
{
	int fd = dial();
	struct heard h = api_step();
	uint8_t body[64];

	for (int round = 0; round < 20000; round++) {
		struct tlv_writer w = { .buf = body, .cap = sizeof body };

		if (dice() % 2)
			tlv_put_u64(&w, TAG_CONNECTION, h.id);
		while (w.len < dice() % sizeof body)
			body[w.len++] = (uint8_t)dice();
		api_on_message(&api, (uint8_t)(MSG_API_DATA + dice() % 2), body, w.len);
		if (round % 100 == 0)
			api_step();
	}
	api_abandon(&api);
	CHECK(api.count == 0);
	close(fd);
}

void test_api(void)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	CHECK(epoll >= 0);
	snprintf(api_path, sizeof api_path, "/tmp/windhover-api-test-%d", getpid());
	unlink(api_path);
	to_host.synced = true;
	api_init(&api, epoll, &to_host, api_path);
	CHECK(api.listener >= 0);
	api.is_served = true;
	every_user_may_connect();
	a_request_and_its_answer_pass();
	a_process_that_sends_no_more_still_gets_its_answer();
	test_api_flow();
	a_process_that_is_gone_is_told_of();
	connections_beyond_the_limit_wait_for_a_slot();
	without_a_host_connections_wait_and_an_older_host_refuses_them();
	messages_of_any_bytes_do_no_harm();
	unlink(api_path);
	close(api.listener);
	close(epoll);
}
