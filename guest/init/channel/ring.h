/*
 * Log lines for the host: a bounded queue of numbered records, kept until acknowledged.
 *
 * While the host is connected, a full ring blocks the workload (the caller stops reading its
 * pipes). While it is not, the oldest lines are dropped, and a marker with the number of the last
 * one dropped takes their place.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINE_MAX_BYTES = 16 * 1024, RECORD_HEADER = 21 };

struct record {
	uint64_t number, time_us;
	uint8_t stream;
	uint32_t len;
	const uint8_t *text;
};

struct ring {
	uint8_t *data;
	size_t cap, head, sent, tail;       /* [head, sent) awaits its ACK, [sent, tail) is not sent */
	uint64_t next_number;               /* of the next line; the first is 1 */
	uint64_t acked;
	uint64_t dropped_from, dropped_to;  /* numbers of dropped lines without an ACK; dropped_to 0: none */
	uint64_t dropped_at_us;
	bool marker_sent;
};

void ring_init(struct ring *r, uint8_t *memory, size_t cap);
size_t ring_free(const struct ring *r);

/* Adds a line of at most LINE_MAX_BYTES, and drops the oldest ones for it when there is no room. */
void ring_push(struct ring *r, uint64_t time_us, uint8_t stream, const uint8_t *text, size_t n);

/* Removes lines up to `number`. */
void ring_ack(struct ring *r, uint64_t number);

/* Makes `ring_next` begin again at the oldest line. */
void ring_rewind(struct ring *r);

/*
 * Gets the next record, or a marker with its text in `marker` (64 bytes). `ring_sent` confirms it.
 */
bool ring_next(struct ring *r, struct record *out, char *marker);
void ring_sent(struct ring *r, const struct record *record);

static inline uint64_t ring_last(const struct ring *r)
{
	return r->next_number - 1;
}
