/*
 * Frames on the agent channel: a byte stream whose other end may vanish and come back at any byte.
 *
 * A frame is: type (1 byte), body, CRC-32 of both (4 bytes, little endian); all of it COBS-encoded, then one zero byte. As an
 * encoded frame holds no zero, a receiver is back in step at the next zero, whatever it lost or saw half of.
 */
#ifndef WINDHOVER_FRAME_H
#define WINDHOVER_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FRAME_EXTRA = 5,             /* type and checksum */
	FRAME_IN_MAX = 512 * 1024,   /* largest encoded frame taken from the host */
	FRAME_BODY_MAX = 48 * 1024,  /* largest body sent to the host */
};

/* Bytes that `frame_encode` needs at most for a body of n bytes. */
#define FRAME_ENCODED_MAX(n) ((n) + FRAME_EXTRA + ((n) + FRAME_EXTRA) / 254 + 2)

uint32_t crc32(uint32_t crc, const void *data, size_t n);

/* Writes one frame to `out`; returns its length, or 0 when `cap` is too small. */
size_t frame_encode(uint8_t *out, size_t cap, uint8_t type, const uint8_t *body, size_t n);

/* Decodes one frame (without its zero) in place. False when it is damaged. `*body` points into `buf`. */
bool frame_decode(uint8_t *buf, size_t n, uint8_t *type, const uint8_t **body, size_t *body_len);

/* Collects bytes until a frame is complete. Zero-initialise. */
struct frame_reader {
	uint8_t *buf;
	size_t len, cap;
	bool skipping; /* the present frame is too long; wait for its end */
};

typedef void frame_handler(void *ctx, uint8_t type, const uint8_t *body, size_t n);

/* Takes `n` bytes and hands over every whole, undamaged frame in them. Damaged ones are dropped without a word. */
void frame_reader_push(struct frame_reader *r, const uint8_t *data, size_t n, frame_handler *handle, void *ctx);

void frame_reader_reset(struct frame_reader *r);

#endif
