/*
 * The agent's port: frames in, frames out, without ever blocking. The port is watched edge-triggered, because a port whose host end
 * is closed reports a hang-up for as long as it is.
 */
#ifndef WINDHOVER_CHANNEL_H
#define WINDHOVER_CHANNEL_H

#include "channel/frame.h"

enum { CHANNEL_OUT_MAX = 128 * 1024 };

struct channel {
	int fd;
	bool synced; /* the host has said SYNC and not hung up since */
	struct frame_reader reader;
	size_t out_from, out_len;
	uint8_t out[CHANNEL_OUT_MAX];
};

/* Reads all there is. Notices a hang-up. */
void channel_read(struct channel *c, bool hung_up, frame_handler *handle, void *ctx);

/* Begins a new conversation: what was not sent yet is forgotten, and the host's reader brought into step. */
void channel_restart(struct channel *c);

/* Queues a frame; false when there is no room now. */
bool channel_send(struct channel *c, uint8_t type, const uint8_t *body, size_t n);

/* Whether a frame with a body of n bytes would be taken. */
bool channel_has_room(const struct channel *c, size_t n);

/* Writes what the port takes. */
void channel_flush(struct channel *c);

#endif
