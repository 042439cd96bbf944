#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"
#include "root.h"

/* As the kernel names a system that nobody has named. */
static const char NO_NAME[] = "(none)";

static void forget_run(struct agent *a)
{
	run_request_free(&a->request);
	a->run_at_us = a->exec_at_us = a->exited_at_us = 0;
	a->failure = (struct report){ 0 };
	a->failed = a->exec_begun = a->main_ended = a->oom_killed = a->childless = a->rehearsing = false;
	a->status = 0;
	for (int phase = PHASE_DISK; phase < PHASE_COUNT; phase++)
		a->phases[phase] = (struct phase_time){ 0 };
	for (int i = 0; i < 2; i++) {
		a->outputs[i].watched = false;
		memset(&a->outputs[i].lines, 0, sizeof a->outputs[i].lines);
	}
	ring_init(&a->ring, a->ring.data, a->ring.cap);
}

void agent_end_rehearsal(struct agent *a)
{
	bool release = a->request.release_scratch;
	int error = 0;

	if (!WIFEXITED(a->status) || WEXITSTATUS(a->status) != 0) {
		agent_fail(a, STEP_SYSTEM, 0, "rehearsal");
		return;
	}
	error = clear_scratch(release);
	if (error || sethostname(NO_NAME, sizeof NO_NAME - 1) < 0) {
		agent_fail(a, STEP_SYSTEM, error, "end of rehearsal");
		return;
	}
	a->scratch_mounted = !release;
	forget_run(a);
	a->rehearsals++;
	a->state = STATE_WAITING;
	a->state_news = true;
}
