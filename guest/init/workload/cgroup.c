#include "workload/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system/sys.h"

#define CGROUPS "/cgroup"
#define WORKLOAD CGROUPS "/workload"
#define RESTORE CGROUPS "/restore"

enum { RESERVE_KB = 8 * 1024, RESERVE_SHARE = 64, LEAST_FREED = 2 * 1024 * 1024, TEXT_MAX = 4096, FREEZE_POLL_US = 500 };

/* The number after `name`, which is followed by a space, or 0. */
static uint64_t value_of(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = text; (at = strstr(at, name)); at += len)
		if ((at == text || at[-1] == '\n') && at[len] == ' ')
			return strtoull(at + len, NULL, 10);
	return 0;
}

static bool set_limit(uint64_t bytes)
{
	char text[32];

	snprintf(text, sizeof text, "%llu", (unsigned long long)bytes);
	return write_file(WORKLOAD "/memory.max", text);
}

static uint64_t available_memory(void)
{
	char text[TEXT_MAX];
	uint64_t total, available, reserve;

	if (read_file("/proc/meminfo", text, sizeof text) < 0)
		return 0;
	total = value_of(text, "MemTotal:");
	available = value_of(text, "MemAvailable:");
	reserve = RESERVE_KB + total / RESERVE_SHARE;
	return (available > 2 * reserve ? available - reserve : available / 2) * 1024;
}

int make_workload_cgroup(uint64_t *limit)
{
	static const char *const controllers[] = { "+memory", "+pids", "+cpu", "+io" };
	int fd;

	mkdir(CGROUPS, 0755);
	/* The workload sees its cgroup as the root, but must not change that one's limits. */
	if (mount("cgroup2", CGROUPS, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, "nsdelegate") < 0)
		return -1;
	for (size_t i = 0; i < sizeof controllers / sizeof *controllers; i++)
		write_file(CGROUPS "/cgroup.subtree_control", controllers[i]);
	fd = mkdir(WORKLOAD, 0755) < 0 ? -1 : open(WORKLOAD, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*limit = available_memory();
	if (fd < 0 || *limit == 0 || !set_limit(*limit))
		log_kernel("cgroup: %s", strerror(errno));
	return fd;
}

int open_memory_events(void)
{
	return open(WORKLOAD "/memory.events", O_RDONLY | O_CLOEXEC);
}

void parse_memory_use(const char *current, const char *stat, struct memory_use *use)
{
	use->used = strtoull(current, NULL, 10);
	use->files = value_of(stat, "inactive_file") + value_of(stat, "active_file");
	use->refaults = value_of(stat, "workingset_refault_file");
	use->major_faults = value_of(stat, "pgmajfault");
}

bool read_memory_use(struct memory_use *use)
{
	char current[32], stat[TEXT_MAX];

	if (read_file(WORKLOAD "/memory.current", current, sizeof current) < 0 || read_file(WORKLOAD "/memory.stat", stat, sizeof stat) < 0)
		return false;
	parse_memory_use(current, stat, use);
	return true;
}

void kill_for_memory(uint64_t limit, const struct memory_use *use)
{
	uint64_t spare = use->files + LEAST_FREED;

	/* The write returns when the memory is below the limit. */
	set_limit(use->used > spare ? use->used - spare : 0);
	set_limit(limit);
}

bool thaw_workload(void)
{
	return write_file(WORKLOAD "/cgroup.freeze", "0");
}

bool freeze_workload(int timeout_ms)
{
	uint64_t deadline = now_us() + (uint64_t)timeout_ms * 1000;
	char text[TEXT_MAX];

	if (!write_file(WORKLOAD "/cgroup.freeze", "1"))
		return false;
	while (read_file(WORKLOAD "/cgroup.events", text, sizeof text) > 0) {
		if (value_of(text, "frozen") == 1)
			return true;
		if (now_us() >= deadline)
			break;
		usleep(FREEZE_POLL_US);
	}
	thaw_workload();
	return false;
}

int open_restore_cgroup(void)
{
	mkdir(RESTORE, 0755);
	return open(RESTORE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int open_cgroup_of(pid_t pid)
{
	char path[64], text[TEXT_MAX], folder[TEXT_MAX + sizeof CGROUPS];
	const char *at;

	snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
	if (read_file(path, text, sizeof text) < 0 || !(at = strstr(text, "0::/")))
		return -1;
	snprintf(folder, sizeof folder, CGROUPS "%.*s", (int)strcspn(at + 3, "\n"), at + 3);
	return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}
