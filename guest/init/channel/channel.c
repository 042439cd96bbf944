#include "channel/channel.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void reset(struct channel *c)
{
	c->synced = false;
	c->out_from = c->out_len = 0;
	frame_reader_reset(&c->reader);
}

void channel_read(struct channel *c, bool hung_up, frame_handler *handle, void *ctx)
{
	static uint8_t buf[16 * 1024];

	if (hung_up)
		reset(c);
	for (;;) {
		ssize_t n = read(c->fd, buf, sizeof buf);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		frame_reader_push(&c->reader, buf, (size_t)n, handle, ctx);
	}
}

void channel_restart(struct channel *c)
{
	c->synced = true;
	c->out_from = 0;
	c->out_len = 1;
	c->out[0] = 0;
}

bool channel_has_room(const struct channel *c, size_t n)
{
	return sizeof c->out - (c->out_len - c->out_from) >= FRAME_ENCODED_MAX(n);
}

bool channel_send(struct channel *c, uint8_t type, const uint8_t *body, size_t n)
{
	if (!channel_has_room(c, n))
		return false;
	if (sizeof c->out - c->out_len < FRAME_ENCODED_MAX(n)) {
		memmove(c->out, c->out + c->out_from, c->out_len - c->out_from);
		c->out_len -= c->out_from;
		c->out_from = 0;
	}
	c->out_len += frame_encode(c->out + c->out_len, sizeof c->out - c->out_len, type, body, n);
	return true;
}

void channel_flush(struct channel *c)
{
	while (c->out_from < c->out_len) {
		ssize_t n = write(c->fd, c->out + c->out_from, c->out_len - c->out_from);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		c->out_from += (size_t)n;
	}
	c->out_from = c->out_len = 0;
}
