#include "api/api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "channel/protocol.h"
#include "channel/tlv.h"
#include "system/sys.h"

enum { API_HEADER = 64 };

void api_init(struct api *api, int epoll, struct channel *channel, const char *path)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.ptr = &api->listener };
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	api->epoll = epoll;
	api->channel = channel;
	api->listener = -1;
	if (strlen(path) >= sizeof address.sun_path)
		return;
	memcpy(address.sun_path, path, strlen(path) + 1);
	api->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (api->listener < 0)
		return;
	/* Every process of the machine may use it, whatever its user: the machine is what has rights. */
	if (bind(api->listener, (struct sockaddr *)&address, sizeof address) < 0 || chmod(path, 0666) < 0 ||
	    listen(api->listener, API_CONNECTIONS_MAX) < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, api->listener, &event) < 0)
		close_fd(&api->listener);
}

static struct api_connection *find(struct api *api, uint64_t id)
{
	for (size_t i = 0; id && api->count > 0 && i < API_CONNECTIONS_MAX; i++)
		if (api->all[i].id == id)
			return &api->all[i];
	return NULL;
}

static void release(struct api *api, struct api_connection *c)
{
	/* A child that is about to exec may have a copy, which would keep it watched. */
	if (c->fd >= 0)
		epoll_ctl(api->epoll, EPOLL_CTL_DEL, c->fd, NULL);
	close_fd(&c->fd);
	free(c->output);
	*c = (struct api_connection){ .fd = -1 };
	api->count--;
}

void api_abandon(struct api *api)
{
	for (size_t i = 0; api->count > 0 && i < API_CONNECTIONS_MAX; i++)
		if (api->all[i].id)
			release(api, &api->all[i]);
}

bool api_on_event(struct api *api, void *data, bool hung_up)
{
	struct api_connection *c = data;

	/* Not the address of the whole, which the first connection has too. */
	if (data == &api->listener) {
		api->may_accept = true;
		return true;
	}
	if ((uint8_t *)data < (uint8_t *)api->all || (uint8_t *)data >= (uint8_t *)(api->all + API_CONNECTIONS_MAX))
		return false;
	c->may_read = c->may_write = true;
	c->hung_up |= hung_up;
	return true;
}

static void take(struct api_connection *c, const uint8_t *data, size_t n)
{
	if (n > API_WINDOW - c->len || c->host_ended || c->host_closed) {
		/* More than was granted. */
		c->is_broken = true;
		return;
	}
	if (n == 0)
		return;
	if (!c->output && !(c->output = malloc(API_WINDOW))) {
		c->is_broken = true;
		return;
	}
	memmove(c->output, c->output + c->from, c->len);
	c->from = 0;
	memcpy(c->output + c->len, data, n);
	c->len += n;
}

void api_on_message(struct api *api, uint8_t type, const uint8_t *body, size_t n)
{
	struct tlv_reader in = { .at = body, .left = n };
	struct tlv field, data = { 0 };
	uint64_t id = 0, credit = 0, end = 0;
	struct api_connection *c;

	while (tlv_next(&in, &field)) {
		uint64_t *number = field.tag == TAG_CONNECTION ? &id : field.tag == TAG_CREDIT ? &credit : field.tag == TAG_END ? &end : NULL;

		if (field.tag == TAG_DATA)
			data = field;
		if (number && !tlv_number(&field, number))
			return;
	}
	c = in.broken ? NULL : find(api, id);
	if (!c)
		return;
	switch (type) {
	case MSG_API_DATA:
		take(c, data.value, data.len);
		c->host_ended |= end == 1;
		break;
	case MSG_API_CREDIT:
		c->credit += credit < API_WINDOW ? credit : API_WINDOW;
		break;
	case MSG_API_CLOSE: c->host_closed = true; break;
	default: break;
	}
}

static void add(struct api *api, int fd)
{
	for (size_t i = 0; i < API_CONNECTIONS_MAX; i++) {
		struct api_connection *c = &api->all[i];
		struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c };

		if (c->id)
			continue;
		if (epoll_ctl(api->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
			break;
		*c = (struct api_connection){ .id = ++api->last_id, .fd = fd, .may_read = true, .may_write = true, .credit = API_WINDOW };
		api->count++;
		return;
	}
	close(fd);
}

/* Connections beyond the limit wait in the socket's backlog, and so do those without a host. */
static void accept_all(struct api *api)
{
	while (api->may_accept && api->channel->synced && api->count < API_CONNECTIONS_MAX) {
		int fd = accept4(api->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0)
			api->may_accept = false;
		else if (api->is_served)
			add(api, fd);
		else
			close(fd);
	}
}

static void write_output(struct api_connection *c)
{
	while (c->may_write && c->len > 0 && !c->is_broken) {
		ssize_t n = send(c->fd, c->output + c->from, c->len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			c->may_write = false;
		} else if (n < 0) {
			c->is_broken = true;
		} else {
			c->from += (size_t)n;
			c->len -= (size_t)n;
			c->taken += (uint64_t)n;
		}
	}
	if (c->len > 0)
		return;
	free(c->output);
	c->output = NULL;
	c->from = 0;
	if (c->host_ended && !c->is_shut)
		c->is_shut = shutdown(c->fd, SHUT_WR) == 0;
}

void api_update(struct api *api)
{
	if (api->listener >= 0)
		accept_all(api);
	for (size_t i = 0; api->count > 0 && i < API_CONNECTIONS_MAX; i++)
		if (api->all[i].id)
			write_output(&api->all[i]);
}

static bool is_over(const struct api_connection *c)
{
	if (c->is_broken || (c->hung_up && c->read_ended))
		return true;
	return c->len == 0 && (c->host_closed || (c->host_ended && c->end_sent));
}

static bool send_number(struct api *api, const struct api_connection *c, uint8_t type, uint16_t tag, uint64_t value)
{
	uint8_t body[API_HEADER];
	struct tlv_writer w = { .buf = body, .cap = sizeof body };

	tlv_put_u64(&w, TAG_CONNECTION, c->id);
	if (tag)
		tlv_put_u64(&w, tag, value);
	return channel_send(api->channel, type, body, w.len);
}

static bool send_chunk(struct api *api, struct api_connection *c)
{
	static uint8_t chunk[API_CHUNK], body[API_HEADER + API_CHUNK];
	struct tlv_writer w = { .buf = body, .cap = sizeof body };
	size_t want = c->credit < sizeof chunk ? (size_t)c->credit : sizeof chunk;
	ssize_t n;

	if (!c->may_read || c->read_ended || c->host_closed || want == 0 || !channel_has_room(api->channel, sizeof body))
		return false;
	n = recv(c->fd, chunk, want, 0);
	if (n > 0) {
		c->credit -= (uint64_t)n;
		tlv_put_u64(&w, TAG_CONNECTION, c->id);
		tlv_put(&w, TAG_DATA, chunk, (size_t)n);
		return channel_send(api->channel, MSG_API_INPUT, body, w.len);
	}
	if (n == 0)
		c->read_ended = true;
	else if (errno == EAGAIN)
		c->may_read = false;
	else if (errno != EINTR)
		c->is_broken = true;
	return n < 0 && errno == EINTR;
}

static bool send_one(struct api *api, struct api_connection *c)
{
	bool more;

	if (!c->open_sent && !(c->open_sent = send_number(api, c, MSG_API_OPEN, 0, 0)))
		return false;
	if (c->taken > 0 && send_number(api, c, MSG_API_TAKEN, TAG_CREDIT, c->taken))
		c->taken = 0;
	more = send_chunk(api, c);
	if (c->read_ended && !c->end_sent)
		c->end_sent = send_number(api, c, MSG_API_INPUT, TAG_END, 1);
	if (is_over(c) && send_number(api, c, MSG_API_CLOSED, 0, 0)) {
		release(api, c);
		/* Another one may wait for the slot. */
		return true;
	}
	return more;
}

bool api_send(struct api *api)
{
	bool more = false;

	for (unsigned i = 0; api->count > 0 && i < API_CONNECTIONS_MAX; i++) {
		struct api_connection *c = &api->all[(api->turn + i) % API_CONNECTIONS_MAX];

		if (c->id)
			more |= send_one(api, c);
	}
	api->turn++;
	if (more && api->may_accept)
		api_update(api);
	return more;
}
