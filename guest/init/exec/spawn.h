/* Starts commands in the workload's namespaces, root and cgroup. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/types.h>

#include "program/program.h"
#include "program/request.h"

/* The workload beside which commands run. */
struct exec_target {
	pid_t pid;  /* of its main process; 0: it does not run */
	int cgroup; /* -1: none */
	const struct run_request *request;
};

/* The init's ends. On a terminal, `in` and `out` are the same once the command has reported it. */
struct exec_fds {
	int report, in, out, err;
};

/* How a command is started. */
struct exec_options {
	bool is_terminal, has_input;
	struct winsize size;
	const uint8_t *body; /* the EXEC message */
	size_t len;
};

/* The report of a command before exec. Without `has_failed`, exec is next. */
struct exec_report {
	pid_t pid; /* as the workload's processes see it */
	bool has_failed;
	struct failure failure;
};

/* Returns the command's process, or minus an errno. */
pid_t spawn_command(const struct exec_target *target, const struct exec_options *options, struct exec_fds *fds);

/* Forks a process that writes the workload's processes to `fds->out`. */
pid_t spawn_list(const struct exec_target *target, struct exec_fds *fds);

/* Forks a process that kills every process of a session. */
void spawn_killer(pid_t session);
