#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent.h"
#include "workload/root.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Covers the program, its input and its output. */
enum { FREED_BYTES = 768 * 1024 };

/* The kernel's default. */
static const char DEFAULT_HOSTNAME[] = "(none)";

static void reset_run(struct agent *a)
{
	run_request_free(&a->request);
	a->run_at_us = a->exec_at_us = a->exited_at_us = 0;
	a->failure = (struct failure){ 0 };
	a->ended = a->oom_killed = a->no_children = a->warming_up = false;
	a->status = 0;
	for (int phase = PHASE_DISK; phase < PHASE_COUNT; phase++)
		a->phases[phase] = (struct phase_time){ 0 };
	for (int i = 0; i < 2; i++) {
		a->outputs[i].watched = false;
		memset(&a->outputs[i].lines, 0, sizeof a->outputs[i].lines);
	}
	ring_init(&a->ring, a->ring.data, a->ring.cap);
}

/*
 * Overwrites the memory that the warm-up freed. The emulator drops translated code only when a page
 * that held it is first written, byte by byte, which takes milliseconds: better now than in the
 * next start.
 */
static void overwrite_free_memory(void)
{
	void *memory = mmap(NULL, FREED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return;
	/* In small pages, as they were freed. */
	madvise(memory, FREED_BYTES, MADV_NOHUGEPAGE);
	madvise(memory, FREED_BYTES, MADV_POPULATE_WRITE);
	munmap(memory, FREED_BYTES);
}

void agent_finish_warm_up(struct agent *a)
{
	int error;

	if (!WIFEXITED(a->status) || WEXITSTATUS(a->status) != 0) {
		agent_fail(a, STEP_SYSTEM, 0, "warm-up program");
		return;
	}
	error = clear_scratch();
	if (error || sethostname(DEFAULT_HOSTNAME, sizeof DEFAULT_HOSTNAME - 1) < 0) {
		agent_fail(a, STEP_SYSTEM, error, "end of warm-up");
		return;
	}
	reset_run(a);
	overwrite_free_memory();
	agent_prepare_child(a);
	a->warm_ups++;
	agent_set_state(a, STATE_WAITING);
}
