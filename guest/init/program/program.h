/* The steps before exec that the workload and the commands beside it share. */
#pragma once

#include <stdbool.h>

#include "channel/protocol.h"
#include "program/request.h"
#include "program/users.h"

struct failure {
	enum step step;
	int error; /* 0 when no system call failed */
	char detail[256];
};

/* Describes a failure; returns false. */
bool set_failure(struct failure *f, enum step step, int error, const char *detail);

/* Sets signals, umask, OOM score and session of a child of the init to those of a program. */
void reset_process(void);

/* Resolves a user by the accounts of the root. */
bool find_user(const char *user, struct identity *who, struct failure *f);

/* Adds the variables that every program has. */
void set_environment(struct run_request *r, const struct identity *who);

/* The standard streams that belong to the program: those from `first` on, or one terminal. */
struct streams {
	int first;
	bool is_terminal;
};

/* Becomes the user, who gets the streams. */
bool set_credentials(const struct identity *who, const struct streams *streams, struct failure *f);

/* Returns only on failure. */
void exec_program(const struct run_request *r, struct failure *f);
