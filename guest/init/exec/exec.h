/* One command, for the files that share its handling. */
#pragma once

#include "exec/execs.h"
#include "exec/messages.h"

/* Closes a descriptor that is watched. */
void exec_close_fd(struct execs *x, int *fd);

/* Takes input, or kills a command whose host sends more than it may. */
void exec_take_input(struct exec *e, const struct exec_message *m);

/* Writes as much input as the command takes now. */
void exec_write_input(struct execs *x, struct exec *e);

/* Drops input and takes no more. */
void exec_close_input(struct execs *x, struct exec *e);

/* Closes standard output, or with `which` standard error. */
void exec_close_output(struct execs *x, struct exec *e, int which);

/* Kills all processes of the command's session. */
void exec_kill(struct exec *e);

/* Frees the slot. */
void exec_release(struct execs *x, struct exec *e);
