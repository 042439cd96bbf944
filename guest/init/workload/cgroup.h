/* The workload's cgroup, which bounds its memory. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The kernel's figures of the memory of the cgroup and those below it. */
struct memory_use {
	uint64_t used, files; /* bytes; `files`: what is cached of files and can be dropped */
	uint64_t refaults;    /* pages of files that were read again after they had been dropped, so far */
	uint64_t major_faults;
};

/*
 * Makes the cgroup and limits its memory to what is available now, but for a reserve for the kernel
 * and the agent. So a workload that wants more meets its own limit, where the kernel kills one of
 * its processes, before the VM as a whole is short of memory: then page faults on an image's files
 * fail for ever, as their file system must not call the OOM killer. Returns a descriptor of the
 * cgroup's folder, or -1.
 */
int make_workload_cgroup(uint64_t *limit);

/* Opens the file that is polled for the event that the memory reached its limit; -1 on failure. */
int open_memory_events(void);

bool read_memory_use(struct memory_use *use);

/* Reads the texts of memory.current and memory.stat. */
void parse_memory_use(const char *current, const char *stat, struct memory_use *use);

/* Makes the kernel kill processes of the cgroup until one has freed memory. */
void kill_for_memory(uint64_t limit, const struct memory_use *use);

/* Stops all processes of the cgroup. False when they do not stand still in time: they go on then. */
bool freeze_workload(int timeout_ms);

/* Lets the processes of the cgroup go on. */
bool thaw_workload(void);

/* Opens the cgroup for a command that runs while the workload stands still; -1 on failure. */
int open_restore_cgroup(void);

/* Opens the cgroup that a process is in now; -1 on failure. */
int open_cgroup_of(pid_t pid);
