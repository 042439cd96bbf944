#include "api_host.h"

#include <sys/socket.h>
#include <unistd.h>

#include "channel/protocol.h"
#include "test/check.h"

static void what_a_process_sends_waits_for_credit(void)
{
	static uint8_t bytes[API_WINDOW + 1000];
	int fd = dial();
	struct heard h;

	CHECK(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){ 1 << 20 }, sizeof(int)) == 0);
	CHECK(write(fd, bytes, sizeof bytes) == sizeof bytes);
	h = api_step();
	CHECK(h.bytes == API_WINDOW && api_step().bytes == 0);
	tell(MSG_API_CREDIT, h.id, TAG_CREDIT, 600);
	CHECK(api_step().bytes == 600);
	tell(MSG_API_CREDIT, h.id, TAG_CREDIT, UINT64_MAX);
	CHECK(api_step().bytes == 400);
	tell(MSG_API_CLOSE, h.id, 0, 0);
	CHECK(api_step().closed == 1);
	close(fd);
}

static void an_answer_waits_for_a_process_that_does_not_read(void)
{
	int fd = dial();
	struct heard h = api_step();
	uint64_t id = h.id;
	size_t taken = 0, got = 0;

	CHECK(setsockopt(api.all[0].fd, SOL_SOCKET, SO_SNDBUF, &(int){ 4096 }, sizeof(int)) == 0);
	tell_bytes(id, API_WINDOW);
	tell(MSG_API_CLOSE, id, 0, 0);
	h = api_step();
	taken += h.taken;
	CHECK(taken < API_WINDOW && h.closed == 0); /* what does not fit waits, also after the close */
	for (int i = 0; i < 1000 && !h.closed; i++) {
		got += drain(fd);
		h = api_step();
		taken += h.taken;
	}
	got += drain(fd);
	CHECK(h.closed == 1 && got == API_WINDOW && taken == API_WINDOW && is_at_end(fd));
	close(fd);
}

static void a_host_that_sends_more_than_it_may_loses_the_connection(void)
{
	int fd = dial();
	struct heard h = api_step();

	tell_bytes(h.id, API_WINDOW + 1);
	CHECK(api_step().closed == 1 && api.count == 0);
	tell_bytes(h.id, 1); /* of one that is gone */
	tell_bytes(0, 1);
	CHECK(api_step().closed == 0);
	close(fd);
}

void test_api_flow(void)
{
	what_a_process_sends_waits_for_credit();
	an_answer_waits_for_a_process_that_does_not_read();
	a_host_that_sends_more_than_it_may_loses_the_connection();
}
