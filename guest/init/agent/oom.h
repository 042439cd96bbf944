/* Tells whether the kernel's out-of-memory killer ended the workload. */
#ifndef WINDHOVER_OOM_H
#define WINDHOVER_OOM_H

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

/* Remembers where the kernel log and the counter stand. */
void oom_begin(struct oom_watch *w);

/*
 * Whether `main` was the killer's victim; or, when it ended with 137 (a shell's way to say that its child was killed), whether
 * there was any victim.
 */
bool oom_ended(struct oom_watch *w, pid_t main, int wait_status);

#endif
