#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/agent.h"
#include "system/devices.h"
#include "system/sys.h"
#include "workload/process1.h"
#include "workload/root.h"

enum { DISK_WAIT_MS = 5000, CHILD_WAIT_MS = 30000 };

static bool open_report(struct agent *a, int ends[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0 && agent_watch(a, ends[0], &a->report_fd);
}

static bool open_pipe(struct agent *a, int ends[2], void *data)
{
	return pipe2(ends, O_CLOEXEC) == 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 && agent_watch(a, ends[0], data);
}

/* Finds and mounts the disks that are not there yet. After a warm-up, all are. */
static bool prepare_disks(struct agent *a)
{
	const char *root = a->request.root_serial, *scratch = a->request.scratch_serial;
	int error = 0;

	if (!a->scratch_disk[0] && !wait_for_disk(scratch, a->scratch_disk, sizeof a->scratch_disk, DISK_WAIT_MS))
		error = ENODEV;
	else if (!a->scratch_mounted)
		error = mount_scratch(a->scratch_disk);
	if (error) {
		agent_fail(a, STEP_MOUNT, error, "scratch disk");
		return false;
	}
	a->scratch_mounted = true;
	if (!a->root_disk[0] && !wait_for_disk(root, a->root_disk, sizeof a->root_disk, DISK_WAIT_MS)) {
		agent_fail(a, STEP_DISK, ENODEV, root);
		return false;
	}
	return true;
}

void agent_drop_child(struct agent *a)
{
	close_fd(&a->report_fd);
	close_fd(&a->start_fd);
	for (int i = 0; i < 2; i++) {
		close_fd(&a->outputs[i].fd);
		a->outputs[i].watched = false;
	}
	/* `agent_on_children` reaps it. */
	a->pid = 0;
}

/* Waits for the child's byte, so that a guest that is saved or paused has done its preparation. */
static bool is_ready(int report)
{
	struct pollfd end = { .fd = report, .events = POLLIN };
	uint8_t ready;

	return poll(&end, 1, CHILD_WAIT_MS) == 1 && read(report, &ready, sizeof ready) == sizeof ready;
}

static bool map_shared(struct agent *a)
{
	if (!a->shared) {
		void *memory = mmap(NULL, sizeof *a->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

		a->shared = memory == MAP_FAILED ? NULL : memory;
	}
	return a->shared != NULL;
}

void agent_prepare_child(struct agent *a)
{
	int report[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 };
	struct child child;

	if (a->pid || !a->scratch_mounted || !map_shared(a))
		return;
	a->start_fd = eventfd(0, EFD_CLOEXEC);
	if (a->start_fd >= 0 && open_report(a, report) && open_pipe(a, out, &a->outputs[0]) && open_pipe(a, err, &a->outputs[1])) {
		a->shared->report = (struct report){ 0 };
		child = (struct child){ .shared = a->shared, .start = a->start_fd, .report = report[1], .out = out[1], .err = err[1] };
		oom_watch_begin(&a->oom);
		a->pid = fork_process1(a->cgroup);
		if (a->pid == 0)
			child_run(&child);
	}
	close_fd(&report[1]);
	close_fd(&out[1]);
	close_fd(&err[1]);
	a->report_fd = report[0];
	a->outputs[0].fd = out[0];
	a->outputs[1].fd = err[0];
	a->outputs[0].watched = a->outputs[1].watched = true;
	if (a->pid <= 0 || !is_ready(report[0]))
		agent_drop_child(a);
}

void agent_start(struct agent *a, const uint8_t *body, size_t n)
{
	struct child_shared *shared;
	uint64_t start = 1;

	if (!prepare_disks(a))
		return;
	agent_prepare_child(a);
	shared = a->shared;
	if (!a->pid || n > sizeof shared->body) {
		if (shared && shared->report.failed)
			agent_fail(a, shared->report.failure.step, shared->report.failure.error, shared->report.failure.detail);
		else
			agent_fail(a, STEP_SYSTEM, 0, "no child");
		return;
	}
	if (sethostname(a->request.hostname, strlen(a->request.hostname)) < 0) {
		agent_fail(a, STEP_FILES, errno, a->request.hostname);
		return;
	}
	memcpy(shared->root_disk, a->root_disk, sizeof shared->root_disk);
	shared->run_at_us = a->run_at_us;
	memcpy(shared->body, body, n);
	shared->len = n;
	a->state = STATE_STARTING;
	if (write(a->start_fd, &start, sizeof start) < 0)
		agent_fail(a, STEP_SYSTEM, errno, "start of the child");
	close_fd(&a->start_fd);
}
