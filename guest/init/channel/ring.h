/*
 * Log lines waiting for the host: a bounded queue of numbered records, kept until acknowledged.
 *
 * While the host is there, a full ring makes the workload wait (the caller stops reading its pipes). While it is not, the oldest
 * lines give way, and a marker with the number of the last one lost takes their place.
 */
#ifndef WINDHOVER_RING_H
#define WINDHOVER_RING_H

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
	size_t cap, head, sent, tail; /* [head, sent) sent and not acknowledged, [sent, tail) not sent */
	uint64_t next_number;         /* of the next line; the first is 1 */
	uint64_t acked;
	uint64_t lost_from, lost_to;  /* numbers dropped and not yet told; lost_to 0: none */
	uint64_t lost_at_us;
	bool marker_sent;
};

void ring_init(struct ring *r, uint8_t *memory, size_t cap);
size_t ring_free(const struct ring *r);

/* Adds a line. When there is no room, the oldest are dropped to make some. `n` is at most LINE_MAX_BYTES. */
void ring_push(struct ring *r, uint64_t time_us, uint8_t stream, const uint8_t *text, size_t n);

/* Forgets lines up to `number`. */
void ring_ack(struct ring *r, uint64_t number);

/* After this everything not acknowledged is sent again. */
void ring_rewind(struct ring *r);

/* The next record to send, or false. A marker's text lives in `marker` (64 bytes). Confirm with `ring_sent`. */
bool ring_next(struct ring *r, struct record *out, char *marker);
void ring_sent(struct ring *r, const struct record *record);

static inline uint64_t ring_last(const struct ring *r)
{
	return r->next_number - 1;
}

#endif
