/*
 * The agent's port: frames in and out, never blocking. The port is watched edge-triggered, as one
 * whose host end is closed reports a hang-up all the time.
 */
#pragma once

#include "channel/frame.h"

enum {
	CHANNEL_OUT_MAX = 128 * 1024,
	/* Kept free of lines and output, for answers that are not sent again: of signals, and of commands that are refused. */
	CHANNEL_RESERVE = 16 * 1024,
};

struct channel {
	int fd;
	bool synced; /* the host has sent SYNC and not hung up since */
	struct frame_reader reader;
	size_t out_from, out_len;
	uint8_t out[CHANNEL_OUT_MAX];
};

/* Reads all there is. `hung_up`: the host closed its end before. */
void channel_read(struct channel *c, bool hung_up, frame_handler *handle, void *ctx);

/* Begins a new session: discards unsent bytes and ends a frame that was cut off. */
void channel_restart(struct channel *c);

/* Queues a frame; false when there is no room now. */
bool channel_send(struct channel *c, uint8_t type, const uint8_t *body, size_t n);

/* Whether there is room for a frame with a body of n bytes. */
bool channel_has_room(const struct channel *c, size_t n);

/* Writes as much as the port takes. */
void channel_flush(struct channel *c);
