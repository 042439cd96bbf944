/* The messages about commands, as bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "channel/channel.h"
#include "channel/protocol.h"
#include "program/program.h"

enum { EXEC_HEADER = 64, SIZE_MAX_TERMINAL = 1000 };

/* The fields of a message that the init itself needs. */
struct exec_message {
	uint64_t id, credit;
	unsigned short rows, columns;
	int signal;
	bool input, end, is_list;
	const uint8_t *data;
	size_t len;
};

/* False when the body is broken or a number is none. */
bool exec_message_parse(struct exec_message *m, uint8_t type, const uint8_t *body, size_t n);

struct exec;

/* Each returns false when there is no room now. */
bool send_started(struct channel *c, uint64_t id, pid_t pid);
bool send_taken(struct channel *c, uint64_t id, uint64_t bytes);
bool send_chunk(struct channel *c, uint64_t id, enum stream stream, const uint8_t *data, size_t n);
bool send_interrupted(struct channel *c, uint64_t id);
bool send_failed(struct channel *c, uint64_t id, const struct failure *failure);
bool send_ended(struct channel *c, const struct exec *e);
