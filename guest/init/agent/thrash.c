#include "agent/thrash.h"

enum {
	PAGE = 4096,
	/* Samples in sequence after which a process is killed, and after which sampling ends. */
	BAD_SAMPLES = 5,
	CALM_SAMPLES = 8,
	/* A program needs more of its files in memory than this share. */
	FILES_SHARE = 32,
	/* Per second. A program that reads files by read(2), however many, has next to none. */
	MAJOR_FAULTS = 40,
};

void thrash_begin(struct thrash_watch *w, uint64_t now_us)
{
	w->calm = 0;
	if (w->at_us)
		return;
	w->at_us = now_us;
	w->bad = 0;
	if (!read_memory_use(&w->last))
		w->at_us = 0;
}

bool thrash_due(const struct thrash_watch *w, uint64_t now_us)
{
	return w->at_us && now_us >= w->at_us + THRASH_INTERVAL_MS * 1000ull;
}

/* Whether nearly no file is cached, and what there was has been replaced since the last sample. */
static bool is_thrashing(const struct thrash_watch *w, const struct memory_use *use, uint64_t elapsed_us)
{
	uint64_t refaults = use->refaults - w->last.refaults, faults = use->major_faults - w->last.major_faults;

	return use->files < w->limit / FILES_SHARE && refaults * PAGE > use->files && faults * 1000000 > MAJOR_FAULTS * elapsed_us;
}

bool thrash_sample(struct thrash_watch *w, const struct memory_use *use, uint64_t now_us)
{
	bool kill;

	w->bad = is_thrashing(w, use, now_us - w->at_us) ? w->bad + 1 : 0;
	w->calm = w->bad ? 0 : w->calm + 1;
	kill = w->bad >= BAD_SAMPLES;
	w->last = *use;
	w->at_us = w->calm >= CALM_SAMPLES ? 0 : now_us;
	if (kill)
		w->bad = 0;
	return kill;
}
