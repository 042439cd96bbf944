#include "channel/ring.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "channel/protocol.h"

void ring_init(struct ring *r, uint8_t *memory, size_t cap)
{
	*r = (struct ring){ .data = memory, .cap = cap, .next_number = 1 };
}

size_t ring_free(const struct ring *r)
{
	return r->cap - (r->tail - r->head);
}

static void read_record(const struct ring *r, size_t at, struct record *out)
{
	const uint8_t *p = r->data + at;

	memcpy(&out->number, p, 8);
	memcpy(&out->time_us, p + 8, 8);
	out->stream = p[16];
	memcpy(&out->len, p + 17, 4);
	out->text = p + RECORD_HEADER;
}

static void drop_oldest(struct ring *r)
{
	struct record oldest;

	read_record(r, r->head, &oldest);
	if (r->dropped_to == 0)
		r->dropped_from = oldest.number;
	r->dropped_to = oldest.number;
	r->dropped_at_us = oldest.time_us;
	r->marker_sent = false;
	r->head += RECORD_HEADER + oldest.len;
	if (r->sent < r->head)
		r->sent = r->head;
}

void ring_push(struct ring *r, uint64_t time_us, uint8_t stream, const uint8_t *text, size_t n)
{
	size_t need = RECORD_HEADER + n;
	uint32_t len = (uint32_t)n;
	uint8_t *p;

	while (ring_free(r) < need)
		drop_oldest(r);
	if (r->cap - r->tail < need) {
		memmove(r->data, r->data + r->head, r->tail - r->head);
		r->sent -= r->head;
		r->tail -= r->head;
		r->head = 0;
	}
	p = r->data + r->tail;
	memcpy(p, &r->next_number, 8);
	memcpy(p + 8, &time_us, 8);
	p[16] = stream;
	memcpy(p + 17, &len, 4);
	if (n > 0)
		memcpy(p + RECORD_HEADER, text, n);
	r->tail += need;
	r->next_number++;
}

void ring_ack(struct ring *r, uint64_t number)
{
	if (number <= r->acked || number >= r->next_number)
		return;
	r->acked = number;
	while (r->head < r->tail) {
		struct record oldest;

		read_record(r, r->head, &oldest);
		if (oldest.number > number)
			break;
		r->head += RECORD_HEADER + oldest.len;
	}
	if (r->sent < r->head)
		r->sent = r->head;
	/* The host has these lines, so they do not count as dropped. */
	if (r->dropped_to != 0 && number >= r->dropped_to)
		r->dropped_to = 0;
	else if (r->dropped_to != 0 && number >= r->dropped_from)
		r->dropped_from = number + 1;
}

void ring_rewind(struct ring *r)
{
	r->sent = r->head;
	r->marker_sent = false;
}

bool ring_next(struct ring *r, struct record *out, char *marker)
{
	if (r->dropped_to != 0 && !r->marker_sent) {
		int n = snprintf(marker, 64, "%" PRIu64 " lines dropped while the host was away",
				 r->dropped_to - r->dropped_from + 1);

		*out = (struct record){
			.number = r->dropped_to, .time_us = r->dropped_at_us, .stream = STREAM_SYSTEM,
			.len = (uint32_t)n, .text = (const uint8_t *)marker,
		};
		return true;
	}
	if (r->sent == r->tail)
		return false;
	read_record(r, r->sent, out);
	return true;
}

void ring_sent(struct ring *r, const struct record *record)
{
	if (r->dropped_to != 0 && record->number == r->dropped_to)
		r->marker_sent = true;
	else
		r->sent += RECORD_HEADER + record->len;
}
