#include "exec/messages.h"

#include <string.h>
#include <sys/wait.h>

#include "channel/tlv.h"
#include "exec/execs.h"

static bool number_of(struct exec_message *m, const struct tlv *field)
{
	uint64_t value;

	if (!tlv_number(field, &value))
		return false;
	switch (field->tag) {
	case TAG_EXEC: m->id = value; break;
	case TAG_CREDIT: m->credit = value < UINT32_MAX ? value : UINT32_MAX; break;
	case TAG_ROWS: m->rows = (unsigned short)(value < SIZE_MAX_TERMINAL ? value : SIZE_MAX_TERMINAL); break;
	case TAG_COLUMNS: m->columns = (unsigned short)(value < SIZE_MAX_TERMINAL ? value : SIZE_MAX_TERMINAL); break;
	case TAG_SIGNAL: m->signal = value < 65 ? (int)value : 0; break;
	case TAG_INPUT: m->input = value == 1; break;
	case TAG_END: m->end = value == 1; break;
	default: break;
	}
	return true;
}

bool exec_message_parse(struct exec_message *m, uint8_t type, const uint8_t *body, size_t n)
{
	struct tlv_reader in = { .at = body, .left = n };
	struct tlv field;

	*m = (struct exec_message){ .is_list = type == MSG_LIST };
	while (tlv_next(&in, &field)) {
		if (field.tag == TAG_DATA) {
			m->data = field.value;
			m->len = field.len;
		} else if (field.tag == TAG_SIGNAL || (field.tag >= TAG_EXEC && field.tag <= TAG_END)) {
			if (!number_of(m, &field))
				return false;
		}
	}
	return !in.broken && m->id != 0;
}

static struct tlv_writer begin(uint8_t *body, size_t cap, uint64_t id)
{
	struct tlv_writer w = { .buf = body, .cap = cap };

	tlv_put_u64(&w, TAG_EXEC, id);
	return w;
}

bool send_started(struct channel *c, uint64_t id, pid_t pid)
{
	uint8_t body[EXEC_HEADER];
	struct tlv_writer w = begin(body, sizeof body, id);

	tlv_put_u32(&w, TAG_PID, (uint32_t)pid);
	return channel_send(c, MSG_EXEC_STARTED, body, w.len);
}

bool send_taken(struct channel *c, uint64_t id, uint64_t bytes)
{
	uint8_t body[EXEC_HEADER];
	struct tlv_writer w = begin(body, sizeof body, id);

	tlv_put_u64(&w, TAG_CREDIT, bytes);
	return channel_send(c, MSG_EXEC_TAKEN, body, w.len);
}

bool send_chunk(struct channel *c, uint64_t id, enum stream stream, const uint8_t *data, size_t n)
{
	static uint8_t body[EXEC_HEADER + EXEC_CHUNK];
	struct tlv_writer w = begin(body, sizeof body, id);

	tlv_put_u8(&w, TAG_STREAM, (uint8_t)stream);
	tlv_put(&w, TAG_DATA, data, n);
	return !w.full && channel_send(c, MSG_EXEC_OUTPUT, body, w.len);
}

bool send_interrupted(struct channel *c, uint64_t id)
{
	uint8_t body[EXEC_HEADER];
	struct tlv_writer w = begin(body, sizeof body, id);

	tlv_put_u8(&w, TAG_INTERRUPTED, 1);
	return channel_send(c, MSG_EXEC_ENDED, body, w.len);
}

bool send_failed(struct channel *c, uint64_t id, const struct failure *failure)
{
	uint8_t body[EXEC_HEADER + sizeof failure->detail];
	struct tlv_writer w = begin(body, sizeof body, id);

	tlv_put_u8(&w, TAG_FAILED_STEP, (uint8_t)failure->step);
	tlv_put_u32(&w, TAG_ERRNO, (uint32_t)failure->error);
	tlv_put(&w, TAG_DETAIL, failure->detail, strlen(failure->detail));
	return channel_send(c, MSG_EXEC_ENDED, body, w.len);
}

bool send_ended(struct channel *c, const struct exec *e)
{
	uint8_t body[EXEC_HEADER];
	struct tlv_writer w = begin(body, sizeof body, e->id);

	if (e->has_failed)
		return send_failed(c, e->id, &e->failure);
	if (e->is_interrupted)
		return send_interrupted(c, e->id);
	if (WIFEXITED(e->status))
		tlv_put_u32(&w, TAG_EXIT_CODE, (uint32_t)WEXITSTATUS(e->status));
	else
		tlv_put_u32(&w, TAG_EXIT_SIGNAL, (uint32_t)WTERMSIG(e->status));
	return channel_send(c, MSG_EXEC_ENDED, body, w.len);
}
