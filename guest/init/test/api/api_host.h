/* A host and processes that connect to its API, for tests of the init's part, which is between them. */
#pragma once

#include "api/api.h"

extern struct api api;
extern struct channel to_host;
extern char api_path[64]; /* of the socket */

/* Messages that the host has read. */
struct heard {
	unsigned opened, closed, ended;
	uint64_t id, taken;
	size_t bytes;
	uint8_t text[64]; /* the beginning */
};

/* Lets the init do all that it can, and reads its messages as the host does. */
struct heard api_step(void);

/* Connects as a process does. */
int dial(void);

/* Gives the init a message of the host about a connection; a `tag` of 0 is no field. */
void tell(uint8_t type, uint64_t id, uint16_t tag, uint64_t value);
void tell_bytes(uint64_t id, size_t n);

/* Reads all that a process has been sent, and returns how much. */
size_t drain(int fd);
bool is_at_end(int fd);

/* Tests of what waits for credit, and for readers. */
void test_api_flow(void);
