#include "api/api.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "channel/protocol.h"
#include "channel/tlv.h"
#include "check.h"

static struct api api;
static struct channel to_host;
static char path[64];

/* Messages that the host has read. */
struct heard {
	unsigned opened, closed, ended;
	uint64_t id, taken;
	size_t bytes;
	uint8_t text[64]; /* the beginning */
};

static void on_frame(void *ctx, uint8_t type, const uint8_t *body, size_t n)
{
	struct heard *h = ctx;
	struct tlv_reader in = { .at = body, .left = n };
	struct tlv field;
	uint64_t value;

	h->opened += type == MSG_API_OPEN;
	h->closed += type == MSG_API_CLOSED;
	while (tlv_next(&in, &field)) {
		if (field.tag == TAG_DATA) {
			for (size_t i = 0; i < field.len && h->bytes + i < sizeof h->text; i++)
				h->text[h->bytes + i] = field.value[i];
			h->bytes += field.len;
			continue;
		}
		CHECK(tlv_number(&field, &value));
		if (field.tag == TAG_CONNECTION)
			h->id = value;
		h->taken += field.tag == TAG_CREDIT ? value : 0;
		h->ended += field.tag == TAG_END;
	}
}

static void ready(void)
{
	for (size_t i = 0; i < API_CONNECTIONS_MAX; i++)
		if (api.all[i].id)
			api_on_event(&api, &api.all[i], false);
	api_on_event(&api, &api.listener, false);
}

/* Lets the init do all that it can, and reads its messages as the host does. */
static struct heard step(void)
{
	static struct frame_reader reader;
	struct heard h = { 0 };
	bool more;

	ready();
	api_update(&api);
	do {
		more = api_send(&api);
		frame_reader_push(&reader, to_host.out + to_host.out_from, to_host.out_len - to_host.out_from, on_frame, &h);
		to_host.out_from = to_host.out_len = 0;
	} while (more);
	return h;
}

static int dial(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, path, strlen(path) + 1);
	CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
	return fd;
}

static void tell(uint8_t type, uint64_t id, uint16_t tag, uint64_t value)
{
	uint8_t body[64];
	struct tlv_writer w = { .buf = body, .cap = sizeof body };

	tlv_put_u64(&w, TAG_CONNECTION, id);
	if (tag)
		tlv_put_u64(&w, tag, value);
	api_on_message(&api, type, body, w.len);
}

static void tell_bytes(uint64_t id, size_t n)
{
	static uint8_t body[2 * API_WINDOW + 64], data[2 * API_WINDOW];
	struct tlv_writer w = { .buf = body, .cap = sizeof body };

	memset(data, 'h', sizeof data);
	tlv_put_u64(&w, TAG_CONNECTION, id);
	tlv_put(&w, TAG_DATA, data, n);
	CHECK(!w.full);
	api_on_message(&api, MSG_API_DATA, body, w.len);
}

static size_t drain(int fd)
{
	uint8_t buf[4096];
	size_t all = 0;
	ssize_t n;

	while ((n = recv(fd, buf, sizeof buf, MSG_DONTWAIT)) > 0)
		all += (size_t)n;
	return all;
}

static bool is_at_end(int fd)
{
	uint8_t byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void every_user_may_connect(void)
{
	struct stat st;

	CHECK(stat(path, &st) == 0 && S_ISSOCK(st.st_mode) && (st.st_mode & 0777) == 0666);
}

static void a_request_and_its_answer_pass(void)
{
	int fd = dial();
	struct heard h;

	CHECK(write(fd, "ping", 4) == 4);
	h = step();
	CHECK(h.opened == 1 && h.id != 0 && h.bytes == 4 && memcmp(h.text, "ping", 4) == 0 && h.ended == 0);
	tell_bytes(h.id, 5);
	CHECK(step().taken == 5 && drain(fd) == 5 && !is_at_end(fd));
	tell(MSG_API_CLOSE, h.id, 0, 0);
	CHECK(step().closed == 1 && is_at_end(fd) && api.count == 0);
	close(fd);
}

static void a_process_that_sends_no_more_still_gets_its_answer(void)
{
	int fd = dial();
	struct heard h;

	CHECK(write(fd, "ping", 4) == 4 && shutdown(fd, SHUT_WR) == 0);
	h = step();
	CHECK(h.bytes == 4 && h.ended == 1 && h.closed == 0);
	tell_bytes(h.id, 5);
	tell(MSG_API_DATA, h.id, TAG_END, 1);
	CHECK(step().closed == 1 && drain(fd) == 5 && is_at_end(fd) && api.count == 0);
	close(fd);
}

static void what_a_process_sends_waits_for_credit(void)
{
	static uint8_t bytes[API_WINDOW + 1000];
	int fd = dial();
	struct heard h;

	CHECK(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){ 1 << 20 }, sizeof(int)) == 0);
	CHECK(write(fd, bytes, sizeof bytes) == sizeof bytes);
	h = step();
	CHECK(h.bytes == API_WINDOW && step().bytes == 0);
	tell(MSG_API_CREDIT, h.id, TAG_CREDIT, 600);
	CHECK(step().bytes == 600);
	tell(MSG_API_CREDIT, h.id, TAG_CREDIT, UINT64_MAX);
	CHECK(step().bytes == 400);
	tell(MSG_API_CLOSE, h.id, 0, 0);
	CHECK(step().closed == 1);
	close(fd);
}

static void an_answer_waits_for_a_process_that_does_not_read(void)
{
	int fd = dial();
	struct heard h = step();
	uint64_t id = h.id;
	size_t taken = 0, got = 0;

	CHECK(setsockopt(api.all[0].fd, SOL_SOCKET, SO_SNDBUF, &(int){ 4096 }, sizeof(int)) == 0);
	tell_bytes(id, API_WINDOW);
	tell(MSG_API_CLOSE, id, 0, 0);
	h = step();
	taken += h.taken;
	CHECK(taken < API_WINDOW && h.closed == 0); /* what does not fit waits, also after the close */
	for (int i = 0; i < 1000 && !h.closed; i++) {
		got += drain(fd);
		h = step();
		taken += h.taken;
	}
	got += drain(fd);
	CHECK(h.closed == 1 && got == API_WINDOW && taken == API_WINDOW && is_at_end(fd));
	close(fd);
}

static void a_host_that_sends_more_than_it_may_loses_the_connection(void)
{
	int fd = dial();
	struct heard h = step();

	tell_bytes(h.id, API_WINDOW + 1);
	CHECK(step().closed == 1 && api.count == 0);
	tell_bytes(h.id, 1); /* of one that is gone */
	tell_bytes(0, 1);
	CHECK(step().closed == 0);
	close(fd);
}

static void a_process_that_is_gone_is_told_of(void)
{
	int fd = dial();
	struct heard h = step();
	struct api_connection *c = &api.all[0];

	CHECK(c->id == h.id);
	close(fd);
	api_on_event(&api, c, true);
	h = step();
	CHECK(h.ended == 1 && h.closed == 1 && api.count == 0);
}

static void connections_beyond_the_limit_wait_for_a_slot(void)
{
	int fds[API_CONNECTIONS_MAX + 2];
	struct heard h;

	for (size_t i = 0; i < API_CONNECTIONS_MAX; i++)
		fds[i] = dial();
	h = step();
	CHECK(h.opened == API_CONNECTIONS_MAX);
	fds[API_CONNECTIONS_MAX] = dial();
	fds[API_CONNECTIONS_MAX + 1] = dial();
	h = step();
	CHECK(h.opened == 0 && api.count == API_CONNECTIONS_MAX);
	tell(MSG_API_CLOSE, api.all[3].id, 0, 0);
	h = step();
	CHECK(h.closed == 1 && h.opened == 1 && api.count == API_CONNECTIONS_MAX);
	api_abandon(&api);
	CHECK(api.count == 0 && is_at_end(fds[0]));
	h = step();
	CHECK(h.opened == 1 && h.closed == 0); /* nobody hears of those of another session */
	api_abandon(&api);
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		close(fds[i]);
	step();
}

static void without_a_host_connections_wait_and_an_older_host_refuses_them(void)
{
	int fd = dial();

	to_host.synced = false;
	CHECK(step().opened == 0 && !is_at_end(fd));
	to_host.synced = true;
	api.is_served = false;
	CHECK(step().opened == 0 && is_at_end(fd));
	api.is_served = true;
	close(fd);
}

static void messages_of_any_bytes_do_no_harm(void)
{
	int fd = dial();
	struct heard h = step();
	uint8_t body[64];

	for (int round = 0; round < 20000; round++) {
		struct tlv_writer w = { .buf = body, .cap = sizeof body };

		if (dice() % 2)
			tlv_put_u64(&w, TAG_CONNECTION, h.id);
		while (w.len < dice() % sizeof body)
			body[w.len++] = (uint8_t)dice();
		api_on_message(&api, (uint8_t)(MSG_API_DATA + dice() % 2), body, w.len);
		if (round % 100 == 0)
			step();
	}
	api_abandon(&api);
	CHECK(api.count == 0);
	close(fd);
}

void test_api(void)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	CHECK(epoll >= 0);
	snprintf(path, sizeof path, "/tmp/windhover-api-test-%d", getpid());
	unlink(path);
	to_host.synced = true;
	api_init(&api, epoll, &to_host, path);
	CHECK(api.listener >= 0);
	api.is_served = true;
	every_user_may_connect();
	a_request_and_its_answer_pass();
	a_process_that_sends_no_more_still_gets_its_answer();
	what_a_process_sends_waits_for_credit();
	an_answer_waits_for_a_process_that_does_not_read();
	a_host_that_sends_more_than_it_may_loses_the_connection();
	a_process_that_is_gone_is_told_of();
	connections_beyond_the_limit_wait_for_a_slot();
	without_a_host_connections_wait_and_an_older_host_refuses_them();
	messages_of_any_bytes_do_no_harm();
	unlink(path);
	close(api.listener);
	close(epoll);
}
