#include "channel/lines.h"

#include <string.h>

/* The length of a full buffer without an incomplete UTF-8 sequence at its end. */
static size_t whole_characters(const uint8_t *buf, size_t n)
{
	for (size_t back = 1; back <= 3 && back < n; back++) {
		uint8_t c = buf[n - back];
		size_t need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;

		if ((c & 0xc0) == 0x80)
			continue; /* inside a sequence */
		return need > back ? n - back : n;
	}
	return n;
}

void lines_push(struct line_buffer *l, const uint8_t *data, size_t n, line_handler *handle, void *ctx)
{
	while (n > 0) {
		size_t room = sizeof l->buf - l->len;
		size_t span = n < room ? n : room;
		const uint8_t *newline = memchr(data, '\n', span);
		size_t part = newline ? (size_t)(newline - data) : span;

		memcpy(l->buf + l->len, data, part);
		l->len += part;
		data += part;
		n -= part;
		if (n > 0 && *data == '\n') {
			handle(ctx, l->buf, l->len);
			l->len = 0;
			data++;
			n--;
		} else if (n > 0) {
			/* The buffer is full before the end of the line. */
			size_t whole = whole_characters(l->buf, l->len);

			handle(ctx, l->buf, whole);
			l->len -= whole;
			memmove(l->buf, l->buf + whole, l->len);
		}
	}
}

void lines_end(struct line_buffer *l, line_handler *handle, void *ctx)
{
	if (l->len > 0)
		handle(ctx, l->buf, l->len);
	l->len = 0;
}
