/* The child that turns itself into the workload. */
#ifndef WINDHOVER_CHILD_H
#define WINDHOVER_CHILD_H

#include <stdint.h>

#include "request.h"

struct child {
	struct run_request *request;
	const char *root_disk;
	int report, out, err; /* write ends */
	uint64_t run_at_us;
};

/* Mounts, sets identity, execs. Every failure goes into the report. */
_Noreturn void child_run(struct child *c);

#endif
