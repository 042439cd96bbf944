/* Pseudo-terminals of the workload's own file system for them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <termios.h>

enum { TERMINAL_ROWS = 24, TERMINAL_COLUMNS = 80 };

struct terminal {
	int master, slave;
};

/* Opens one at the root's /dev/ptmx. Returns 0 or an errno. */
int terminal_open(struct terminal *t, const struct winsize *size);

/* Makes it the controlling terminal of this session and its standard streams. Returns 0 or an errno. */
int terminal_attach(const struct terminal *t);

/* Sends bytes over a socket, with a descriptor or -1. Returns 0 or an errno. */
int send_fd(int socket, const void *bytes, size_t n, int fd);

/*
 * Receives a message and the descriptor in it, which is -1 when there is none or it is not a
 * terminal's. Returns as recv(2) does and does not wait.
 */
ssize_t receive_fd(int socket, void *bytes, size_t n, int *fd);
