/* Tells on which of some TCP ports the workload listens, from the kernel's tables of sockets. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel/protocol.h"

enum { LISTEN_PORTS_MAX = 64 };

struct tcp_socket {
	uint16_t port;
	bool listens, is_open; /* to the host */
};

struct listen_watch {
	size_t count; /* of ports; 0: the host has not asked */
	uint16_t ports[LISTEN_PORTS_MAX];
	uint8_t states[LISTEN_PORTS_MAX]; /* enum port_state */
	uint64_t since_us, due_us;
	bool changed; /* a message is due */
};

/* Parses a line of /proc/net/tcp or tcp6. */
bool parse_tcp_socket(const char *line, struct tcp_socket *out);

/* Takes the ports of a LISTEN message. Those beyond LISTEN_PORTS_MAX are dropped. */
void listen_watch_begin(struct listen_watch *w, const uint8_t *body, size_t n, uint64_t now_us);

/* Reads the tables below `net`, e.g. /proc/7/net, if that is due. */
void listen_watch_update(struct listen_watch *w, const char *net, uint64_t now_us);

/* Milliseconds until `listen_watch_update` is due, or -1. */
int listen_watch_timeout(const struct listen_watch *w, uint64_t now_us);
