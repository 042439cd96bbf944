/* The guest's side of the conversation and of a machine's life: what runs, how it began, what it says, how it ended. */
#ifndef WINDHOVER_AGENT_H
#define WINDHOVER_AGENT_H

#include <sys/types.h>

#include "channel/channel.h"
#include "workload/child.h"
#include "channel/lines.h"
#include "agent/oom.h"
#include "channel/protocol.h"
#include "workload/report.h"
#include "workload/request.h"
#include "channel/ring.h"

/* One of the workload's output streams. */
struct output {
	enum stream stream;
	int fd; /* -1 once it has ended */
	bool watched;
	struct lines lines;
};

struct agent {
	int epoll;
	struct channel channel;
	struct ring ring;
	enum run_state state;
	bool state_news;  /* STATE is due */
	uint64_t nonce;   /* of the SYNC it answers; 0: none */
	struct phase_time phases[PHASE_COUNT];
	char root_disk[64], scratch_disk[64]; /* device files; "" until found */
	bool scratch_mounted;
	bool rehearsing;     /* what runs is only a warm_up */
	uint32_t warm_ups; /* how many are over */

	struct run_request request;
	uint64_t run_at_us, exec_at_us, exited_at_us;
	struct failure failure;
	bool failed;

	struct handover *handover; /* shared with the child */
	int report_fd;             /* exec closes its other end */
	int go;                    /* what the child that stands by waits for */
	pid_t main;                /* that child, which becomes the workload; 0 once reaped */
	int status;
	bool main_ended, oom_killed, childless;
	struct oom_watch oom;
	struct output outputs[2];
};

/* Events as they come; each leaves the agent consistent. Call `agent_settle` once after a batch. */
void agent_on_frame(void *agent, uint8_t type, const uint8_t *body, size_t n);
void agent_on_report(struct agent *a);
void agent_on_output(struct agent *a, struct output *o);
void agent_on_children(struct agent *a);

/* Sends what is due and what the port takes. */
void agent_tell(struct agent *a);

/* Draws conclusions, sends what is due, and pauses or resumes reading. */
void agent_settle(struct agent *a);

/* Milliseconds until `agent_settle` is due without an event, or -1. */
int agent_timeout(const struct agent *a);

/* Makes the child that is to become the workload, unless there is one, or no scratch disk. What fails here is tried again at the start. */
void agent_stand_by(struct agent *a);

/* Starts what `request` asks for, which came as `body`. Failures end up in the state. */
void agent_start(struct agent *a, const uint8_t *body, size_t n);

/* Removes all that a warm_up left, in memory and on disk, and waits again. A warm_up that went wrong is a failure. */
void agent_end_warm_up(struct agent *a);

/* Forgets a child that has ended before it was needed. */
void agent_drop_child(struct agent *a);

/* Notes a failure, which is how it ends. */
void agent_fail(struct agent *a, enum step step, int error, const char *detail);

/* Watches a descriptor; `data` comes back with its events. */
bool agent_watch(struct agent *a, int fd, void *data);

#endif
