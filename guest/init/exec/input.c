#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "exec/exec.h"

void exec_close_input(struct execs *x, struct exec *e)
{
	e->taken += e->input_len;
	e->input_len = 0;
	free(e->input);
	e->input = NULL;
	if (e->is_terminal)
		return;
	exec_close_fd(x, &e->fds.in);
}

void exec_take_input(struct exec *e, const struct exec_message *m)
{
	bool is_open = e->is_terminal ? !e->input_ended && !e->has_failed : e->fds.in >= 0 && !e->input_ended;

	if (!is_open) {
		e->taken += m->len;
		return;
	}
	if (m->len > EXEC_INPUT_MAX - e->input_len) {
		/* More than was granted. */
		exec_kill(e);
		return;
	}
	if (!e->input && m->len > 0 && !(e->input = malloc(EXEC_INPUT_MAX))) {
		exec_kill(e);
		return;
	}
	if (m->len > 0) {
		memmove(e->input, e->input + e->input_from, e->input_len);
		e->input_from = 0;
		memcpy(e->input + e->input_len, m->data, m->len);
		e->input_len += m->len;
	}
	e->input_ended |= m->end;
	e->may_write = true;
}

/* Ends input after all of it was written. On a terminal the command gets the character that means so. */
static void end_input(struct execs *x, struct exec *e)
{
	struct termios settings;
	bool is_inside = e->last_input != 0 && e->last_input != '\n' && e->last_input != '\r';

	if (!e->input_ended || e->input_len > 0)
		return;
	if (!e->is_terminal) {
		exec_close_input(x, e);
		return;
	}
	if (e->fds.in < 0 || e->has_failed || e->last_input == 4 || tcgetattr(e->fds.in, &settings) < 0)
		return;
	/* Inside a line, the first one only passes it on. */
	for (int i = 0; i <= is_inside; i++) {
		ssize_t ignored = write(e->fds.in, &settings.c_cc[VEOF], 1);
		(void)ignored;
	}
	e->last_input = 4;
}

void exec_write_input(struct execs *x, struct exec *e)
{
	while (e->may_write && e->input_len > 0 && e->fds.in >= 0) {
		ssize_t n = write(e->fds.in, e->input + e->input_from, e->input_len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			e->may_write = false;
		} else if (n < 0) {
			e->input_ended = true;
			exec_close_input(x, e);
		} else {
			e->last_input = e->input[e->input_from + (size_t)n - 1];
			e->input_from += (size_t)n;
			e->input_len -= (size_t)n;
			e->taken += (uint64_t)n;
		}
	}
	if (e->input_len == 0) {
		free(e->input);
		e->input = NULL;
		e->input_from = 0;
	}
	end_input(x, e);
}
