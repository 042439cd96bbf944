#include "api_host.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "channel/protocol.h"
#include "channel/tlv.h"
#include "test/check.h"

struct api api;
struct channel to_host;
char api_path[64];

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

struct heard api_step(void)
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

int dial(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, api_path, strlen(api_path) + 1);
	CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
	return fd;
}

void tell(uint8_t type, uint64_t id, uint16_t tag, uint64_t value)
{
	uint8_t body[64];
	struct tlv_writer w = { .buf = body, .cap = sizeof body };

	tlv_put_u64(&w, TAG_CONNECTION, id);
	if (tag)
		tlv_put_u64(&w, tag, value);
	api_on_message(&api, type, body, w.len);
}

void tell_bytes(uint64_t id, size_t n)
{
	static uint8_t body[2 * API_WINDOW + 64], data[2 * API_WINDOW];
	struct tlv_writer w = { .buf = body, .cap = sizeof body };

	memset(data, 'h', sizeof data);
	tlv_put_u64(&w, TAG_CONNECTION, id);
	tlv_put(&w, TAG_DATA, data, n);
	CHECK(!w.full);
	api_on_message(&api, MSG_API_DATA, body, w.len);
}

size_t drain(int fd)
{
	uint8_t buf[4096];
	size_t all = 0;
	ssize_t n;

	while ((n = recv(fd, buf, sizeof buf, MSG_DONTWAIT)) > 0)
		all += (size_t)n;
	return all;
}

bool is_at_end(int fd)
{
	uint8_t byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}
