#include "agent/listening.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel/tlv.h"
#include "system/net.h"
#include "system/proc.h"

enum {
	V4_DIGITS = 8,
	V6_DIGITS = 32,
	TCP_LISTEN = 0x0a,
	/* Often while most programs begin to listen, then as often as nobody notices. */
	FAST_MS = 10,
	FAST_FOR_MS = 2000,
	PATIENT_MS = 50,
	/* While all are open, and when nobody has listened for long. */
	SLOW_MS = 1000,
	SLOW_AFTER_MS = 600 * 1000,
};

/* Whether an IPv4 address is one that the host reaches: all of the guest's, or that of its interface. */
static bool is_open_v4(const char *digits)
{
	char text[V4_DIGITS + 1] = { 0 };
	struct in_addr guest;
	unsigned long address;

	memcpy(text, digits, V4_DIGITS);
	/* As it lies in memory, written as a number. */
	address = strtoul(text, NULL, 16);
	inet_pton(AF_INET, GUEST_ADDRESS, &guest);
	return address == 0 || address == guest.s_addr;
}

static bool is_open_v6(const char *digits)
{
	static const char any[] = "00000000000000000000000000000000", mapped[] = "0000000000000000FFFF0000";

	if (strncmp(digits, mapped, sizeof mapped - 1) == 0)
		return is_open_v4(digits + sizeof mapped - 1);
	return strncmp(digits, any, V6_DIGITS) == 0;
}

bool parse_tcp_socket(const char *line, struct tcp_socket *out)
{
	enum { LOCAL = 1, STATE = 3, WORDS };
	const char *words[WORDS], *local;
	size_t digits;

	if (split_words(line, words, WORDS) < WORDS)
		return false;
	local = words[LOCAL];
	digits = strspn(local, "0123456789ABCDEF");
	if ((digits != V4_DIGITS && digits != V6_DIGITS) || local[digits] != ':')
		return false;
	out->port = (uint16_t)strtoul(local + digits + 1, NULL, 16);
	out->listens = strtoul(words[STATE], NULL, 16) == TCP_LISTEN;
	out->is_open = digits == V4_DIGITS ? is_open_v4(local) : is_open_v6(local);
	return true;
}

void listen_watch_begin(struct listen_watch *w, const uint8_t *body, size_t n, uint64_t now_us)
{
	struct tlv_reader in = { .at = body, .left = n };
	struct tlv field;
	uint64_t port;

	*w = (struct listen_watch){ .since_us = now_us, .due_us = now_us, .changed = true };
	while (tlv_next(&in, &field) && w->count < LISTEN_PORTS_MAX)
		if (field.tag == TAG_PORT && tlv_number(&field, &port) && port > 0 && port <= UINT16_MAX)
			w->ports[w->count++] = (uint16_t)port;
}

struct reading {
	const struct listen_watch *watch;
	uint8_t states[LISTEN_PORTS_MAX];
};

static bool note_socket(void *ctx, char *line)
{
	struct reading *r = ctx;
	struct tcp_socket socket;

	if (!parse_tcp_socket(line, &socket))
		return true;
	/* The kernel lists those that listen first; of the others there may be very many. */
	if (!socket.listens)
		return false;
	for (size_t i = 0; i < r->watch->count; i++) {
		uint8_t state = socket.is_open ? PORT_OPEN : PORT_LOCAL;

		if (r->watch->ports[i] == socket.port && state > r->states[i])
			r->states[i] = state;
	}
	return true;
}

static uint64_t interval_us(const struct listen_watch *w, uint64_t now_us)
{
	uint64_t passed_ms = (now_us - w->since_us) / 1000;
	bool all_open = true;

	for (size_t i = 0; i < w->count; i++)
		all_open &= w->states[i] == PORT_OPEN;
	if (all_open || passed_ms >= SLOW_AFTER_MS)
		return SLOW_MS * 1000;
	return (passed_ms < FAST_FOR_MS ? FAST_MS : PATIENT_MS) * 1000;
}

void listen_watch_update(struct listen_watch *w, const char *net, uint64_t now_us)
{
	static const char *const tables[] = { "tcp", "tcp6" };
	struct reading r = { .watch = w };
	char path[128];

	if (w->count == 0 || now_us < w->due_us)
		return;
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		snprintf(path, sizeof path, "%s/%s", net, tables[i]);
		for_each_line(path, note_socket, &r);
	}
	if (memcmp(w->states, r.states, sizeof r.states) != 0) {
		memcpy(w->states, r.states, sizeof r.states);
		w->changed = true;
	}
	w->due_us = now_us + interval_us(w, now_us);
}

int listen_watch_timeout(const struct listen_watch *w, uint64_t now_us)
{
	if (w->count == 0)
		return -1;
	return now_us >= w->due_us ? 0 : (int)((w->due_us - now_us) / 1000) + 1;
}
