#include "exec/command.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "program/terminal.h"
#include "system/sys.h"

enum { NAMESPACES = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET };

static _Noreturn void fail(const struct command *c, const struct failure *failure)
{
	struct exec_report report = { .pid = getpid(), .has_failed = true, .failure = *failure };

	send_fd(c->fds.report, &report, sizeof report, -1);
	_exit(127);
}

static void check(const struct command *c, enum step step, int error, const char *detail)
{
	struct failure failure;

	if (!error)
		return;
	set_failure(&failure, step, error, detail);
	fail(c, &failure);
}

/* Enters the workload's namespaces and root. */
static void enter(const struct command *c)
{
	reset_process();
	check(c, STEP_SYSTEM, setns(c->pidfd, NAMESPACES) < 0 ? errno : 0, "namespaces");
	check(c, STEP_SYSTEM, fchdir(c->root) < 0 || chroot(".") < 0 || chdir("/") < 0 ? errno : 0, "root");
}

static void set_streams(const struct command *c, int null)
{
	int in = c->fds.in < 0 ? null : c->fds.in;

	check(c, STEP_SYSTEM, dup2(in, 0) < 0 || dup2(c->fds.out, 1) < 0 || dup2(c->fds.err, 2) < 0 ? errno : 0, "streams");
}

/* The init reads and writes its other end. */
static int set_terminal(const struct command *c)
{
	struct terminal t;

	check(c, STEP_SYSTEM, terminal_open(&t, &c->options->size), "terminal");
	check(c, STEP_SYSTEM, terminal_attach(&t), "terminal");
	return t.master;
}

void command_run(const struct command *c)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), master = -1;
	struct exec_report report = { .pid = getpid() };
	struct run_request r = { 0 };
	struct streams streams = { .first = c->options->has_input ? 0 : 1, .is_terminal = c->options->is_terminal };
	struct failure failure;
	struct identity who;
	const char *why;

	enter(c);
	if (!exec_request_parse(&r, c->workload, c->options->body, c->options->len, &why))
		check(c, STEP_REQUEST, EINVAL, why);
	r.tty = c->options->is_terminal;
	if (r.tty) {
		streams.first = 0;
		master = set_terminal(c);
	} else {
		set_streams(c, null);
	}
	if (!find_user(r.user, &who, &failure))
		fail(c, &failure);
	check(c, STEP_WORKING_DIR, chdir(r.working_dir) < 0 ? errno : 0, r.working_dir);
	set_environment(&r, &who);
	if (!set_credentials(&who, &streams, &failure))
		fail(c, &failure);
	check(c, STEP_SYSTEM, send_fd(c->fds.report, &report, sizeof report, master), "report");
	exec_program(&r, &failure);
	fail(c, &failure);
}
