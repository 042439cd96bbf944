/* A host and its commands, for tests of the init's part: the test has the other end of every stream. */
#pragma once

#include <sys/types.h>

#include "channel/tlv.h"
#include "exec/execs.h"

enum { ID = 7, CREDIT = 100000 };

extern struct execs execs;
extern struct channel channel;
extern const struct exec_target nobody;

/* Messages about one command that the host has read. */
struct seen {
	uint64_t id; /* 0: of all */
	bool started, ended, interrupted, failed;
	uint64_t pid, code, signal, taken;
	size_t out, err;
	uint8_t text[256]; /* the beginning of the output */
};

/* Sends all messages that are due and reads them as the host does. */
void step(struct seen *s);

/* A command that was forked. Its process waits until it is killed. */
struct command {
	pid_t pid;
	int report, in, out, err;
};

struct command begin(uint64_t id, uint64_t credit);

/* Reports as a command does whose program runs. */
void exec_done(struct command *c);

/* Lets the init read and write every stream. */
void ready(void);

/* Writes `n` bytes of output. */
void put(int fd, size_t n);

void close_outputs(struct command *c);

/* Gives the init a message of the host. */
void send_message(uint8_t type, const struct tlv_writer *w);
void send_number(uint8_t type, uint64_t id, uint16_t tag, uint64_t value);
void send_input(uint64_t id, size_t n, bool end);

void reap(const struct command *c, bool main_is_ending);

/* Tests of output and input that wait for credit, and for room. */
void test_exec_flow(void);
