/*
 * The guest's init: boots the VM, then waits on the agent channel for the one workload that it will
 * run. It stays in the initramfs; the workload has a mount namespace of its own, which ends with
 * its processes. One process, one loop, no threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/agent.h"
#include "system/devices.h"
#include "system/limits.h"
#include "system/net.h"
#include "system/sys.h"
#include "workload/root.h"

enum { DEVICE_WAIT_MS = 30000, RING_BYTES = 384 * 1024 };

static struct agent agent;

/* Ends the init, which makes the kernel panic and QEMU end: the host sees that at once. */
static _Noreturn void fatal(const char *what)
{
	log_kernel("%s: %s", what, strerror(errno));
	_exit(1);
}

static void record_phase(enum phase phase, uint64_t since)
{
	agent.phases[phase] = (struct phase_time){ since, now_us() };
}

static void open_channel(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = &agent.channel };
	char path[64];

	if (!wait_for_port(AGENT_PORT_NAME, path, sizeof path, DEVICE_WAIT_MS))
		fatal("agent port");
	agent.channel.fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (agent.channel.fd < 0 || epoll_ctl(agent.epoll, EPOLL_CTL_ADD, agent.channel.fd, &event) < 0)
		fatal("agent port");
}

static void boot(void)
{
	uint64_t start = now_us();

	agent.phases[PHASE_KERNEL] = (struct phase_time){ 0, start };
	agent.epoll = epoll_create1(EPOLL_CLOEXEC);
	execs_init(&agent.execs, agent.epoll, &agent.channel);
	if (!mount_kernel_filesystems())
		fatal("kernel file systems");
	api_init(&agent.api, agent.epoll, &agent.channel, API_SOCKET);
	write_file("/proc/self/oom_score_adj", "-1000");
	set_limits();
	load_modules("/modules");
	open_channel();
	record_phase(PHASE_MODULES, start);
	start = now_us();
	network_up();
	record_phase(PHASE_NETWORK, start);
	start = now_us();
	/*
	 * Data need not outlive the VM, so only lack of memory makes the kernel write it to the
	 * disk. Its flusher, 5 s after the first write, would write all, as the share of memory
	 * that it grants to a disk without a history is zero.
	 */
	write_file("/proc/sys/vm/dirty_writeback_centisecs", "360000");
	/* `agent_start` retries after a failure here, and can report it. */
	if (wait_for_disk("scratch", agent.scratch_disk, sizeof agent.scratch_disk, DEVICE_WAIT_MS)) {
		disable_io_schedulers();
		agent.scratch_mounted = mount_scratch(agent.scratch_disk) == 0;
	}
	/* Last, as it measures the memory that is left. */
	agent_bound_memory(&agent);
	record_phase(PHASE_SCRATCH, start);
}

static int open_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0 || !agent_watch(&agent, fd, &agent.pid))
		fatal("signals");
	return fd;
}

static void on_event(const struct epoll_event *event, int signals)
{
	struct signalfd_siginfo ignored;

	if (event->data.ptr == &agent.channel) {
		channel_read(&agent.channel, (event->events & EPOLLHUP) != 0, agent_on_frame, &agent);
	} else if (event->data.ptr == &agent.pid) {
		while (read(signals, &ignored, sizeof ignored) > 0)
			;
		agent_on_children(&agent);
	} else if (event->data.ptr == &agent.report_fd) {
		agent_on_report(&agent);
	} else if (event->data.ptr == &agent.memory_events) {
		agent_on_memory_limit(&agent);
	} else if (!execs_on_event(&agent.execs, event->data.ptr) &&
		   !api_on_event(&agent.api, event->data.ptr, (event->events & EPOLLHUP) != 0)) {
		agent_on_output(&agent, event->data.ptr);
	}
}

int main(void)
{
	static uint8_t ring[RING_BYTES];
	struct epoll_event events[8];
	int signals;

	/* Set here, so that the struct's buffers take no room in the file. */
	agent.restore_cgroup = agent.report_fd = agent.start_fd = agent.outputs[0].fd = agent.outputs[1].fd = -1;
	agent.outputs[0].stream = STREAM_STDOUT;
	agent.outputs[1].stream = STREAM_STDERR;
	ring_init(&agent.ring, ring, sizeof ring);
	boot();
	signal(SIGPIPE, SIG_IGN);
	signals = open_signals();
	agent_prepare_child(&agent);
	agent.phases[PHASE_SCRATCH].end_us = now_us();
	for (;;) {
		int n;

		agent_update(&agent);
		n = epoll_wait(agent.epoll, events, sizeof events / sizeof *events, agent_timeout(&agent));
		for (int i = 0; i < n; i++)
			on_event(&events[i], signals);
	}
}
