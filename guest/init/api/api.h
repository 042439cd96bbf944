/*
 * The API inside the machine: connections of the workload's processes to a unix socket, each of
 * which the host serves over the channel. Nothing here waits: what the host sends is kept up to
 * API_WINDOW bytes, and what a process sends stays in its socket until the host has granted credit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel/channel.h"

/* In devtmpfs, which init and workload share: a socket that is bound below an overlay cannot be reached through it. */
#define API_SOCKET "/dev/.fly-api"

enum {
	API_CONNECTIONS_MAX = 16,
	/* Bytes of a connection that either end may send before the other has taken any. */
	API_WINDOW = 32 * 1024,
	API_CHUNK = 8 * 1024,
	/* Hosts with an older protocol do not serve it. */
	API_PROTOCOL = 8,
};

struct api_connection {
	uint64_t id; /* 0: the slot is free */
	int fd;
	bool may_read, may_write; /* a system call may succeed */
	bool hung_up;             /* the process has closed it, and not only one direction */
	bool is_broken;
	bool open_sent, end_sent;
	bool read_ended;              /* the process sends no more */
	bool host_ended, host_closed; /* the host sends no more, and takes no more */
	bool is_shut;
	uint64_t credit; /* bytes that the host takes */
	uint64_t taken;  /* bytes that the process took and the host was not told of yet */
	uint8_t *output; /* of the host, API_WINDOW bytes, or NULL */
	size_t from, len;
};

struct api {
	struct api_connection all[API_CONNECTIONS_MAX];
	size_t count;
	int epoll, listener; /* -1: there is no socket */
	bool may_accept;
	bool is_served; /* the host knows these messages */
	uint64_t last_id;
	unsigned turn; /* whose bytes are sent first */
	struct channel *channel;
};

/* Binds the socket. Without one, everything else does nothing. */
void api_init(struct api *api, int epoll, struct channel *channel, const char *path);

/* Handles MSG_API_DATA to MSG_API_CLOSE. */
void api_on_message(struct api *api, uint8_t type, const uint8_t *body, size_t n);

/* Returns whether the event is one of the socket or a connection. */
bool api_on_event(struct api *api, void *data, bool hung_up);

/* Closes all connections: the session in which the host served them is over. */
void api_abandon(struct api *api);

/* Accepts connections, and moves what the host has sent to the processes. */
void api_update(struct api *api);

/* Sends messages that are due, at most a chunk of each connection; false when there were none or no room. */
bool api_send(struct api *api);
