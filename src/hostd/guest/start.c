#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent.h"
#include "child.h"
#include "devices.h"
#include "root.h"
#include "sys.h"

enum { DISK_WAIT_MS = 5000 };

void agent_fail(struct agent *a, enum step step, int error, const char *detail)
{
	a->failed = true;
	a->failure = (struct report){ .kind = REPORT_FAILURE, .what = step, .error = error };
	strncpy(a->failure.detail, detail, sizeof a->failure.detail - 1);
	a->state = STATE_FAILED;
	a->state_news = true;
}

bool agent_watch(struct agent *a, int fd, void *data)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = data };

	return epoll_ctl(a->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool open_pipe(struct agent *a, int ends[2], void *data)
{
	return pipe2(ends, O_CLOEXEC) == 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 && agent_watch(a, ends[0], data);
}

/* Finds and mounts what is not there yet. A guest that has rehearsed has no more to do here. */
static bool have_disks(struct agent *a)
{
	const char *root = a->request.root_serial, *scratch = a->request.scratch_serial;
	bool searching = !a->root_disk[0] || !a->scratch_disk[0];
	int watch = searching ? watch_devices() : -1, error;

	error = a->scratch_disk[0] || wait_for_disk(watch, scratch, a->scratch_disk, sizeof a->scratch_disk, DISK_WAIT_MS) ? 0 : ENODEV;
	if (!error && !a->scratch_mounted)
		error = mount_scratch(a->scratch_disk);
	if (error) {
		agent_fail(a, STEP_MOUNT, error, "scratch disk");
	} else {
		a->scratch_mounted = true;
		if (!a->root_disk[0] && !wait_for_disk(watch, root, a->root_disk, sizeof a->root_disk, DISK_WAIT_MS))
			agent_fail(a, STEP_DISK, error = ENODEV, root);
	}
	if (watch >= 0)
		close(watch);
	return !error;
}

void agent_start(struct agent *a)
{
	struct run_request *r = &a->request;
	int report[2], out[2], err[2];
	struct child child;

	if (!have_disks(a))
		return;
	if (sethostname(r->hostname, strlen(r->hostname)) < 0) {
		agent_fail(a, STEP_FILES, errno, r->hostname);
		return;
	}
	/* Pipes of a VM that fails here are never freed: it serves nothing else. */
	if (!open_pipe(a, report, &a->report_fd) || !open_pipe(a, out, &a->outputs[0]) || !open_pipe(a, err, &a->outputs[1])) {
		agent_fail(a, STEP_SYSTEM, errno, "pipes");
		return;
	}
	child = (struct child){ .request = r, .root_disk = a->root_disk, .report = report[1], .out = out[1], .err = err[1], .run_at_us = a->run_at_us };
	oom_begin(&a->oom);
	a->main = fork();
	if (a->main == 0)
		child_run(&child);
	if (a->main < 0) {
		a->main = 0;
		agent_fail(a, STEP_SYSTEM, errno, "fork");
		return;
	}
	close(report[1]);
	close(out[1]);
	close(err[1]);
	a->report_fd = report[0];
	a->outputs[0].fd = out[0];
	a->outputs[1].fd = err[0];
	a->outputs[0].watched = a->outputs[1].watched = true;
	a->state = STATE_STARTING;
	a->state_news = true;
}
