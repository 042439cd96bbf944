/*
 * The guest's init: boots the VM as far as that goes without knowing whom it will serve, then waits on the agent channel for the
 * one workload it will ever run. It stays in the initramfs; the workload lives in a mount namespace of its own, so that nothing of
 * it is left once its processes are gone. One process, one loop, no threads, no helpers.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/agent.h"
#include "system/devices.h"
#include "system/net.h"
#include "workload/root.h"
#include "system/sys.h"

enum { DEVICE_WAIT_MS = 30000, OPEN_FILES = 65536, RING_BYTES = 384 * 1024 };

static struct agent agent;

/* The kernel panics when init ends, and the VM with it: the host sees that at once. */
static _Noreturn void give_up(const char *what)
{
	say("%s: %s", what, strerror(errno));
	_exit(1);
}

static void took(enum phase phase, uint64_t since)
{
	agent.phases[phase] = (struct phase_time){ since, now_us() };
}

static void open_channel(int watch)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = &agent.channel };
	char path[64];

	if (!wait_for_port(watch, AGENT_PORT_NAME, path, sizeof path, DEVICE_WAIT_MS))
		give_up("agent port");
	agent.channel.fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (agent.channel.fd < 0 || epoll_ctl(agent.epoll, EPOLL_CTL_ADD, agent.channel.fd, &event) < 0)
		give_up("agent port");
}

static void boot(void)
{
	/* The VM itself is the bound on processes; the kernel's default is far below that in a small one. */
	struct rlimit files = { OPEN_FILES, OPEN_FILES }, processes = { RLIM_INFINITY, RLIM_INFINITY };
	uint64_t start = now_us();
	int watch;

	agent.phases[PHASE_KERNEL] = (struct phase_time){ 0, start };
	agent.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!mount_kernel_filesystems())
		give_up("kernel file systems");
	write_file("/proc/self/oom_score_adj", "-1000");
	setrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_NPROC, &processes);
	watch = watch_devices();
	load_modules("/modules");
	open_channel(watch);
	took(PHASE_MODULES, start);
	start = now_us();
	network_up();
	took(PHASE_NETWORK, start);
	start = now_us();
	/* What a machine writes need not outlive it, so it is for want of memory that it is written, and not for its age. */
	write_file("/proc/sys/vm/dirty_expire_centisecs", "360000");
	/* When it fails it is tried again once there is somebody to be told. */
	if (wait_for_disk(watch, "scratch", agent.scratch_disk, sizeof agent.scratch_disk, DEVICE_WAIT_MS)) {
		leave_order_to_host();
		agent.scratch_mounted = mount_scratch(agent.scratch_disk) == 0;
	}
	took(PHASE_SCRATCH, start);
	close(watch);
}

static int open_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0 || !agent_watch(&agent, fd, &agent.main))
		give_up("signals");
	return fd;
}

static void on_event(const struct epoll_event *event, int signals)
{
	struct signalfd_siginfo ignored;

	if (event->data.ptr == &agent.channel) {
		channel_read(&agent.channel, (event->events & EPOLLHUP) != 0, agent_on_frame, &agent);
	} else if (event->data.ptr == &agent.main) {
		while (read(signals, &ignored, sizeof ignored) > 0)
			;
		agent_on_children(&agent);
	} else if (event->data.ptr == &agent.report_fd) {
		agent_on_report(&agent);
	} else {
		agent_on_output(&agent, event->data.ptr);
	}
}

int main(void)
{
	static uint8_t ring[RING_BYTES];
	struct epoll_event events[8];
	int signals;

	/* Set here rather than where it is defined, so that its buffers take no room in the file. */
	agent.report_fd = agent.go = agent.outputs[0].fd = agent.outputs[1].fd = -1;
	agent.outputs[0].stream = STREAM_STDOUT;
	agent.outputs[1].stream = STREAM_STDERR;
	ring_init(&agent.ring, ring, sizeof ring);
	boot();
	signal(SIGPIPE, SIG_IGN);
	signals = open_signals();
	agent_stand_by(&agent);
	agent.phases[PHASE_SCRATCH].end_us = now_us();
	for (;;) {
		int n;

		agent_settle(&agent);
		n = epoll_wait(agent.epoll, events, sizeof events / sizeof *events, agent_timeout(&agent));
		for (int i = 0; i < n; i++)
			on_event(&events[i], signals);
	}
}
