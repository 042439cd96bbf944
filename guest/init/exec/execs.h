/*
 * Commands that run beside the workload, and the host's sessions with them. Nothing here waits: what
 * a command writes stays in its pipe until the host has granted credit for it, and input is kept up
 * to EXEC_INPUT_MAX bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "channel/channel.h"
#include "exec/spawn.h"
#include "program/program.h"

enum {
	EXECS_MAX = 64,
	/* Input that waits for the command; the host sends no more. */
	EXEC_INPUT_MAX = 32 * 1024,
	EXEC_CHUNK = 16 * 1024,
	/* How long output is awaited from processes that a command which has ended left behind. */
	EXEC_GRACE_MS = 250,
	/* What is read of their output meanwhile; more than a pipe holds at the end of the command. */
	EXEC_LATE_MAX = 1024 * 1024,
};

struct exec {
	uint64_t id;     /* 0: the slot is free */
	pid_t pid;       /* 0 once it is reaped */
	pid_t session;   /* the same, but stays */
	pid_t guest_pid; /* as the workload's processes see it */
	struct exec_fds fds; /* each -1 when it is closed */
	bool is_terminal, is_list;
	bool may_report, may_read[2], may_write; /* a system call may succeed */
	bool is_started, started_sent;
	bool is_killed, is_abandoned, is_interrupted, has_failed;
	bool input_ended;
	uint8_t last_input;
	uint8_t *input; /* EXEC_INPUT_MAX bytes, or NULL */
	size_t input_from, input_len;
	uint64_t taken; /* input that was taken and not reported to the host yet */
	uint64_t credit;
	int status;
	uint64_t ended_us;
	uint64_t late; /* output that was read after the end */
	struct failure failure;
};

struct execs {
	struct exec all[EXECS_MAX]; /* not touched before the first command */
	size_t count;
	struct channel *channel;
	int epoll;
	unsigned turn; /* whose output is sent first */
};

void execs_init(struct execs *x, int epoll, struct channel *channel);

/* Handles MSG_EXEC to MSG_EXEC_KILL. */
void execs_on_message(struct execs *x, const struct exec_target *target, uint8_t type, const uint8_t *body, size_t n);

/* Returns whether the event is one of a command's. */
bool execs_on_event(struct execs *x, void *data);

/* Notes the end of a child that may be a command. */
void execs_on_exit(struct execs *x, pid_t pid, int status, bool main_is_ending);

/* Notes that the kernel has killed all commands, as the main process has ended. */
void execs_interrupt(struct execs *x);

/* Kills all commands and forgets them: their session is over. */
void execs_abandon(struct execs *x);

/* Moves input, and frees the slots of commands that the host need not hear of. */
void execs_update(struct execs *x);

/* Sends messages that are due, at most a chunk of output of each command; false when there were none or no room. */
bool execs_send(struct execs *x);

/* Milliseconds until `execs_update` is due without an event, or -1. */
int execs_timeout(const struct execs *x);

/* Takes a slot and watches the descriptors of a command. NULL when all are taken. */
struct exec *execs_add(struct execs *x, uint64_t id, pid_t pid, const struct exec_fds *fds);
