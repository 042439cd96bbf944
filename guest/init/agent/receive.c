#include <errno.h>
#include <signal.h>

#include "agent/agent.h"
#include "agent/suspend.h"
#include "channel/tlv.h"
#include "system/identity.h"
#include "system/sys.h"
#include "workload/cgroup.h"

static void on_sync(struct agent *a, uint64_t nonce, uint64_t ack, uint64_t protocol)
{
	if (nonce != a->session) {
		execs_abandon(&a->execs);
		api_abandon(&a->api);
		a->listening.count = 0;
	}
	a->listening.changed = true;
	a->api.is_served = protocol >= API_PROTOCOL;
	a->session = nonce;
	channel_restart(&a->channel);
	ring_ack(&a->ring, ack);
	ring_rewind(&a->ring);
	a->nonce = nonce;
	a->state_changed = true;
}

static void on_signal(struct agent *a, uint64_t request, uint64_t signal)
{
	uint8_t body[32];
	struct tlv_writer w = { .buf = body, .cap = sizeof body };
	int err = ESRCH;

	if (a->state == STATE_RUNNING && a->pid > 0)
		err = signal > 0 && signal < 65 ? (kill(a->pid, (int)signal) < 0 ? errno : 0) : EINVAL;
	tlv_put_u64(&w, TAG_REQUEST, request);
	tlv_put_u32(&w, TAG_ERRNO, (uint32_t)err);
	channel_send(&a->channel, MSG_SIGNALLED, body, w.len);
}

static void on_run(struct agent *a, bool warm_up, const uint8_t *body, size_t n)
{
	const char *why;

	a->state_changed = true;
	if (a->state != STATE_WAITING)
		return;
	a->run_at_us = now_us();
	a->warming_up = warm_up;
	if (!run_request_parse(&a->request, body, n, &why)) {
		agent_fail(a, STEP_REQUEST, 0, why);
		return;
	}
	set_clock(a->request.host_time_us);
	add_entropy(a->request.entropy, a->request.entropy_len);
	agent_start(a, body, n);
}

/* A command in the workload's cgroup would stand still with it. */
static int open_restore(struct agent *a)
{
	if (a->restore_cgroup < 0)
		a->restore_cgroup = open_restore_cgroup();
	return a->restore_cgroup;
}

void agent_on_frame(void *agent, uint8_t type, const uint8_t *body, size_t n)
{
	struct agent *a = agent;
	struct tlv_reader in = { .at = body, .left = n };
	uint64_t nonce = 0, ack = 0, request = 0, signal = 0, protocol = 0;
	struct tlv field;

	if (type == MSG_RUN || type == MSG_WARM_UP) {
		on_run(a, type == MSG_WARM_UP, body, n);
		return;
	}
	if (type >= MSG_EXEC && type <= MSG_EXEC_KILL) {
		const int cgroup = a->frozen ? open_restore(a) : a->cgroup;
		const struct exec_target target = { a->state == STATE_RUNNING ? a->pid : 0, cgroup, &a->request };

		execs_on_message(&a->execs, &target, type, body, n);
		return;
	}
	if (type == MSG_LISTEN) {
		listen_watch_begin(&a->listening, body, n, now_us());
		return;
	}
	if (type >= MSG_API_DATA && type <= MSG_API_CLOSE) {
		api_on_message(&a->api, type, body, n);
		return;
	}
	while (tlv_next(&in, &field)) {
		uint64_t *number = field.tag == TAG_NONCE    ? &nonce
				   : field.tag == TAG_ACK     ? &ack
				   : field.tag == TAG_REQUEST ? &request
				   : field.tag == TAG_SIGNAL  ? &signal
				   : field.tag == TAG_PROTOCOL ? &protocol
							      : NULL;
		if (number && !tlv_number(&field, number))
			return;
	}
	if (in.broken)
		return;
	switch (type) {
	case MSG_SYNC: on_sync(a, nonce, ack, protocol); break;
	case MSG_ACK: ring_ack(&a->ring, ack); break;
	case MSG_FREEZE: agent_freeze(a, body, n); break;
	case MSG_RESUME: agent_resume(a, body, n); break;
	case MSG_THAW: agent_thaw(a); break;
	case MSG_SIGNAL: on_signal(a, request, signal); break;
	default: break; /* of a newer host */
	}
}
