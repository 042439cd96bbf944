#include "channel/lines.h"
#include "channel/protocol.h"
#include "channel/ring.h"
#include "check.h"

static uint8_t memory[1000];

static void push_text(struct ring *r, const char *text)
{
	ring_push(r, 5, STREAM_STDOUT, (const uint8_t *)text, strlen(text));
}

static bool next_is(struct ring *r, uint64_t number, const char *text)
{
	char marker[64];
	struct record record;

	if (!ring_next(r, &record, marker) || record.number != number)
		return false;
	if (record.len != strlen(text) || memcmp(record.text, text, record.len) != 0)
		return false;
	ring_sent(r, &record);
	return true;
}

static void lines_stay_until_acknowledged(void)
{
	struct ring r;
	struct record record;
	char marker[64];

	ring_init(&r, memory, sizeof memory);
	push_text(&r, "one");
	push_text(&r, "two");
	CHECK(next_is(&r, 1, "one") && next_is(&r, 2, "two") && !ring_next(&r, &record, marker));
	ring_ack(&r, 1);
	ring_rewind(&r);
	CHECK(next_is(&r, 2, "two"));
	ring_ack(&r, 99); /* never sent */
	ring_rewind(&r);
	CHECK(next_is(&r, 2, "two"));
	ring_ack(&r, 2);
	CHECK(ring_free(&r) == sizeof memory && ring_last(&r) == 2);
}

static void the_oldest_lines_are_dropped_and_a_marker_says_so(void)
{
	struct ring r;
	char text[80];

	ring_init(&r, memory, sizeof memory);
	memset(text, 'x', 79);
	text[79] = '\0';
	for (int i = 0; i < 25; i++) /* of 100 bytes each, so ten fit */
		push_text(&r, text);
	CHECK(next_is(&r, 15, "15 lines dropped while the host was away"));
	for (uint64_t number = 16; number <= 25; number++)
		CHECK(next_is(&r, number, text));
	ring_ack(&r, 4); /* the host had these before it went */
	ring_rewind(&r);
	CHECK(next_is(&r, 15, "11 lines dropped while the host was away"));
	ring_ack(&r, 15);
	ring_rewind(&r);
	CHECK(next_is(&r, 16, text));
}

/* After any pushes, acks and hang-ups, what is sent is in order and complete but for drops. */
static void numbers_never_go_back(void)
{
	struct ring r;
	uint64_t acked = 0, seen = 0, dropped = 0;
	bool away = false;

	ring_init(&r, memory, sizeof memory);
	for (int round = 0; round < 200000; round++) {
		uint8_t text[300];
		char marker[64];
		struct record record;

		memset(text, 'a', sizeof text);
		switch (dice() % 4) {
		case 0: {
			size_t n = dice() % sizeof text;

			away |= ring_free(&r) < RECORD_HEADER + n; /* only then are lines dropped */
			ring_push(&r, (uint64_t)round, STREAM_STDERR, text, n);
			break;
		}
		case 1:
			if (away) {
				ring_rewind(&r);
				seen = acked;
				away = false;
			}
			while (dice() % 4 && ring_next(&r, &record, marker)) {
				CHECK(record.number > seen && record.number < r.next_number);
				if (record.stream == STREAM_SYSTEM)
					dropped += record.number - seen;
				else
					CHECK(record.number == seen + 1);
				seen = record.number;
				ring_sent(&r, &record);
			}
			break;
		case 2:
			acked = acked + (seen > acked ? dice() % (seen - acked + 1) : 0);
			ring_ack(&r, acked);
			break;
		case 3:
			if (dice() % 8 == 0) {
				ring_rewind(&r);
				seen = acked;
			}
		}
		CHECK(r.head <= r.sent && r.sent <= r.tail && r.tail <= r.cap);
	}
	CHECK(dropped > 0 && acked > 1000);
}

void test_ring(void)
{
	lines_stay_until_acknowledged();
	the_oldest_lines_are_dropped_and_a_marker_says_so();
	numbers_never_go_back();
}

struct received {
	size_t count, bytes, longest;
	char last[64];
};

static void on_line(void *ctx, const uint8_t *text, size_t n)
{
	struct received *h = ctx;

	h->count++;
	h->bytes += n;
	h->longest = n > h->longest ? n : h->longest;
	snprintf(h->last, sizeof h->last, "%.*s", (int)(n < 63 ? n : 63), (const char *)text);
}

static void push_line(struct line_buffer *l, const char *text, struct received *h)
{
	lines_push(l, (const uint8_t *)text, strlen(text), on_line, h);
}

static void lines_end_at_newlines(void)
{
	static struct line_buffer l;
	struct received h = { 0 };

	push_line(&l, "ab", &h);
	CHECK(h.count == 0);
	push_line(&l, "c\n\nd", &h);
	CHECK(h.count == 2 && h.bytes == 3);
	lines_end(&l, on_line, &h);
	CHECK(h.count == 3 && strcmp(h.last, "d") == 0);
	lines_end(&l, on_line, &h);
	CHECK(h.count == 3);
}

static void a_long_line_comes_in_pieces(void)
{
	static struct line_buffer l;
	static char big[3 * LINE_MAX_BYTES + 1];
	struct received h = { 0 };

	memset(big, 'x', sizeof big - 1);
	push_line(&l, big, &h);
	lines_end(&l, on_line, &h);
	CHECK(h.count == 3 && h.bytes == 3 * LINE_MAX_BYTES && h.longest == LINE_MAX_BYTES);
	/* exactly full, then its newline: one line, no empty one behind it */
	h = (struct received){ 0 };
	lines_push(&l, (const uint8_t *)big, LINE_MAX_BYTES, on_line, &h);
	CHECK(h.count == 0);
	push_line(&l, "\n", &h);
	CHECK(h.count == 1 && h.bytes == LINE_MAX_BYTES);
}

static void characters_are_not_torn(void)
{
	static struct line_buffer l;
	static char big[LINE_MAX_BYTES + 8];
	struct received h = { 0 };

	for (size_t before = 1; before <= 3; before++) {
		memset(big, 'x', sizeof big);
		memcpy(big + LINE_MAX_BYTES - before, "\xf0\x9f\x90\xa6!\n", 7);
		h = (struct received){ 0 };
		push_line(&l, big, &h);
		CHECK(h.count == 2 && strcmp(h.last, "\xf0\x9f\x90\xa6!") == 0);
	}
	memset(big, '\x80', sizeof big); /* no UTF-8 at all still moves on */
	h = (struct received){ 0 };
	lines_push(&l, (const uint8_t *)big, sizeof big, on_line, &h);
	lines_end(&l, on_line, &h);
	CHECK(h.bytes == sizeof big);
}

static void nothing_is_lost_however_it_is_cut(void)
{
	static struct line_buffer l;
	struct received h = { 0 };
	size_t sent = 0, newlines = 0;

	for (int round = 0; round < 5000; round++) {
		uint8_t part[700], *exact;
		size_t n = dice() % sizeof part;

		for (size_t i = 0; i < n; i++) {
			part[i] = dice() % 5000 == 0 ? '\n' : (uint8_t)(dice() | 0x80);
			newlines += part[i] == '\n';
		}
		exact = malloc(n ? n : 1);
		memcpy(exact, part, n);
		lines_push(&l, exact, n, on_line, &h);
		free(exact);
		sent += n;
	}
	lines_end(&l, on_line, &h);
	CHECK(h.bytes == sent - newlines && h.longest <= LINE_MAX_BYTES);
}

void test_lines(void)
{
	lines_end_at_newlines();
	a_long_line_comes_in_pieces();
	characters_are_not_torn();
	nothing_is_lost_however_it_is_cut();
}
