/* Detects whether the kernel's out-of-memory killer ended the workload. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The pid in a kernel log line such as "Out of memory: Killed process 123 (name) ...", or 0. */
pid_t oom_victim(const char *line);

/* The `oom_kill` counter in the text of /proc/vmstat; 0 when there is none. */
uint64_t oom_counter(const char *vmstat);

struct oom_watch {
	int kmsg;
	uint64_t kills;
};

/* Notes the present end of the kernel log and the counter. */
void oom_watch_begin(struct oom_watch *w);

/* Whether `pid` was killed since; for exit code 137 (a shell), whether any process was. */
bool oom_watch_end(struct oom_watch *w, pid_t pid, int wait_status);
