/* How the child that becomes the workload tells the init what it did: fixed records through a pipe that exec closes. */
#ifndef WINDHOVER_REPORT_H
#define WINDHOVER_REPORT_H

#include <stdint.h>

#include "protocol.h"

enum report_kind { REPORT_PHASE = 1, REPORT_FAILURE = 2 };

/* Smaller than PIPE_BUF, so it is written whole. */
struct report {
	enum report_kind kind;
	int what; /* enum phase or enum step */
	int error;
	uint64_t start_us, end_us;
	char detail[256];
};

void report_phase(int fd, enum phase phase, uint64_t start_us, uint64_t end_us);

/* Reports and ends the child. `error` may be 0 when no system call failed. */
_Noreturn void report_failure(int fd, enum step step, int error, const char *detail);

#endif
