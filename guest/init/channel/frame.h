/*
 * Frames on the agent channel, a byte stream whose other end may vanish and come back at any byte.
 *
 * A frame is: type (1 byte), body, CRC-32 of both (4 bytes, little endian); all of it COBS-encoded,
 * then one zero byte. As an encoded frame holds no zero, a receiver is synchronised again after the
 * next one, whatever it missed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FRAME_EXTRA = 5,             /* type and checksum */
	FRAME_IN_MAX = 512 * 1024,   /* largest encoded frame accepted from the host */
	FRAME_BODY_MAX = 48 * 1024,  /* largest body sent to the host */
};

/* The most bytes that `frame_encode` needs for a body of n bytes. */
#define FRAME_ENCODED_MAX(n) ((n) + FRAME_EXTRA + ((n) + FRAME_EXTRA) / 254 + 2)

uint32_t crc32(uint32_t crc, const void *data, size_t n);

/* Writes one frame to `out`; returns its length, or 0 when `cap` is too small. */
size_t frame_encode(uint8_t *out, size_t cap, uint8_t type, const uint8_t *body, size_t n);

/* Collects bytes until a frame is complete. Zero-initialise. */
struct frame_reader {
	uint8_t *buf;
	size_t len, cap;
	bool skipping; /* the present frame is too long */
};

typedef void frame_handler(void *ctx, uint8_t type, const uint8_t *body, size_t n);

/* Takes `n` bytes and calls `handle` for every undamaged frame that they complete. */
void frame_reader_push(struct frame_reader *r, const uint8_t *data, size_t n, frame_handler *handle, void *ctx);

void frame_reader_reset(struct frame_reader *r);
