/*
 * Detects that the workload does nothing but read its own program again and again, as its memory is
 * at the limit and the kernel drops what it reads at once. The kernel kills a process only when
 * nothing is left to drop, which took Node 8 s more in emulation.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "workload/cgroup.h"

enum { THRASH_INTERVAL_MS = 250 };

/* Zero-initialise. */
struct thrash_watch {
	uint64_t limit;    /* of the memory, in bytes */
	uint64_t at_us;    /* of the last sample; 0: not sampling */
	int calm, bad;     /* samples in sequence */
	struct memory_use last;
};

/* Begins to take samples, unless it does already: the memory is at its limit. */
void thrash_begin(struct thrash_watch *w, uint64_t now_us);

/* Whether the next sample is due; false when not sampling. */
bool thrash_due(const struct thrash_watch *w, uint64_t now_us);

/*
 * Takes a sample. True: a process must be killed. Stops sampling when the memory was not used up
 * for a while.
 */
bool thrash_sample(struct thrash_watch *w, const struct memory_use *use, uint64_t now_us);
