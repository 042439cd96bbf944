/* The child that becomes a command beside the workload. */
#pragma once

#include "exec/spawn.h"

struct command {
	const struct run_request *workload;
	const struct exec_options *options;
	struct exec_fds fds; /* its own ends */
	int pidfd;           /* of the workload's main process */
	int root;            /* of that process */
};

/* Enters the workload's namespaces and root, execs, or reports why it could not. */
_Noreturn void command_run(const struct command *c);
