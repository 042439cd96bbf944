/* The agent: talks to hostd and manages the one workload of this guest. */
#pragma once

#include <sys/types.h>

#include "agent/listening.h"
#include "agent/oom.h"
#include "agent/thrash.h"
#include "api/api.h"
#include "channel/channel.h"
#include "channel/lines.h"
#include "channel/protocol.h"
#include "channel/ring.h"
#include "exec/execs.h"
#include "program/request.h"
#include "workload/child.h"

/* One of the workload's output streams. */
struct output {
	enum stream stream;
	int fd; /* -1 once it has ended */
	bool watched;
	struct line_buffer lines;
};

struct agent {
	int epoll;
	struct channel channel;
	struct ring ring;
	enum run_state state;
	bool state_changed; /* a STATE message is due */
	uint64_t nonce;     /* of the SYNC that it answers; 0: none */
	struct phase_time phases[PHASE_COUNT];
	char root_disk[64], scratch_disk[64]; /* device files; "" until found */
	bool scratch_mounted;
	bool warming_up;   /* the program that runs is a warm-up */
	uint32_t warm_ups; /* completed */

	struct run_request request;
	uint64_t run_at_us, exec_at_us, exited_at_us;
	struct failure failure; /* in STATE_FAILED */

	int cgroup, memory_events; /* the workload's, or -1 */
	struct thrash_watch thrash;
	struct child_shared *shared;
	int report_fd; /* reaches its end when the child execs or ends */
	int start_fd;  /* tells the waiting child to start */
	pid_t pid;     /* of the child, which becomes the workload; 0 once reaped */
	int status;
	bool ended, oom_killed, no_children;
	struct oom_watch oom;
	struct output outputs[2];
	bool frozen;      /* the workload stands still, for a save of the VM */
	bool has_hook;
	uint64_t resumed; /* nonce of the last RESUME that was carried out, or 0 */
	int restore_cgroup; /* of commands while the workload stands still, or -1 */
	struct execs execs;
	struct listen_watch listening;
	struct api api;
	uint64_t session; /* nonce of the last SYNC */
};

/* Handle one event each. Call `agent_update` once after a batch. */
void agent_on_frame(void *agent, uint8_t type, const uint8_t *body, size_t n);
void agent_on_report(struct agent *a);
void agent_on_output(struct agent *a, struct output *o);
void agent_on_children(struct agent *a);
void agent_on_memory_limit(struct agent *a);

/* Reports the last line of a stream and closes it. */
void agent_end_output(struct agent *a, struct output *o);

/* Reads a terminal in place of the pipes. */
void agent_use_terminal(struct agent *a, int master);

/* A full ring blocks the workload while a host is connected, and drops lines otherwise. */
void agent_apply_backpressure(struct agent *a);

/* Makes the workload's cgroup and watches its memory. */
void agent_bound_memory(struct agent *a);

/* Detects the end of the workload, sends messages that are due, and pauses or resumes reading its output. */
void agent_update(struct agent *a);

/* Milliseconds until `agent_update` is due without an event, or -1. */
int agent_timeout(const struct agent *a);

/* Sends as much of the state and the log as the port takes. */
void agent_send(struct agent *a);

/* Forks the child and waits until it is ready. A failure is retried at the start. */
void agent_prepare_child(struct agent *a);

/* Forgets a child that has ended before it was needed. */
void agent_drop_child(struct agent *a);

/* Starts the program of a request, whose message is `body`. A failure is in the state afterwards. */
void agent_start(struct agent *a, const uint8_t *body, size_t n);

/* Removes all that a warm-up left and waits again. Fails when its program did. */
void agent_finish_warm_up(struct agent *a);

void agent_set_state(struct agent *a, enum run_state state);
void agent_fail(struct agent *a, enum step step, int error, const char *detail);

/* Watches a descriptor; `data` identifies its events. */
bool agent_watch(struct agent *a, int fd, void *data);
