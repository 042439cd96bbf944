#include "agent/suspend.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "channel/tlv.h"
#include "system/connections.h"
#include "system/identity.h"
#include "workload/cgroup.h"

enum { FREEZE_WAIT_MS = 5000, LAST_PACKETS_MS = 200, HOSTNAME_MAX = 64 };

struct resume_request {
	uint64_t nonce, host_time_us, closes;
	const uint8_t *entropy;
	size_t entropy_len;
	char hostname[HOSTNAME_MAX + 1];
};

static bool parse(struct resume_request *r, const uint8_t *body, size_t n)
{
	struct tlv_reader in = { .at = body, .left = n };
	struct tlv field;

	while (tlv_next(&in, &field)) {
		uint64_t *number = field.tag == TAG_NONCE	? &r->nonce
				   : field.tag == TAG_HOST_TIME ? &r->host_time_us
				   : field.tag == TAG_CLOSE	? &r->closes
								: NULL;

		if (number && !tlv_number(&field, number))
			return false;
		if (field.tag == TAG_ENTROPY) {
			r->entropy = field.value;
			r->entropy_len = field.len;
		}
		if (field.tag == TAG_HOSTNAME && field.len <= HOSTNAME_MAX)
			memcpy(r->hostname, field.value, field.len);
	}
	return !in.broken;
}

void agent_freeze(struct agent *a, const uint8_t *body, size_t n)
{
	struct resume_request r = { 0 };

	a->state_changed = true;
	if (a->state != STATE_RUNNING || a->frozen || !parse(&r, body, n))
		return;
	execs_abandon(&a->execs);
	/* What the host has answered is still written. */
	api_update(&a->api);
	api_abandon(&a->api);
	a->resumed = 0;
	a->frozen = freeze_workload(FREEZE_WAIT_MS);
	/* Peers learn of the end now: whoever goes on later has other connections. */
	if (a->frozen && r.closes)
		close_connections(LAST_PACKETS_MS);
}

/* Whether the workload's root file system has a program to run before the workload goes on. */
static bool has_hook(const struct agent *a)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/root/.fly/restore", (int)a->pid);
	return a->pid > 0 && access(path, X_OK) == 0;
}

void agent_resume(struct agent *a, const uint8_t *body, size_t n)
{
	struct resume_request r = { 0 };

	a->state_changed = true;
	if (!a->frozen || !parse(&r, body, n))
		return;
	a->resumed = 0;
	if (!set_clock(r.host_time_us) || !add_entropy(r.entropy, r.entropy_len))
		return;
	if (r.hostname[0] && sethostname(r.hostname, strlen(r.hostname)) < 0)
		return;
	if (r.closes)
		close_connections(0);
	a->has_hook = has_hook(a);
	a->resumed = r.nonce;
}

void agent_thaw(struct agent *a)
{
	a->state_changed = true;
	if (a->frozen)
		a->frozen = !thaw_workload();
}
