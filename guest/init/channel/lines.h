/* Cuts a byte stream into lines of at most LINE_MAX_BYTES. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "channel/ring.h"

struct line_buffer {
	uint8_t buf[LINE_MAX_BYTES];
	size_t len;
};

typedef void line_handler(void *ctx, const uint8_t *text, size_t n);

/* Calls `handle` for every complete line. Longer ones are split between characters. */
void lines_push(struct line_buffer *l, const uint8_t *data, size_t n, line_handler *handle, void *ctx);

/* Calls `handle` for the rest of a stream that ended without a newline. */
void lines_end(struct line_buffer *l, line_handler *handle, void *ctx);
