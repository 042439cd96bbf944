/*
 * The child that becomes the workload. It is forked before there is one, once the scratch disk is
 * mounted, and does then all that does not depend on the workload.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel/frame.h"
#include "channel/protocol.h"
#include "program/program.h"

struct phase_time {
	uint64_t start_us, end_us;
};

/* The report of the child to the init. */
struct report {
	struct phase_time phases[PHASE_COUNT];
	bool failed;
	struct failure failure;
};

/* Memory that init and child share until exec. The small parts share a page. */
struct child_shared {
	/* Written by the init before the start. */
	char root_disk[64];
	uint64_t run_at_us;
	size_t len; /* of `body` */
	/* Written by the child; complete once it has exec'ed or ended. */
	struct report report;
	uint8_t body[FRAME_IN_MAX]; /* the RUN message, written by the init */
};

struct child {
	struct child_shared *shared;
	int start;            /* an eventfd: the message can be read */
	int report;           /* a socket; exec closes it */
	int out, err;         /* write ends */
};

/* Prepares, writes a byte to `report`, waits for the start, mounts, execs, or reports a failure. */
_Noreturn void child_run(struct child *c);
