/*
 * The child that turns itself into the workload. It is made before there is one, when the scratch disk is mounted: everything that can be
 * done without knowing whom it will serve is done by then, and it stands by until it is told.
 */
#ifndef WINDHOVER_CHILD_H
#define WINDHOVER_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel/frame.h"
#include "workload/report.h"

/* Memory that init and child share until exec. */
struct handover {
	/* By the init, before it says go. */
	char root_disk[64];
	uint64_t run_at_us;
	size_t len; /* of `body` */
	/* By the child; to be read when it has exec'ed or ended. */
	struct report report;
	uint8_t body[FRAME_IN_MAX]; /* the RUN message */
};

struct child {
	struct handover *handover;
	int go;               /* an eventfd: the request is there */
	int report, out, err; /* write ends; exec closes the first */
};

/* Makes ready, says so with a byte into the report, waits, mounts, sets identity, execs. Failures go into the report. */
_Noreturn void child_run(struct child *c);

#endif
