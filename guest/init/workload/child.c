#include "workload/child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "program/files.h"
#include "program/program.h"
#include "program/request.h"
#include "program/terminal.h"
#include "system/sys.h"
#include "workload/process1.h"
#include "workload/root.h"

static _Noreturn void fail(struct child *c, enum step step, int error, const char *detail)
{
	struct report *r = &c->shared->report;

	r->failed = true;
	r->failure = (struct failure){ .step = step, .error = error };
	snprintf(r->failure.detail, sizeof r->failure.detail, "%s", detail);
	_exit(127);
}

static void check(struct child *c, enum step step, int error, const char *detail)
{
	if (error)
		fail(c, step, error, detail);
}

/* Ends the child when a part that both kinds of programs share has failed. */
static void check_program(struct child *c, bool ok, const struct failure *failure)
{
	if (!ok)
		fail(c, failure->step, failure->error, failure->detail);
}

static void record_phase(struct child *c, enum phase phase, uint64_t start, uint64_t end)
{
	c->shared->report.phases[phase] = (struct phase_time){ start, end };
}

/* Sets standard streams, and leaves the state of the init. */
static void set_process(struct child *c)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	check(c, STEP_SYSTEM, dup2(null, 0) < 0 || dup2(c->out, 1) < 0 || dup2(c->err, 2) < 0 ? errno : 0, "streams");
	reset_process();
}

static void prepare(struct child *c)
{
	/* Its own cgroup is the root of the one it sees. */
	check(c, STEP_MOUNT, unshare(CLONE_NEWCGROUP) < 0 ? errno : 0, "cgroup namespace");
	check(c, STEP_SYSTEM, accept_default_signals(), "signals");
	check(c, STEP_MOUNT, stage_kernel_filesystems(), "kernel file systems");
	check(c, STEP_MOUNT, make_upper_layer(), "upper layer");
	set_process(c);
}

static void await_start(struct child *c)
{
	static const uint8_t ready = 1;
	uint64_t start;

	check(c, STEP_SYSTEM, write(c->report, &ready, sizeof ready) < 0 ? errno : 0, "ready");
	check(c, STEP_SYSTEM, read(c->start, &start, sizeof start) < 0 ? errno : 0, "start");
}

static void mount_root(struct child *c, const struct run_request *r)
{
	const char *file;
	uint64_t disk_mounted;
	bool files_written;

	check(c, STEP_DISK, mount_image(c->shared->root_disk), "image");
	disk_mounted = now_us();
	record_phase(c, PHASE_DISK, c->shared->run_at_us, disk_mounted);
	check(c, STEP_MOUNT, adapt_upper_layer(r->hostname, r->resolver, &files_written), "upper layer");
	check(c, STEP_MOUNT, mount_overlay(), "overlay");
	check(c, STEP_MOUNT, enter_root(), "root");
	record_phase(c, PHASE_MOUNT, disk_mounted, now_us());
	if (!files_written) {
		int err = write_network_files(r->hostname, r->resolver, &file);

		check(c, STEP_FILES, err, file);
	}
}

/* Puts the program on a terminal, whose other end the init reads in place of the pipes. */
static void take_terminal(struct child *c)
{
	static const struct winsize size = { .ws_row = TERMINAL_ROWS, .ws_col = TERMINAL_COLUMNS };
	struct terminal t;
	int err = terminal_open(&t, &size);

	check(c, STEP_SYSTEM, err, "terminal");
	check(c, STEP_SYSTEM, send_fd(c->report, "", 1, t.master), "terminal");
	check(c, STEP_SYSTEM, terminal_attach(&t), "terminal");
}

void child_run(struct child *c)
{
	struct run_request r = { 0 };
	struct failure failure;
	struct streams streams = { .first = 1 };
	struct identity who;
	int *files;
	const char *why;
	uint64_t start;
	int err;

	prepare(c);
	await_start(c);
	if (!run_request_parse(&r, c->shared->body, c->shared->len, &why))
		fail(c, STEP_REQUEST, 0, why);
	mount_root(c, &r);
	start = now_us();
	files = calloc(r.filec + 1, sizeof *files);
	check(c, STEP_SYSTEM, files ? 0 : ENOMEM, "files");
	check_program(c, write_files(&r, files, &failure), &failure);
	for (char **volume = r.volumes; *volume; volume++)
		check(c, STEP_VOLUME, make_directories(*volume), *volume);
	check_program(c, find_user(r.user, &who, &failure), &failure);
	check_program(c, own_files(&r, files, &who, &failure), &failure);
	err = make_directories(r.working_dir);
	check(c, STEP_WORKING_DIR, err ? err : chdir(r.working_dir) < 0 ? errno : 0, r.working_dir);
	set_environment(&r, &who);
	if (r.tty) {
		take_terminal(c);
		streams.is_terminal = true;
	}
	check_program(c, set_credentials(&who, &streams, &failure), &failure);
	record_phase(c, PHASE_EXEC, start, now_us());
	exec_program(&r, &failure);
	check_program(c, false, &failure);
	_exit(127);
}
