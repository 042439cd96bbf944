#include <string.h>
#include <sys/wait.h>

#include "agent/agent.h"
#include "channel/tlv.h"
#include "system/sys.h"

enum { PHASE_BYTES = 17, LINE_HEADER = 17, PORT_BYTES = 3 };

static void put_outcome(struct agent *a, struct tlv_writer *w)
{
	if (a->state == STATE_FAILED) {
		tlv_put_u8(w, TAG_FAILED_STEP, (uint8_t)a->failure.step);
		tlv_put_u32(w, TAG_ERRNO, (uint32_t)a->failure.error);
		tlv_put(w, TAG_DETAIL, a->failure.detail, strlen(a->failure.detail));
	}
	if (a->state == STATE_RUNNING || a->state == STATE_EXITED)
		tlv_put_u64(w, TAG_EXEC_AT, a->exec_at_us);
	if (a->state == STATE_EXITED) {
		if (WIFEXITED(a->status))
			tlv_put_u32(w, TAG_EXIT_CODE, (uint32_t)WEXITSTATUS(a->status));
		else
			tlv_put_u32(w, TAG_EXIT_SIGNAL, (uint32_t)WTERMSIG(a->status));
		tlv_put_u8(w, TAG_OOM_KILLED, a->oom_killed);
		tlv_put_u64(w, TAG_EXITED_AT, a->exited_at_us);
		tlv_put_u64(w, TAG_LAST_LINE, ring_last(&a->ring));
	}
}

static bool send_state(struct agent *a)
{
	uint8_t body[1024];
	struct tlv_writer w = { .buf = body, .cap = sizeof body };

	tlv_put_u32(&w, TAG_PROTOCOL, PROTOCOL_VERSION);
	tlv_put_u8(&w, TAG_STATE, (uint8_t)a->state);
	tlv_put_u64(&w, TAG_NOW, now_us());
	if (a->nonce)
		tlv_put_u64(&w, TAG_NONCE, a->nonce);
	if (a->run_at_us)
		tlv_put_u64(&w, TAG_RUN_AT, a->run_at_us);
	for (int i = 0; i < PHASE_COUNT; i++) {
		uint8_t phase[PHASE_BYTES] = { (uint8_t)i };

		if (!a->phases[i].end_us)
			continue;
		put_le(phase + 1, a->phases[i].start_us, 8);
		put_le(phase + 9, a->phases[i].end_us, 8);
		tlv_put(&w, TAG_PHASE, phase, sizeof phase);
	}
	if (a->warm_ups)
		tlv_put_u32(&w, TAG_WARM_UPS, a->warm_ups);
	if (a->frozen)
		tlv_put_u8(&w, TAG_FROZEN, 1);
	if (a->resumed)
		tlv_put_u64(&w, TAG_RESUMED, a->resumed);
	if (a->has_hook)
		tlv_put_u8(&w, TAG_HOOK, 1);
	put_outcome(a, &w);
	return channel_send(&a->channel, MSG_STATE, body, w.len);
}

/* Not before the ports have been looked at. */
static void send_listening(struct agent *a)
{
	struct listen_watch *w = &a->listening;
	uint8_t body[LISTEN_PORTS_MAX * (TLV_HEADER + PORT_BYTES)];
	struct tlv_writer out = { .buf = body, .cap = sizeof body };

	if (!w->changed || w->count == 0 || w->due_us == w->since_us)
		return;
	for (size_t i = 0; i < w->count; i++) {
		uint8_t port[PORT_BYTES];

		put_le(port, w->ports[i], 2);
		port[2] = w->states[i];
		tlv_put(&out, TAG_PORT_STATE, port, sizeof port);
	}
	w->changed = !channel_send(&a->channel, MSG_LISTENING, body, out.len);
}

/* Sends one frame of lines; false when there are none or there is no room. */
static bool send_lines(struct agent *a)
{
	static uint8_t body[FRAME_BODY_MAX], value[LINE_HEADER + LINE_MAX_BYTES];
	struct tlv_writer w = { .buf = body, .cap = sizeof body };
	struct record record;
	char marker[64];
	bool any = false;

	if (!channel_has_room(&a->channel, sizeof body + CHANNEL_RESERVE))
		return false;
	tlv_put_u64(&w, TAG_NOW, now_us());
	while (ring_next(&a->ring, &record, marker) && w.cap - w.len >= TLV_HEADER + LINE_HEADER + record.len) {
		put_le(value, record.number, 8);
		put_le(value + 8, record.time_us, 8);
		value[16] = record.stream;
		memcpy(value + LINE_HEADER, record.text, record.len);
		tlv_put(&w, TAG_LINE, value, LINE_HEADER + record.len);
		ring_sent(&a->ring, &record);
		any = true;
	}
	return any && channel_send(&a->channel, MSG_LOGS, body, w.len);
}

void agent_send(struct agent *a)
{
	bool more;

	if (!a->channel.synced)
		return;
	do {
		if (a->state_changed && send_state(a)) {
			a->state_changed = false;
			a->nonce = 0;
		}
		send_listening(a);
		channel_flush(&a->channel);
		/* All get a turn in each round. */
		more = send_lines(a);
		more |= execs_send(&a->execs);
		more |= api_send(&a->api);
	} while (more);
	channel_flush(&a->channel);
}
