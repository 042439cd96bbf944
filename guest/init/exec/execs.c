#include "exec/execs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "channel/protocol.h"
#include "exec/exec.h"
#include "exec/messages.h"
#include "program/terminal.h"
#include "system/proc.h"
#include "system/sys.h"

static const struct exec_fds CLOSED = { -1, -1, -1, -1 };

void execs_init(struct execs *x, int epoll, struct channel *channel)
{
	x->epoll = epoll;
	x->channel = channel;
}

static void watch(struct execs *x, struct exec *e, int fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = e };

	if (fd < 0)
		return;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	epoll_ctl(x->epoll, EPOLL_CTL_ADD, fd, &event);
}

void exec_close_fd(struct execs *x, int *fd)
{
	if (*fd < 0)
		return;
	/* A child that is about to exec may have a copy, which would keep it watched. */
	epoll_ctl(x->epoll, EPOLL_CTL_DEL, *fd, NULL);
	close(*fd);
	*fd = -1;
}

struct exec *execs_add(struct execs *x, uint64_t id, pid_t pid, const struct exec_fds *fds)
{
	struct exec *e = NULL;

	for (size_t i = 0; x->count < EXECS_MAX && i < EXECS_MAX && !e; i++)
		if (!x->all[i].id)
			e = &x->all[i];
	if (!e)
		return NULL;
	x->count++;
	*e = (struct exec){ .id = id, .pid = pid, .session = pid, .fds = *fds };
	watch(x, e, fds->report);
	watch(x, e, fds->in);
	watch(x, e, fds->out);
	watch(x, e, fds->err);
	return e;
}

static struct exec *find(struct execs *x, uint64_t id)
{
	for (size_t i = 0; id && x->count > 0 && i < EXECS_MAX; i++)
		if (x->all[i].id == id && !x->all[i].is_abandoned)
			return &x->all[i];
	return NULL;
}

void exec_close_output(struct execs *x, struct exec *e, int which)
{
	int *fd = which ? &e->fds.err : &e->fds.out;

	if (e->is_terminal && !which)
		e->fds.in = -1;
	exec_close_fd(x, fd);
}

static void close_all(struct execs *x, struct exec *e)
{
	exec_close_input(x, e);
	exec_close_output(x, e, 0);
	exec_close_output(x, e, 1);
	exec_close_fd(x, &e->fds.report);
}

void exec_release(struct execs *x, struct exec *e)
{
	close_all(x, e);
	e->id = 0;
	x->count--;
}

void exec_kill(struct exec *e)
{
	if (e->is_killed || e->session <= 0)
		return;
	e->is_killed = true;
	/* When it has been reaped, only its descendants are left, which continue as daemons do. */
	if (e->pid <= 0)
		return;
	kill(-e->pid, SIGKILL);
	kill(e->pid, SIGKILL);
	if (!e->is_list)
		spawn_killer(e->session);
}

static void start(struct execs *x, const struct exec_target *target, const struct exec_message *m, const uint8_t *body, size_t n)
{
	struct exec_options options = { m->rows > 0, m->input, { .ws_row = m->rows, .ws_col = m->columns }, body, n };
	struct exec_fds fds = CLOSED;
	struct failure failure;
	struct exec *e;
	pid_t pid;

	if (!m->id || find(x, m->id))
		return;
	if (!target->pid) {
		send_interrupted(x->channel, m->id);
		return;
	}
	pid = m->is_list ? spawn_list(target, &fds) : spawn_command(target, &options, &fds);
	if (pid < 0) {
		if (is_exiting(target->pid)) {
			send_interrupted(x->channel, m->id);
			return;
		}
		set_failure(&failure, STEP_SYSTEM, -pid, "fork");
		send_failed(x->channel, m->id, &failure);
		return;
	}
	e = execs_add(x, m->id, pid, &fds);
	e->credit = m->credit;
	e->is_terminal = options.is_terminal;
	e->is_list = e->is_started = e->started_sent = m->is_list;
}

static void send_signal(const struct exec *e, int signal)
{
	pid_t front;

	if (e->pid <= 0 || signal < 1 || signal > 64)
		return;
	if (e->is_terminal && e->fds.out >= 0 && ioctl(e->fds.out, TIOCGPGRP, &front) == 0 && front > 1 && kill(-front, signal) == 0)
		return;
	/* Until it has a group of its own. */
	if (kill(-e->pid, signal) < 0)
		kill(e->pid, signal);
}

void execs_on_message(struct execs *x, const struct exec_target *target, uint8_t type, const uint8_t *body, size_t n)
{
	struct exec_message m;
	struct failure failure;
	struct exec *e;

	if (!exec_message_parse(&m, type, body, n))
		return;
	if (type == MSG_EXEC || type == MSG_LIST) {
		if (x->count < EXECS_MAX) {
			start(x, target, &m, body, n);
			return;
		}
		set_failure(&failure, STEP_LIMIT, EAGAIN, "commands");
		send_failed(x->channel, m.id, &failure);
		return;
	}
	e = find(x, m.id);
	if (!e)
		return;
	switch (type) {
	case MSG_EXEC_INPUT: exec_take_input(e, &m); break;
	case MSG_EXEC_CREDIT: e->credit += m.credit; break;
	case MSG_EXEC_RESIZE:
		if (e->is_terminal && e->fds.out >= 0)
			ioctl(e->fds.out, TIOCSWINSZ, &(struct winsize){ .ws_row = m.rows, .ws_col = m.columns });
		break;
	case MSG_EXEC_SIGNAL: send_signal(e, m.signal); break;
	case MSG_EXEC_KILL: exec_kill(e); break;
	default: break;
	}
}

bool execs_on_event(struct execs *x, void *data)
{
	struct exec *e = data;

	if ((uint8_t *)data < (uint8_t *)x->all || (uint8_t *)data >= (uint8_t *)(x->all + EXECS_MAX))
		return false;
	e->may_report = e->may_read[0] = e->may_read[1] = e->may_write = true;
	return true;
}

void execs_on_exit(struct execs *x, pid_t pid, int status, bool main_is_ending)
{
	for (size_t i = 0; x->count > 0 && i < EXECS_MAX; i++) {
		struct exec *e = &x->all[i];

		if (!e->id || e->pid != pid)
			continue;
		e->pid = 0;
		e->status = status;
		e->ended_us = now_us();
		e->is_interrupted = main_is_ending && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
		/* Its output and its report can be read now. */
		e->may_report = e->may_read[0] = e->may_read[1] = true;
	}
}

void execs_interrupt(struct execs *x)
{
	for (size_t i = 0; x->count > 0 && i < EXECS_MAX; i++)
		if (x->all[i].id && x->all[i].pid > 0)
			x->all[i].is_interrupted = true;
}

void execs_abandon(struct execs *x)
{
	for (size_t i = 0; x->count > 0 && i < EXECS_MAX; i++) {
		struct exec *e = &x->all[i];

		if (!e->id || e->is_abandoned)
			continue;
		exec_kill(e);
		e->is_abandoned = true;
		close_all(x, e);
	}
}

static void read_report(struct execs *x, struct exec *e)
{
	struct exec_report report;
	int terminal;
	ssize_t n = receive_fd(e->fds.report, &report, sizeof report, &terminal);

	if (terminal >= 0 && e->is_terminal && e->fds.out < 0) {
		e->fds.in = e->fds.out = terminal;
		watch(x, e, terminal);
		e->may_read[0] = e->may_write = true;
	} else if (terminal >= 0) {
		close(terminal);
	}
	if (n == sizeof report) {
		e->guest_pid = report.pid;
		e->has_failed = report.has_failed;
		e->failure = report.failure;
		e->failure.detail[sizeof e->failure.detail - 1] = '\0';
	} else if (n == 0) {
		exec_close_fd(x, &e->fds.report);
		e->is_started = e->guest_pid > 0 && !e->has_failed;
	} else if (n < 0 && errno != EINTR) {
		e->may_report = false;
	}
}

void execs_update(struct execs *x)
{
	for (size_t i = 0; x->count > 0 && i < EXECS_MAX; i++) {
		struct exec *e = &x->all[i];

		if (!e->id)
			continue;
		if (e->is_abandoned) {
			if (e->pid == 0)
				exec_release(x, e);
			continue;
		}
		while (e->may_report && e->fds.report >= 0)
			read_report(x, e);
		if (e->is_killed || e->has_failed) {
			exec_close_input(x, e);
			exec_close_output(x, e, 0);
			exec_close_output(x, e, 1);
		} else {
			exec_write_input(x, e);
		}
	}
}
