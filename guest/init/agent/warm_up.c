#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent.h"
#include "workload/root.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* The program, what it read and what it wrote. */
enum { FREED_BYTES = 768 * 1024 };

/* As the kernel names a system that nobody has named. */
static const char NO_NAME[] = "(none)";

static void forget_run(struct agent *a)
{
	run_request_free(&a->request);
	a->run_at_us = a->exec_at_us = a->exited_at_us = 0;
	a->failure = (struct failure){ 0 };
	a->failed = a->main_ended = a->oom_killed = a->childless = a->rehearsing = false;
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
 * Whatever the warm_up ran from is free now and will be given out first. An emulator has code of it translated and drops that bit by bit
 * while the memory is written for the first time, which takes milliseconds. So it is written now.
 */
static void use_free_memory(void)
{
	void *memory = mmap(NULL, FREED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return;
	/* In small pages, as they were freed. */
	madvise(memory, FREED_BYTES, MADV_NOHUGEPAGE);
	madvise(memory, FREED_BYTES, MADV_POPULATE_WRITE);
	munmap(memory, FREED_BYTES);
}

void agent_end_warm_up(struct agent *a)
{
	int error;

	if (!WIFEXITED(a->status) || WEXITSTATUS(a->status) != 0) {
		agent_fail(a, STEP_SYSTEM, 0, "warm_up");
		return;
	}
	error = clear_scratch();
	if (error || sethostname(NO_NAME, sizeof NO_NAME - 1) < 0) {
		agent_fail(a, STEP_SYSTEM, error, "end of warm_up");
		return;
	}
	forget_run(a);
	use_free_memory();
	agent_stand_by(a);
	a->warm_ups++;
	a->state = STATE_WAITING;
	a->state_news = true;
}
