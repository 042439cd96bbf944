#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/agent.h"
#include "workload/child.h"
#include "system/devices.h"
#include "workload/root.h"
#include "system/sys.h"

enum { DISK_WAIT_MS = 5000, CHILD_WAIT_MS = 30000 };

void agent_fail(struct agent *a, enum step step, int error, const char *detail)
{
	a->failed = true;
	a->failure = (struct failure){ .step = step, .error = error };
	snprintf(a->failure.detail, sizeof a->failure.detail, "%s", detail);
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

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void agent_drop_child(struct agent *a)
{
	close_end(&a->report_fd);
	close_end(&a->go);
	for (int i = 0; i < 2; i++) {
		close_end(&a->outputs[i].fd);
		a->outputs[i].watched = false;
	}
	/* It is reaped like any other. */
	a->main = 0;
}

/* Whether it has come to where it waits. Until then, so do we: a guest that stands still in the middle of it is of no use. */
static bool is_ready(int report)
{
	struct pollfd end = { .fd = report, .events = POLLIN };
	uint8_t ready;

	return poll(&end, 1, CHILD_WAIT_MS) == 1 && read(report, &ready, sizeof ready) == sizeof ready;
}

static bool map_handover(struct agent *a)
{
	if (!a->handover) {
		void *shared = mmap(NULL, sizeof *a->handover, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

		a->handover = shared == MAP_FAILED ? NULL : shared;
	}
	return a->handover != NULL;
}

void agent_stand_by(struct agent *a)
{
	int report[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 };
	struct child child;

	if (a->main || !a->scratch_mounted || !map_handover(a))
		return;
	a->go = eventfd(0, EFD_CLOEXEC);
	if (a->go >= 0 && open_pipe(a, report, &a->report_fd) && open_pipe(a, out, &a->outputs[0]) && open_pipe(a, err, &a->outputs[1])) {
		a->handover->report = (struct report){ 0 };
		child = (struct child){ .handover = a->handover, .go = a->go, .report = report[1], .out = out[1], .err = err[1] };
		oom_begin(&a->oom);
		a->main = fork();
		if (a->main == 0)
			child_run(&child);
	}
	close_end(&report[1]);
	close_end(&out[1]);
	close_end(&err[1]);
	a->report_fd = report[0];
	a->outputs[0].fd = out[0];
	a->outputs[1].fd = err[0];
	a->outputs[0].watched = a->outputs[1].watched = true;
	if (a->main <= 0 || !is_ready(report[0]))
		agent_drop_child(a);
}

void agent_start(struct agent *a, const uint8_t *body, size_t n)
{
	struct handover *h;
	uint64_t go = 1;

	if (!have_disks(a))
		return;
	agent_stand_by(a);
	h = a->handover;
	if (!a->main || n > sizeof h->body) {
		struct failure none = { .step = STEP_SYSTEM, .detail = "no child" }, *why = h && h->report.failed ? &h->report.failure : &none;

		agent_fail(a, why->step, why->error, why->detail);
		return;
	}
	if (sethostname(a->request.hostname, strlen(a->request.hostname)) < 0) {
		agent_fail(a, STEP_FILES, errno, a->request.hostname);
		return;
	}
	memcpy(h->root_disk, a->root_disk, sizeof h->root_disk);
	h->run_at_us = a->run_at_us;
	memcpy(h->body, body, n);
	h->len = n;
	a->state = STATE_STARTING;
	if (write(a->go, &go, sizeof go) < 0)
		agent_fail(a, STEP_SYSTEM, errno, "go");
	close_end(&a->go);
}
