#include "agent/agent.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program/terminal.h"
#include "system/proc.h"
#include "system/sys.h"
#include "workload/cgroup.h"

/* After this, an exit is reported although killed processes are still there. */
enum { KILL_WAIT_MS = 5000 };

void agent_set_state(struct agent *a, enum run_state state)
{
	a->state = state;
	a->state_changed = true;
}

void agent_fail(struct agent *a, enum step step, int error, const char *detail)
{
	a->failure = (struct failure){ .step = step, .error = error };
	snprintf(a->failure.detail, sizeof a->failure.detail, "%s", detail);
	agent_set_state(a, STATE_FAILED);
}

bool agent_watch(struct agent *a, int fd, void *data)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = data };

	return epoll_ctl(a->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

void agent_on_report(struct agent *a)
{
	struct report *r = &a->shared->report;
	uint8_t ignored;
	int terminal;
	ssize_t n = receive_fd(a->report_fd, &ignored, 1, &terminal);

	if (terminal >= 0)
		agent_use_terminal(a, terminal);
	/* Otherwise only the end counts: exec has closed the socket, or the child has ended. */
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	if (a->state != STATE_STARTING) {
		agent_drop_child(a);
		return;
	}
	close(a->report_fd);
	a->report_fd = -1;
	a->exec_at_us = now_us();
	for (int i = PHASE_DISK; i < PHASE_COUNT; i++)
		a->phases[i] = r->phases[i];
	if (r->failed)
		agent_fail(a, r->failure.step, r->failure.error, r->failure.detail);
	else if (!r->phases[PHASE_EXEC].end_us)
		agent_fail(a, STEP_SYSTEM, 0, "the child ended without a report");
	else
		agent_set_state(a, STATE_RUNNING);
}

/*
 * Whether the main process has ended or is about to: the kernel kills the commands of its PID
 * namespace, and waits for them, before it reports the end.
 */
static bool is_main_ending(const struct agent *a)
{
	return a->pid <= 0 || is_exiting(a->pid);
}

void agent_on_children(struct agent *a)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != a->pid) {
			execs_on_exit(&a->execs, pid, status, is_main_ending(a));
			continue;
		}
		if (a->state == STATE_WAITING) {
			agent_drop_child(a);
			continue;
		}
		a->pid = 0;
		a->ended = true;
		a->status = status;
		a->exited_at_us = now_us();
		a->oom_killed = oom_watch_end(&a->oom, pid, status);
		kill(-1, SIGKILL);
		execs_interrupt(&a->execs);
	}
	a->no_children = pid < 0 && errno == ECHILD;
}

/* Whether the main process has ended, and its last output is in the ring or can be read now. */
static bool is_ending(const struct agent *a)
{
	const struct output *o = a->outputs;

	return a->state == STATE_RUNNING && a->ended && (o[0].fd < 0 || o[0].watched) && (o[1].fd < 0 || o[1].watched);
}

/* Milliseconds until the exit is reported, even with output left, or -1. */
static int exit_timeout(const struct agent *a)
{
	uint64_t due = a->exited_at_us + KILL_WAIT_MS * 1000ull, now = now_us();

	if (!is_ending(a))
		return -1;
	return now >= due ? 0 : (int)((due - now) / 1000) + 1;
}

/* Reports the exit once no process of the workload is left and all it wrote is in the ring. */
static void finish(struct agent *a)
{
	bool all_gone = a->no_children && a->outputs[0].fd < 0 && a->outputs[1].fd < 0;

	if (!is_ending(a) || (!all_gone && exit_timeout(a) != 0))
		return;
	for (int i = 0; i < 2; i++)
		agent_end_output(a, &a->outputs[i]);
	if (a->warming_up)
		agent_finish_warm_up(a);
	else
		agent_set_state(a, STATE_EXITED);
}

void agent_bound_memory(struct agent *a)
{
	/* Edge-triggered: the file is always readable. */
	struct epoll_event event = { .events = EPOLLPRI | EPOLLET, .data.ptr = &a->memory_events };

	a->cgroup = make_workload_cgroup(&a->thrash.limit);
	a->memory_events = a->cgroup < 0 ? -1 : open_memory_events();
	if (a->memory_events >= 0)
		epoll_ctl(a->epoll, EPOLL_CTL_ADD, a->memory_events, &event);
}

void agent_on_memory_limit(struct agent *a)
{
	char ignored[256];

	/* Reading the file makes the next change an event. */
	if (pread(a->memory_events, ignored, sizeof ignored, 0) > 0)
		thrash_begin(&a->thrash, now_us());
}

/* Whether the workload runs, and so may listen. */
static bool may_listen(const struct agent *a)
{
	return a->state == STATE_RUNNING && !a->ended && a->channel.synced;
}

static void watch_ports(struct agent *a)
{
	char net[64];

	if (!may_listen(a))
		return;
	snprintf(net, sizeof net, "/proc/%d/net", (int)a->pid);
	listen_watch_update(&a->listening, net, now_us());
}

static void watch_memory(struct agent *a)
{
	struct memory_use use;

	if (thrash_due(&a->thrash, now_us()) && read_memory_use(&use) && thrash_sample(&a->thrash, &use, now_us()))
		kill_for_memory(a->thrash.limit, &use);
}

void agent_update(struct agent *a)
{
	if (!a->channel.synced) {
		execs_abandon(&a->execs);
		api_abandon(&a->api);
	}
	execs_update(&a->execs);
	api_update(&a->api);
	finish(a);
	watch_ports(a);
	agent_send(a);
	watch_memory(a);
	/* The report that the workload runs must not wait for the workload; its output may. */
	set_realtime(a->state == STATE_STARTING);
	agent_apply_backpressure(a);
}

/* The shorter of two timeouts, of which -1 is none. */
static int earlier(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

int agent_timeout(const struct agent *a)
{
	int ports = may_listen(a) ? listen_watch_timeout(&a->listening, now_us()) : -1;

	return earlier(earlier(exit_timeout(a), execs_timeout(&a->execs)), earlier(ports, a->thrash.at_us ? THRASH_INTERVAL_MS : -1));
}
