/* Lists the workload's processes and the sockets that they listen on. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { ADDRESS_MAX = 64 };

struct listener {
	uint64_t inode;
	char address[ADDRESS_MAX]; /* protocol, space, address:port */
};

/* Writes the processes as fields; false when that fails. `main` is the workload's main process. */
bool list_processes(pid_t main, int out);

/* Parses a line of /proc/net/PROTOCOL. False when it is no listening socket. */
bool parse_listener(const char *protocol, const char *line, struct listener *out);

/* Finds a process's id in the namespace below the init's, in the text of its status. 0: none. */
pid_t parse_inner_pid(const char *status);
