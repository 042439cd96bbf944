/* What the child reports to the init, through memory that they share. */
#ifndef WINDHOVER_REPORT_H
#define WINDHOVER_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "channel/protocol.h"

struct phase_time {
	uint64_t start_us, end_us;
};

struct failure {
	enum step step;
	int error; /* 0 when no system call failed */
	char detail[256];
};

struct report {
	struct phase_time phases[PHASE_COUNT];
	bool failed;
	struct failure failure;
};

#endif
