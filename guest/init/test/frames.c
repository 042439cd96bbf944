#include "channel/frame.h"
#include "check.h"

enum { BODY_MAX = 2000 };

struct received {
	size_t count;
	uint8_t type;
	uint8_t body[BODY_MAX];
	size_t len;
};

static void on_frame(void *ctx, uint8_t type, const uint8_t *body, size_t n)
{
	struct received *h = ctx;

	h->count++;
	h->type = type;
	CHECK(n <= sizeof h->body);
	if (n > 0)
		memcpy(h->body, body, n);
	h->len = n;
}

static void fill(uint8_t *body, size_t n)
{
	unsigned zeros = dice() % 4; /* none, few, many, all */

	for (size_t i = 0; i < n; i++)
		body[i] = zeros == 3 || (zeros && dice() % 8 < zeros) ? 0 : (uint8_t)(dice() | 1);
}

/* Pushes pieces of random size, from memory of exactly that size, to catch overreads. */
static void push(struct frame_reader *r, const uint8_t *data, size_t n, struct received *h)
{
	while (n > 0) {
		size_t part = 1 + dice() % n;
		uint8_t *exact = malloc(part);

		memcpy(exact, data, part);
		frame_reader_push(r, exact, part, on_frame, h);
		free(exact);
		data += part;
		n -= part;
	}
}

static void a_frame_comes_out_as_it_went_in(void)
{
	struct frame_reader r = { 0 };
	static struct received h;

	for (int round = 0; round < 3000; round++) {
		uint8_t body[BODY_MAX], encoded[FRAME_ENCODED_MAX(BODY_MAX)];
		size_t n = round < 600 ? (size_t)round : dice() % BODY_MAX;
		size_t len;

		fill(body, n);
		len = frame_encode(encoded, sizeof encoded, (uint8_t)round, body, n);
		CHECK(len > 0 && len <= FRAME_ENCODED_MAX(n));
		CHECK(memchr(encoded, 0, len) == encoded + len - 1);
		push(&r, encoded, len, &h);
		CHECK(h.count == (size_t)round + 1);
		CHECK(h.type == (uint8_t)round && h.len == n && memcmp(h.body, body, n) == 0);
	}
	frame_reader_reset(&r);
}

static void a_frame_does_not_fit_where_there_is_no_room(void)
{
	uint8_t body[300] = { 1 }, encoded[FRAME_ENCODED_MAX(300)];

	CHECK(frame_encode(encoded, sizeof encoded - 1, 1, body, sizeof body) == 0);
	CHECK(frame_encode(encoded, sizeof encoded, 1, body, sizeof body) > 0);
}

static void a_reader_is_back_in_step_after_half_a_frame(void)
{
	struct received h = { 0 };
	uint8_t body[100], encoded[FRAME_ENCODED_MAX(100) + 1] = { 0 };
	size_t len = 1;

	fill(body, sizeof body);
	len += frame_encode(encoded + 1, sizeof encoded - 1, 7, body, sizeof body);
	for (size_t cut = 1; cut < len - 1; cut++) {
		struct frame_reader r = { 0 };

		h.count = 0;
		push(&r, encoded + 1, cut - 1, &h); /* a host that died here */
		push(&r, encoded, len, &h);         /* and the next one, which begins with a zero */
		CHECK(h.count == 1 && h.type == 7 && h.len == sizeof body);
		frame_reader_reset(&r);
	}
}

static void a_damaged_frame_is_dropped(void)
{
	for (int round = 0; round < 5000; round++) {
		struct frame_reader r = { 0 };
		struct received h = { 0 };
		uint8_t body[64], encoded[FRAME_ENCODED_MAX(64)];
		size_t len, at;

		fill(body, sizeof body);
		len = frame_encode(encoded, sizeof encoded, 3, body, sizeof body);
		at = dice() % (len - 1);
		encoded[at] ^= (uint8_t)(1 + dice() % 255);
		push(&r, encoded, len, &h);
		CHECK(h.count == 0);
		frame_reader_reset(&r);
	}
}

static void noise_does_no_harm(void)
{
	struct frame_reader r = { 0 };
	struct received h = { 0 };

	for (int round = 0; round < 3000; round++) {
		uint8_t noise[500];
		size_t n = 1 + dice() % sizeof noise;

		for (size_t i = 0; i < n; i++)
			noise[i] = (uint8_t)(dice() % (round % 2 ? 256 : 4));
		push(&r, noise, n, &h);
	}
	frame_reader_reset(&r);
}

static void a_frame_without_end_is_skipped(void)
{
	struct frame_reader r = { 0 };
	struct received h = { 0 };
	uint8_t encoded[FRAME_ENCODED_MAX(1)], chunk[4096];
	size_t len = frame_encode(encoded, sizeof encoded, 9, (const uint8_t *)"x", 1);

	memset(chunk, 1, sizeof chunk);
	for (size_t sent = 0; sent < 2 * (size_t)FRAME_IN_MAX; sent += sizeof chunk)
		frame_reader_push(&r, chunk, sizeof chunk, on_frame, &h);
	CHECK(r.cap <= FRAME_IN_MAX);
	push(&r, (const uint8_t *)"", 1, &h);
	push(&r, encoded, len, &h);
	CHECK(h.count == 1 && h.type == 9);
	frame_reader_reset(&r);
}

void test_frames(void)
{
	CHECK(crc32(0, "123456789", 9) == 0xcbf43926);
	a_frame_comes_out_as_it_went_in();
	a_frame_does_not_fit_where_there_is_no_room();
	a_reader_is_back_in_step_after_half_a_frame();
	a_damaged_frame_is_dropped();
	noise_does_no_harm();
	a_frame_without_end_is_skipped();
}
