#include "channel/frame.h"

#include <stdlib.h>
#include <string.h>

uint32_t crc32(uint32_t crc, const void *data, size_t n)
{
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const uint8_t *p = data;

	crc = ~crc;
	for (size_t i = 0; i < n; i++) {
		crc = table[(crc ^ p[i]) & 15] ^ (crc >> 4);
		crc = table[(crc ^ (uint32_t)(p[i] >> 4)) & 15] ^ (crc >> 4);
	}
	return ~crc;
}

struct cobs {
	uint8_t *out;
	size_t len, code_at;
	uint8_t code;
};

static void cobs_put(struct cobs *c, const uint8_t *data, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (data[i] != 0) {
			c->out[c->len++] = data[i];
			c->code++;
		}
		if (data[i] == 0 || c->code == 0xff) {
			c->out[c->code_at] = c->code;
			c->code_at = c->len++;
			c->code = 1;
		}
	}
}

size_t frame_encode(uint8_t *out, size_t cap, uint8_t type, const uint8_t *body, size_t n)
{
	struct cobs c = { .out = out, .len = 1, .code_at = 0, .code = 1 };
	uint32_t crc = crc32(crc32(0, &type, 1), body, n);
	uint8_t tail[4] = { (uint8_t)crc, (uint8_t)(crc >> 8), (uint8_t)(crc >> 16), (uint8_t)(crc >> 24) };

	if (cap < FRAME_ENCODED_MAX(n))
		return 0;
	cobs_put(&c, &type, 1);
	cobs_put(&c, body, n);
	cobs_put(&c, tail, sizeof tail);
	out[c.code_at] = c.code;
	out[c.len++] = 0;
	return c.len;
}

/* Undoes COBS in place; returns the decoded length, or SIZE_MAX when the input is not COBS. */
static size_t cobs_decode(uint8_t *buf, size_t n)
{
	size_t in = 0, out = 0;

	while (in < n) {
		uint8_t code = buf[in++];

		if (code == 0 || code - 1u > n - in)
			return SIZE_MAX;
		memmove(buf + out, buf + in, code - 1u);
		out += code - 1u;
		in += code - 1u;
		if (code != 0xff && in < n)
			buf[out++] = 0;
	}
	return out;
}

/* Decodes one frame, without its zero, in place. False when it is damaged. */
static bool frame_decode(uint8_t *buf, size_t n, uint8_t *type, const uint8_t **body, size_t *body_len)
{
	size_t len = cobs_decode(buf, n);
	const uint8_t *tail;
	uint32_t crc;

	if (len == SIZE_MAX || len < FRAME_EXTRA)
		return false;
	tail = buf + len - 4;
	crc = (uint32_t)tail[0] | (uint32_t)tail[1] << 8 | (uint32_t)tail[2] << 16 | (uint32_t)tail[3] << 24;
	if (crc != crc32(0, buf, len - 4))
		return false;
	*type = buf[0];
	*body = buf + 1;
	*body_len = len - FRAME_EXTRA;
	return true;
}

static bool reserve(struct frame_reader *r, size_t more)
{
	size_t cap = r->cap ? r->cap : 4096;
	uint8_t *grown;

	if (more > FRAME_IN_MAX - r->len)
		return false;
	while (cap < r->len + more)
		cap *= 2;
	if (cap == r->cap)
		return true;
	grown = realloc(r->buf, cap);
	if (!grown)
		return false;
	r->buf = grown;
	r->cap = cap;
	return true;
}

void frame_reader_push(struct frame_reader *r, const uint8_t *data, size_t n, frame_handler *handle, void *ctx)
{
	while (n > 0) {
		const uint8_t *end = memchr(data, 0, n);
		size_t part = end ? (size_t)(end - data) : n;

		if (!r->skipping && part > 0 && !reserve(r, part))
			r->skipping = true;
		if (!r->skipping && part > 0) {
			memcpy(r->buf + r->len, data, part);
			r->len += part;
		}
		if (!end)
			return;
		if (!r->skipping && r->len > 0) {
			const uint8_t *body;
			size_t body_len;
			uint8_t type;

			if (frame_decode(r->buf, r->len, &type, &body, &body_len))
				handle(ctx, type, body, body_len);
		}
		r->len = 0;
		r->skipping = false;
		data = end + 1;
		n -= part + 1;
	}
}

void frame_reader_reset(struct frame_reader *r)
{
	free(r->buf);
	*r = (struct frame_reader){ 0 };
}
